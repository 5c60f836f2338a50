"""The whole description of hard labels: known answers, invariants, and what is too little."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.errors import UsageError
from glassviz.metrics.labels import LabelStats, describe
from tests.helpers.commands import loaded
from tests.helpers.label_series import DT_S, Series, clock, planted, unlocked


def described(series: Series, clusters: int = 8, replicates: int = 99) -> LabelStats:
    return describe(*series, DT_S, clusters, np.random.default_rng(0), replicates)


def numbers(stats: LabelStats) -> dict[str, float]:
    """Every number of a description that does not name a label."""

    def walk(prefix, value):
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from walk(f"{prefix}.{field.name}", getattr(value, field.name))
        elif isinstance(value, float | int):
            yield prefix, value

    found = dict(walk("", stats))
    return {k: v for k, v in found.items() if not k.endswith("dominant")}


def test_a_clock_is_locked_regular_and_alike_in_every_cycle():
    stats = described(clock(), replicates=999)
    assert (stats.frames, stats.seconds) == (800, pytest.approx(16))
    assert stats.locking.locking_u == pytest.approx(1)
    assert stats.locking.locking_p == 1 / 1000
    assert stats.agreement.fleiss_kappa == 1
    assert stats.words.modal == (0, 1, 2, 3) and stats.words.modal_share == 1
    assert stats.switching.per_cycle == pytest.approx(4, rel=0.02)
    assert (stats.switching.flicker_share, stats.chatter_share, stats.dwell_cv) == (0, 0, 0)
    assert stats.persistence.period_s == pytest.approx(0.8)
    assert stats.between_cycle_mi_bits == pytest.approx(0, abs=1e-9)
    assert stats.within_cycle_mi_bits == pytest.approx(2)
    assert stats.window_mi_5_bits < 0.5 < stats.window_mi_5_random_bits
    assert stats.phase_map.tolist() == np.repeat([0, 1, 2, 3], 3).tolist()
    assert min(onset.concentration for onset in stats.onsets) == pytest.approx(1)


def test_two_labels_of_a_clock_are_described_like_four():
    stats = described(clock(labels=2))
    assert stats.locking.locking_u == pytest.approx(1)
    assert (stats.agreement.fleiss_kappa, stats.dwell_cv) == (1, 0)


def test_a_constant_label_has_nothing_to_lock():
    stats = described(clock(labels=1))
    assert stats.locking.locking_u is None and stats.agreement.fleiss_kappa is None
    assert stats.agreement.pairwise_agreement == 1
    assert stats.occupancy.dominant_share == 1 and stats.occupancy.stuck
    assert stats.switching.rate_hz == 0 and stats.dwell_cv is None
    assert stats.window_mi_10_bits == 0


def test_independent_labels_change_within_cycles_and_agree_between_none():
    stats = described(unlocked(np.random.default_rng(1)))
    assert stats.locking.locking_u < 0.1 and stats.locking.locking_p > 0.05
    assert stats.agreement.fleiss_kappa < 0.1
    assert stats.between_cycle_mi_bits > 0.1


def test_a_short_label_that_every_cycle_has_is_no_chatter():
    series = clock()
    label = series.label.copy()
    label[np.arange(800) % 40 < 2] = 7
    stats = described(series._replace(label=label))
    assert stats.switching.flicker_share > 0.15
    assert stats.chatter_share == 0
    label[45] = 6
    assert described(series._replace(label=label)).chatter_share > 0


@settings(max_examples=10)
@given(st.permutations(range(5)), st.integers(0, 2**32 - 1))
def test_no_number_depends_on_the_labels_names(names, seed):
    series = planted(np.random.default_rng(seed), cycles=6, lost=0.3, slips=0.1)
    renamed = series._replace(label=np.array(names)[series.label])
    one, other = (numbers(described(each, clusters=5)) for each in (series, renamed))
    assert one.keys() == other.keys() and len(one) > 20
    for name, value in one.items():
        # Orders are drawn by label, so that what is random may differ by what was drawn.
        tolerance = 0.05 if "random" in name or "shuffled" in name else 1e-9
        assert other[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


def test_the_generator_determines_everything():
    series = planted(np.random.default_rng(5), lost=0.3, slips=0.1)
    assert numbers(described(series)) == numbers(described(series))


def test_steady_frames_are_described_as_if_the_others_had_not_been_there():
    series = planted(np.random.default_rng(2), cycles=20, slips=0.1)
    steady = series.cycle >= 8
    part = described(Series(np.where(steady, series.label, -1), series.phase, series.cycle))
    alone = described(Series(*(each[steady] for each in series)))
    for name, value in numbers(alone).items():
        if not name.startswith(".persistence"):  # Which has more lags where there are more frames.
            assert numbers(part)[name] == pytest.approx(value), name


@pytest.mark.parametrize("visited", [0, 1, 2])
@pytest.mark.parametrize("frames", [0, 1, 3, 50])
@pytest.mark.parametrize("rhythm", [True, False])
def test_too_little_to_describe_is_described_as_such(visited, frames, rhythm):
    label = np.arange(frames) % visited if visited else np.full(frames, -1)
    cycle = np.arange(frames) // 10 if rhythm else np.full(frames, -1)
    phase = 2 * np.pi * (np.arange(frames) % 10 / 10) if rhythm else np.full(frames, np.nan)
    stats = described(Series(label, phase, cycle))
    empty = frames == 0 or visited == 0
    assert stats.frames == (0 if empty else frames)
    assert len(stats.occupancy.visited) == (0 if empty else min(visited, frames))
    assert (stats.locking is None) == (empty or not rhythm)
    assert (stats.words is None) == (empty or not rhythm)
    assert (stats.agreement is None) == (empty or not rhythm or frames <= 10)


def test_a_label_beyond_the_clusters_is_one_sentence():
    with pytest.raises(UsageError, match="below K = 3, found 3"):
        described(clock(), clusters=3)


def test_no_module_of_analysis_or_gait_loads_jax_or_mujoco_or_what_draws():
    statements = (
        "import importlib, pkgutil, glassviz.metrics, glassviz.gait\n"
        "for package in (glassviz.metrics, glassviz.gait):\n"
        "    for found in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
    )
    assert loaded(statements, {"jax", "mujoco", "umap", "matplotlib", "cv2"}) == set()
