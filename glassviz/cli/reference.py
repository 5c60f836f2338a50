"""The command reference: `python -m glassviz.cli.reference` writes docs/cli.md."""

from pathlib import Path
from typing import Any

import typer

from glassviz.cli import PROGRAM, app

REFERENCE = Path(__file__).parents[2] / "docs" / "cli.md"


WIDTH = 88
"""Columns of the help texts, whatever terminal the reference is written from."""


_HEAD = """\
# Commands

What `glassviz --help` and `glassviz COMMAND --help` say. Written by
`python -m glassviz.cli.reference`; a test fails when it is out of date.
"""


def reference() -> str:
    """The help texts of all commands, as Markdown."""
    root: Any = typer.main.get_command(app)
    top = typer.Context(root, info_name=PROGRAM, terminal_width=WIDTH, **root.context_settings)
    sections = [_HEAD, _section(PROGRAM, root.get_help(top))]
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=name, parent=top, terminal_width=WIDTH)
        sections.append(_section(f"{PROGRAM} {name}", command.get_help(context)))
    return "\n".join(sections)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference())
