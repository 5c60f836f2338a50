"""One label has one name in every output of a run."""

import re
from dataclasses import replace

import pytest

from glassviz.compare.graphs import run_graph
from glassviz.export.figures import timeline_figure
from glassviz.export.product import Source
from glassviz.figures.gallery import examples_of
from glassviz.figures.latent_map import figure
from glassviz.figures.style import PLAIN
from glassviz.figures.transition_graph import drawing_of
from glassviz.maps.coordinates import MapOptions
from glassviz.maps.maps import LatentMap, given_together, make_map
from glassviz.metrics.stability import assess
from glassviz.report.compose import side_of
from glassviz.report.documents import map_dict, to_networkx
from glassviz.report.interactive.page import gait_of, states_of
from glassviz.rollout.names import Names
from glassviz.rollout.run import Run
from tests.helpers.planted_runs import HOP, STILL, assessed, planted, with_soft

GIVEN = """
[labels.hopper]
1 = "kick $off$"
"""


@pytest.fixture
def hop(tmp_path) -> Run:
    return assessed(tmp_path, with_soft(planted(HOP, HOP, name="hopper")))


@pytest.fixture
def still(tmp_path) -> Run:
    """The same agent under its other controller, on the floor."""
    return assessed(tmp_path, with_soft(planted(STILL, name="hopper", controller="pi")))


@pytest.fixture
def names(tmp_path) -> Names:
    path = tmp_path / "names.toml"
    path.write_text(GIVEN)
    return Names.load(path)


def mapped(*runs: Run) -> LatentMap:
    return make_map(
        [run.trace for run in runs],
        MapOptions("pca"),
        gaits=[run.gaits for run in runs],
        given=given_together(runs),
    )


def texts(drawn) -> list[str]:
    return [text.get_text() for text in drawn.findobj(lambda part: hasattr(part, "get_text"))]


def numbered(lines) -> dict[int, str]:
    """The names in lines such as `3 flight`."""
    found = (re.fullmatch(r"(\d+) (.+)", line) for line in lines)
    return {int(match[1]): match[2] for match in found if match}


def names_by_output(run: Run) -> dict[str, dict[int, str]]:
    """The name of each label that the run visits, by output."""
    trace, found, source, own_map = run.trace, run.stability, Source.of(run), mapped(run)
    graph = run_graph(trace, gaits=run.gaits, given=run.given_labels)
    states, _ = states_of(trace, found, gait_of(trace, found))
    visited = set(found.occupancy.visited)
    nodes = dict(to_networkx(graph).nodes).values()
    chips = {chip.label: told.partition(", ")[0] for chip, told in side_of(run).chips}
    every = {
        "graph": numbered(hull.name[0] for hull in drawing_of(graph).hulls if hull.name),
        "graph, as a file": {node["cluster"]: node["name"] for node in nodes},
        "map": numbered(texts(figure([own_map], replace(PLAIN, panels=("label",))))),
        "map, as JSON": {each["label"]: each["name"] for each in map_dict(own_map)["label_names"]},
        "gallery": {each.label: each.name for each in examples_of(own_map)},
        "page": {int(state.key): state.name for state in states},
        "report": chips,
        "export": source.label_names(),
        "stability": {each.label: each.name for each in found.label_names},
    }
    in_legend = set(texts(timeline_figure(source)))
    assert {source.label_names()[label] for label in visited} <= in_legend
    return {place: {k: own[k] for k in own.keys() & visited} for place, own in every.items()}


@pytest.mark.parametrize("given", [False, True])
def test_every_output_has_the_same_name_for_each_label_of_a_run(hop, names, given):
    if given:
        names.apply([hop], pytest.fail)
    by_output = names_by_output(hop)
    expected = by_output["stability"]
    assert len(expected) > 1 and (expected[1] == "kick $off$") == given
    assert by_output == dict.fromkeys(by_output, expected)


def test_a_map_of_both_controllers_has_the_names_of_both(hop, still, names):
    own = [{each.label: each.name for each in mapped(run).label_names} for run in (hop, still)]
    together = {each.label: each.name for each in mapped(hop, still).label_names}
    assert own[0] != own[1]
    for label, name in together.items():
        both = [each[label] for each in own if label in each]
        assert name == " / ".join(dict.fromkeys(both))
    names.apply([hop, still], pytest.fail)
    assert {each.label: each.name for each in mapped(hop, still).label_names}[1] == "kick $off$"


def test_a_label_of_the_opening_alone_is_named_so_and_counts_nowhere():
    trace = planted(HOP)
    opening = assess(trace).episodes[0].gait.opening_end
    label = trace.label.copy()
    label[:, :opening] = 7
    found = assess(replace(trace, label=label))
    assert [each.name for each in found.label_names if each.label == 7] == ["opening"]
    assert 7 not in found.occupancy.visited


def test_given_names_change_no_order_and_no_statistic(hop, names):
    plain = run_graph(hop.trace, gaits=hop.gaits)
    names.apply([hop], pytest.fail)
    given = run_graph(hop.trace, gaits=hop.gaits, given=hop.given_labels)
    assert [each.phase for each in given.names] == [each.phase for each in plain.names]
    assert drawing_of(given).nodes == drawing_of(plain).nodes
