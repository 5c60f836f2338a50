"""What `glassviz ledger` prints about seeds, phases against each other, and early signs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from glassviz.cli import terminal
from glassviz.cli.listing import Listing

if TYPE_CHECKING:
    from glassviz.compare.early import Early, Restarts
    from glassviz.compare.phases import At, Comparison
    from glassviz.compare.seeds import Seeds


def print_seeds(found: "Seeds", brief: bool, sort: str | None) -> None:
    """One row per seed number, and the answer."""
    from glassviz.report.phrases import trainings as phrases

    table = Listing(phrases.SEED_COLUMNS)
    for row in found.rows:
        table.add(*phrases.seed_cells(row))
    table.sort(sort)
    console = terminal.console()
    table.print(console)
    for line in phrases.seeds_answer(found):
        console.print(Text(line))
    if not brief:
        console.print(Text(phrases.SEED_NOTES, "dim"))


def print_comparison(found: "Comparison", brief: bool) -> None:
    """The phases and their pairs, at equal steps and at equal updates."""
    from glassviz.report.phrases import trainings as phrases

    console = terminal.console()
    _print_at(found, found.at_steps)
    if found.at_updates:
        console.print()
        _print_at(found, found.at_updates)
    else:
        console.print(Text(phrases.updates_remark(found)))
    if not brief:
        console.print(Text(phrases.compare_notes(found), "dim"))


def _print_at(found: "Comparison", at: "At") -> None:
    from glassviz.report.phrases import trainings as phrases

    console = terminal.console()
    console.print(Text(phrases.compared_title(found, at), "bold"))
    table = Listing(phrases.PHASE_COLUMNS)
    for row in at.phases:
        table.add(*phrases.phase_cells(row, found.normalised))
    table.print(console)
    console.print()
    pairs = Listing(phrases.PAIR_COLUMNS)
    for pair in at.pairs:
        pairs.add(*phrases.pair_cells(pair, found.normalised))
    pairs.print(console)
    for line in filter(None, (phrases.powerless(at.pairs), phrases.trend_sentence(at.trend))):
        console.print(Text(line))


def print_early(found: "Early", brief: bool, sort: str | None) -> None:
    """One row per quantity and step."""
    from glassviz.report.phrases import trainings as phrases

    console = terminal.console()
    table = Listing(phrases.SIGN_COLUMNS, ("quantity", "of"))
    for sign in found.signs:
        table.add(*phrases.sign_cells(sign))
    table.sort(sort)
    table.print(console)
    for line in () if brief else phrases.early_notes(found):
        console.print(Text(line, "dim"))


def print_restarts(found: "Restarts", brief: bool) -> None:
    """The rules with their errors, and the running trainings."""
    from glassviz.report.phrases import trainings as phrases

    console = terminal.console()
    table = Listing(phrases.RULE_COLUMNS)
    for rule in found.rules:
        table.add(*phrases.rule_cells(rule))
    table.print(console)
    console.print()
    if found.advice:
        running = Listing(phrases.ADVICE_COLUMNS)
        for advice in found.advice:
            running.add(*phrases.advice_cells(advice))
        running.print(console)
    else:
        console.print(Text("no running training that has not reached the goal"))
    if not brief:
        console.print(Text(phrases.RULE_NOTES, "dim"))


def names_of(compare: Sequence[str], trees: Sequence[Path]) -> tuple[list[str], list[Path]]:
    """The phases that `--compare A B` or `--compare A,B` names, and the trees.

    An argument is a name if nothing is there, and it is no path of several parts.
    """
    names = [name.strip() for each in compare for name in each.split(",") if name.strip()]
    folders = []
    for each in trees:
        if each.exists() or len(each.parts) > 1:
            folders.append(each)
        else:
            names.append(str(each))
    return names, folders
