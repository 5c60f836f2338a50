"""Every number that a gait or labels are described by is explained, once, in one place."""

import dataclasses
import functools
import importlib
import inspect
import json
import pkgutil
import re
import typing
from pathlib import Path

import numpy as np
import pytest
import typer

import glassviz.compare
import glassviz.gait
import glassviz.metrics
from docs.generate import FOLDER, metrics
from glassviz.cli import app, tables
from glassviz.errors import UsageError
from glassviz.gait import contacts, cycles, gait
from glassviz.gait.contacts import Direction, Manner
from glassviz.gait.feet import Pattern
from glassviz.gait.verdict import (
    Course,
    GaitName,
    RunGaitName,
    gait_criteria,
    gait_values,
)
from glassviz.metrics import calibration, labels, locking, nulls, segments, statistics
from glassviz.metrics.glossary import METRICS, WORDS, Metric, explained, metric
from glassviz.metrics.labels import GAIT_PHASES
from glassviz.metrics.transitions import Mode
from glassviz.metrics.verdict import (
    LABEL_THRESHOLDS,
    RunBasinName,
    Verdict,
    Why,
    label_verdict,
)
from glassviz.report.documents import run_row
from glassviz.rollout.evaluate import Recorded
from glassviz.rollout.run import Run
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import planted, with_soft
from tests.helpers.synthetic_gait import GaitPlan, synthesise

NO_RESULTS = {"synthetic", "glossary"}
"""Modules that plant gaits, or explain."""

BOOKKEEPING = {
    *("frames", "seconds", "episodes", "segments", "censored", "bins", "onsets", "replicates"),
    *("count", "hits", "units", "level", "counts", "fall_manners", "split", "causes", "whys"),
    *("start", "hit", "recovery", "opening_end", "duration_s", "dt_s", "lag_s", "phase"),
    *("label", "dominant", "words", "modal", "states", "prototypes", "seed"),
    *("obs", "cycle_frames", "episode_s", "runs", "gaits_by_controller", "colours"),
    *("soft", "switches", "one", "other", "frame_dt_s", "partition"),
    *("episode", "reset_seed", "cycle_episodes", "refits", "partner", "label_split"),
    *("labelled_runs", "at_hand", "labelled", "episodes_elsewhere", "single_label_label"),
    *("env_steps", "gait_split", "basin_split", "moments"),
    *("touchdowns", "held_from", "patterns"),
    *("gait_since", "labels_since", "steps", "updates", "k_update", "ratios", "tasks", "phases"),
    *("trainings", "ranked", "left_out", "permutations", "n", "of", "values", "value"),
    *("goal", "open", "reached", "before", "restarted"),
}
"""Sizes and counts, places in time, and what labels are called: nothing to be explained."""


PACKAGES = glassviz.gait, glassviz.metrics, glassviz.compare


def modules():
    for package in PACKAGES:
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] not in NO_RESULTS:
                yield importlib.import_module(found.name)


def own(kind):
    """Classes or functions, with the modules that define them."""
    for module in modules():
        for name, value in inspect.getmembers(module, kind):
            if value.__module__ == module.__name__ and not name.startswith("_"):
                yield name, value


def is_numeric(annotation) -> bool:
    if annotation in (int, float) or any(
        kind.startswith("float") for kind in getattr(annotation, "dtypes", ())
    ):
        return True
    return any(is_numeric(part) for part in typing.get_args(annotation))


def numeric_members(cls) -> list[str]:
    # What a module imports for its annotations alone.
    hints = typing.get_type_hints(cls, localns={"Recorded": Recorded})
    kinds = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    for name, member in vars(cls).items():
        read = getattr(member, "fget", None) or getattr(member, "func", None)
        if isinstance(member, property | functools.cached_property):
            kinds[name] = typing.get_type_hints(read)["return"]
    return [name for name, kind in kinds.items() if is_numeric(kind)]


RESULTS = [
    (name, cls)
    for name, cls in own(inspect.isclass)
    if dataclasses.is_dataclass(cls) and not name.endswith("Thresholds")
]
NUMBERS = {f"{name}.{each}" for name, cls in RESULTS for each in numeric_members(cls)}
EXPLAINED = [field for each in METRICS.values() for field in each.fields]


def test_every_number_of_every_result_is_explained():
    missing = {each for each in NUMBERS - set(EXPLAINED) if each.split(".")[1] not in BOOKKEEPING}
    assert not missing, f"write entries in metrics/glossary.toml for {sorted(missing)}"


def test_numbers_of_all_shapes_are_looked_for():
    assert {
        "CycleAgreement.fleiss_kappa",  # float | None
        "Gait.flight_share",  # a property
        "Gait.geom_shares",  # a dictionary
        "Persistence.kappa",  # an array
        "Persistence.hold_agreement",  # nested tuples
    } <= NUMBERS
    assert "Gait.on_foot" not in NUMBERS


def test_what_is_explained_exists():
    members = {
        f"{name}.{each}"
        for name, cls in RESULTS
        for each in (*dir(cls), *(field.name for field in dataclasses.fields(cls)))
    }
    functions = {name for name, _ in own(inspect.isfunction)}
    assert set(EXPLAINED) <= members | functions | set(columns())


def columns() -> dict[str, object]:
    """Of runs.csv, with the numbers of a run that has everything."""
    trace = with_soft(planted(*[GaitPlan(frames=600)] * 3, name="everything", returns=[1, 2, 3]))
    trace.header["agent"] |= {"planner": {"discount": 0.9}}
    run = Run.of(trace, Path("everything.npz"))
    return run_row(run) | {"recorded_return": 1.0}


def test_every_number_of_a_run_can_be_asked_for_by_its_column():
    numbers = {name for name, value in columns().items() if isinstance(value, int | float)}
    assert {"rho", "soft_window_mi_5_bits_high", "step_jsd_bits_all_frames_low"} <= numbers
    unknown = []
    for name in sorted(numbers - BOOKKEEPING):
        try:
            assert metric(name) is metric(name.removesuffix("_low").removesuffix("_high"))
        except UsageError:
            unknown.append(name)
    assert not unknown


def test_nothing_is_explained_twice():
    assert len(set(EXPLAINED)) == len(EXPLAINED)


def criteria():
    found = synthesise(GaitPlan(frames=300), np.random.default_rng(0))
    body = gait.describe(found.trace(), 0)
    rng = np.random.default_rng(0)
    stats = labels.describe(
        found.label, body.cycles.phase, body.cycles.cycle, body.dt_s, 8, rng, replicates=9
    )
    told = {each.name for every in gait_criteria(gait_values(body)).values() for each in every}
    return told | {each.name for each in label_verdict(stats).criteria}


def test_every_criterion_of_both_verdicts_has_an_entry_of_its_name():
    assert criteria() - set(METRICS) == set()


@pytest.mark.parametrize("found", METRICS.values(), ids=lambda found: found.name)
def test_an_entry_is_complete_and_its_definition_one_line(found: Metric):
    for field in dataclasses.fields(Metric):
        text = getattr(found, field.name)
        assert text or field.name == "fields", f"{found.name} has no {field.name}"
        assert field.name == "fields" or text == " ".join(text.split())
    assert len(found.what) <= 90
    assert found.what.endswith(".")
    assert found.good in ("high", "low", "neither")


@pytest.mark.parametrize(
    ("name", "place", "constant"),
    [
        ("foot_only_share", "reading", gait.ON_FOOT),
        ("flight_share", "trap", contacts.FLICKER_S),
        ("standing_rate", "formula", contacts.STAND_HEIGHT_M),
        ("moving_share", "formula", gait.MOVING_MPS),
        ("rhythm", "formula", cycles.FIRST_PEAK),
        ("rhythm", "formula", cycles.SLOWEST_S),
        ("rho", "range", gait.FEWEST_CYCLES),
        ("rho", "null", gait.RESAMPLES),
        ("flicker_share", "formula", segments.FLICKER_FRAMES),
        ("visited_labels", "formula", segments.VISITED_SHARE),
        ("dominant_share", "reading", segments.STUCK_SHARE),
        ("dominant_share", "reading", LABEL_THRESHOLDS.one_label),
        ("lag_agreement", "formula", segments.MAX_LAG_S),
        ("label_period_s", "formula", segments.NEARLY_HIGHEST),
        *(("hold_agreement", "formula", each) for each in segments.HOLD_FRAMES),
        ("phase_information_bits", "formula", nulls.PHASE_BINS),
        ("locking_u", "formula", nulls.PHASE_BINS),
        ("fleiss_kappa", "formula", nulls.PHASE_BINS),
        ("fleiss_kappa", "reading", LABEL_THRESHOLDS.locked_kappa),
        ("fleiss_kappa", "reading", LABEL_THRESHOLDS.oscillating_kappa),
        ("fleiss_kappa", "range", 100 * (locking.INTERVAL[1] - locking.INTERVAL[0])),
        ("locking_p", "formula", nulls.REPLICATES),
        ("active_clusters", "formula", labels.ACTIVE_SHARE),
        *(("tau", "reading", each) for each in (labels.TAU_GRID[0], labels.TAU_GRID[-1])),
        ("bootstrap_estimate", "formula", statistics.REPLICATES),
        ("value_bias", "formula", calibration.TAIL_WEIGHT),
        ("value_bias", "range", calibration.frames_ahead(0.99)),
    ],
)
def test_constants_in_the_text_are_those_of_the_code(name, place, constant):
    assert f"{constant:g}" in getattr(METRICS[name], place)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("fleiss_kappa", "fleiss_kappa"),
        ("kappa_low", "fleiss_kappa"),
        ("window_mi_5_bits", "window_mi_bits"),
        ("Dwell.cv", "dwell_cv"),
        ("Share.share", "hit_share"),
        ("holm", "adjusted_p"),
        ("soft_window_mi_10_bits", "window_mi_bits"),
        ("window_mi_5_bits_all_frames_low", "window_mi_bits"),
        ("rho_high", "rho"),
        *((name, name) for name in ("more_bits", "more_u", "fitted_ahead", "value_predicted")),
        *((name, name) for name in ("value_realised", "value_relative_rmse")),
        ("matched_share", "matched_accuracy"),
    ],
)
def test_a_metric_is_found_by_its_name_and_by_its_fields(asked, name):
    assert metric(asked).name == name


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(UsageError, match=r"'fleis_kapa': .* try fleiss_kappa"):
        metric("fleis_kapa")
    with pytest.raises(UsageError, match="`glassviz explain` lists all"):
        metric("§§§")


def test_a_field_of_several_metrics_is_met_with_their_names():
    with pytest.raises(UsageError, match="one of occupancy_entropy, soft_entropy"):
        metric("entropy")


def explain(*arguments: str) -> str:
    return invoke("explain", *arguments).output


def test_the_command_lists_every_metric_on_a_line_of_its_own():
    listed = [line.split()[0] for line in explain().splitlines() if line.startswith("  ")]
    assert listed[: len(METRICS)] == list(METRICS)
    text = explain()
    assert all(word.what in text for word in WORDS)


# Words of outputs ---------------------------------------------------------------------------------

ENUMS = (
    *(GaitName, RunGaitName, Pattern, Verdict, RunBasinName, Why),
    *(Direction, Manner, Course, Mode),
)
SOURCES = Path(glassviz.compare.__file__).parents[1]


def columns_of_tables() -> set[str]:
    """Titles of the terminal's tables, and those of pages."""
    titles = {
        title
        for name, columns in vars(tables).items()
        if name.endswith("_COLUMNS")
        for title in columns
    }
    found = {" ".join(title.split()).partition(" (")[0] for title in titles}
    for path in (SOURCES / "report" / "templates").glob("*.j2"):
        found |= set(re.findall(r'<th scope="col"[^>]*>([^<{]+)</th>', path.read_text("utf-8")))
    return {each for each in found if each}


def test_every_column_and_word_of_an_output_is_explained():
    words = columns_of_tables() | {each for enum in ENUMS for each in typing.get_args(enum)}
    words |= {*GAIT_PHASES, "U", "κ", "K", "n", "H²", "opening", "locked", "μ", "τ"}
    assert {"sw/cyc", "H² bits", "cut", "min..max", "basin", "relaxation time"} <= words
    assert {"IQM", "env steps", "difference"} <= words
    unknown = []
    for word in sorted(words):
        try:
            assert explained(word)
        except UsageError:
            unknown.append(word)
    assert not unknown, f"write entries in metrics/words.toml for {unknown}"


def test_a_word_stands_for_one_thing_and_for_a_metric_that_there_is():
    names = [each for word in WORDS for each in word.names]
    assert len(set(names)) == len(names)
    assert {word.metric for word in WORDS} - {None} <= set(METRICS)


@pytest.mark.parametrize("asked", ["kappa", "κ", "Kappa"])
def test_kappa_is_what_the_table_shows(asked):
    told = explain(asked)
    assert "Agreement of labels across gait cycles" in told and "fleiss_kappa" in told
    assert json.loads(explain(asked, "--json"))["metric"]["name"] == "fleiss_kappa"


def test_a_word_that_is_no_metric_is_told_in_a_line():
    assert explain("knee-walk").startswith("knee-walk: Moves forward")


def test_the_command_tells_all_of_a_metric():
    told = " ".join(explain("kappa_low").split())
    for text in dataclasses.asdict(metric("fleiss_kappa")).values():
        assert (", ".join(text) if isinstance(text, tuple) else text) in told


def test_the_command_tells_the_same_as_json():
    everything = json.loads(explain("--json"))
    assert [each["name"] for each in everything] == list(METRICS)
    one = json.loads(explain("locking_u", "--json"))
    assert one in everything
    assert Metric(**one | {"fields": tuple(one["fields"])}) == metric("locking_u")


def test_an_unknown_metric_is_an_error_of_usage():
    done = invoke("explain", "fleis_kapa", code=UsageError.exit_code)
    assert "fleiss_kappa" in done.stderr


def test_the_page_is_up_to_date_and_has_a_section_for_every_metric():
    page = (FOLDER / "metrics.md").read_text(encoding="utf-8")
    assert page == metrics(), "run python docs/generate.py"
    assert [line[4:] for line in page.splitlines() if line.startswith("### ")] == list(METRICS)


def test_the_command_is_known_to_the_command_line():
    assert "explain" in typer.main.get_command(app).commands


def test_an_unknown_name_is_told_as_it_was_typed():
    with pytest.raises(UsageError, match=r"'nothing_low': expected a metric or a word"):
        metric("nothing_low")
