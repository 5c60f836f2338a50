"""`glassviz train`."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from glassviz.errors import UsageError
from glassviz.training.settings import SETTINGS

if TYPE_CHECKING:
    from glassviz.demonstrations import Demonstrations
    from glassviz.training.config import TrainConfig
    from glassviz.training.trainer import Progress

DEFAULT_RECIPE = {"tdmpc-glass": "1b", "tdmpc2": "tdmpc2"}


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe by name (`glassviz recipes` lists them), or a .toml file; "
            "by default 1b, or tdmpc2 with --algo tdmpc2.",
            show_default=False,
        ),
    ] = None,
    additions: Annotated[
        list[str] | None,
        typer.Option("--with", help="Add a proposal to the recipe; may be repeated."),
    ] = None,
    algo: Annotated[
        Literal["tdmpc-glass", "tdmpc2"] | None,
        typer.Option(help="With Glass or without; the recipe's by default."),
    ] = None,
    preset: Annotated[
        Literal["small", "paper"],
        typer.Option(help="small: 128 wide, for a CPU. paper: 512 wide, as published."),
    ] = "small",
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed of the run; by default 1.", min=0, show_default=False),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Several seeds at once in one program, as 1-5 or 1,3,4.", show_default=False
        ),
    ] = None,
    demos: Annotated[
        Path | None,
        typer.Option(help="Demonstrations, as `glassviz demonstrate` makes them."),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Start from the parameters of this checkpoint, of the same networks."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/<task>_<recipe> by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last save.")
    ] = False,
    keep: Annotated[
        int,
        typer.Option(
            help="Checkpoints of evaluations to keep, besides the best and the last.", min=0
        ),
    ] = 3,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's events too (an extra).")
    ] = False,
    **changes: Any,
) -> None:
    """Train TD-MPC2 or TD-MPC-Glass agents on the hopper.

    Saves as it goes: the best by planner, the best by policy, and the last. Settings override
    those of the recipe and of the preset.
    """
    from glassviz import checkpoints, demonstrations, provenance
    from glassviz.training.recipes import configure
    from glassviz.training.trainer import Trainer

    name = recipe or DEFAULT_RECIPE[algo or "tdmpc-glass"]
    added = additions or []
    given = {key: value for key, value in changes.items() if value not in (None, [])}
    run = configure(name, preset, added, given, algo)
    if seed is not None and seeds:
        raise UsageError("--seed: expected one of --seed and --seeds, found both: drop one")
    chosen = _seeds(seeds) if seeds else [1 if seed is None else seed]
    run = _seeded(run, chosen[0])
    title = " + ".join([Path(name).stem, *added])
    folder = out or Path("runs") / f"{run.agent.env.task}_{title.replace(' + ', '+')}"
    made_by = provenance.describe(recipe=f"{title} ({preset})")
    if demos and not run.demo_batch:
        raise UsageError(
            "--demos: expected a run that learns from demonstrations, found a share of 0 of its "
            "batches: take --recipe demo, or set --demo-fraction"
        )
    shown = _demonstrations(demos, run) if demos else None
    if shown:
        made_by["demos"] = {"name": shown.name, "sha256": shown.sha256}
    start_from = checkpoints.load(init) if init else None
    if start_from:
        made_by["init"] = {"name": start_from.name, "sha256": start_from.sha256}
    replay = demonstrations.as_replay(shown) if shown else None
    trainer = Trainer(run, folder, made_by, chosen, resume, keep, replay, tensorboard, start_from)
    typer.echo(
        f"training {run.algo}, recipe {title} ({preset}), on {' and '.join(run.tasks)}, "
        f"seed {', '.join(map(str, chosen))}, into {folder}"
    )
    with _Display(run.steps, trainer.env_steps, len(chosen) > 1) as display:
        trainer.run(display.show)
    typer.echo(f"done: {trainer.env_steps} steps, checkpoints in {folder}/seed_*/checkpoints")


def _demonstrations(path: Path, run: "TrainConfig") -> "Demonstrations":
    from glassviz import demonstrations

    demos = demonstrations.load(path)
    demonstrations.require_same_task(demos, run.agent.env)
    return demos


def _with_settings(command: Any) -> Any:
    """`command` with one option for each setting of a training run."""
    signature = inspect.signature(command)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    for name, setting in SETTINGS.items():
        option = typer.Option(help=f"{setting.help}", show_default=False)
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[_option_type(setting.type) | None, option],
            )
        )
    command.__signature__ = signature.replace(parameters=parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return command


def _option_type(kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]]  # type: ignore[misc]
    members = [each for each in get_args(kind) if each is not type(None)]
    return members[0] if type(None) in get_args(kind) else kind


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found):
        raise UsageError(f"--seeds: expected different numbers as 1-5 or 1,3,4, found {text!r}")
    return found


def _seeded(run: "TrainConfig", seed: int) -> "TrainConfig":
    import dataclasses

    return dataclasses.replace(run, seed=seed)


train = _with_settings(train)


class _Display:
    """A progress bar with an ETA on a terminal, a line an evaluation elsewhere."""

    def __init__(self, total: int, done: int, several: bool) -> None:
        from glassviz.cli.progress import progress_bar

        self._bar = progress_bar()
        self._task = self._bar.add_task("training", total=total, completed=done)
        self._several = several

    def __enter__(self) -> "_Display":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, progress: "Progress") -> None:
        """Move on to the state of a run after a round."""
        self._bar.update(self._task, completed=progress.env_steps)
        for seed, results in progress.evaluations.items():
            for result in results:
                returns = " ".join(f"{value:.0f}" for value in result.returns)
                line = f"step {result.env_steps}: {result.controller} {result.mean:.1f} ({returns})"
                who = f"seed {seed}, " if self._several else ""
                self._bar.console.print(who + line, highlight=False)
