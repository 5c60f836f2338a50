"""The command that keeps house among recorded traces: traces."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.rollout.stored import StoredTrace


def traces(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Folder of traces; by default renders/traces, and the user's cache folder.",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only files with such a name, as `hop-pi-*`."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Only files written more than so many days ago.", min=0),
    ] = None,
    unusable: Annotated[
        bool, typer.Option("--unusable", help="Only files that cannot be read any more.")
    ] = False,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Remove the files that the other options choose."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    to_json: opt.Json = False,
) -> None:
    """List recorded traces, and remove those that are not wanted.

    A trace that was removed is recorded again where a command needs it.

    \b
    Examples:
      glassviz traces
      glassviz traces --older-than 30 --remove
      glassviz traces renders/traces --match 'hop-s1-*' --remove --yes
    """
    from glassviz.cli.progress import task
    from glassviz.rollout import stored

    if remove and match is None and older_than is None and not unusable:
        raise UsageError(
            "--remove: expected a choice of files, found none: add --match, --older-than or "
            "--unusable (--match '*' for all)"
        )
    if to_json and remove:
        raise UsageError("traces: --json and --remove exclude each other: drop one")
    folders = _folders() if folder is None else [folder]
    found = []
    for each in folders:
        with task(f"reading {each}") as progress:
            found += stored.stored_traces(each, progress)
    found = stored.chosen(found, match, unusable, older_than)
    if to_json:
        terminal.echo_json(found)
    elif not found:
        where = " and ".join(map(str, folders)) or "renders/traces"
        terminal.echo(f"{where}: no such traces" if remove else f"{where}: no traces")
    else:
        _print(found)
        if remove:
            _remove(found, yes)


def _folders() -> list[Path]:
    """Where commands record traces, as far as these folders exist."""
    from glassviz import environment
    from glassviz.rollout.traces import TRACE_FOLDER

    known = [TRACE_FOLDER, environment.cache_dir() / "traces"]
    return [path for path in known if path.is_dir()]


def _print(found: "list[StoredTrace]") -> None:
    from glassviz.cli.listing import Listing
    from glassviz.files import shown_size
    from glassviz.text import count_of

    # Names that commands give say checkpoint and controller.
    told = all(each.path.name.startswith(_start(each)) for each in found if each.error is None)
    agent_titles = () if told else ("checkpoint", "controller")
    titles = ("trace", *agent_titles, "episodes × frames", "size", "written")
    table = Listing(titles, left=agent_titles)
    for each in found:
        day = each.written.partition("T")[0]
        name, size = terminal.clean(each.path.name), shown_size(each.size)
        if each.error is None:
            shape = f"{each.episodes} × {each.frames}"
            agent = () if told else (terminal.clean(each.checkpoint or ""), each.controller or "")
            table.add(name, *agent, shape, size, day)
        else:
            reason = f"unusable: {terminal.clean(each.error)}"
            table.add(name, *[""] * len(agent_titles), "", size, day, remark=reason)
    table.print(terminal.console())
    total = shown_size(sum(each.size for each in found))
    unusable = sum(not each.usable for each in found)
    beside = f", {unusable} of them unusable" if unusable else ""
    terminal.echo(f"{count_of(len(found), 'trace')}, {total}{beside}")


def _start(each: "StoredTrace") -> str:
    from glassviz.rollout.batch import file_stem

    return f"{file_stem(each.checkpoint or '', each.controller or '')}-"


def _remove(found: "list[StoredTrace]", yes: bool) -> None:
    from glassviz.files import shown_size
    from glassviz.rollout.stored import remove
    from glassviz.text import count_of

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("--remove: nobody can be asked here: add --yes to remove the files")
        typer.confirm(f"Remove {count_of(len(found), 'trace')}?", abort=True, err=True)
    freed = remove(found)
    terminal.echo(f"removed {count_of(len(found), 'trace')}, {shown_size(freed)} freed")
