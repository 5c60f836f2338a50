"""Stability of whole runs: planted truths, the command, and what it prints and writes."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from glassviz.cli.tables import print_table
from glassviz.compare.single_label import single_label
from glassviz.errors import GlassvizError
from glassviz.metrics.labels import TAU_GRID
from glassviz.metrics.stability import METRICS, OVER_ALL_FRAMES, assess, of_one_clock
from glassviz.metrics.statistics import mean_interval, share_interval
from glassviz.report.documents import (
    COMPARISON_FILES,
    STABILITY_FILES,
    episode_rows,
    run_dict,
    run_row,
    stability_json,
)
from glassviz.report.phrases.numbers import shown_mean
from glassviz.report.phrases.verdicts import basin_reasons
from glassviz.report.serialize import as_csv
from glassviz.rollout.batch import Failed, Listener
from glassviz.rollout.run import Run, assess_all
from glassviz.rollout.traces import RolloutOptions
from glassviz.trace import ARRAYS
from tests.helpers.commands import invoke, loaded
from tests.helpers.planted_runs import (
    CLUSTERS,
    HOP,
    KNEE,
    STILL,
    UNLOCKED,
    planted,
    row,
    with_soft,
)
from tests.helpers.traces import clock_trace

# One run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plans", "glass", "gait", "basin", "reasons"),
    [
        ((HOP,) * 3, True, "hop", "stable-hop", ("hop, labels phase-locked",)),
        ((UNLOCKED,) * 3, True, "hop", "unstable", ("hop, labels oscillate",)),
        ((HOP,) * 2, False, "hop", "undetermined", ("hop, no labels",)),
        ((STILL,) * 2, True, "static", "unstable", ("static",)),
        ((STILL,) * 2, False, "static", "unstable", ("static",)),
        ((KNEE,) * 2, True, "knee-walk", "unstable", ("knee-walk",)),
        ((STILL, STILL, KNEE, KNEE), True, "split", "unstable", ("static 2/4", "knee-walk 2/4")),
        (
            (HOP, HOP, UNLOCKED),
            True,
            "hop",
            "split",
            ("hop, labels phase-locked 2/3", "hop, labels oscillate 1/3"),
        ),
    ],
)
def test_planted_runs_are_in_the_basin_that_they_were_planted_in(
    plans, glass, gait, basin, reasons
):
    found = assess(planted(*plans, glass=glass))
    assert (found.gait.name, found.basin.name, basin_reasons(found.basin)) == (gait, basin, reasons)


def test_a_trace_always_gives_the_same():
    trace = planted(HOP, UNLOCKED)
    one, other = (run_dict(row(assess(each))) for each in (trace, replace(trace)))
    assert one == other


def test_an_episode_does_not_depend_on_the_others_but_for_chance():
    alone, among = assess(planted(HOP)), assess(planted(HOP, STILL))
    one, other = alone.episodes[0], among.episodes[0]
    assert one.basin.name == other.basin.name
    assert one.steady_labels.locking.locking_u == other.steady_labels.locking.locking_u


def test_chance_in_an_episode_does_not_depend_on_the_others_either():
    trace = planted(UNLOCKED, HOP, UNLOCKED)
    whole, alone = assess(trace), assess(trace.first(1))
    assert repr(whole.episodes[0].gait.return_map) == repr(alone.episodes[0].gait.return_map)
    assert repr(whole.episodes[0].labels) == repr(alone.episodes[0].labels)


def test_what_is_about_cycles_is_the_same_over_all_and_over_steady_frames():
    [episode] = assess(planted(replace(HOP, locking=0.6, flicker=0.02, falls=2))).episodes
    everything, steady = episode.labels, episode.steady_labels
    assert everything.locking == steady.locking
    assert everything.agreement == steady.agreement
    assert everything.frames > steady.frames


def test_the_opening_is_left_out():
    [episode] = assess(planted(HOP)).episodes
    assert episode.labels.frames == HOP.frames - episode.gait.opening_end
    assert sum(name.frames for name in episode.label_answers.names) == episode.labels.frames


def test_labels_are_named_after_the_phase_that_they_were_planted_in():
    found = assess(planted(replace(HOP, map=(3, 5), duty_factor=0.5), HOP))
    names = {name.label: name for name in found.episodes[0].label_answers.names}
    assert names[5].name == "flight" and names[5].share > 0.9
    assert names[3].name in ("landing", "stance", "push-off")
    assert {name.label for name in found.label_names} == {0, 1, 2, 3, 5}


def test_a_body_on_the_floor_is_not_upright():
    found = assess(planted(STILL))
    assert {name.name for name in found.label_names} <= {"fold", "lean", "recover", "flight"}


@pytest.mark.parametrize(
    ("plan", "visited", "in_step", "stuck"),
    [
        (HOP, (0, 1, 2, 3), True, False),
        (replace(HOP, map=(6,)), (6,), None, True),
        (UNLOCKED, tuple(range(8)), False, False),
        # Locked, since one label holds nearly all the time: nothing is in step with anything.
        (replace(HOP, map=(6,) * 19 + (2,)), (2, 6), None, True),
    ],
)
def test_the_answers_about_labels_are_those_that_were_planted(plan, visited, in_step, stuck):
    answers = assess(planted(plan)).episodes[0].label_answers
    assert (answers.visited, answers.in_step, answers.stuck) == (visited, in_step, stuck)


def test_phases_of_cycles_that_begin_at_different_events_are_not_compared():
    found = assess(planted(HOP, HOP, KNEE))
    on_foot = [each.gait.on_foot for each in found.episodes]
    assert on_foot == [True, True, False]
    assert [(pair.one, pair.other) for pair in found.pairs] == [(0, 1)]
    assert [each.episode for each in of_one_clock(found.episodes)] == [0, 1]
    assert [each.episode for each in of_one_clock(found.episodes[2:])] == [2]


def test_episodes_with_one_map_agree_and_others_do_not():
    same = assess(planted(HOP, HOP))
    [pair] = same.pairs
    assert (pair.one, pair.other) == (0, 1) and same.map_agreement > 0.9
    shuffled = replace(HOP, map=(4, 5, 6, 7))
    assert assess(planted(HOP, shuffled)).map_agreement == 0


def test_every_metric_is_measured_on_a_hop_with_falls_and_soft_labels():
    found = assess(with_soft(planted(*[replace(HOP, frames=1000, falls=1, flicker=0.01)] * 2)))
    missing = [name for name, interval in found.metrics.items() if interval is None]
    assert not missing
    assert found.metrics["rule_agreement"].mean == 1
    assert (found.reachable_clusters, found.active_clusters) == (CLUSTERS, CLUSTERS)
    for soft in (found.episodes[0].soft, found.episodes[0].steady_soft):
        assert 0 < soft.change.window_mi_5_bits < soft.change_in_random_order.window_mi_5_bits


def test_metrics_are_means_of_the_episodes_in_which_they_are_defined():
    found = assess(planted(HOP, STILL))
    assert found.metrics["hops_per_s"].count == 1
    assert found.metrics["hops_per_s"].mean == pytest.approx(2.5, rel=0.05)
    assert found.metrics["distance_m"].count == 2


def test_of_locking_the_share_of_significant_episodes_is_told_and_no_mean_of_p():
    found = assess(planted(HOP, HOP, HOP, UNLOCKED, STILL))
    p = [
        each.steady_labels.locking and each.steady_labels.locking.locking_p
        for each in found.episodes
    ]
    assert p[3] > 0.05 and p[4] is None
    share = found.metrics["locking_significant_share"]
    wilson = share_interval(3, 4)
    assert (share.mean, share.count) == (0.75, 4) and "locking_p" not in found.metrics
    assert (share.low, share.high) == (wilson.low, wilson.high)


def test_soft_metrics_of_a_run_are_means_of_those_of_its_steady_frames():
    found = assess(with_soft(planted(*[replace(HOP, frames=1000, falls=2)] * 3)))
    steady = [each.steady_soft for each in found.episodes]
    expected = {
        "soft_window_mi_5_bits": [each.change.window_mi_5_bits for each in steady],
        "soft_window_mi_10_bits": [each.change.window_mi_10_bits for each in steady],
        "soft_between_cycle_mi_bits": [each.between_cycle_mi_bits for each in steady],
        "soft_within_cycle_mi_bits": [each.within_cycle_mi_bits for each in steady],
        "soft_window_mi_5_bits_all_frames": [
            each.soft.change.window_mi_5_bits for each in found.episodes
        ],
        "switch_rate_hz_all_frames": [each.labels.switching.rate_hz for each in found.episodes],
    }
    for name, values in expected.items():
        assert found.metrics[name].mean == pytest.approx(np.mean(values)), name
    every, steadily = (found.metrics[f"switch_rate_hz{each}"] for each in ("_all_frames", ""))
    assert every.mean < steadily.mean, "who lies on the floor does not switch"


def test_dwell_and_onsets_of_a_run_are_over_all_its_episodes():
    alone = [assess(planted(HOP)), assess(planted(HOP, HOP))]
    one, both = ({each.label: each for each in run.dwell} for run in alone)
    episodes = alone[1].episodes
    for label, dwell in both.items():
        own = [d for each in episodes for d in each.labels.dwell if d.label == label]
        assert dwell.segments == sum(each.segments for each in own)
        assert dwell.censored == sum(each.censored for each in own)
        mean = np.average([d.mean_s for d in own], weights=[d.segments for d in own])
        assert dwell.mean_s == pytest.approx(mean)
    assert one.keys() == both.keys() == {0, 1, 2, 3}
    for onsets in alone[1].onsets:
        own = [o for each in episodes for o in each.labels.onsets if o.label == onsets.label]
        assert onsets.onsets == sum(each.onsets for each in own) and onsets.concentration > 0.9


def test_persistence_of_a_run_compares_no_frame_with_one_of_another_episode():
    """Pooling an episode with itself changes nothing, though its last and first labels differ."""
    once = planted(HOP)
    twice = replace(
        once,
        header=once.header | {"reset_seeds": [0, 1]},
        **{name: np.concatenate([getattr(once, name)] * 2) for name in ARRAYS},
    )
    one, two = assess(once).persistence, assess(twice).persistence
    np.testing.assert_allclose(one.agreement, two.agreement)
    np.testing.assert_allclose(one.auto_information_bits, two.auto_information_bits)
    assert one.period_s == two.period_s == pytest.approx(0.4, abs=0.03)
    own = assess(once).episodes[0].steady_labels.persistence
    np.testing.assert_allclose(one.kappa, own.kappa)


def test_the_audit_has_the_own_temperature_among_others_and_is_the_same_there():
    found = assess(with_soft(planted(HOP), tau=0.3))
    assert [each.tau for each in found.audit] == sorted([*TAU_GRID, 0.3])
    [own] = [each for each in found.audit if each.tau == 0.3]
    steady = found.episodes[0].steady_soft
    assert own.confidence == pytest.approx(steady.confidence, abs=1e-4)
    assert own.within_cycle_mi_bits == pytest.approx(steady.within_cycle_mi_bits, abs=1e-4)
    assert assess(planted(HOP)).audit == ()


@pytest.mark.parametrize(
    ("plans", "verdict"),
    [
        ((HOP, HOP), "phase-locked"),
        ((HOP, UNLOCKED), "split"),
        ((HOP, HOP, HOP, UNLOCKED), "split"),
        ((HOP,) * 4 + (UNLOCKED,), "phase-locked"),
    ],
)
def test_the_label_verdict_of_a_run_needs_more_than_three_quarters(plans, verdict):
    found = assess(planted(*plans))
    assert found.label_verdict == verdict
    assert run_row(row(found))["label_verdict"] == verdict


def test_without_labels_nothing_about_labels_is_said():
    found = assess(planted(HOP, glass=False))
    assert found.occupancy is None and found.label_names == () and found.pairs == ()
    assert (found.clusters, found.tau, found.label_split) == (None, None, {"none": 1})
    assert found.metrics["locking_u"] is None and found.metrics["period_s"] is not None
    assert (found.dwell, found.onsets, found.persistence, found.audit) == ((), (), None, ())
    assert found.label_verdict == "none"


def test_a_trace_from_before_the_partition_was_recorded_has_no_soft_metrics():
    soft = with_soft(planted(HOP))
    old = replace(soft, header={k: v for k, v in soft.header.items() if k != "partition"})
    assert assess(soft).episodes[0].steady_soft is not None
    assert assess(old).episodes[0].soft is None and assess(old).reachable_clusters is None


# Degenerate traces ------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
@pytest.mark.parametrize("labels", [True, False])
def test_a_very_short_trace_is_undetermined_or_unstable_and_can_be_told(frames, labels):
    found = assess(clock_trace(2, frames, labels=labels))
    assert found.basin.name in ("undetermined", "unstable")
    assert "NaN" not in stability_json([row(found)])


def test_no_contact_at_all_and_a_constant_height_are_a_result():
    trace = clock_trace(1, 500)
    nothing = replace(
        trace, contacts=np.zeros_like(trace.contacts), height=np.ones_like(trace.height)
    )
    assert assess(nothing).gait.name == "undetermined"


def test_nan_in_a_trace_is_one_sentence():
    trace = clock_trace(1, 50)
    trace.height[0, 7] = np.nan
    with pytest.raises(GlassvizError, match="episode 0: expected finite numbers"):
        assess(trace)


def test_a_trace_without_episodes_is_one_sentence():
    with pytest.raises(GlassvizError, match="clock: expected episodes, found none"):
        assess(clock_trace(0, 50))


# Many runs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four sound traces, and a broken one in their middle."""
    folder = tmp_path_factory.mktemp("traces")
    planted(HOP, HOP, name="locked").save(folder / "a.npz")
    planted(UNLOCKED, name="unlocked").save(folder / "b.npz")
    (folder / "c.npz").write_bytes(b"no trace")
    planted(STILL, KNEE, name="mixed", glass=False).save(folder / "d.npz")
    planted(HOP, name="locked").save(folder / "e.npz")
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    return assess_all([folder, folder / "none.safetensors"], RolloutOptions(), jobs=1)


def test_a_broken_run_is_named_in_its_place_and_keeps_no_other(rows, folder):
    assert [type(each) for each in rows] == [Run] * 2 + [Failed] + [Run] * 2 + [Failed]
    assert rows[2].error.startswith(f"{folder / 'c.npz'}: expected a trace")
    assert "no such file" in rows[5].error


def test_runs_of_one_name_are_told_apart_by_their_files(rows):
    assert [each.name for each in rows if isinstance(each, Run)] == [
        "a",
        "unlocked",
        "mixed",
        "e",
    ]


def test_processes_give_the_same_in_the_same_order(rows, folder):
    again = assess_all([folder, folder / "none.safetensors"], RolloutOptions(), jobs=2)
    assert stability_json(again) == stability_json(rows)


def test_progress_is_told_for_every_trace(folder):
    seen: list[tuple[int, int]] = []
    assess_all(
        [folder / "a.npz", folder / "b.npz"],
        RolloutOptions(),
        listener=Listener(on_run=lambda done, total: seen.append((done, total))),
    )
    assert seen == [(1, 2), (2, 2)]


# The record -------------------------------------------------------------------------------------


def test_json_holds_everything_with_null_for_what_is_undefined(rows):
    text = stability_json(rows)
    assert "NaN" not in text and "Infinity" not in text
    document = json.loads(text)
    told = document["runs"]
    assert document["together"] is None
    assert [each["run"] for each in told][:2] == ["a", "unlocked"]
    assert told[2]["error"] and "episodes" not in told[2]
    first = told[0]["episodes"][0]
    assert first["basin"]["name"] == "stable-hop"
    assert set(told[0]["metrics"]) == set(METRICS) | set(OVER_ALL_FRAMES)
    hop = first["basin"]["gait"]["candidates"]["hop"]
    assert {"name", "value", "threshold", "at_least", "margin", "met"} == set(hop[0])
    assert first["basin"]["labels"]["criteria"][0]["met"] is not None
    assert told[3]["episodes"][0]["labels"] is None
    assert told[3]["metrics"]["locking_u"] is None


def test_json_tells_of_events_and_of_labels_against_lag_and_temperature():
    found = assess(with_soft(planted(HOP, HOP)))
    [run] = json.loads(stability_json([row(found)]))["runs"]
    assert run["label_verdict"] == "phase-locked"
    first, gait = run["episodes"][0]["gait"], found.episodes[0].gait
    assert first["mean_height_m"] == pytest.approx(gait.mean_height_m)
    touchdowns, liftoffs = first["touchdowns_s"], first["liftoffs_s"]
    assert np.diff(touchdowns).mean() == pytest.approx(HOP.period_s, rel=0.05)
    assert len(touchdowns) >= gait.cycles.count and abs(len(touchdowns) - len(liftoffs)) <= 1
    assert min(touchdowns + liftoffs) >= first["opening_s"]
    curves = run["persistence"]
    lags = [len(curves[name]) for name in ("lag_s", "agreement", "kappa", "auto_information_bits")]
    assert len(set(lags)) == 1 and curves["lag_s"][-1] == pytest.approx(4.0)
    assert {each["label"] for each in run["dwell"]} == {0, 1, 2, 3}
    assert {each["label"] for each in run["onsets"]} == {0, 1, 2, 3}
    assert [each["tau"] for each in run["audit"]] == sorted(TAU_GRID)
    assert json.loads(episode_rows(row(found))[0]["gait.touchdowns_s"]) == touchdowns


def test_csv_has_a_row_a_run_with_each_metric_and_its_interval(rows):
    read = list(csv.DictReader(io.StringIO(as_csv([run_row(each) for each in rows]))))
    assert [each["run"] for each in read] == [each.name for each in rows]
    assert {f"{name}{part}" for name in METRICS for part in ("", "_low", "_high")} <= set(read[0])
    assert read[0]["basin"] == "stable-hop" and read[0]["gait_split"] == "2 hop"
    assert float(read[0]["locking_u"]) == pytest.approx(rows[0].stability.metrics["locking_u"].mean)
    assert read[2]["error"] and read[2]["basin"] == read[3]["locking_u"] == ""


def test_csv_has_a_row_an_episode_without_columns_that_hold_nothing(rows):
    told = [episode for each in rows for episode in episode_rows(each)]
    read = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert len(read) == sum(len(each.stability.episodes) for each in rows[:2] + rows[3:5])
    assert float(read[0]["steady_labels.agreement.fleiss_kappa"]) > 0.8
    assert "labels" not in read[0] and read[3]["labels.frames"] == ""


# The command ------------------------------------------------------------------------------------


def stability(*arguments: str | Path):
    return invoke("stability", *arguments, code=None)


def test_the_table_names_gait_basin_and_reason_of_every_run(folder):
    done = stability(folder)
    assert done.exit_code == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert re.search(r"hop +phase-locked .* stable-hop$", lines["a"].rstrip())
    assert re.search(
        r"hop +oscillating .* unstable \(labels oscillate\)$", lines["unlocked"].rstrip()
    )
    assert "gait 1 static and 1 knee-walk" in lines["mixed"]
    [failed] = [line for line in done.stdout.splitlines() if "c.npz" in line]
    assert "failed: expected a trace" in failed


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal_without_losing_a_word(rows, width):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_table(rows, console=console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "unlocked" in text and "oscillat" in text and "undetermined" not in text


def test_the_table_says_one_label_of_a_hop_with_one_and_none_of_one_without():
    console = Console(width=200, file=io.StringIO(), highlight=False)
    constant = row(assess(planted(replace(HOP, map=(3,)))), "constant")
    print_table([constant, row(assess(planted(HOP, glass=False)), "without")], console=console)
    lines = {line.split()[0]: line for line in console.file.getvalue().splitlines() if line}
    assert re.search(r"hop +one label +1 +– .* stable-hop +label 3: 100%", lines["constant"])
    assert re.search(r"hop +none +– +– +–", lines["without"])


def test_one_label_tells_how_far_it_is_from_being_stuck():
    hop = replace(HOP, map=(3,))
    mine = row(assess(planted(hop, hop, name="a")), "a")
    walk = row(assess(planted(replace(KNEE, map=(3, 1)), name="a", controller="pi")), "a")
    stuck = row(assess(planted(replace(KNEE, map=(3,)), name="b", controller="pi")), "b")
    alone = row(assess(planted(hop, name="b")), "b")
    found = single_label(mine, [mine, walk, stuck, alone])
    assert (found.label, found.share, found.episodes_elsewhere) == (3, 1.0, 1)
    assert found.elsewhere == pytest.approx(0.5, abs=0.1)
    assert single_label(alone, [mine, walk, stuck, alone]).elsewhere == 1.0
    assert single_label(mine, [mine]).elsewhere is None and single_label(walk, [walk]) is None
    told = run_row(mine, [mine, walk])
    assert told["single_label_label"] == 3 and told["single_label_elsewhere"] == found.elsewhere


def test_the_table_names_the_labels_that_it_goes_by():
    def told(*rows):
        console = Console(width=200, file=io.StringIO(), highlight=False)
        print_table(rows, console=console)
        return [line for line in console.file.getvalue().splitlines() if line.startswith("labels:")]

    learned = row(assess(with_soft(planted(HOP, name="a"), tau=0.7)), "a")
    [line] = told(learned, learned)
    assert line.rstrip() == "labels: learned, rule nearest-prototype, τ = 0.7"
    assert told(row(assess(planted(HOP, glass=False)))) == []


def test_json_and_csv_go_to_stdout_alone(folder):
    document = json.loads(stability(folder / "a.npz", "--json").stdout)
    assert len(document["runs"]) == 1 and document["together"] is None
    [read] = csv.DictReader(io.StringIO(stability(folder / "a.npz", "--csv").stdout))
    assert read["run"] == "locked"


def test_results_are_written_and_not_overwritten_unasked(folder, tmp_path):
    assert stability(folder / "a.npz", "--out", tmp_path / "new").exit_code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        *STABILITY_FILES,
        *COMPARISON_FILES,
    }
    assert len((tmp_path / "new" / "episodes.csv").read_text().splitlines()) == 3
    again = stability(folder / "b.npz", "--out", tmp_path / "new")
    assert again.exit_code != 0 and "--overwrite" in again.stderr
    assert stability(folder / "b.npz", "--out", tmp_path / "new", "--overwrite").exit_code == 0
    [run] = json.loads((tmp_path / "new" / "stability.json").read_text())["runs"]
    assert run["run"] == "unlocked"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("a.npz",), 0),
        (("b.npz",), 0),
        (("a.npz", "c.npz"), 1),
        (("a.npz", "--json", "--csv"), 2),
        ((), 2),
        (("a.npz", "--fail-on", "unstable"), 0),
        (("a.npz", "--fail-on", "not-stable"), 0),
        (("a.npz", "b.npz", "--fail-on", "unstable"), 3),
        (("b.npz", "--fail-on", "not-stable"), 3),
        (("b.npz", "c.npz", "--fail-on", "unstable"), 1),
        (("a.npz", "--fail-on", "ugly"), 2),
    ],
)
def test_exit_codes(folder, arguments, code):
    named = [folder / each if each.endswith(".npz") else each for each in arguments]
    assert stability(*named).exit_code == code


def test_a_split_run_fails_the_gate_for_its_unstable_episodes(tmp_path):
    planted(HOP, UNLOCKED).save(tmp_path / "split.npz")
    assert stability(tmp_path / "split.npz", "--fail-on", "unstable").exit_code == 3


def test_assessing_loads_neither_jax_nor_mujoco():
    statement = "import glassviz.rollout.run, glassviz.report.documents, glassviz.report.keys"
    assert loaded(statement, {"jax", "mujoco", "umap", "matplotlib"}) == set()


def test_a_mean_that_rounds_to_nothing_has_no_sign():
    assert shown_mean(mean_interval([-0.001, 0.0])) == "0.00"
