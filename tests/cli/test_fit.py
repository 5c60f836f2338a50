"""`glassviz fit`: labels for the agents of traces, bound to them, and held against learned ones."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from rich.console import Console

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.cli.tables import print_fits
from glassviz.compare.fit import FitOptions, LabelComparison, compare, fit_all
from glassviz.metrics.fitted_labels import FittedLabels, fit_labels
from glassviz.palette import label_color, to_rgb
from glassviz.rollout.run import labels_path
from glassviz.rollout.traces import RolloutOptions
from glassviz.trace import Trace
from glassviz.video.overlay import Layout
from tests.helpers.commands import invoke, loaded
from tests.helpers.planted_runs import HOP, STILL, planted, sha256_of, with_latent

BARE, GLASS = sha256_of("hopper"), sha256_of("glass")
FOUR = ("--prototypes", "4", "--clusters", "4", "--refits", "3")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Both controllers of an agent without Glass, and an agent with."""
    planted(HOP, HOP, glass=False, name="hopper").save(tmp_path / "bare-mppi.npz")
    planted(HOP, controller="pi", noise=0.1, glass=False, name="hopper").save(
        tmp_path / "bare-pi.npz"
    )
    planted(HOP, name="glass").save(tmp_path / "glass.npz")
    return tmp_path


def glassviz(command: str, *arguments: str | Path, code: int = 0) -> str:
    done = invoke(command, *arguments, code=code)
    return done.stdout if code < 2 else done.stderr


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.safetensors"))


# One set a checkpoint ---------------------------------------------------------------------------


def test_labels_are_fitted_to_the_traces_of_both_controllers_and_lie_beside_them(folder):
    glassviz("fit", folder, *FOUR)
    found = FittedLabels.load(labels_path(folder, BARE), BARE)
    traces = [Trace.load(folder / f"bare-{each}.npz") for each in ("mppi", "pi")]
    assert set(found.fitted_on) == {trace.sha256 for trace in traces}
    assert found.frames == 1500
    assert files(folder) == sorted(labels_path(folder, each).name for each in (BARE, GLASS))


def test_the_same_traces_and_seed_give_the_same_file_in_any_order(folder, tmp_path):
    traces = folder / "bare-mppi.npz", folder / "bare-pi.npz"
    made = []
    for i, (order, seed) in enumerate([(traces, 0), (traces[::-1], 0), (traces, 1)]):
        out = tmp_path / f"{i}"
        glassviz("fit", *order, "--refits", "0", "--out", out, "--fit-seed", seed)
        made.append(out.read_bytes())
    assert made[0] == made[1] != made[2]


def test_a_trace_that_is_named_twice_counts_once(folder):
    rows = fit_all([folder / "bare-mppi.npz", folder], RolloutOptions(), FitOptions(4, 4, 0, 0))
    assert [len(row.traces) for row in rows] == [2, 1]


def test_json_tells_all_and_holds_no_nan(folder):
    bare, glass = json.loads(glassviz("fit", folder, *FOUR, "--json"))
    assert (bare["clusters"], bare["visited"], bare["learned"]) == (4, [0, 1, 2, 3], None)
    assert bare["labels_sha256"] == FittedLabels.load(labels_path(folder, BARE)).sha256
    assert bare["refits"]["label_ami_min"] == pytest.approx(1)
    assert bare["gap"] == pytest.approx((bare["h1_bits"] - bare["h2_bits"]) / bare["h1_bits"])
    assert glass["learned"]["test"]["observed"]["ami"] == pytest.approx(1)
    assert glass["learned"]["more_bits"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", [80, 100])
def test_the_tables_fit_a_terminal_and_compare_only_agents_with_glass(folder, width):
    rows = fit_all([folder, folder / "none.npz"], RolloutOptions(), FitOptions(4, 4, 0, 3))
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        print_fits(rows, console)
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    fits, learned = text.split("AMI  chance")
    assert "hopper" in fits and "glass" in fits and "failed" in fits
    table = " ".join(learned.split("learned:")[0].split())
    assert "glass" in table and "hopper" not in table
    assert "learned→fitted" in table and "equally informative about the phase" in table


def test_labels_that_were_fitted_before_are_kept_unless_told_otherwise(folder):
    glassviz("fit", folder / "bare-mppi.npz", "--refits", "0")
    before = labels_path(folder, BARE).read_bytes()
    told = glassviz("fit", folder, *FOUR, code=1)
    assert "failed" in told and "--overwrite" in told
    assert labels_path(folder, BARE).read_bytes() == before
    assert labels_path(folder, GLASS).exists(), "one that is refused does not keep the others"
    glassviz("fit", folder, *FOUR, "--overwrite")
    assert labels_path(folder, BARE).read_bytes() != before


def test_a_file_of_its_own_takes_the_labels_of_one_checkpoint_only(folder):
    assert "--out: expected one checkpoint, found 2 (hopper, glass)" in glassviz(
        "fit", folder, "--out", folder / "mine", code=2
    )
    assert not (folder / "mine").exists()
    glassviz("fit", folder / "glass.npz", *FOUR, "--out", folder / "mine")
    assert FittedLabels.load(folder / "mine", GLASS).clusters == 4
    assert files(folder) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--clusters", "17"), "expected 1 <= clusters <= prototypes, found 17 clusters"),
        (("--clusters", "0"), "expected 1 <= clusters <= prototypes, found 0 clusters"),
        (("--clusters", "many"), "--clusters: expected a number or free, found 'many'"),
        (("--prototypes", "0"), "Invalid value"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_done(folder, arguments, told):
    assert told in glassviz("fit", folder, *arguments, code=2)
    assert files(folder) == []


# Degenerate runs --------------------------------------------------------------------------------


def broken_latents(trace: Trace) -> Trace:
    latent = trace.latent.copy()
    latent[0, 3, 1] = np.nan
    return replace(trace, latent=latent)


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (lambda trace: with_latent(trace, 1.0), "different latents (1), found 16: ask for fewer"),
        (broken_latents, "expected finite numbers, found nan for latent in frame 3"),
        (lambda trace: cut(trace, 5), "different latents (5), found 16: ask for fewer"),
        (lambda trace: cut(trace, 0), "expected at least one episode of one frame, found"),
    ],
)
def test_latents_that_nothing_can_be_fitted_to_are_one_sentence(folder, spoilt, told):
    spoilt(planted(HOP, name="odd", glass=False)).save(folder / "odd.npz")
    printed = glassviz("fit", folder, "--refits", "0", code=1)
    [line] = [line for line in printed.splitlines() if "failed" in line]
    assert "odd" in line.split()[0] and told in line
    assert files(folder) == sorted(labels_path(folder, each).name for each in (BARE, GLASS))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def cut(trace: Trace, frames: int) -> Trace:
    from glassviz.trace import ARRAYS

    return replace(trace, **{name: getattr(trace, name)[:, :frames] for name in ARRAYS})


def test_an_agent_that_lies_still_can_have_a_single_label(folder):
    still = with_latent(planted(STILL, name="still", labels=[0] * 8), 1.0)
    still.save(folder / "still.npz")
    one = ("--prototypes", "1", "--refits", "3")
    [told] = json.loads(glassviz("fit", folder / "still.npz", *one, "--json"))
    assert (told["clusters"], told["gap"], told["refits"]["label_ami_mean"]) == (1, None, None)
    assert told["learned"]["test"] is None and told["learned"]["ami"] is None
    printed = glassviz("fit", folder / "still.npz", *one, "--overwrite")
    assert "no gait cycles to compare them on" in printed
    verdict = glassviz("stability", folder / "still.npz", "--labels", "fitted")
    assert "static" in verdict and "unstable" in verdict


# Learned and fitted -----------------------------------------------------------------------------


def compared(learned, *plans, **options) -> LabelComparison:
    trace = planted(*(plans or (HOP, HOP)), labels=learned, name="glass")
    settings = {"prototypes": 4, "clusters": 4} | options
    return compare([trace], fit_labels(list(trace.latent), GLASS, **settings))


def test_labels_that_say_the_same_are_matched_whatever_their_names():
    found = compared([6, 7, 4, 5, 0, 1, 2, 3])
    assert found.ami == pytest.approx(1) and found.matched_share == 1
    assert sorted(other for other in found.partner if other >= 0) == [0, 1, 2, 3]
    assert found.test.observed.ami == pytest.approx(1)
    assert found.test.null_ami < 0.5 and found.test.ami_p == 0.001
    assert (found.more_bits, found.more_u) == (pytest.approx(0), pytest.approx(0))
    assert (found.cycle_episodes, found.fitted_ahead) == (2, 0)


def test_coarser_learned_labels_say_less_about_the_phase():
    found = compared([0, 0, 1, 1, 1, 1, 1, 1])
    assert found.learned_visited == (0, 1)
    assert found.more_bits > 0.5 and found.fitted_ahead == 2
    assert found.learned.phase_information_bits < found.fitted.phase_information_bits


def test_coarser_fitted_labels_say_less_about_the_phase():
    found = compared(range(8), clusters=2)
    assert found.more_bits < -0.5 and found.fitted_ahead == 0


def test_a_single_learned_label_says_nothing_and_has_no_u():
    found = compared([3] * 8)
    assert found.learned.phase_information_bits == 0 and found.learned.locking_u is None
    assert found.fitted.locking_u is None, "the mean is over episodes in which both have one"
    assert found.more_u is None and found.more_bits > 1


def test_episodes_without_gait_cycles_are_left_out_of_what_is_about_the_phase():
    alone, among = compared(range(8), HOP), compared(range(8), HOP, STILL)
    assert (alone.cycle_episodes, among.cycle_episodes) == (1, 1)
    assert among.learned == alone.learned
    none = compared([0, 1, 2, 3] * 2, STILL, prototypes=1, clusters=1)
    assert (none.cycle_episodes, none.test, none.learned, none.more_bits) == (0, None, None, None)


def test_labels_that_only_share_the_rhythm_are_no_more_alike_than_chance(rng):
    """Learned labels that go through their order from another phase in every cycle."""
    trace = planted(HOP, HOP, name="glass")
    rolled = np.stack([np.roll(label, rng.integers(5, 15)) for label in trace.label])
    beats = rng.integers(0, 4, size=(2, 25)).repeat(20, axis=1)
    other = replace(trace, label=((rolled + beats) % 4).astype(np.int32))
    found = compare([other], fit_labels(list(trace.latent), GLASS, 4, 4))
    assert found.test.ami_p > 0.01 and found.test.observed.ami < 0.1


def test_labels_of_other_episodes_are_no_agreement_beyond_chance():
    """Both sets have labels of their own in each episode, and within these nothing in common."""
    plans = [replace(HOP, frames=300, map=labels) for labels in ((0, 1), (2, 3), (4, 5), (6, 7))]
    trace = planted(*plans, name="glass")
    fitted = fit_labels(list(trace.latent), GLASS, 8, 8)
    p = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        unlocked = rng.integers(0, 2, size=(4, 30)).repeat(10, axis=1)
        label = unlocked + 2 * np.arange(4)[:, None]
        found = compare([replace(trace, label=label.astype(np.int32))], fitted, seed).test
        assert found.observed.ami > 0.5
        assert found.null_ami == pytest.approx(found.observed.ami, abs=0.1)
        p.append(found.ami_p)
    assert sum(each <= 0.05 for each in p) <= 1


# The whole way ----------------------------------------------------------------------------------


def test_an_agent_without_glass_is_fitted_judged_and_filmed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny.AGENT.replace(glass=None)
    params = jax.tree.map(np.asarray, init_params(config, jax.random.key(1)))
    checkpoints.save(Path("bare.safetensors"), config, params, {"recipe": "tiny"})
    rolled = ("bare.safetensors", "--episodes", "2", "--steps", "40", "--controller", "pi")
    told = glassviz("stability", *rolled, "--labels", "fitted", code=1)
    assert told.count("failed") == 1 and "`glassviz fit bare.safetensors`" in told
    printed = glassviz("fit", *rolled, "--prototypes", "6", "--clusters", "3", "--refits", "2")
    [file] = Path("renders/traces").glob("*.labels.safetensors")
    assert str(file) in printed and "reusing" not in printed
    assert "labels: fitted by `glassviz fit`" in glassviz(
        "stability", *rolled, "--labels", "fitted"
    )

    shown = ("--overlay-k", "--labels", file, "--size", "320x240")
    assert "renders/bare-pi-fitted-320x240-2episodes-40steps.mp4: 80 frames" in glassviz(
        "render", *rolled, *shown
    )
    [path] = Path("renders/traces").glob("bare-pi-*.npz")
    trace = Trace.load(path)
    _, label = FittedLabels.load(file).labels(trace.latent)
    layout = Layout.of(320, 240)
    at = layout.margin + layout.padding + 4
    capture = cv2.VideoCapture("renders/bare-pi-fitted-320x240-2episodes-40steps.mp4")
    for wanted in label.ravel():
        _, frame = capture.read()
        chip = frame[at : at + 3, at : at + 3, ::-1].reshape(-1, 3).mean(axis=0)
        far = [np.abs(chip - to_rgb(label_color(k))).sum() for k in range(8)]
        assert int(np.argmin(far)) == wanted
    capture.release()


def test_fitting_loads_neither_jax_nor_mujoco():
    statement = "import glassviz.compare.fit, glassviz.report.documents"
    assert loaded(statement, {"jax", "mujoco", "umap", "matplotlib"}) == set()
