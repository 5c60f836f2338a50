"""The option `--labels`, which every command has that uses the labels of traces."""

from typing import Annotated

import typer

Labels = Annotated[
    str,
    typer.Option(
        metavar="learned|fitted|FILE",
        help="Labels to go by: those that the agent learned, those that `glassviz fit` left "
        "beside the traces, or those in a file.",
    ),
]
