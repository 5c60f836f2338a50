"""The command that reads trees of training logs: ledger."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from glassviz.cli.listing import Listing
    from glassviz.compare.phases import Measure
    from glassviz.ledger import Ledger

Trees = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TREE", help="Folder with logs of trainings, at any depth."),
]


def ledger(
    trees: Trees = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Only this task, such as hopper-hop; a pattern with *; may be repeated."),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this phase by its canonical name; a pattern with *; may be repeated."
        ),
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
    seeds: Annotated[
        bool,
        typer.Option("--seeds", help="Compare seed numbers over phases: whether they matter."),
    ] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            metavar="A B …",
            help="Compare these phases at equal steps and equal updates; A+B counts two as one. "
            "With -o, draw the figure.",
        ),
    ] = None,
    early: Annotated[
        bool,
        typer.Option(
            "--early",
            help="How early returns tell whether a training reaches --goal by its end.",
        ),
    ] = False,
    restart_rule: Annotated[
        bool,
        typer.Option(
            "--restart-rule",
            help="Which running trainings a rule learned from the others would restart, and how "
            "often that would have been wrong.",
        ),
    ] = False,
    at: Annotated[
        int | None,
        typer.Option(
            help="With --seeds or --compare: environment steps at which returns are taken; "
            "trainings that stopped earlier are left out.",
            min=1,
        ),
    ] = None,
    measure: Annotated[
        Literal["peak", "last", "final"] | None,
        typer.Option(
            help="With --seeds or --compare: the highest evaluation (default of --seeds), the mean "
            "of the last three (default of --compare) or the last one.",
            show_default=False,
        ),
    ] = None,
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
        typer.Option(
            "--out",
            "-o",
            help="Write the whole ledger to this file: .md or .html; with --compare the figure: "
            ".svg, .pdf or .png.",
        ),
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
      glassviz ledger runs --compare glass plain -o compared.svg
    """
    from glassviz.ledger import load_rules, read
    from glassviz.ledger.phases import BUILT_IN
    from glassviz.report import ledger as documents
    from glassviz.report.phrases import ledger as phrases
    from glassviz.report.serialize import as_csv

    if show_phases:
        terminal.echo(BUILT_IN.read_text(encoding="utf-8"), end="")
        return
    if compare:
        from glassviz.cli.trainings import names_of

        names, trees = names_of(compare, trees or [])
    chosen = [name for name, on in _answers(seeds, compare, early, restart_rule) if on]
    _check_answers(chosen, at, measure, each, to_csv, out)
    if not trees:
        raise UsageError("ledger: expected a folder with logs of trainings, found none: name one")
    opt.refuse_both("ledger", to_json, to_csv)
    rules = load_rules(phases)
    if chosen:
        _check_sort(chosen[0], sort, brief, to_json)
        if compare and out:
            from glassviz.figures import style

            style.check_target(out, overwrite)
        found = read(trees, rules).where(task or (), phase or (), min_steps, running)
        if seeds:
            _seeds(found, measure or "peak", controller, at, sort, brief, to_json)
        elif compare:
            last = measure or "last"
            _compare(found, names, last, controller, at, brief, to_json, out, overwrite)
        else:
            _early(found, goal, controller, restart_rule, sort, brief, to_json)
        return
    titles = phrases.TRAINING_COLUMNS if each else phrases.columns(tuple(rules.goals))
    opt.check_table("ledger", titles, sort, brief, to_json or to_csv)
    if out:
        documents.check_format(out, overwrite)
    found = read(trees, rules).where(task or (), phase or (), min_steps, running)
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


def _answers(
    seeds: bool, compare: list[str] | None, early: bool, restart_rule: bool
) -> list[tuple[str, bool]]:
    """The options that ask a question of all trainings, and whether they are given."""
    return [
        ("--seeds", seeds),
        ("--compare", bool(compare)),
        ("--early", early),
        ("--restart-rule", restart_rule),
    ]


def _check_answers(
    chosen: list[str],
    at: int | None,
    measure: str | None,
    each: bool,
    to_csv: bool,
    out: Path | None,
) -> None:
    """Refuse options that do not go together."""
    if len(chosen) > 1:
        raise UsageError(f"ledger: expected one question, found {' and '.join(chosen)}: ask one")
    comparing = chosen in (["--seeds"], ["--compare"])
    for option, given in (("--at", at is not None), ("--measure", measure is not None)):
        if given and not comparing:
            raise UsageError(f"ledger: {option} is of --seeds and --compare: add one, or drop it")
    for option, given in (("--each", each), ("--csv", to_csv)):
        if given and chosen:
            raise UsageError(f"ledger: {chosen[0]} has no {option}: drop one; --json has numbers")
    if out and chosen and chosen != ["--compare"]:
        raise UsageError(f"ledger: {chosen[0]} writes no file: drop -o; --json has the numbers")


def _check_sort(question: str, sort: str | None, brief: bool, to_json: bool) -> None:
    """Refuse options of a table that it cannot follow."""
    from glassviz.report.phrases import trainings as phrases

    titles = {"--seeds": phrases.SEED_COLUMNS, "--early": phrases.SIGN_COLUMNS}.get(question)
    if titles:
        opt.check_table("ledger", titles, sort, brief, to_json)
    elif sort is not None:
        raise UsageError(f"ledger: {question} has several tables: drop --sort")


def _seeds(
    found: "Ledger",
    measure: "Measure",
    controller: str,
    at: int | None,
    sort: str | None,
    brief: bool,
    to_json: bool,
) -> None:
    from glassviz.cli.trainings import print_seeds
    from glassviz.compare.seeds import compare_seeds
    from glassviz.report.serialize import plain

    seeds = compare_seeds(found.phases, measure, controller, at)
    if to_json:
        terminal.echo_json(plain(seeds), ascii_only=False)
    else:
        print_seeds(seeds, brief, sort)


def _early(
    found: "Ledger",
    goal: float,
    controller: str,
    restart_rule: bool,
    sort: str | None,
    brief: bool,
    to_json: bool,
) -> None:
    from glassviz.cli import trainings
    from glassviz.compare.early import early_signs, restart_rules
    from glassviz.report.ledger import restarts_dict
    from glassviz.report.serialize import plain

    if restart_rule:
        rules = restart_rules(found, goal, controller)
        if to_json:
            terminal.echo_json(restarts_dict(rules), ascii_only=False)
        else:
            trainings.print_restarts(rules, brief)
    else:
        signs = early_signs(found, goal, controller)
        if to_json:
            terminal.echo_json(plain(signs), ascii_only=False)
        else:
            trainings.print_early(signs, brief, sort)


def _compare(
    found: "Ledger",
    names: list[str],
    measure: "Measure",
    controller: str,
    at: int | None,
    brief: bool,
    to_json: bool,
    out: Path | None,
    overwrite: bool,
) -> None:
    from glassviz.cli.trainings import print_comparison
    from glassviz.compare.phases import compare_phases
    from glassviz.report.serialize import plain

    compared = compare_phases(found, names, measure, controller, at)
    if to_json:
        terminal.echo_json(plain(replace(compared, groups=())), ascii_only=False)
    else:
        print_comparison(compared, brief)
    if out:
        from glassviz.figures.phases import phases_figure
        from glassviz.figures.style import save
        from glassviz.report.phrases.trainings import compare_caption

        save(phases_figure(compared, compare_caption(compared)), out, overwrite)
        terminal.echo(f"wrote {out}", err=to_json)


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
