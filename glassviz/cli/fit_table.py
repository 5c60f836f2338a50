"""The tables of `glassviz fit`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.checkpoints.wording import printable
from glassviz.fitting import Fitted
from glassviz.many import Failed
from glassviz.stability.wording import LONGEST, NONE

if TYPE_CHECKING:
    from glassviz.fitting import Comparison

SAME_BITS = 0.005
"""Less is not shown."""

_FIT_NOTES = (
    "K: clusters. seen: with more than 1 % of the frames. H²: structural entropy of the "
    "transitions between prototypes under their clusters, without self-transitions; gap: share of "
    "H¹ that the clusters explain. refits: adjusted mutual information of the labels, and of the "
    "prototypes alone, over pairs of fits with other seeds; mean (lowest): 1 the same, 0 chance."
)

_LEARNED_NOTES = (
    "learned: labels of its own with more than 1 % of the frames. AMI: adjusted mutual information "
    "of learned and fitted labels in gait cycles; chance: with the fitted ones on other clocks. "
    "matched: frames whose two labels are matched with each other. phase bits: what labels say "
    "about the gait phase, U: share of their entropy that the phase explains, learned / fitted; "
    "means over episodes with gait cycles, U over those in which both have one. The difference "
    "describes these episodes and tests nothing, and fitted labels were fitted to these frames."
)


def print_fits(rows: Sequence[Fitted | Failed], console: Console | None = None) -> None:
    """Print a row a checkpoint, and for agents with Glass one that compares the labels.

    Args:
        rows: of `fit_all`.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    fitted = [row for row in rows if isinstance(row, Fitted)]
    console.print(_fits(rows))
    if fitted:
        console.print(Text(_FIT_NOTES, "dim"))
    learned = [(row.name, row.comparison) for row in fitted if row.comparison]
    if learned:
        console.print()
        console.print(_against_learned(learned))
        for name, found in learned:
            console.print(Text(f"{_name(name)}: {_matches(found)}; {_says_more(found)}"))
        console.print(Text(_LEARNED_NOTES, "dim"))
    for row in fitted:
        console.print(Text(f"{row.path}: {_name(row.name)}, sha256 {row.labels.sha256:.12}"))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right")
    return table


def _fits(rows: Sequence[Fitted | Failed]) -> Table:
    table = _table("K", "seen", "H² bits", "gap", "refits: labels", "prototypes")
    table.add_column("", overflow="fold")
    for row in rows:
        # Text, not markup: names and errors come from files.
        name = Text(_name(row.name))
        if isinstance(row, Failed):
            reason = printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)
            failed = Text.assemble(("failed", "bold red"), f": {reason}")
            table.add_row(name, *[""] * 6, failed)
            continue
        labels, refits = row.labels, row.refits
        table.add_row(
            name,
            str(labels.clusters),
            str(len(row.visited)),
            f"{labels.h2_bits:.2f}",
            _number(labels.gap),
            _mean_and_low(refits.label_ami_mean, refits.label_ami_min) if refits else NONE,
            _mean_and_low(refits.prototype_ami_mean, refits.prototype_ami_min) if refits else NONE,
        )
    return table


def _against_learned(rows: Sequence[tuple[str, "Comparison"]]) -> Table:
    table = _table("learned", "AMI", "chance", "p", "matched", "phase bits", "U")
    for name, found in rows:
        test, readings = found.test, (found.learned, found.fitted)
        bits = [_number(each.phase_information_bits) if each else NONE for each in readings]
        u = [_number(each.locking_u) if each else NONE for each in readings]
        table.add_row(
            Text(_name(name)),
            str(len(found.learned_visited)),
            _number(test.observed.ami if test else None),
            _number(test.null_ami if test else None),
            _number(test.ami_p if test else None, ".3f"),
            _number(found.matched_share, ".0%"),
            " / ".join(bits),
            " / ".join(u),
        )
    return table


def _matches(found: "Comparison") -> str:
    pairs = [
        f"{own}→{other} ({share:.2f})"
        for own, (other, share) in enumerate(zip(found.partner, found.similarity, strict=True))
        if other >= 0
    ]
    if not pairs:
        return "no learned label has a fitted one that is much like it"
    return f"learned→fitted {', '.join(pairs)}"


def _says_more(found: "Comparison") -> str:
    """Which labels say more about the gait phase, by bits and by share of their entropy."""
    bits, u = found.more_bits, found.more_u
    if bits is None:
        return "no gait cycles to compare the labels by"
    more = "fitted" if bits > 0 else "learned"
    told = f"the {more} labels say more about the phase by {abs(bits):.2f} bits"
    if abs(bits) < SAME_BITS:
        told = "both say as much about the phase"
    if u is not None:
        told += f" ({'' if bits * u >= 0 else 'but '}U {u:+.2f} for the fitted)"
    return f"{told}, fitted ahead in {found.fitted_ahead} of {found.cycle_episodes} episodes"


def _mean_and_low(mean: float | None, low: float | None) -> str:
    return NONE if mean is None else f"{mean:.2f} ({_number(low)})"


def _number(value: float | None, spec: str = ".2f") -> str:
    return NONE if value is None else f"{value:{spec}}"


def _name(name: str) -> str:
    return printable(name, limit=LONGEST)
