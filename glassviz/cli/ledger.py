"""The command that reads trees of training logs: ledger."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from glassviz.cli.listing import Listing
    from glassviz.ledger import Ledger

Trees = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TREE", help="Folder with logs of trainings, at any depth."),
]


def ledger(
    trees: Trees = None,
    task: Annotated[
        str | None, typer.Option(help="Only this task, such as hopper-hop; a pattern with *.")
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="Only this phase by its canonical name; a pattern with *.")
    ] = None,
    min_steps: Annotated[
        int, typer.Option(help="Only trainings with at least this many environment steps.", min=0)
    ] = 0,
    running: Annotated[
        bool, typer.Option("--running", help="Only trainings whose log changed in the last hour.")
    ] = False,
    goal: Annotated[float, typer.Option(help="Return whose hit rate is shown.")] = 500.0,
    controller: Annotated[
        Literal["mppi", "pi"],
        typer.Option(help="Whose returns count: mppi (planner) or pi (policy prior)."),
    ] = "mppi",
    each: Annotated[
        bool, typer.Option("--each", help="One row per training instead of one per phase.")
    ] = False,
    phases: Annotated[
        Path | None,
        typer.Option(help="TOML file with rules for phases, over the built-in ones."),
    ] = None,
    show_phases: Annotated[
        bool, typer.Option("--show-phases", help="Print the built-in rules for phases, and exit.")
    ] = False,
    skipped: Annotated[
        bool, typer.Option("--skipped", help="Name every file that was not read, with the reason.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the whole ledger to this file: .md or .html."),
    ] = None,
    overwrite: opt.Overwrite = False,
    sort: opt.Sort = None,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    to_csv: opt.Csv = False,
) -> None:
    """List what the trainings in trees of logs reached, phase by phase.

    Reads logs seed_N.csv, official eval.csv and results, run folders, TensorBoard events and CSV
    exports of W&B, by their content; nothing is altered. Phases are merged by rules, see
    --show-phases, and beside the published ledger where there is one. Copies of a log count once.
    A second call reads only what has changed.

    \b
    Examples:
      glassviz ledger runs mirror --task hopper-hop
      glassviz ledger runs --phase 'i10*' --each --sort steps
    """
    from glassviz.ledger import load_rules, read
    from glassviz.ledger.phases import BUILT_IN
    from glassviz.report import ledger as documents
    from glassviz.report.phrases import ledger as phrases
    from glassviz.report.serialize import as_csv

    if show_phases:
        terminal.echo(BUILT_IN.read_text(encoding="utf-8"), end="")
        return
    if not trees:
        raise UsageError("ledger: expected a folder with logs of trainings, found none: name one")
    opt.refuse_both("ledger", to_json, to_csv)
    rules = load_rules(phases)
    titles = phrases.TRAINING_COLUMNS if each else phrases.columns(tuple(rules.goals))
    opt.check_table("ledger", titles, sort, brief, to_json or to_csv)
    if out:
        documents.check_format(out, overwrite)
    found = read(trees, rules).where(task, phase, min_steps, running)
    if out:
        from glassviz.environment import command

        documents.write_page(found, out, overwrite, goal, controller, command())
    if to_json:
        terminal.echo_json(documents.ledger_dict(found, goal, controller), ascii_only=False)
    elif to_csv:
        rows = documents.training_rows(found) if each else None
        rows = documents.phase_rows(found, goal, controller) if rows is None else rows
        terminal.echo(as_csv(rows), end="")
    else:
        console = terminal.console()
        listing = (
            trainings_listing(found, brief)
            if each
            else phases_listing(found, goal, controller, brief)
        )
        listing.sort(sort)
        listing.print(console)
        _print_rest(found, console, each, brief, skipped)
    if skipped and (to_json or to_csv or brief):
        for line in phrases.skipped_lines(found, every=True):
            terminal.tell(line)
    if out:
        terminal.echo(f"wrote {out}", err=to_json or to_csv)


def phases_listing(
    found: "Ledger", goal: float, controller: str = "mppi", brief: bool = False
) -> "Listing":
    """One row per phase."""
    from glassviz.cli.listing import Listing
    from glassviz.ledger import summarise
    from glassviz.report.phrases import ledger as phrases

    goals = tuple(found.rules.goals)
    table = Listing(phrases.columns(goals), ("peaks", *goals), "settings and remarks")
    for phase in found.phases:
        row = summarise(phase, goal, controller, found.rules)
        remark = "" if brief else phrases.phase_remark(phase, row, goal)
        table.add(*phrases.phase_cells(phase, row, found, controller), remark=remark)
    return table


def trainings_listing(found: "Ledger", brief: bool = False) -> "Listing":
    """One row per training, and per attempt that was set aside."""
    from glassviz.cli.listing import Listing
    from glassviz.report.phrases import ledger as phrases

    table = Listing(phrases.TRAINING_COLUMNS, (), "remarks")
    for phase in found.phases:
        for each in (*phase.trainings, *phase.set_aside):
            remark = "" if brief else phrases.training_remark(each)
            table.add(*phrases.training_cells(phase, each, found), remark=remark)
    return table


def _print_rest(
    found: "Ledger", console: "Console", each: bool, brief: bool, skipped: bool
) -> None:
    """What stands below the table: notes, the published ledger, what was not read."""
    from rich.text import Text

    from glassviz.cli.listing import Listing
    from glassviz.ledger import against_published
    from glassviz.report.phrases import ledger as phrases

    console.print(Text(phrases.totals(found)))
    if brief:
        return
    console.print(Text(phrases.TRAINING_NOTES if each else phrases.NOTES, "dim"))
    claims = against_published(found)
    if claims and not each:
        console.print()
        console.print(Text("beside the published ledger", "bold"))
        table = Listing(phrases.PUBLISHED_COLUMNS, ("state",), "why")
        for claim in claims:
            table.add(*phrases.claim_cells(claim), remark=phrases.claim_reason(claim))
        table.print(console)
    lines = phrases.skipped_lines(found, skipped)
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line, "dim"))
