"""How often the label statistics err, on labels of known truth.

    python benchmarks/validate_labels.py [--datasets N] [--json FILE]

Type I error of the locking test at 0.05 on memoryless labels that know nothing of the gait, by
number of labels and dwell; its power and the bootstrap's coverage of kappa on gaits in which a
share of the cycles is rotated at random and a share of the frames mislabelled; and the verdicts
that these get. Episodes have 24 cycles (nulls) or 20 cycles of 40 frames, give or take 2.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from label_series import DT_S, Series, planted, unlocked

from glassviz.analysis.consistency import agreement, phase_raster
from glassviz.analysis.label_verdict import label_verdict
from glassviz.analysis.labels import describe
from glassviz.analysis.nulls import rotation_test
from glassviz.analysis.phase_counts import cycle_counts, switch_counts

ALPHA = 0.05


def rejected(series: list[Series], rng: np.random.Generator) -> float:
    """Share of data sets that the locking test calls locked."""
    p = [rotation_test(cycle_counts(*each), switch_counts(*each), rng, 199)[1] for each in series]
    return float(np.mean(np.array(p) <= ALPHA))


def covered(series: list[Series], truth: float, rng: np.random.Generator) -> float:
    """Share of data sets whose bootstrap interval of kappa holds the true one."""
    found = [agreement(phase_raster(*each), rng, 399) for each in series]
    return float(np.mean([each.kappa_low <= truth <= each.kappa_high for each in found]))


def verdicts(series: list[Series], rng: np.random.Generator) -> dict[str, float]:
    """Share of data sets by verdict."""
    found = Counter(
        label_verdict(describe(*each, DT_S, 8, rng, replicates=199)).verdict for each in series
    )
    return {verdict: count / len(series) for verdict, count in sorted(found.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rng, count = np.random.default_rng(0), arguments.datasets

    rows = []
    for labels in (2, 4, 8):
        for dwell in (2, 5, 10, 20, 40, 80):
            series = [unlocked(rng, labels=labels, dwell=dwell) for _ in range(count)]
            row = {"labels": labels, "dwell_frames": dwell, "type_1_error": rejected(series, rng)}
            row |= {"verdicts": verdicts(series[: count // 10], rng)}
            rows.append(row)
            print(row, flush=True)
    for lost in (0.0, 0.2, 0.4, 0.6, 0.8):
        for slips in (0.0, 0.02, 0.2):
            raster = phase_raster(*planted(rng, cycles=4000, lost=lost, slips=slips))
            truth = agreement(raster, rng, 1).fleiss_kappa
            series = [planted(rng, lost=lost, slips=slips) for _ in range(count)]
            row = {"cycles_lost": lost, "frames_slipped": slips, "power": rejected(series, rng)}
            row |= {"kappa": truth, "coverage": covered(series, truth, rng)}
            row |= {"verdicts": verdicts(series[: count // 10], rng)}
            rows.append(row)
            print(row, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
