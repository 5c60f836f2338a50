"""Commands of training: train, recipes, demonstrate, refine, curves."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from glassviz.cli.rollout import ControllerChoice
from glassviz.errors import UsageError
from glassviz.training.settings import SETTINGS

if TYPE_CHECKING:
    from glassviz.training.config import TrainConfig
    from glassviz.training.demonstrations import Demonstrations
    from glassviz.training.recipes import Recipe
    from glassviz.training.trainer import Progress


def curves(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_FOLDER", help="Folders that glassviz train wrote to."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The figure: a .png, .pdf or .svg file.")
    ] = Path("renders/curves.png"),
    controller: Annotated[
        ControllerChoice, typer.Option(help="Whose evaluations: a panel each.")
    ] = "both",
    published: Annotated[
        bool,
        typer.Option(help="Show what published runs reached on hopper-hop behind the policy's."),
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Draw the learning curves of runs, a colour a run and a line a seed.

    Reads the logs seed_N.csv, of trainings that still run as well.
    """
    from glassviz.figures.curves import HOPPER_HOP_POLICY, learning_curves
    from glassviz.figures.style import check_target, save
    from glassviz.training.curves import CONTROLLERS, read_runs

    check_target(out, overwrite)
    runs = read_runs(folders)
    shown = CONTROLLERS if controller == "both" else (controller,)
    save(learning_curves(runs, shown, HOPPER_HOP_POLICY if published else None), out, overwrite)
    typer.echo(f"{out}: {sum(run.seeds for run in runs)} seeds of {len(runs)} runs")


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
    from glassviz import checkpoints, environment
    from glassviz.agents.config import EnvConfig
    from glassviz.cli.progress import progress_bar
    from glassviz.files import refuse_existing
    from glassviz.training import demonstrations
    from glassviz.training.true_model import AGENT_MPC, MPCConfig

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
    demonstrations.save(out, kept, made_by | environment.provenance("demonstrations"))
    mean = sum(demo.total for demo in kept) / len(kept)
    typer.echo(f"{out}: {len(kept)} of {episodes} episodes, mean return {mean:.1f}")


def refine(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="An agent that hops.")],
    out: Annotated[Path, typer.Option(help="File of the refined agent (.safetensors).")],
    iterations: Annotated[int, typer.Option(help="Steps of the search.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Determines the search.", min=0)] = 1,
    save_every: Annotated[int, typer.Option(help="Iterations between saves.", min=1)] = 100,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Improve an agent's policy by evolution strategies on the true model.

    A better teacher for `glassviz demonstrate --agent`. Each iteration rolls 64 policies out for
    2.4 s of simulated time, which takes about half a second of one processor core.
    """
    from glassviz import checkpoints
    from glassviz.cli.progress import progress_bar
    from glassviz.files import refuse_existing
    from glassviz.training.refine import ESConfig, Refiner, provenance_of

    refuse_existing(out, overwrite)
    agent, es = checkpoints.load(checkpoint), ESConfig()
    refiner = Refiner(agent, es, iterations, seed)
    with progress_bar() as bar:
        task = bar.add_task("refining", total=iterations)
        for done in range(1, iterations + 1):
            now = refiner.iterate()
            bar.advance(task)
            if done % save_every == 0 or done == iterations:
                made_by = provenance_of(agent, es, done, seed)
                checkpoints.save(out, agent.config, refiner.params, made_by)
                bar.console.print(
                    f"iteration {done}: score {now.score:.3f}, {now.stands:.0%} stand"
                )
    typer.echo(f"{out}: {iterations} iterations; measure it with `glassviz evaluate`")


TITLES = {
    "phase": "Published phases: `glassviz train --recipe NAME`",
    "baseline": "Our own",
    "proposal": "Proposals: `glassviz train --recipe NAME --with PROPOSAL`",
}


def recipes(
    to_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """List the training recipes: what each starts from and changes, and what was published.

    Published returns are the planner's best of each seed, nothing that was measured here.
    """
    from glassviz.training.recipes import names, recipe

    found = [recipe(name) for name in names()]
    if to_json:
        from glassviz.report.serialize import as_json

        typer.echo(as_json([*map(vars, found)]))
        return
    from rich.console import Console

    console = Console()
    for kind, title in TITLES.items():
        console.print(_table(title, [each for each in found if each.kind == kind]))


def _table(title: str, found: "list[Recipe]") -> Any:
    from rich.table import Table

    columns: dict[str, Callable[[Recipe], str]] = {
        "recipe": lambda each: each.name,
        "from": lambda each: ", ".join(each.starts_from),
        "what": lambda each: each.what,
        "changes": lambda each: ", ".join(f"{k} {_plain(v)}" for k, v in each.own.items()),
        "published": lambda each: each.published,
    }
    # What no recipe of a kind has needs no column: proposals start from nothing.
    shown = {name: of for name, of in columns.items() if any(map(of, found))}
    table = Table(*shown, title=title, title_justify="left")
    for each in found:
        table.add_row(*(of(each) for of in shown.values()))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    from glassviz import checkpoints, environment
    from glassviz.training import demonstrations
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
    made_by = environment.provenance(recipe=f"{title} ({preset})")
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
    from glassviz.training import demonstrations

    demos = demonstrations.load(path)
    demonstrations.require_same_task(demos, run.agent.env)
    return demos


def _with_settings(command: Any) -> Any:
    """`command` with one option for each setting of a training run."""
    signature = inspect.signature(command)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    for name, setting in SETTINGS.items():
        option = typer.Option(help=setting.help, show_default=False)
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
