"""`glassviz rerun`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from glassviz.cli.labels import Labels
from glassviz.cli.rollout import Seed, Steps
from glassviz.cli.stability import Episodes, Traces, assess_with_progress
from glassviz.errors import GlassvizError, UsageError


def rerun(
    target: Annotated[
        Path, typer.Argument(metavar="RUN", help="A checkpoint, a trace, or a run folder.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, a .rrd.")] = Path(
        "renders/run.rrd"
    ),
    episode: Annotated[
        int | None,
        typer.Option(
            help="Episode to show, from 1; the one of median return by default.",
            min=1,
        ),
    ] = None,
    episodes: Episodes = 10,
    controller: Annotated[
        Literal["mppi", "pi"],
        typer.Option(help="Who acts: the planner (mppi), or the policy prior alone (pi)."),
    ] = "mppi",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Write an episode for the Rerun viewer: film, labels, map and scalars on one clock.

    Needs `pip install 'glassviz[rerun]'`; `rerun FILE.rrd` opens it. A map that is kept
    beside the trace is used again, else one is made. A missing trace is recorded, an existing one
    reused.
    """
    from glassviz.video.gl import choose_backend

    with suppress(GlassvizError):
        choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    from glassviz import rrd
    from glassviz.cli.progress import progress_bar
    from glassviz.export import Source
    from glassviz.runs import RolloutOptions
    from glassviz.stability import Assessed

    rrd.check(out, overwrite)
    options = RolloutOptions(episodes=episodes, controllers=(controller,), seed=seed, steps=steps)
    rows = assess_with_progress([target], options, traces, 1, labels)
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows[:3])
        raise UsageError(
            f"rerun: expected one run, found {len(rows)} ({names}, …): write them one by one"
        )
    [row] = rows
    if not isinstance(row, Assessed):
        raise GlassvizError(row.error)
    source = Source.of(row, None if episode is None else episode - 1)
    with progress_bar() as bar:
        bar.add_task(f"drawing and mapping {source.title}", total=None)
        notes = rrd.write(source, out, overwrite)
    size = out.stat().st_size / 1e6
    typer.echo(f"{out}: {source.title}, episode {source.episode + 1}, {size:.1f} MB")
    for note in notes:
        typer.echo(f"  {note}")
