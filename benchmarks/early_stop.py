"""How often a run that stops early gets another verdict than from all its episodes.

    python benchmarks/early_stop.py [--samples N]

From the 200 episodes of docs/validation/episodes.csv: ten of each of ten agents under each of its
two controllers. Of each of these twenty runs, ten episodes are drawn again and again with
replacement; the verdicts on as many of them as the rule asks for are compared with those on all
ten. `shuffled` draws without replacement: the run's own episodes in another order.
"""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from glassviz.gait.verdict import GAIT_THRESHOLDS, name_gait
from glassviz.metrics.stopping import MOST, is_settled
from glassviz.metrics.verdict import join, judge_labels

EPISODES = Path(__file__).parents[1] / "docs" / "validation" / "episodes.csv"
VERDICTS = ("gait", "labels", "basin")

Verdicts = tuple[str, str, str]
Rule = Callable[[Sequence[Verdicts]], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description="Verdicts of runs that stop early.")
    parser.add_argument("--samples", type=int, default=2000)
    samples = parser.parse_args().samples
    runs = read()
    rng = np.random.default_rng(0)
    print(f"{len(runs)} runs, {samples} samples of {MOST} episodes each\n")
    print("| episodes | rule | episodes used | gait | labels | basin | worst run, basin |")
    print("|---|---|---|---|---|---|---|")
    rules: dict[str, Rule] = {
        "gait, labels and basin settled (as shipped)": settled((0, 1, 2)),
        "the same without unanimity": settled((0, 1, 2), unanimous=False),
        "basin settled": settled((2,)),
        "one episode (the first row)": lambda episodes: True,
    }
    for drawn, replace in (("resampled", True), ("shuffled", False)):
        for name, rule in rules.items():
            print(f"| {drawn} | {name} | {row(runs, rule, samples, replace, rng)} |")
    used = {
        run: episodes_used(rules["gait, labels and basin settled (as shipped)"], own)
        for run, own in runs.items()
    }
    for controller in ("mppi", "pi"):
        counts = [count for (_, by), count in used.items() if by == controller]
        print(
            f"\nIn the recorded order, {controller}: {sum(counts)} of {MOST * len(counts)} episodes"
        )


def read() -> dict[tuple[str, str], list[Verdicts]]:
    """The verdicts on the episodes of each run."""
    runs = defaultdict(list)
    with EPISODES.open() as file:
        for line in csv.DictReader(file):
            gait = name_gait(values(line, "gait."))[0]
            measured = values(line, "labels.")
            labels = "none" if set(measured.values()) == {None} else judge_labels(measured).verdict
            verdicts = gait, labels, join(gait, labels)[0]
            runs[line["agent"], line["controller"]].append(verdicts)
    return dict(runs)


def values(line: dict[str, str], prefix: str) -> dict[str, float | None]:
    named = {name.removeprefix(prefix): text for name, text in line.items() if prefix in name}
    return {name: float(text) if text else None for name, text in named.items()}


def settled(which: tuple[int, ...], unanimous: bool = True) -> Rule:
    """Stop when these verdicts are settled; without unanimity, only when nothing can change."""

    def enough(episodes: Sequence[Verdicts]) -> bool:
        columns = [[each[i] for each in episodes] for i in which]
        if unanimous:
            return all(map(is_settled, columns))
        return all(
            is_settled(names) and (len(set(names)) > 1 or majority_of_all(names))
            for names in columns
        )

    return enough


def episodes_used(rule: Rule, every: Sequence[Verdicts]) -> int:
    return next((n for n in range(1, MOST) if rule(every[:n])), MOST)


def majority_of_all(names: Sequence[str]) -> bool:
    return len(names) > GAIT_THRESHOLDS.split * MOST


def verdict(names: Sequence[str]) -> str:
    """The verdict on a run, as `metrics.verdict.run_basin`."""
    name, count = Counter(names).most_common(1)[0]
    return name if count > GAIT_THRESHOLDS.split * len(names) else "split"


def row(
    runs: dict[tuple[str, str], list[Verdicts]],
    rule: Rule,
    samples: int,
    replace: bool,
    rng: np.random.Generator,
) -> str:
    used, wrong, by_run = 0, Counter[str](), Counter[tuple[str, str]]()
    for run, episodes in runs.items():
        for _ in range(samples):
            order = rng.choice(len(episodes), MOST, replace=replace)
            every = [episodes[i] for i in order]
            count = episodes_used(rule, every)
            used += count
            for i, name in enumerate(VERDICTS):
                early, late = (
                    verdict([each[i] for each in part]) for part in (every[:count], every)
                )
                wrong[name] += early != late
                by_run[run] += name == "basin" and early != late
    total = samples * len(runs)
    shares = " | ".join(f"{wrong[name] / total:.1%}" for name in VERDICTS)
    [(run, most)] = by_run.most_common(1)
    worst = f"{most / samples:.1%} ({' '.join(run)})" if most else "0.0%"
    return f"{used / total:.2f} | {shares} | {worst}"


if __name__ == "__main__":
    main()
