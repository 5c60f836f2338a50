"""One label has one name in every output of a run."""

import re
from dataclasses import replace

import pytest

from glassviz.compare.graphs import run_graph
from glassviz.export import figures
from glassviz.export.product import Source
from glassviz.figures.gallery import examples_of
from glassviz.figures.latent_map import figure
from glassviz.figures.transition_graph import drawing_of
from glassviz.maps.coordinates import MapOptions
from glassviz.maps.maps import given_together, make_map
from glassviz.report.compose import side_of
from glassviz.report.documents import graph_network, map_dict, run_dict
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


def named(run: Run, tmp_path) -> None:
    """Give the run the names of a file."""
    path = tmp_path / "names.toml"
    path.write_text(GIVEN)
    Names.load(path).apply([run], pytest.fail)


def mapped(*runs: Run):
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
    """The name of each label, by output."""
    trace, found, source = run.trace, run.stability, Source.of(run)
    graph = run_graph(trace, gaits=run.gaits, given=run.given_labels)
    own_map = mapped(run)
    states, _ = states_of(trace, found, gait_of(trace, found))
    network = graph_network(graph)
    panels = replace_panels("label")
    return {
        "graph": numbered(hull.name[0] for hull in drawing_of(graph).hulls),
        "graph, as a file": {node["cluster"]: node["name"] for _, node in network.nodes.items()},
        "map": numbered(texts(figure([own_map], panels))),
        "map, as JSON": {e["label"]: e["name"] for e in map_dict(own_map)["label_names"]},
        "gallery": {each.label: each.name for each in examples_of(own_map)},
        "page": {int(state.key): state.name for state in states},
        "export": source.label_names(),
        "stability": {e["label"]: e["name"] for e in run_dict(run)["label_names"]},
    }
