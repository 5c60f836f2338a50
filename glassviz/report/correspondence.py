"""Which label of each run is which of the reference run, as a table."""

from collections.abc import Sequence

from glassviz.comparison.correspondence import Correspondence, LabelPair
from glassviz.comparison.wording import p_value
from glassviz.report.page import Table
from glassviz.stability.wording import NONE


def table_of(found: Correspondence) -> Table:
    """A row a run, a column for every label of the reference."""
    reference = found.reference
    columns = found.visited[reference]
    others = [run for run in found.runs if run != reference]
    head = (
        "run",
        *(f"its {label}" for label in columns),
        "unmatched",
        "frames",
        "AMI",
        "in cycles",
        "by chance",
        "p",
    )
    which = "the typical run" if found.medoid else "the first run"
    note = (
        f"Under each label of {reference}, {which}: the label that it is matched with so that as "
        f"many as possible of {found.frames} frames of all runs agree, and their Jaccard index; "
        f"below 0.2 they are unmatched. Labels with more than 1 % of these frames are named. "
        f"frames: the share whose two labels are matched. AMI: over all of them; in whole gait "
        f"cycles; and there with labels that run on other clocks (its null), with p."
    )
    rows = tuple(_row(run, found, columns) for run in others)
    return Table(f"Labels matched with those of {reference}", head, rows, note)


def _row(run: str, found: Correspondence, columns: Sequence[int]) -> tuple[str, ...]:
    pair = found.pair(found.reference, run)
    matches = _matches(pair, found.reference)
    matched = {own for own, _ in matches.values()}
    unmatched = [label for label in found.visited[run] if label not in matched]
    test = pair.test
    return (
        run,
        *(
            f"{matches[each][0]} ({matches[each][1]:.2f})" if each in matches else NONE
            for each in columns
        ),
        ", ".join(map(str, unmatched)) or NONE,
        NONE if pair.matched_accuracy is None else f"{pair.matched_accuracy:.0%}",
        _figure(pair.agreement.ami),
        _figure(test.observed.ami if test else None),
        _figure(test.null_ami if test else None),
        NONE if test is None or test.ami_p is None else p_value(test.ami_p).removeprefix("p = "),
    )


def _matches(pair: LabelPair, reference: str) -> dict[int, tuple[int, float]]:
    """For each matched label of the reference, the other run's label and how alike they are."""
    partners = zip(pair.matching.partner.tolist(), pair.matching.similarity.tolist(), strict=True)
    matched = [(one, other, alike) for one, (other, alike) in enumerate(partners) if other >= 0]
    if pair.one == reference:
        return {one: (other, alike) for one, other, alike in matched}
    return {other: (one, alike) for one, other, alike in matched}


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"
