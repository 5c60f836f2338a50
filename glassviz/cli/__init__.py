"""The command line: parse, call the library, print. One module per group of commands.

JAX, MuJoCo and OpenCV are imported inside the commands, so that `glassviz --help` is instant.
"""

import os
import signal
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from glassviz import __version__
from glassviz.cli import terminal
from glassviz.cli.export import export, render, rerun
from glassviz.cli.figures import curves, graph, latent_map
from glassviz.cli.inspect import average, convert, doctor, explain, inspect
from glassviz.cli.ledger import ledger
from glassviz.cli.options import Command
from glassviz.cli.rollout import evaluate, fit, rollout
from glassviz.cli.stability import report, stability
from glassviz.cli.traces import traces
from glassviz.cli.training import demonstrate, recipes, refine, train
from glassviz.environment import prepare_environment
from glassviz.errors import GlassvizError

PROGRAM = "glassviz"


class CommandGroup(TyperGroup):
    """Prints user errors as one line on stderr, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GlassvizError as error:
            terminal.tell(f"error: {error}")
            raise typer.Exit(error.exit_code) from None
        except typer.BadParameter as error:
            # Some releases of Typer name the exception in front of the sentence.
            error.message = error.message.removeprefix("Value error, ")
            raise
        except KeyboardInterrupt as signalled:
            terminal.tell_interrupted(signalled)
            number = getattr(signalled, "number", signal.SIGINT)
            raise typer.Exit(terminal.SIGNALLED + number) from None


app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        terminal.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def glassviz(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Films, label metrics and basin verdicts for TD-MPC2 and TD-MPC-Glass agents.

    \b
    Examples:
      glassviz render agent.safetensors
      glassviz stability checkpoints/*.safetensors
      glassviz report checkpoints/*.safetensors -o report.html
    """


for command in (
    render,
    rollout,
    traces,
    inspect,
    convert,
    average,
    train,
    demonstrate,
    refine,
    recipes,
    evaluate,
    stability,
    fit,
    graph,
    export,
    latent_map,
    report,
    rerun,
    curves,
    ledger,
    explain,
    doctor,
):
    # The function is not called `map`, which would hide the built-in.
    app.command("map" if command is latent_map else None, cls=Command)(command)


def main() -> None:
    """Entry point of the `glassviz` command."""
    prepare_environment()
    os.environ["MPLBACKEND"] = "agg"  # commands draw into files, whatever notebooks draw into
    with terminal.prepared():
        app(prog_name=PROGRAM)
