"""Verdicts against the eye: confusion tables, and thresholds calibrated with one agent left out.

    python benchmarks/validate_verdicts.py            from docs/validation/episodes.csv
    python benchmarks/validate_verdicts.py TRACES     measure that file anew, then the same

The judgements in docs/validation/judgements.csv were made from `verdict_sheets.py`, blind and
before any verdict. Prints Markdown, for docs/validation.md.
"""

import csv
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from glassviz.gait.verdict import GaitThresholds, gait_values, name_gait
from glassviz.metrics.stability import assess
from glassviz.metrics.verdict import (
    LABEL_THRESHOLDS,
    STEADY,
    LabelThresholds,
    join,
    judge_labels,
    label_values,
)
from glassviz.trace import Trace

FOLDER = Path(__file__).parents[1] / "docs" / "validation"
FIRST = ("demo-small-s1", "glass-small-s1", "tdmpc2-small-s1", "tdmpc2-small-s2")
"""Agents whose episodes, others than these, the thresholds of gaits were drawn with."""

CYCLES = 5
"""Labels are compared where there are so many gait cycles to compare."""

SWEEPS, CANDIDATES, SHUFFLES = 2, 15, 5

SEEN_AS: dict[str, Any] = {"locked": "phase-locked"}
"""An eye called labels locked that keep to the phase, and also a single label."""


class Episode(NamedTuple):
    """One episode: what an eye says of it, and what the verdicts go by."""

    agent: str
    controller: str
    number: int
    gait: str
    labels: str
    gait_values: dict[str, float | None]
    label_values: dict[str, float | None]


def main(traces: Annotated[Path | None, typer.Argument(help="Folder of traces.")] = None) -> None:
    """Measure, where traces are given, and print the tables."""
    if traces:
        _measure(traces)
    episodes = _read()
    gaits = [(e.gait, name_gait(e.gait_values)[0]) for e in episodes]
    print(f"### Gait, {len(episodes)} episodes\n")
    _print_confusion(gaits)
    held = [pair for e, pair in zip(episodes, gaits, strict=True) if e.agent not in FIRST]
    print(f"\nFor agents that were not used to choose the thresholds: {_told(held)}.\n")

    labelled = [e for e in episodes if e.label_values]
    rhythmic = [e for e in labelled if (e.label_values["cycles"] or 0) >= CYCLES]
    print(f"### Labels, {len(rhythmic)} episodes with {CYCLES} gait cycles or more\n")
    _print_confusion([(e.labels, _label_word(e)) for e in rhythmic])

    print(f"\n### Basin, {len(labelled)} episodes of agents with Glass\n")
    _print_confusion(
        [
            (
                join(e.gait, SEEN_AS.get(e.labels, e.labels))[0],
                join(name_gait(e.gait_values)[0], judge_labels(e.label_values).verdict)[0],
            )
            for e in labelled
        ]
    )

    print("\n### One agent left out\n")
    print("| verdict | thresholds | right | undetermined, or wrongly determined | another name |")
    print("|---|---|---|---|---|")
    for name, every, judge, default in (
        ("gait", episodes, _judge_gait, GaitThresholds()),
        ("labels", rhythmic, _judge_labels, LabelThresholds()),
    ):
        told = [_of(each, name) for each in every]
        _print_row(name, "as they are", _score(every, told, judge, default))
        _print_row(name, "calibrated on the others", _left_out(every, told, judge, default))
        rng = np.random.default_rng(0)
        chance = [
            _left_out(every, rng.permutation(told).tolist(), judge, default)
            for _ in range(SHUFFLES)
        ]
        _print_row(
            name, f"the same, judgements shuffled ({SHUFFLES} times)", sum(chance, Counter())
        )


def _measure(folder: Path) -> None:
    with (FOLDER / "judgements.csv").open() as file:
        eye = {(r["agent"], r["controller"], r["episode"]): r for r in csv.DictReader(file)}
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.npz")):
        run = assess(Trace.load(path))
        for episode in run.episodes:
            row = dict(eye[run.checkpoint, run.controller, str(episode.episode)])
            for name, value in gait_values(episode.gait).items():
                row[f"gait.{name}"] = value
            if episode.steady_labels:
                for name, value in label_values(episode.steady_labels).items():
                    row[f"labels.{name}"] = value
            rows.append({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    names = dict.fromkeys(name for row in rows for name in row)
    with (FOLDER / "episodes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _read() -> list[Episode]:
    with (FOLDER / "episodes.csv").open() as file:
        return [
            Episode(
                row["agent"],
                row["controller"],
                int(row["episode"]),
                row["gait"],
                row["labels"],
                _values(row, "gait."),
                {} if row["labels"] == "none" else _values(row, "labels."),
            )
            for row in csv.DictReader(file)
        ]


def _values(row: Mapping[str, str], prefix: str) -> dict[str, float | None]:
    return {
        name.removeprefix(prefix): float(text) if text else None
        for name, text in row.items()
        if name.startswith(prefix)
    }


# Calibration -------------------------------------------------------------------------------------

Judge = Callable[[Episode, Any], str]


def _judge_gait(episode: Episode, thresholds: GaitThresholds) -> str:
    return name_gait(episode.gait_values, thresholds)[0]


def _judge_labels(episode: Episode, thresholds: LabelThresholds) -> str:
    return _label_word(episode, thresholds)


def _label_word(episode: Episode, thresholds: LabelThresholds = LABEL_THRESHOLDS) -> str:
    """The verdict in the words of the eye, which did not tell one label from phase-locked."""
    verdict = judge_labels(episode.label_values, thresholds).verdict
    return "locked" if verdict in STEADY else verdict


def _of(episode: Episode, what: str) -> str:
    return str(getattr(episode, what))


def _left_out(
    episodes: Sequence[Episode], told: Sequence[str], judge: Judge, default: Any
) -> Counter[str]:
    """Verdicts on each agent's episodes, with thresholds calibrated on those of all others."""
    total: Counter[str] = Counter()
    for agent in sorted({e.agent for e in episodes}):
        inside = [i for i, e in enumerate(episodes) if e.agent != agent]
        outside = [i for i, e in enumerate(episodes) if e.agent == agent]
        thresholds = _calibrated(
            [episodes[i] for i in inside], [told[i] for i in inside], judge, default
        )
        total += _score(
            [episodes[i] for i in outside], [told[i] for i in outside], judge, thresholds
        )
    return total


def _calibrated(
    episodes: Sequence[Episode], told: Sequence[str], judge: Judge, default: Any
) -> Any:
    """The best thresholds that a search one after the other finds, from half to twice each.

    Of equally good ones that which is nearest to the default.
    """
    best = default
    for _ in range(SWEEPS):
        for field in dataclasses.fields(default):
            start = getattr(default, field.name)
            around = sorted(np.geomspace(0.5, 2, CANDIDATES), key=lambda x: abs(np.log(x)))
            tried = [best, *(dataclasses.replace(best, **{field.name: start * x}) for x in around)]
            best = max(tried, key=lambda each: _worth(_score(episodes, told, judge, each)))
    return best


def _score(
    episodes: Sequence[Episode], told: Sequence[str], judge: Judge, thresholds: Any
) -> Counter[str]:
    pairs = zip(told, (judge(e, thresholds) for e in episodes), strict=True)
    return Counter(_outcome(*pair) for pair in pairs)


def _outcome(eye: str, verdict: str) -> str:
    if eye == verdict:
        return "right"
    return "unsure" if "undetermined" in (eye, verdict) else "wrong"


def _worth(score: Counter[str]) -> int:
    return score["right"] - score["wrong"]


# Tables ------------------------------------------------------------------------------------------


def _print_confusion(pairs: Iterable[tuple[str, str]]) -> None:
    pairs = list(pairs)
    count = Counter(pairs)
    names = sorted(
        {name for pair in pairs for name in pair}, key=lambda n: (n == "undetermined", n)
    )
    print("| eye \\ verdict |", " | ".join(names), "|")
    print("|---|" + "---|" * len(names))
    for eye in names:
        cells = (str(count[eye, verdict] or "·") for verdict in names)
        print(f"| {eye} |", " | ".join(cells), "|")
    print(f"\n{_told(pairs)}.")


def _told(pairs: Sequence[tuple[str, str]]) -> str:
    score = Counter(_outcome(*pair) for pair in pairs)
    return (
        f"{score['right']} of {len(pairs)} agree, {score['wrong']} have different names, and in "
        f"{score['unsure']} one of the two is undetermined"
    )


def _print_row(name: str, thresholds: str, score: Counter[str]) -> None:
    total = sum(score.values())
    shares = (f"{score[each] / total:.0%}" for each in ("right", "unsure", "wrong"))
    print(f"| {name} | {thresholds} |", " | ".join(shares), "|")


if __name__ == "__main__":
    typer.run(main)
