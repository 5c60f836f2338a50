"""Verdicts on shipped agents' episodes against what a person saw in them, from measured values."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from glassviz.analysis.basin import join
from glassviz.analysis.label_verdict import judge_labels
from glassviz.gait.verdict import name_gait

EPISODES = Path(__file__).parents[1] / "docs" / "validation" / "episodes.csv"


def values(row: dict[str, str], prefix: str) -> dict[str, float | None]:
    named = {name.removeprefix(prefix): text for name, text in row.items() if prefix in name}
    return {name: float(text) if text else None for name, text in named.items()}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with EPISODES.open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 200
    return found


@pytest.fixture(scope="module")
def gaits(rows) -> Counter[tuple[str, str]]:
    return Counter((row["gait"], name_gait(values(row, "gait."))[0]) for row in rows)


def test_every_hop_is_called_one_and_nothing_else_is(gaits):
    assert gaits["hop", "hop"] == 20
    assert all(eye == verdict for eye, verdict in gaits if "hop" in (eye, verdict))


def test_nine_gaits_in_ten_are_named_as_seen_and_hardly_one_by_another_name(gaits):
    alike = sum(count for (eye, verdict), count in gaits.items() if eye == verdict)
    other = {pair: n for pair, n in gaits.items() if len({*pair, "undetermined"}) == 3}
    assert alike >= 180 and other == {("knee-walk", "fall-recover"): 2}


def test_no_basin_is_called_by_another_name(rows):
    basins: Counter[tuple[str, str]] = Counter()
    for row in (row for row in rows if row["labels"] != "none"):
        gait, _ = name_gait(values(row, "gait."))
        labels = judge_labels(values(row, "labels.")).verdict
        basins[join(row["gait"], row["labels"])[0], join(gait, labels)[0]] += 1
    assert basins["stable-hop", "stable-hop"] == 15
    assert all("undetermined" in pair or len(set(pair)) == 1 for pair in basins)
    assert sum(n for pair, n in basins.items() if len(set(pair)) == 1) >= 119
