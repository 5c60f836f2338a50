"""Labels of several checkpoints on one probe set: planted matches, and chance."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.cli.tables import print_table
from glassviz.compare.compare import compare
from glassviz.compare.correspondence import Correspondence, correspond
from glassviz.compare.matching import (
    ProbeSet,
    draw,
    gather,
    label_observations,
    match_phases,
    profiles,
)
from glassviz.compare.runs import ComparedRun, Mismatch
from glassviz.envs.hopper import HopperBatch
from glassviz.export.product import Source, shared_colors
from glassviz.metrics.fitted_labels import fit_labels
from glassviz.palette import UNMATCHED_COLORS
from glassviz.report.documents import COMPARISON_FILES, pair_row, save_comparison
from glassviz.report.phrases import comparison as phrases
from glassviz.report.sections import table_of
from glassviz.rollout.rollout import roll_out
from glassviz.rollout.run import Run, assess_all, labels_path
from glassviz.rollout.traces import RolloutOptions
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, KNEE, STILL, UNLOCKED, assessed, planted
from tests.helpers.tiny import AGENT

CLUSTERS = 4


def rng(seed: int = 0):
    return np.random.default_rng(seed)


# The probe set ----------------------------------------------------------------------------------


def with_places(trace: Trace) -> Trace:
    """The same, with observations that tell the episode and the frame."""
    place = np.stack(np.indices((trace.episodes, trace.frames)), axis=-1)
    return replace(trace, obs=place.astype(np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def hops(folder):
    trace = with_places(planted(HOP, HOP, name="hops"))
    return assessed(folder, trace)


@pytest.mark.parametrize("quota", [1, 50, 333, 10_000])
def test_a_source_gives_its_quota_or_all_it_has_and_nothing_of_its_openings(hops, quota):
    frames = draw(hops, quota)
    usable = sum(hops.trace.frames - gait.opening_end for gait in hops.gaits)
    assert len(frames.obs) == min(quota, usable)
    for episode, frame in frames.obs.astype(int):
        assert frame >= hops.gaits[episode].opening_end
    assert (frames.obs[:, 0] == frames.episode).all()


def test_cycles_of_the_probe_set_are_whole_and_in_a_row(hops):
    frames = draw(hops, 300)
    assert len(np.unique(frames.cycle)) > 5
    for cycle in np.unique(frames.cycle[frames.cycle >= 0]):
        inside = np.flatnonzero(frames.cycle == cycle)
        episode, first = frames.obs[inside[0]].astype(int)
        own = hops.gaits[episode].cycles.cycle
        assert (np.diff(inside) == 1).all() and (np.diff(frames.obs[inside, 1]) == 1).all()
        assert len(inside) == (own == own[first]).sum()


def test_the_same_trace_gives_the_same_frames(hops):
    one, other = draw(hops, 200), draw(Run.of(replace(hops.trace), hops.trace_path), 200)
    assert np.array_equal(one.obs, other.obs)


def test_observations_that_are_no_numbers_are_left_out(hops):
    broken = replace(hops.trace, obs=hops.trace.obs.copy())
    broken.obs[0] = np.nan
    assert (draw(Run.of(broken, hops.trace_path), 10_000).episode == 1).all()


def test_sources_are_gathered_one_after_the_other(hops):
    frames = draw(hops, 200)
    probe_set = gather([frames, frames])
    assert (np.bincount(probe_set.source) == 200).all() and (np.diff(probe_set.source) >= 0).all()
    kept = probe_set.cycle >= 0
    assert not set(probe_set.cycle[kept & (probe_set.source == 0)]) & set(
        probe_set.cycle[kept & (probe_set.source == 1)]
    )
    episodes = [set(probe_set.episode[probe_set.source == i]) for i in (0, 1)]
    assert not episodes[0] & episodes[1]


# Labels on it -----------------------------------------------------------------------------------


def a_probe_set(cycles: int = 60, length: int = 20) -> ProbeSet:
    """Two sources with five episodes each, in cycles but for every tenth frame."""
    frames = cycles * length
    cycle = np.repeat(np.arange(cycles), length)
    episode = np.repeat(np.arange(10), frames // 10)
    source = np.repeat(np.arange(2), frames // 2)
    return ProbeSet(np.zeros((frames, 3), np.float32), cycle, episode, source)


def in_phase(probe_set: ProbeSet, dwell: int = 5):
    """Labels that follow the phase of the probe set's cycles."""
    first = np.searchsorted(probe_set.cycle, probe_set.cycle)
    return (np.arange(len(probe_set.cycle)) - first) // dwell % CLUSTERS


def on_their_own(probe_set: ProbeSet, seed: int, dwell: int = 7):
    """Labels with a rhythm that has nothing to do with the probe set's."""
    draws = np.random.default_rng(seed)
    lengths = draws.poisson(dwell, size=len(probe_set.cycle)) + 1
    return np.repeat(np.arange(len(lengths)) % CLUSTERS, lengths)[: len(probe_set.cycle)].astype(
        int
    )


@pytest.fixture(scope="module")
def members(folder) -> list[ComparedRun]:
    """Two hoppers with the same phases under other labels, and one that lies."""
    gaits = {"one": (HOP, HOP), "two": (replace(HOP, map=(2, 3, 0, 1)), HOP), "lies": (STILL,)}
    found = []
    for name, plans in gaits.items():
        found.append(ComparedRun.of(assessed(folder, planted(*plans, name=name)), {}))
    return found


def corresponding(labels, members, probe_set=None) -> Correspondence:
    probe_set = probe_set or a_probe_set()
    of = {name: [own] for name, own in zip(labels, members, strict=False)}
    return correspond(probe_set, members[:2], labels, of, ())


def test_permuted_labels_correspond_with_score_1(members):
    probe_set = a_probe_set()
    label, permutation = in_phase(probe_set), np.array([2, 0, 3, 1])
    found = corresponding({"one": label, "two": permutation[label]}, members, probe_set)
    [pair] = found.pairs
    assert pair.agreement.ami == pytest.approx(1) and pair.agreement.vi_bits == 0
    assert pair.matched_accuracy == 1
    assert pair.matching.partner.tolist() == permutation.tolist()
    assert pair.test.ami_p == pytest.approx(1 / 200) and pair.test.null_ami < 0.1
    assert [each.agreement.ami for each in pair.by_source] == pytest.approx([1, 1])
    assert found.consensus.mean_ami == pytest.approx(1) and found.medoid is None
    assert found.reference == "one" and found.colours["one"] == (0, 1, 2, 3)
    assert found.colours["two"] == tuple(np.argsort(permutation).tolist())


def test_labels_that_have_nothing_to_do_with_each_other_agree_by_chance_alone(members):
    p, ami = [], []
    for seed in range(40):
        probe_set = a_probe_set(cycles=40)
        labels = {
            "one": on_their_own(probe_set, 2 * seed),
            "two": on_their_own(probe_set, 2 * seed + 1, 5),
        }
        [pair] = corresponding(labels, members, probe_set).pairs
        p.append(pair.test.ami_p)
        ami.append(pair.agreement.ami)
    assert abs(np.mean(ami)) < 0.02
    assert np.mean(np.array(p) <= 0.2) <= 0.4 and 0.3 < np.mean(p) < 0.7


def test_what_episodes_have_in_common_is_chance(members):
    """Both tell the sources apart and are at random within: no agreement on phases."""
    probe_set = a_probe_set()
    draws = np.random.default_rng(3)
    one, two = (
        2 * probe_set.source + draws.integers(2, size=len(probe_set.source)) for _ in range(2)
    )
    [pair] = corresponding({"one": one, "two": two}, members, probe_set).pairs
    assert pair.agreement.ami > 0.3
    assert pair.test.ami_p > 0.05 and pair.test.null_ami == pytest.approx(
        pair.agreement.ami, abs=0.02
    )
    assert max(each.agreement.ami for each in pair.by_source) < 0.05


def test_the_typical_run_is_the_medoid_and_gives_the_colours(members):
    probe_set = a_probe_set()
    label = in_phase(probe_set)
    noisy = np.where(
        np.random.default_rng(1).random(len(label)) < 0.3,
        np.random.default_rng(2).integers(CLUSTERS, size=len(label)),
        label,
    )
    labels = {"far": on_their_own(probe_set, 5), "typical": label, "near": noisy}
    found = corresponding(labels, members, probe_set)
    assert found.medoid == found.reference == "typical"
    assert found.colours["typical"] == (0, 1, 2, 3) and set(found.colours["far"]) <= {
        -1,
        0,
        1,
        2,
        3,
    }
    assert len(found.pairs) == 3 and found.consensus.low is not None
    answer = phrases.correspondence(found)
    assert "Medoid: typical." in answer and "significant for" in answer


def test_the_report_says_of_every_run_which_label_is_which_of_the_typical_run(members):
    probe_set = a_probe_set()
    label, permutation = in_phase(probe_set), np.array([2, 0, 3, 1])
    split = np.where((label == 3) & (np.random.default_rng(0).random(len(label)) < 0.4), 4, label)
    labels = {"split": split, "typical": label, "permuted": permutation[label]}
    found = corresponding(labels, members, probe_set)
    found = replace(found, reference="typical", medoid="typical")
    assert found.visited["split"] == (0, 1, 2, 3, 4)
    table = table_of(found)
    assert table.head[:6] == ("run", "label 0", "label 1", "label 2", "label 3", "unmatched")
    first, second = table.rows
    assert first[:4] == ("split", "0 (1.00)", "1 (1.00)", "2 (1.00)")
    assert first[4].startswith("3 (0.") and first[5] == "4"
    assert second[:7] == ("permuted", "2 (1.00)", "0 (1.00)", "3 (1.00)", "1 (1.00)", "–", "100%")
    test = found.pair("permuted", "typical").test
    assert second[7:] == ("1.00", "1.00", f"{test.null_ami:.2f}", "0.005")
    assert "typical (the medoid)" in table.note


def test_without_gait_cycles_there_is_no_test(members):
    probe_set = a_probe_set()
    probe_set = replace(probe_set, cycle=np.full_like(probe_set.cycle, -1))
    label = on_their_own(probe_set, 0)
    [pair] = corresponding({"one": label, "two": label}, members, probe_set).pairs
    found = corresponding({"one": label, "two": label}, members, probe_set)
    assert table_of(found).rows[0][-3:] == ("–", "–", "–")
    assert pair.test is None and pair.agreement.ami == pytest.approx(1)


def test_one_label_everywhere_cannot_be_told(members):
    probe_set = a_probe_set()
    constant = np.zeros(len(probe_set.cycle), int)
    found = corresponding({"one": constant, "two": constant + 1}, members, probe_set)
    assert phrases.correspondence(found).startswith("Undefined")
    assert found.pairs[0].agreement.ami is None
    assert pair_row(found.pairs[0])["in_cycles_ami_p"] is None


# By phase ---------------------------------------------------------------------------------------


def test_labels_of_one_gait_are_matched_by_phase(members):
    one, two, lies = members
    [match] = match_phases([one], [two])
    assert (match.controller, match.gait) == ("mppi", "hop")
    assert profiles(one.stability).sum(axis=1)[:4] == pytest.approx(1)
    assert match_phases([one], [lies]) == () and match_phases([lies], [lies]) == ()


def test_a_planted_permutation_of_phases_is_found(folder):
    def hopper(name, phases):
        return ComparedRun.of(assessed(folder, planted(replace(HOP, map=phases), name=name)), {})

    [match] = match_phases([hopper("p1", (0, 1, 2, 3))], [hopper("p2", (3, 2, 0, 1))])
    assert match.matching.partner[:4].tolist() == [3, 2, 0, 1]
    assert (match.matching.partner[4:] == -1).all()


def test_gaits_that_differ_are_not_matched_by_phase(folder, members):
    walks = ComparedRun.of(assessed(folder, planted(KNEE, KNEE, name="walks")), {})
    assert match_phases([members[0]], [walks]) == ()


# Agents -----------------------------------------------------------------------------------------

PERMUTATION = np.array([1, 2, 0])


def latents_along_an_episode(params) -> np.ndarray:
    """Of the agent's own policy, for prototypes that it visits."""
    [arrays] = roll_out(AGENT, [params], "pi", HopperBatch(AGENT.env, 1), 0, 60)
    return arrays["latent"][0, np.linspace(5, 59, AGENT.glass.prototypes).astype(int)]


@pytest.fixture(scope="module")
def agents(tmp_path_factory) -> Path:
    """A tiny agent, the same with its clusters renumbered, another, and one without Glass."""
    folder = tmp_path_factory.mktemp("agents")
    params = [jax.tree.map(np.asarray, init_params(AGENT, jax.random.key(i))) for i in (0, 0, 1)]
    for each in params:
        each["glass"] = each["glass"] | {"prototypes": latents_along_an_episode(each)}
    logits = params[0]["glass"]["assign_logits"]
    params[1]["glass"] = params[1]["glass"] | {"assign_logits": logits[:, np.argsort(PERMUTATION)]}
    for name, each in zip(("one", "renumbered", "other"), params, strict=True):
        provenance = {"recipe": "tiny (small)", "seed": len(name)}
        checkpoints.save(folder / f"{name}.safetensors", AGENT, each, provenance)
    bare = AGENT.replace(glass=None)
    params = jax.tree.map(np.asarray, init_params(bare, jax.random.key(2)))
    checkpoints.save(folder / "bare.safetensors", bare, params, {"recipe": "bare"})
    return folder


def stability(agents: Path, *arguments: str):
    given = ("stability", agents, "--controller", "pi", "--episodes", "2")
    return invoke(*given, "--traces", agents / "traces", *arguments)


@pytest.fixture(scope="module")
def out(agents, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "results"
    stability(agents, "--out", str(folder), "--csv")
    return folder


def test_observations_get_the_labels_that_their_own_trace_has(agents, out):
    rows = assess_all([agents / "one.safetensors"], RolloutOptions(2, ("pi",)), agents / "traces")
    trace = rows[0].trace
    checkpoint = checkpoints.load(agents / "one.safetensors")
    found = label_observations(checkpoint, trace.obs.reshape(-1, 15), "nearest-prototype")
    # Some latents are as near to one prototype as to another, and a rounding decides.
    assert (found == trace.label.ravel()).mean() > 0.9


def test_renumbered_clusters_of_one_agent_correspond_with_score_1(out):
    told = json.loads((out / "together.json").read_text())
    found = told["correspondence"]
    assert found["runs"] == ["one", "other", "renumbered"] and found["left_out"] == []
    assert {each["run"] for each in found["sources"]} == {"bare", *found["runs"]}
    [pair] = [
        each for each in found["pairs"] if (each["one"], each["other"]) == ("one", "renumbered")
    ]
    assert pair["agreement"]["ami"] == pytest.approx(1)
    assert pair["matching"]["partner"] == PERMUTATION.tolist()
    assert pair["matched_accuracy"] == 1
    assert told["checkpoints"] == ["bare", "one", "other", "renumbered"]


def test_films_of_both_have_one_colour_for_labels_that_mean_the_same(agents, out):
    targets = [agents / "one.safetensors", agents / "renumbered.safetensors"]
    rows = assess_all(targets, RolloutOptions(2, ("pi",)), agents / "traces")
    found = shared_colors([Source.of(row) for row in rows])
    assert "by what the agents call the same observations" in found.note
    one, renumbered = found.colors
    assert [renumbered[k] for k in PERMUTATION] == list(one)
    assert len(set(one)) == len(one) and not set(one) & set(UNMATCHED_COLORS)
    # Of traces alone nobody can be asked.
    traces = [replace(row, target=row.trace_path) for row in rows]
    by_phase = shared_colors([Source.of(row) for row in traces])
    assert "by the phase of the gait" in by_phase.note


def test_an_agent_that_lies_under_its_other_controller_has_colours_all_the_same(folder):
    def row(name, plan, controller):
        return assessed(
            folder, planted(plan, name=name, controller=controller), f"{name}{controller}"
        )

    turned = replace(HOP, map=(3, 2, 0, 1))
    reference, lying, hopping = (
        Source.of(each)
        for each in (row("c1", HOP, "pi"), row("c2", STILL, "mppi"), row("c2", turned, "pi"))
    )
    first, second, third = shared_colors([reference, lying, hopping]).colors
    assert [third[k] for k in (3, 2, 0, 1)] == list(first[:4])
    assert second == third


def test_the_files_hold_what_json_prints(agents, out):
    printed = json.loads(stability(agents, "--json").stdout)
    assert printed["together"] == json.loads((out / "together.json").read_text())
    assert printed == json.loads((out / "stability.json").read_text())
    with (out / "pairs.csv").open() as file:
        read = list(csv.DictReader(file))
    assert len(read) == 3 and {"one", "other", "ami", "ari", "vi_bits", "partner"} <= set(read[0])


def test_the_section_under_the_table_is_short(agents):
    rows = assess_all([agents], RolloutOptions(2, ("pi",)), agents / "traces")
    console = Console(width=100, file=io.StringIO(), highlight=False)
    print_table(rows, compare(rows), console, everything=True)
    text = console.file.getvalue()
    told = text[text.index("comparison") :].splitlines()
    assert len(told) <= 15 and max(map(len, told)) <= 100
    assert told[0].startswith("comparison") and "n = 4 checkpoints" in told[0]
    assert any(line.startswith("labels") and "AMI" in line for line in told)
    assert "comparison" in stability(agents, "--compare").stdout
    short = stability(agents).stdout
    assert "comparison  " not in short and short.endswith("intervals and tests: --compare.\n")
    brief = stability(agents, "--brief", "--sort", "return").stdout.splitlines()
    assert len(brief) == 1 + len(rows)


def test_fitted_labels_are_compared_like_learned_ones(agents):
    rows = assess_all(
        [agents / "one.safetensors", agents / "bare.safetensors"],
        RolloutOptions(2, ("pi",)),
        agents / "traces",
    )
    for row in rows:
        trace = row.trace
        found = fit_labels(list(trace.latent), row.stability.checkpoint_sha256, 4, 3)
        found.save(labels_path(agents / "traces", row.stability.checkpoint_sha256))
    targets = [row.target for row in rows]
    options = RolloutOptions(2, ("pi",))
    fitted = assess_all(targets, options, agents / "traces", labels="fitted")
    together = compare(fitted)
    assert together.correspondence.runs == ("bare", "one")
    assert together.no_correspondence is None


def test_agents_in_other_physics_are_not_compared_and_say_why(agents, folder):
    rows = assess_all([agents], RolloutOptions(2, ("pi",)), agents / "traces")
    foreign = assessed(folder, planted(UNLOCKED, name="foreign", env={"physics": "playground"}))
    found = compare([*rows, foreign])
    assert found.correspondence is None
    assert found.no_correspondence == Mismatch("physics", ("dm_control", "playground"))
    why = phrases.no_correspondence(found.no_correspondence)
    assert why == "runs differ in physics profile (dm_control and playground)"


def test_observations_of_another_size_are_not_compared(agents, folder):
    rows = assess_all([agents], RolloutOptions(2, ("pi",)), agents / "traces")
    trace = planted(UNLOCKED, name="sized")
    # A file of it would be refused: every agent that is read observes a hopper.
    sized = replace(trace, obs=trace.obs[..., :1])
    found = compare([*rows, Run.of(sized, folder / "sized.npz")])
    assert found.no_correspondence == Mismatch("observation_size", ("1", "15"))
    why = phrases.no_correspondence(found.no_correspondence)
    assert why == "runs differ in observation size (1 and 15)"


def test_nothing_to_compare_is_written_as_nothing(tmp_path):
    save_comparison(None, tmp_path)
    texts = [(tmp_path / name).read_text() for name in COMPARISON_FILES]
    assert texts == ["null\n", "\n"]
