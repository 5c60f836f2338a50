"""Labels of a known truth: clocks, memoryless labels, gaits with jitter, slips, lost cycles."""

from typing import NamedTuple

import numpy as np

DT_S = 0.02


class Series(NamedTuple):
    """Labels of an episode and its gait, as every label metric takes them."""

    label: np.ndarray
    phase: np.ndarray
    cycle: np.ndarray


def gait(cycles: int, period: int, rng=None, jitter: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Phase and cycle of so many gait cycles, each of `period` frames, give or take `jitter`."""
    lengths = np.full(cycles, period)
    if jitter:
        lengths += rng.integers(-jitter, jitter + 1, size=cycles)
    cycle = np.repeat(np.arange(cycles), lengths)
    frame = np.concatenate([np.arange(n) for n in lengths])
    return 2 * np.pi * frame / lengths[cycle], cycle


def clock(cycles: int = 20, period: int = 40, labels: int = 4) -> Series:
    """A perfect clock: the labels share each cycle out evenly, in order."""
    phase, cycle = gait(cycles, period)
    frame = np.arange(cycles * period) % period
    return Series(frame * labels // period, phase, cycle)


def sticky(frames: int, labels: int, dwell: float, rng) -> np.ndarray:
    """Memoryless labels, drawn anew with chance 1/dwell a frame."""
    drawn = rng.integers(labels, size=frames)
    fresh = rng.random(frames) < 1 / dwell
    fresh[0] = True
    return drawn[np.maximum.accumulate(np.where(fresh, np.arange(frames), 0))]


def unlocked(rng, cycles: int = 24, period: int = 40, labels: int = 4, dwell: float = 6) -> Series:
    """Memoryless labels that have nothing to do with the gait, whose periods vary by 2 frames."""
    phase, cycle = gait(cycles, period, rng, jitter=2)
    return Series(sticky(len(phase), labels, dwell, rng), phase, cycle)


def planted(
    rng, cycles: int = 20, period: int = 40, lost: float = 0.0, slips: float = 0.0
) -> Series:
    """Four phases with a label each; a share of cycles rotated at random, of frames mislabelled."""
    phase, cycle = gait(cycles, period, rng, jitter=2)
    rotation = np.where(rng.random(cycles) < lost, rng.random(cycles), 0.0)
    label = np.floor((phase / (2 * np.pi) + rotation[cycle]) % 1 * 4).astype(int)
    slipped = rng.random(len(label)) < slips
    label[slipped] = rng.integers(4, size=int(slipped.sum()))
    return Series(label, phase, cycle)
