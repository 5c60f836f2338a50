"""`glassviz demonstrate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def demonstrate(
    out: Annotated[Path, typer.Option(help="File of the demonstrations (.npz).")],
    agent: Annotated[
        Path | None,
        typer.Option(help="Plan around this agent's policy: the next agent can learn more."),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Episodes to make.", min=1)] = 24,
    seed: Annotated[
        int, typer.Option(help="Reset seed of the first episode; the others count up.", min=0)
    ] = 1,
    min_return: Annotated[
        float, typer.Option(help="Leave episodes with a lower return out; the file says how many.")
    ] = 0.0,
    jobs: Annotated[int, typer.Option(help="Processes; the episodes are the same.", min=1)] = 1,
    steps: Annotated[int, typer.Option(help="Steps of an episode.", min=1)] = 1000,
    physics: Annotated[
        Literal["dm_control", "playground"], typer.Option(help="Physics profile.")
    ] = "dm_control",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Make demonstrations: a planner on the true model gets up and hops.

    For `glassviz train --demos`. An episode takes about 40 s of one processor core.
    """
    from glassviz import checkpoints, demonstrations, provenance
    from glassviz.agents.config import EnvConfig
    from glassviz.cli.progress import progress_bar
    from glassviz.demonstrations.planner import AGENT_MPC, MPCConfig
    from glassviz.files import refuse_existing

    refuse_existing(out, overwrite)
    config = EnvConfig(physics=physics, episode_steps=steps)
    around = checkpoints.load(agent) if agent else None
    mpc = AGENT_MPC if agent else MPCConfig()
    kept = []
    with progress_bar() as bar:
        task = bar.add_task("demonstrating", total=episodes)
        seeds = range(seed, seed + episodes)
        for demo in demonstrations.demonstrate_all(config, mpc, seeds, jobs, agent):
            bar.advance(task)
            good = demo.total >= min_return
            kept += [demo] if good else []
            left_out = "" if good else ", left out"
            bar.console.print(f"seed {demo.seed}: return {demo.total:.1f}{left_out}")
    made_by = demonstrations.describe(config, mpc, episodes, min_return, around)
    demonstrations.save(out, kept, made_by | provenance.describe("demonstrations"))
    mean = sum(demo.total for demo in kept) / len(kept)
    typer.echo(f"{out}: {len(kept)} of {episodes} episodes, mean return {mean:.1f}")
