"""Whether what is planted in synthetic gaits is found: period, jitter, falls, locking, flicker.

    python benchmarks/planted.py [--quick]

Prints Markdown tables. A grid of hops of 40 s is drawn, of every period, jitter, number of falls,
strength of locking and share of flicker; each is assessed from its trace, and what is found is set
against what was drawn (period, cycles, falls), or against the expectation from very many cycles
with the planted phase (locking, kappa, chatter). Then the verdicts on labels of which a share of
the frames flickers and a share of the cycles is rotated. Verdicts are counted as per cent
phase-locked / undetermined / oscillating.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from glassviz.metrics.labels import LabelStats
from glassviz.metrics.labels import describe as describe_labels
from glassviz.metrics.stability import EpisodeStability, assess
from tests.helpers.synthetic_gait import GaitPlan, SyntheticGait, synthesise

FRAMES = 2000
PERIODS_S = (0.3, 0.4, 0.6, 0.9, 1.2)
JITTERS = (0.0, 0.05, 0.1)
FALLS = (0, 1, 3)
LOCKINGS = (1.0, 0.9, 0.7, 0.4, 0.0)
FLICKERS = (0.0, 0.02, 0.05, 0.1)
VERDICTS = ("phase-locked", "undetermined", "oscillating")
ROTATED = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
MANY = 40_000
"""Frames of the gait from which an expectation comes."""


@dataclass(frozen=True)
class Found:
    """One gait, and what was found in it."""

    truth: SyntheticGait
    episode: EpisodeStability

    @property
    def plan(self) -> GaitPlan:
        return self.truth.plan

    @property
    def labels(self) -> LabelStats:
        assert self.episode.steady_labels is not None
        return self.episode.steady_labels

    @property
    def drawn_s(self) -> np.ndarray:
        """Durations of the cycles that were not interrupted."""
        cycle = self.truth.cycle
        return np.bincount(cycle[cycle >= 0]) * self.plan.dt_s

    @property
    def period_error(self) -> float:
        """Relative to the drawn cycles' mean."""
        period = self.episode.gait.cycles.period_s
        return np.nan if period is None else period / self.drawn_s.mean() - 1

    @property
    def detector_error(self) -> float:
        """The largest of the three detectors'."""
        periods = self.episode.gait.detected_periods_s.values()
        return max(np.nan if p is None else abs(p / self.drawn_s.mean() - 1) for p in periods)

    @property
    def cv_error(self) -> float:
        """Of the durations' coefficient of variation, as a difference."""
        drawn = self.drawn_s
        return (self.episode.gait.cycles.period_cv or 0.0) - drawn.std(ddof=1) / drawn.mean()

    @property
    def cycles_found(self) -> float:
        """Of those that were drawn."""
        return self.episode.gait.cycles.count / len(self.drawn_s)

    @property
    def falls_found(self) -> bool:
        """Whether as many as planted, each hit where it was planted."""
        hits = np.flatnonzero(np.diff(self.truth.going.astype(int)) == -1) + 1
        return [fall.hit for fall in self.episode.gait.falls] == hits.tolist()


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small part of the grid")
    quick = parser.parse_args().quick
    few = slice(None, None, 2) if quick else slice(None)
    grid = product(PERIODS_S[few], JITTERS[few], FALLS[few], LOCKINGS[few], FLICKERS[few])
    with threadpool_limits(1):
        found = [assessed(i, *each) for i, each in enumerate(grid)]
        print(f"{len(found)} hops of {FRAMES * GaitPlan().dt_s:.0f} s\n")
        gaits(found)
        labels(found)
        verdicts(2 if quick else 20)


def assessed(
    seed: int, period_s: float, jitter: float, falls: int, locking: float, flicker: float
) -> Found:
    """Draw one gait and assess its trace."""
    plan = GaitPlan(
        frames=FRAMES,
        period_s=period_s,
        jitter_cv=jitter,
        falls=falls,
        locking=locking,
        flicker=flicker,
    )
    truth = synthesise(plan, np.random.default_rng(seed))
    [episode] = assess(truth.trace()).episodes
    return Found(truth, episode)


def gaits(found: list[Found]) -> None:
    """What is found of gaits, by what was planted."""
    print("| planted | period off by, mean | largest | any of 3 detectors, largest "
          "| its CV off by, largest | cycles found | falls found | called hop |")  # fmt: skip
    print("|---" * 8 + "|")
    for name, values, told in (
        ("period_s", PERIODS_S, "period {} s"),
        ("jitter_cv", JITTERS, "jitter CV {}"),
        ("falls", FALLS, "{} falls"),
    ):
        for value in values:
            own = [each for each in found if getattr(each.plan, name) == value]
            if own:
                print(f"| {told.format(value)} | {_gait_row(own)} |")
    print(f"| all | {_gait_row(found)} |")


def _gait_row(own: list[Found]) -> str:
    error = np.abs([each.period_error for each in own])
    return " | ".join(
        (
            f"{error.mean():.2%} | {error.max():.1%}",
            f"{max(each.detector_error for each in own):.1%}",
            f"{np.abs([each.cv_error for each in own]).max():.3f}",
            f"{np.mean([each.cycles_found for each in own]):.1%}",
            f"{np.mean([each.falls_found for each in own]):.0%}",
            f"{np.mean([each.episode.gait_verdict.name == 'hop' for each in own]):.0%}",
        )
    )


def labels(found: list[Found]) -> None:
    """What is found of labels, by locking and flicker."""
    print("\n| locking | flicker | U by formula | expected | found | kappa expected | found "
          "| interval covers | chatter expected | found | locking p ≤ 0.05 "
          "| verdicts |")  # fmt: skip
    print("|---" * 12 + "|")
    for locking, flicker in product(LOCKINGS, FLICKERS):
        own = [e for e in found if (e.plan.locking, e.plan.flicker) == (locking, flicker)]
        if not own:
            continue
        expected = [expectation(each.plan.period_s, locking, flicker) for each in own]
        row = (
            f"{u_by_formula(own[0].plan):.3f}",
            _mean(each.locking.locking_u for each in expected),
            _mean_sd(each.labels.locking.locking_u for each in own),
            _mean(each.agreement.fleiss_kappa for each in expected),
            _mean_sd(each.labels.agreement.fleiss_kappa for each in own),
            f"{np.mean([_covers(*each) for each in zip(own, expected, strict=True)]):.0%}",
            _mean(each.chatter_share for each in expected),
            _mean_sd(each.labels.chatter_share for each in own),
            f"{np.mean([each.labels.locking.locking_p <= 0.05 for each in own]):.0%}",
            _split(each.episode.label_verdict.verdict for each in own),
        )
        print(f"| {locking} | {flicker} | " + " | ".join(row) + " |", flush=True)


@cache
def expectation(period_s: float, locking: float, flicker: float) -> LabelStats:
    """Labels of very many cycles, with the phase that was planted."""
    plan = GaitPlan(
        frames=MANY, period_s=period_s, jitter_cv=0.05, locking=locking, flicker=flicker
    )
    truth = synthesise(plan, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    series = truth.label, truth.phase, truth.cycle
    return describe_labels(*series, plan.dt_s, plan.clusters, rng, replicates=1)


def u_by_formula(plan: GaitPlan) -> float:
    """U = 1 − H(label | sector) / H(label), with sectors as long as they should be."""
    p = sector_labels(plan)

    def bits(q: np.ndarray) -> float:
        return float(-(q[q > 0] * np.log2(q[q > 0])).sum())

    return 1 - float(np.mean([bits(row) for row in p])) / bits(p.mean(axis=0))


def kappa_by_formula(plan: GaitPlan) -> float:
    """Kappa of single frames at the same phase; that of bins where no frame flickers."""
    p = sector_labels(plan)
    chance = float(np.square(p.mean(axis=0)).sum())
    return (float(np.square(p).sum(axis=1).mean()) - chance) / (1 - chance)


def sector_labels(plan: GaitPlan) -> np.ndarray:
    """Chances of the labels (columns) in each sector (rows)."""
    k, sectors = plan.clusters, len(plan.map)
    keeps = plan.locking + (1 - plan.locking) / k
    own = keeps * (1 - plan.flicker) + (1 - keeps) * plan.flicker / (k - 1)
    table = np.full((sectors, k), (1 - own) / (k - 1))
    table[np.arange(sectors), plan.map] = own
    return table


def _covers(found: Found, expected: LabelStats) -> bool:
    agreement = found.labels.agreement
    assert agreement is not None and expected.agreement is not None
    truth = expected.agreement.fleiss_kappa
    low, high = agreement.kappa_low, agreement.kappa_high
    assert truth is not None and low is not None and high is not None
    return low - 1e-9 <= truth <= high + 1e-9


def verdicts(episodes: int) -> None:
    """The verdict on labels by flicker and by the share of cycles that are rotated."""
    print(f"\n{episodes} episodes each of 2,000 frames, 0.8 s a cycle: verdicts\n")
    print("| flicker | " + " | ".join(f"{share:.0%} rotated" for share in ROTATED) + " |")
    print("|---" * (len(ROTATED) + 1) + "|")
    for flicker in (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2):
        row = [_split(_rotated(i, flicker, share) for i in range(episodes)) for share in ROTATED]
        print(f"| {flicker:.0%} | " + " | ".join(row) + " |", flush=True)


def _rotated(seed: int, flicker: float, share: float) -> str:
    """The verdict on a locked gait of which some cycles begin anywhere in their labels."""
    rng = np.random.default_rng([seed, round(100 * flicker), round(100 * share)])
    plan = GaitPlan(frames=FRAMES, period_s=0.8, jitter_cv=0.05)
    truth = synthesise(plan, rng)
    cycles = int(truth.cycle.max()) + 2
    turn = np.where(rng.random(cycles) < share, rng.random(cycles), 0.0)[truth.cycle]
    sector = (np.nan_to_num(truth.phase) / (2 * np.pi) + turn) % 1 * len(plan.map)
    label = np.array(plan.map)[sector.astype(int)]
    flickers = rng.random(FRAMES) < flicker
    label = np.where(flickers, (label + rng.integers(1, 8, FRAMES)) % 8, label)
    return assess(replace(truth, label=label).trace()).episodes[0].label_verdict.verdict


def _mean(values: Iterable[float | None]) -> str:
    return f"{np.mean([value for value in values if value is not None]):.3f}"


def _mean_sd(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f} ± {np.std(known):.3f}"


def _split(values: Iterable[str]) -> str:
    counts = Counter(values)
    assert set(counts) <= set(VERDICTS), counts
    told = [100 * counts[name] / counts.total() for name in VERDICTS]
    return "/".join(f"{share:.0f}" for share in told)


if __name__ == "__main__":
    main()
