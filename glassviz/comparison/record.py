"""What runs say together, as files."""

import json
from pathlib import Path
from typing import Any

from glassviz.comparison.correspondence import LabelPair
from glassviz.comparison.together import Together
from glassviz.files import replacing
from glassviz.stability.record import as_csv, flatten, plain

RESULTS = ("together.json", "pairs.csv")
"""Files that `save` writes."""


def save(together: Together | None, folder: Path) -> None:
    """Write everything as JSON, and a row for every two checkpoints with labels as CSV.

    With nothing to compare the one holds null, and the other no row.

    Raises:
        GlassvizError: a file cannot be written.
    """
    found = together.correspondence if together else None
    told = json.dumps(plain(together), indent=2, allow_nan=False)
    texts = (f"{told}\n", as_csv([pair_row(pair) for pair in (found.pairs if found else ())]))
    for name, text in zip(RESULTS, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def pair_row(pair: LabelPair) -> dict[str, Any]:
    """One flat row: how far two checkpoints agree, and which label is which."""
    told = plain(pair)
    test = {"observed": None} | (told["test"] or {})
    return (
        {"one": pair.one, "other": pair.other}
        | flatten(told["agreement"])
        | {"matched_accuracy": pair.matched_accuracy, "partner": str(told["matching"]["partner"])}
        | {f"in_cycles_{name}": value for name, value in (test["observed"] or {}).items()}
        | {f"in_cycles_{name}": value for name, value in test.items() if name != "observed"}
    )
