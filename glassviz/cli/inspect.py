"""Commands that inspect: inspect and convert (files), doctor (this machine), explain (metrics)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.agents.config import Unsaid
from glassviz.cli import terminal
from glassviz.cli.options import Checkpoint, Json, Overwrite, with_agent_options
from glassviz.errors import GlassvizError
from glassviz.text import count_of

if TYPE_CHECKING:
    from glassviz.checkpoints import Survey
    from glassviz.checkpoints.official import TaskSize
    from glassviz.metrics.glossary import Metric, Word


@with_agent_options
def inspect(checkpoint: Checkpoint, to_json: Json = False, *, unsaid: Unsaid) -> None:
    """Show what is in a checkpoint.

    Lists agent, planner, Glass, provenance, and what had to be assumed. Of an agent of many tasks,
    or of one that the file does not name, it lists the tasks if none is named. Reading a checkpoint
    never executes code from the file.

    \b
    Examples:
      glassviz inspect best_mppi.pkl
      glassviz inspect mt30.pt --task walker-run
    """
    from glassviz.checkpoints import load, summarise, survey

    found = None if unsaid.task else survey(checkpoint)
    if found and found.needs_task:
        _print_survey(found, to_json)
        return
    summary = summarise(load(checkpoint, unsaid))
    if to_json:
        terminal.echo_json(summary)
    else:
        from glassviz.report.phrases.tables import rows_of

        _print_facts(rows_of(summary))


@with_agent_options
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Checkpoint in any known format.")],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The .safetensors file to write, or a folder for --task all."
        ),
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Store 16-bit floats: half the size, rounded weights.")
    ] = False,
    overwrite: Overwrite = False,
    *,
    unsaid: Unsaid,
) -> None:
    """Convert a checkpoint to the native format (.safetensors).

    Prints which facts were missing and assumed, and which content is dropped. Of an agent of many
    tasks, --task takes one, and --task all writes each to a file of its own.

    \b
    Examples:
      glassviz convert best_mppi.pkl agent.safetensors
      glassviz convert mt30.pt agents --task all
    """
    from glassviz.checkpoints import convert as convert_file
    from glassviz.checkpoints import convert_all, summarise
    from glassviz.report.phrases.tables import remarks_of

    if unsaid.task == EVERY_TASK:
        made = convert_all(source, target, unsaid=unsaid, half=half, overwrite=overwrite)
        _print_facts(remarks_of(summarise(made[0])))
        terminal.echo(f"{source} -> {target}: {count_of(len(made), 'task')}, one file each")
        return
    made_one = convert_file(source, target, unsaid=unsaid, half=half, overwrite=overwrite)
    _print_facts(remarks_of(summarise(made_one)))
    terminal.echo(f"{source} -> {target} (sha256 {made_one.sha256[:12]})")


def average(
    sources: Annotated[
        list[Path], typer.Argument(metavar="CHECKPOINT...", help="Checkpoints of one run.")
    ],
    target: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Average the parameters of late checkpoints of one run.

    The mean of several checkpoints of a run is often a better agent than each (stochastic weight
    averaging). Agents that were trained apart have no useful mean.

    \b
    Example:
      glassviz average runs/hop/seed_1/checkpoints/step_*.safetensors -o hop.safetensors
    """
    from glassviz.checkpoints import average as average_of

    made = average_of(sources, target, overwrite=overwrite)
    terminal.echo(
        f"{target}: the mean of {count_of(len(sources), 'checkpoint')} (sha256 {made.sha256[:12]})"
    )


EVERY_TASK = "all"


def _print_survey(found: "Survey", to_json: bool) -> None:
    """What a file holds, with the tasks that --task may name."""
    if to_json:
        terminal.echo_json(found)
        return
    what = f"{len(found.tasks)} tasks" if found.multitask else "one task, which it does not name"
    facts = [
        ("agent", f"TD-MPC2 (layout {found.layout}), size {found.size or 'of its own'}, {what}"),
        ("largest sizes" if found.multitask else "sizes", _sizes(found)),
    ]
    _print_facts(iter(facts))
    if found.multitask:
        for task in found.tasks:
            terminal.echo(f"  {task.name:<26}{_sizes(task)}")
    elif found.tasks:
        terminal.echo(f"Tasks of these sizes: {', '.join(task.name for task in found.tasks)}")
    terminal.echo("Name one with --task to see its agent.")


def _sizes(found: "Survey | TaskSize") -> str:
    """Sizes of observation and action."""
    return f"{count_of(found.obs_dim, 'observation')}, {count_of(found.action_dim, 'action')}"


def _print_facts(rows: Iterator[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from glassviz.text import printable

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        # Text, not markup: provenance comes from the file.
        table.add_row(Text(printable(name)), Text(printable(value, limit=1000)))
    # In a file or a pipe, a hash must stay on one line.
    terminal.console(otherwise=120).print(table)


def doctor(
    to_json: Json = False,
    message: Annotated[
        str | None,
        typer.Option(
            help="Explain this error message (of OpenGL, JAX, ffmpeg) instead of checking the "
            "machine; - reads it from standard input."
        ),
    ] = None,
) -> None:
    """Check rendering, JAX and ffmpeg on this machine.

    Draws a picture with every OpenGL backend, starts JAX, looks for the encoder, and prints what
    to install where something is missing. Exits with 0 if films can be made, otherwise with 1.

    \b
    Examples:
      glassviz doctor
      python film.py 2>&1 | glassviz doctor --message -
    """
    if message is not None:
        _explain(message)
        return
    from glassviz.video.doctor import examine

    report = examine()
    if to_json:
        terminal.echo_json({"can_film": report.can_film, "checks": [*map(vars, report.checks)]})
    else:
        for check in report.checks:
            mark = {"ok": "ok  ", "note": "note", "failed": "FAIL"}[check.status]
            terminal.echo(terminal.hanging(f"{mark}  {check.name:<10}  ", check.found))
            if check.fix:
                terminal.echo(terminal.hanging(f"{'':18}-> ", check.fix))
        terminal.echo("Films can be made." if report.can_film else "Films cannot be made.")
    if not report.can_film:
        raise typer.Exit(1)


def _explain(message: str) -> None:
    from glassviz.video.failures import diagnose

    if message == "-":
        message = sys.stdin.buffer.read().decode(errors="replace")
    failure = diagnose(message)
    if failure is None:
        raise GlassvizError(
            "doctor --message: expected the message of a known failure of OpenGL, JAX or ffmpeg, "
            "found none: pass the program's whole output, or run `glassviz doctor`"
        )
    terminal.echo(f"cause: {failure.cause}\nfix:   {failure.fix}")


TEXT_WIDTH = 88
NAME_WIDTH = 28
"""Columns of the name in the list of all metrics."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="METRIC",
            help="Metric, field, or a word of a table, verdict or legend; without it, all are "
            "listed.",
        ),
    ] = None,
    to_json: Json = False,
) -> None:
    """Explain a metric, with range, chance level and pitfalls, or a word of an output.

    The name is the one that tables, reports and verdicts print. A field that several results have
    is named with its class.

    \b
    Examples:
      glassviz explain
      glassviz explain κ
      glassviz explain knee-walk
      glassviz explain fleiss_kappa
      glassviz explain Dwell.cv
    """
    from glassviz.metrics.glossary import METRICS, Word, explained

    if name is None:
        every = list(METRICS.values())
        if to_json:
            terminal.echo_json([*map(vars, every)], ascii_only=False)
        else:
            terminal.echo(f"{_listed(every)}\n\n{_words()}")
        return
    found = explained(name)
    if isinstance(found, Word):
        own = METRICS[found.metric] if found.metric else None
        if to_json:
            terminal.echo_json(vars(found) | {"metric": own and vars(own)}, ascii_only=False)
        else:
            terminal.echo(_word(found) + (f"\n\n{_told(own)}" if own else ""))
    elif to_json:
        terminal.echo_json(vars(found), ascii_only=False)
    else:
        terminal.echo(_told(found))


def _word(found: "Word") -> str:
    return terminal.hanging("", f"{', '.join(found.names)}: {found.what}")


def _words() -> str:
    """One line per word of tables, verdicts and legends."""
    from glassviz.metrics.glossary import WORDS

    lines = [_named(", ".join(word.names), word.what) for word in WORDS]
    return "\n".join(["Words of tables, verdicts and legends", *lines])


def _named(name: str, what: str) -> str:
    # A space, for names that are longer than their column.
    return terminal.hanging(f"  {name:<{NAME_WIDTH - 1}} ", what)


def _listed(found: "list[Metric]") -> str:
    """One line per metric, under the titles of their groups."""
    lines: list[str] = []
    for title in dict.fromkeys(each.group for each in found):
        lines += ["", title] if lines else [title]
        lines += [_named(m.name, m.what) for m in found if m.group == title]
    return "\n".join(lines)


def _told(found: "Metric") -> str:
    facts = {
        "formula": found.formula,
        "unit": found.unit,
        "range": found.range,
        "good": found.good,
        "null": found.null,
        "reading": found.reading,
        "trap": found.trap,
        "source": found.source,
        "fields": ", ".join(found.fields),
    }
    lines = [f"{found.name}  ({found.group})", terminal.hanging("", found.what), ""]
    for heading, text in facts.items():
        if text:
            lines.append(terminal.hanging(f"{heading:<9}", text, TEXT_WIDTH))
    return "\n".join(lines)
