"""Which label is which: one answer, whichever command is asked."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.compare.compare import compare
from glassviz.compare.graphs import graph_all
from glassviz.compare.matching import MatchedBy, match_labels
from glassviz.compare.runs import Mismatch
from glassviz.envs.hopper import HopperBatch
from glassviz.export.product import Source, shared_colors
from glassviz.palette import UNMATCHED_COLORS, label_color
from glassviz.report.interactive.page import matches_of
from glassviz.report.sections import parts_of
from glassviz.rollout.rollout import roll_out
from glassviz.rollout.run import Run, assess_all
from glassviz.rollout.traces import RolloutOptions
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, KNEE, planted

CLUSTERS = 8
NONE = -1
FOUR_HOPS = [0, 1, 2, 3, NONE, NONE, NONE, NONE]
"""Labels of the knee-walk live on another clock: they have no phase in common with the hop."""


def four_hops_and_a_knee_walk(name: str) -> Trace:
    """Four hops with the labels 0 to 3, and a knee-walk with the labels 4 to 7."""
    trace = planted(*[HOP] * 4, replace(KNEE, map=(4, 5, 6, 7)), name=name)
    header = trace.header | {"partition": np.eye(CLUSTERS).tolist()}
    soft = np.eye(CLUSTERS, dtype=np.float32)[trace.label]
    return replace(trace, header=header, prototype=trace.label, soft_assignment=soft)


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("traces")
    for name in ("one", "two"):
        four_hops_and_a_knee_walk(name).save(folder / f"{name}.npz")
    return [folder / "one.npz", folder / "two.npz"]


@pytest.fixture(scope="module")
def runs(traces) -> list[Run]:
    return assess_all(traces, RolloutOptions(), jobs=1)


def partners(pairs, clusters: int = CLUSTERS) -> list[int]:
    """Partner of each label, of pairs of labels."""
    found = {int(one): int(other) for one, other in pairs}
    return [found.get(k, NONE) for k in range(clusters)]


def glassviz(*arguments: object) -> str:
    return invoke(*arguments).stdout


def by_stability(targets, *options) -> list[int]:
    told = json.loads(glassviz("stability", *targets, *options, "--json"))["together"]
    [pair] = told["label_matches"]["pairs"]
    return pair["matching"]["partner"]


def by_graphs(targets, *options) -> list[int]:
    [told] = json.loads(glassviz("graph", *targets, *options, "--compare", "--json"))
    states = told["graph"]["states"]
    return partners(
        (each["one"], each["other"]) for each in states if None not in (each["one"], each["other"])
    )


def by_the_page(runs) -> list[int]:
    [pair] = matches_of(runs)
    names = [runs[0].checkpoint_sha256, runs[1].checkpoint_sha256]
    assert [pair.one, pair.other] == names
    return partners(pair.pairs)


def by_colours(runs) -> list[int]:
    """Of each label of the first run the one of the second that has its colour."""
    one, two = shared_colors([Source.of(run) for run in runs]).colors
    assert one[:4] == tuple(map(label_color, range(4)))
    assert not set(one[:4]) & set(UNMATCHED_COLORS)
    return [two.index(color) if color in two else NONE for color in one]


def by_the_report(runs) -> list[int]:
    """From the table of its section on labels."""
    [part] = [each for each in parts_of(compare(runs)) if each.title == "Label correspondence"]
    [table] = part.tables
    [row] = table.rows
    cells = dict(zip(table.head, row, strict=True))
    return partners(
        (head.removeprefix("label "), cell.split()[0])
        for head, cell in cells.items()
        if head.startswith("label ") and cell != "–"
    )


def test_labels_are_matched_in_the_phases_of_the_one_clock_that_both_runs_have(runs):
    found = match_labels(runs).between(*runs)
    assert found.by is MatchedBy.PHASE
    assert found.matching.partner.tolist() == FOUR_HOPS
    assert found.matching.similarity[:4] == pytest.approx(np.ones(4), abs=0.02)
    turned = match_labels(runs[::-1]).between(*runs[::-1])
    assert turned.matching.partner.tolist() == FOUR_HOPS


def test_every_command_gives_this_answer_for_two_traces(traces, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert by_stability(traces) == FOUR_HOPS
    assert by_graphs(traces) == FOUR_HOPS
    assert by_the_page(runs) == FOUR_HOPS
    assert by_the_report(runs) == FOUR_HOPS
    # A label without partner is grey in both runs, or has the colour of no other.
    assert by_colours(runs)[:4] == FOUR_HOPS[:4]
    _, two = shared_colors([Source.of(run) for run in runs]).colors
    assert set(two[4:]) <= set(UNMATCHED_COLORS)


# Agents at hand -----------------------------------------------------------------------------------

OPTIONS = ("--controller", "pi", "--episodes", "2")


def an_agent(seed: int) -> dict:
    """With prototypes that it visits."""
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(seed)))
    [arrays] = roll_out(tiny.AGENT, [params], "pi", HopperBatch(tiny.AGENT.env, 1), 0, 60)
    visited = arrays["latent"][0, np.linspace(5, 59, tiny.GLASS.prototypes).astype(int)]
    params["glass"] = params["glass"] | {"prototypes": visited}
    return params


@pytest.fixture(scope="module")
def agents(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("agents")
    paths = [folder / "a.safetensors", folder / "b.safetensors"]
    for seed, path in enumerate(paths):
        checkpoints.save(path, tiny.AGENT, an_agent(seed), {"recipe": "tiny"})
    return paths


def test_every_command_gives_one_answer_where_the_agents_are_at_hand(
    agents, tmp_path_factory, monkeypatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    runs = assess_all(agents, RolloutOptions(2, ("pi",)), jobs=1)
    found = match_labels(runs).between(*runs)
    partner = found.matching.partner.tolist()
    assert found.by is MatchedBy.OBSERVATIONS and len(partner) == tiny.GLASS.clusters
    told = json.loads(glassviz("stability", *agents, *OPTIONS, "--json"))["together"]
    [match], [pair] = told["label_matches"]["pairs"], told["correspondence"]["pairs"]
    assert match["matching"]["partner"] == partner and match["by"] == "frames"
    assert match["accuracy"] == pair["matched_accuracy"] == found.accuracy
    assert pair["matching"]["partner"] == partner[: len(pair["matching"]["partner"])]
    assert by_graphs(agents, *OPTIONS)[: len(partner)] == _visited(partner, runs)
    assert by_the_page(runs)[: len(partner)] == partner
    assert by_the_report(runs)[: len(partner)] == _of_reference(told, partner)
    reference = shared_colors([Source.of(run) for run in runs])
    one, two = reference.colors
    assert [two.index(color) if color in two else NONE for color in one] == partner


def _visited(partner: list[int], runs: list[Run]) -> list[int]:
    """Partners that a graph shows: of two labels one at least is met after the openings."""
    met = [set(run.stability.occupancy.visited) for run in runs]
    shares = [run.stability.occupancy.share for run in runs]
    assert all(len(each) for each in met)
    return [
        other if other >= 0 and (shares[0][one] > 0 or shares[1][other] > 0) else NONE
        for one, other in enumerate(partner)
    ]


def _of_reference(told: dict, partner: list[int]) -> list[int]:
    """Partners of the labels that the report's table has columns for."""
    columns = told["correspondence"]["visited"][told["correspondence"]["reference"]]
    return [other if one in columns else NONE for one, other in enumerate(partner)]


def test_runs_of_one_checkpoint_have_its_labels(traces):
    one = Run.of(four_hops_and_a_knee_walk("one"), traces[0])
    policy = replace(one.trace, header=one.trace.header | {"controller": "pi"})
    found = match_labels([one, Run.of(policy, traces[0])])
    match = found.between(one, one)
    assert match.by is MatchedBy.CHECKPOINT and found.pairs == ()
    assert match.matching.partner.tolist() == list(range(CLUSTERS))
    assert found.of_reference(one) == tuple(range(CLUSTERS))


def test_agents_in_other_physics_are_matched_by_phase_instead(traces, agents, tmp_path):
    rows = assess_all(agents[:1], RolloutOptions(2, ("pi",)), tmp_path, jobs=1)
    env = rows[0].header["env"] | {"physics": "playground"}
    own = rows[0].trace
    moved = replace(
        own, header=own.header | {"env": env, "checkpoint": {"name": "m", "sha256": "m"}}
    )
    other = Run.of(moved, tmp_path / "moved.npz", target=agents[1])
    found = match_labels([rows[0], other])
    assert found.obstacle == Mismatch("physics", ("dm_control", "playground"))
    assert found.probe_set is None and all(pair.by is MatchedBy.PHASE for pair in found.pairs)


def test_a_graph_of_each_run_is_compared_by_the_same_match(traces):
    one, two = graph_all(traces, RolloutOptions())
    assert match_labels([one.run, two.run]).between(one.run, two.run).matching.partner.tolist() == (
        FOUR_HOPS
    )
