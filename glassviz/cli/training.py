"""Commands that make agents: train, recipes, demonstrate, refine."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from glassviz.agents.config import MAX_EPISODE_STEPS
from glassviz.cli import terminal
from glassviz.cli.options import Checkpoint, Json, Overwrite
from glassviz.environment import reward_shaping
from glassviz.errors import UsageError
from glassviz.text import count_of
from glassviz.training.config import SETTINGS

if TYPE_CHECKING:
    from glassviz.checkpoints import Checkpoint as Agent
    from glassviz.cli.listing import Listing
    from glassviz.training.config import Algo, TrainConfig
    from glassviz.training.demonstrations import Demonstrations
    from glassviz.training.recipes import Recipe
    from glassviz.training.trainer import Progress, Trainer

DEFAULT_RECIPES = {"tdmpc-glass": ("1b", "suite_glass"), "tdmpc2": ("tdmpc2", "suite")}
"""For the hopper, and for other bodies."""


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe name (see `glassviz recipes`) or .toml file; by default 1b (tdmpc2 "
            "without Glass) for the hopper, suite_glass (suite) for other bodies.",
            show_default=False,
        ),
    ] = None,
    additions: Annotated[
        list[str] | None,
        typer.Option("--with", help="Proposal to add to the recipe; may be repeated."),
    ] = None,
    algo: Annotated[
        Literal["tdmpc-glass", "tdmpc2"] | None,
        typer.Option(help="With Glass or without; by default as in the recipe."),
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
            help="Seeds to train at the same time, such as 1-5 or 1,3,4.", show_default=False
        ),
    ] = None,
    demos: Annotated[
        Path | None, typer.Option(help="Demonstrations file from `glassviz demonstrate`.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint whose parameters the run starts from.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder; by default runs/<task>_<recipe>."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last save.")
    ] = False,
    keep: Annotated[
        int,
        typer.Option(
            help="Checkpoints to keep of past evaluations, besides the best and the last.", min=0
        ),
    ] = 3,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Also write TensorBoard events; needs the extra tensorboard."
        ),
    ] = False,
    **changes: Any,
) -> None:
    """Train TD-MPC2 or TD-MPC-Glass agents on a task of the dm_control suite.

    Saves the best agent by planner, the best by policy, and the last. A killed run continues with
    --resume. The options under the headings below are settings, which override those of the
    recipe; the defaults shown are those of --preset paper without a recipe.

    \b
    Examples:
      glassviz train --recipe f --seeds 1-5
      glassviz train --recipe f --seeds 1-5 --resume
      glassviz train --recipe suite_glass --task walker-walk
      glassviz train --recipe p --with kmeans_init --lambda-se 0.01 --out runs/kmeans
    """
    from glassviz import checkpoints, environment
    from glassviz.training import demonstrations
    from glassviz.training.recipes import recipe as find_recipe
    from glassviz.training.trainer import Trainer

    chosen = _seeds(seed, seeds)
    start = checkpoints.load(init) if init else None
    name = recipe or _default_recipe(algo, changes.get("task"), start)
    if not start and not resume and find_recipe(name).kind == "continuation":
        raise UsageError(
            f"recipe {name}: expected the agent that it continues, found none: pass a checkpoint "
            f"with --init"
        )
    run = _configured(name, preset, additions or [], changes, algo, chosen[0], start)
    title = " + ".join([Path(name).stem, *(additions or [])])
    folder = out or Path("runs") / f"{run.agent.env.task}_{title.replace(' + ', '+')}"
    shown = _demonstrations(demos, run) if demos else None
    made_by = environment.provenance(recipe=f"{title} ({preset})") | _sources(shown, start)
    replay = demonstrations.as_replay(shown) if shown else None
    trainer = Trainer(run, folder, made_by, chosen, resume, keep, replay, tensorboard, start)
    terminal.echo(
        f"training {run.algo}, recipe {title} ({preset}), on {' and '.join(run.tasks)}, "
        f"seed {', '.join(map(str, chosen))}, into {folder}"
    )
    if trainer.all_steps != run.steps:
        terminal.tell(
            f"{count_of(run.steps, 'step')} are rounded up to {trainer.all_steps:,}: whole rounds "
            f"of --num-envs {run.num_envs}"
        )
    _run(trainer, folder, len(chosen) > 1)
    terminal.echo(f"done: {trainer.env_steps:,} steps, checkpoints in {folder}/seed_*/checkpoints")


def _default_recipe(algo: "Algo | None", task: str | None, start: "Agent | None") -> str:
    """The recipe of a run that names none, by its algorithm and its body."""
    from glassviz.envs.bodies import HOPPER, task_of

    if algo is None:
        algo = "tdmpc2" if start and start.config.glass is None else "tdmpc-glass"
    task = task or (start.config.env.task if start else None)
    of_hopper, of_others = DEFAULT_RECIPES[algo]
    return of_hopper if task is None or task_of(task).body.name == HOPPER else of_others


def _with_settings(command: Any) -> Any:
    """`command` with one option per setting of a training run."""
    signature = inspect.signature(command)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    for name, setting in SETTINGS.items():
        option = typer.Option(help=setting.help, show_default=False, rich_help_panel=setting.group)
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
        item = get_args(kind)[0]
        # Typer has no lists of choices; `recipes.configure` checks them.
        return list[str] if get_origin(item) is Literal else list[item]  # type: ignore[valid-type]
    members = [each for each in get_args(kind) if each is not type(None)]
    return members[0] if type(None) in get_args(kind) else kind


train = _with_settings(train)


def _seeds(seed: int | None, seeds: str | None) -> list[int]:
    """The seeds that --seed and --seeds select."""
    if seed is not None and seeds:
        raise UsageError("--seed: --seed and --seeds exclude each other: drop one")
    if not seeds:
        return [1 if seed is None else seed]
    found: list[int] = []
    try:
        for part in seeds.split(","):
            first, _, last = part.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found):
        raise UsageError(f"--seeds: expected distinct seeds such as 1-5 or 1,3,4, found {seeds!r}")
    return found


def _configured(
    name: str,
    preset: Literal["small", "paper"],
    additions: list[str],
    changes: dict[str, Any],
    algo: Literal["tdmpc-glass", "tdmpc2"] | None,
    seed: int,
    start: "Agent | None",
) -> "TrainConfig":
    import dataclasses

    from glassviz.training.recipes import configure

    given = {key: value for key, value in changes.items() if value not in (None, [])}
    agent = start.config if start else None
    return dataclasses.replace(configure(name, preset, additions, given, algo, agent), seed=seed)


def _demonstrations(path: Path, run: "TrainConfig") -> "Demonstrations":
    from glassviz.training import demonstrations

    if not run.demo_batch:
        raise UsageError(
            "--demos: this run does not learn from demonstrations: take --recipe demo, or set "
            "--demo-fraction"
        )
    demos = demonstrations.load(path)
    demonstrations.require_same_task(demos, run.agent.env)
    return demos


def _sources(demos: "Demonstrations | None", start: "Agent | None") -> dict[str, Any]:
    """Names and hashes of the files that a run starts from, and the past of its first agent."""
    given = {"demos": demos, "init": start}
    found: dict[str, Any] = {
        key: {"name": it.name, "sha256": it.sha256} for key, it in given.items() if it
    }
    if start and (past := _env_steps(start.provenance)):
        found["init"]["env_steps"] = past
    if start and (shaped := reward_shaping(start.provenance)):
        found["init"]["shaped"] = shaped
    return found


def _env_steps(provenance: Mapping[str, Any]) -> int:
    """Environment steps of an agent's training, with those of the agent that it started from."""
    init = provenance.get("init")
    known = (provenance, init if isinstance(init, Mapping) else {})
    steps = [each.get("env_steps") for each in known]
    return sum(each for each in steps if isinstance(each, int))


def _run(trainer: "Trainer", folder: Path, several: bool) -> None:
    """Train to the end, with a progress bar and a line per evaluation."""
    from glassviz.cli.progress import task

    steps, began = trainer.all_steps, trainer.env_steps
    busy_s = 0.0

    def kept() -> str:
        saved = min(run.kept_at for run in trainer.runs)
        return (
            f"kept: the last save, of step {saved:,} of {steps:,}, and the checkpoints in "
            f"{folder}; the same command with --resume goes on from there"
        )

    with task("training", began, steps) as bar, terminal.if_interrupted(kept):

        def on_round(progress: "Progress") -> None:
            nonlocal busy_s
            busy_s += progress.seconds - progress.evaluation_s
            rate = (progress.env_steps - began) / max(busy_s, 1e-9)
            losses = [f"{name} {value:.3g}" for name, value in progress.losses.items()]
            bar.facts = ", ".join([f"{rate:,.0f} steps/s", *losses])
            bar(progress.env_steps, steps)
            for line in _evaluations(progress, several):
                bar.print(line)

        trainer.run(on_round)


def _evaluations(progress: "Progress", several: bool) -> list[str]:
    return [
        (f"seed {seed}, " if several else "")
        + f"step {result.env_steps}: {result.controller} {result.mean:.1f} "
        + f"({' '.join(f'{value:.0f}' for value in result.returns)}), "
        + f"evaluated in {progress.evaluation_s:.1f} s"
        for seed, results in progress.evaluations.items()
        for result in results
    ]


KINDS = {
    "phase": "Published phases: `glassviz train --recipe NAME`",
    "baseline": "Baselines: `glassviz train --recipe NAME`",
    "continuation": "Continuations: `glassviz train --recipe NAME --init AGENT`",
    "proposal": "Proposals: `glassviz train --recipe NAME --with PROPOSAL`",
}


def recipes(to_json: Json = False) -> None:
    """List the training recipes, with their settings and published returns.

    Published returns are the planner's best of each seed on hopper-hop, as reported; they were
    not measured with this program.

    \b
    Example:
      glassviz recipes
    """
    from glassviz.training.recipes import names, recipe

    found = [recipe(name) for name in names()]
    if to_json:
        terminal.echo_json([*map(vars, found)])
        return
    console = terminal.console()
    for kind, title in KINDS.items():
        terminal.echo(f"{'' if kind == next(iter(KINDS)) else chr(10)}{title}")
        _recipes([each for each in found if each.kind == kind]).print(console)


def _recipes(found: "list[Recipe]") -> "Listing":
    """One row per recipe; proposals start from none."""
    from glassviz.cli.listing import Listing

    derived = any(each.starts_from for each in found)
    table = Listing(("recipe", "from") if derived else ("recipe",), ("from",), "settings")
    for each in found:
        changes = ", ".join(f"{name} {_plain(value)}" for name, value in each.own.items())
        told = [each.what, changes, each.published and f"published: {each.published}"]
        start = [", ".join(each.starts_from)] if derived else []
        table.add(each.name, *start, remark="; ".join(filter(None, told)))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_plain, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def demonstrate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Demonstrations file to write (.npz).")],
    agent: Annotated[
        Path | None,
        typer.Option(
            metavar="CKPT",
            help="Plan around this agent's policy instead of the built-in gait (expert iteration).",
        ),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Episodes to record.", min=1)] = 24,
    seed: Annotated[
        int, typer.Option(help="Reset seed of the first episode; the others count up.", min=0)
    ] = 1,
    min_return: Annotated[float, typer.Option(help="Drop episodes with a lower return.")] = 0.0,
    jobs: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    steps: Annotated[
        int, typer.Option(help="Steps per episode.", min=1, max=MAX_EPISODE_STEPS)
    ] = 1000,
    physics: Annotated[
        Literal["dm_control", "playground"], typer.Option(help="Physics profile.")
    ] = "dm_control",
    overwrite: Overwrite = False,
) -> None:
    """Record demonstrations by a planner on the true dynamics.

    `glassviz train --demos` learns from them. An episode takes about 40 s on one processor core.
    The result does not depend on --jobs.

    \b
    Examples:
      glassviz demonstrate --episodes 40 --jobs 4 --out demos.npz
      glassviz demonstrate --agent teacher.safetensors --min-return 300 --out demos.npz
    """
    from glassviz import checkpoints, environment
    from glassviz.agents.config import EnvConfig
    from glassviz.cli.progress import task
    from glassviz.files import check_target
    from glassviz.training import demonstrations
    from glassviz.training.true_model import AGENT_MPC, MPCConfig

    check_target(out, overwrite)
    config = EnvConfig(physics=physics, episode_steps=steps)
    around = checkpoints.load(agent) if agent else None
    mpc = AGENT_MPC if agent else MPCConfig()
    seeds = range(seed, seed + episodes)
    kept = []
    nothing = "nothing was kept: demonstrations are written when all are made"
    with task("demonstrating", total=episodes) as bar, terminal.if_interrupted(lambda: nothing):
        made = demonstrations.demonstrate_all(config, mpc, seeds, jobs, agent)
        for done, demo in enumerate(made, start=1):
            bar(done, episodes)
            good = demo.total >= min_return
            kept += [demo] if good else []
            bar.print(f"seed {demo.seed}: return {demo.total:.1f}{'' if good else ', dropped'}")
    made_by = demonstrations.describe(config, mpc, episodes, min_return, around)
    demonstrations.save(out, kept, made_by | environment.provenance("demonstrations"))
    mean = sum(demo.total for demo in kept) / len(kept)
    terminal.echo(f"{out}: {len(kept)} of {episodes} episodes, mean return {mean:.1f}")


def refine(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write (.safetensors).")],
    iterations: Annotated[int, typer.Option(help="Iterations of the search.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the search.", min=0)] = 1,
    save_every: Annotated[int, typer.Option(help="Iterations between saves.", min=1)] = 100,
    overwrite: Overwrite = False,
) -> None:
    """Improve an agent's policy by evolution strategies on the true dynamics.

    The agent must hop already; the result is a better teacher for `glassviz demonstrate --agent`.
    Each iteration rolls out 64 policies for 2.4 s of simulated time, in about half a second on one
    processor core.

    \b
    Example:
      glassviz refine agent.safetensors --iterations 3000 --out teacher.safetensors
    """
    from glassviz import checkpoints
    from glassviz.cli.progress import task
    from glassviz.files import check_target
    from glassviz.training.refine import ESConfig, Refiner, provenance_of

    check_target(out, overwrite)
    agent, es = checkpoints.load(checkpoint), ESConfig()
    refiner = Refiner(agent, es, iterations, seed)
    saved = 0

    def saved_so_far() -> str:
        if not saved:
            return "nothing was saved yet"
        again = f"`glassviz refine {out} --out OTHER` goes on from there"
        return f"kept: {out}, of iteration {saved}; {again}"

    with task("refining", total=iterations) as bar, terminal.if_interrupted(saved_so_far):
        for done in range(1, iterations + 1):
            now = refiner.iterate()
            bar(done, iterations)
            if done % save_every == 0 or done == iterations:
                made_by = provenance_of(agent, es, done, seed)
                checkpoints.save(out, agent.config, refiner.params, made_by)
                saved = done
                bar.print(f"iteration {done}: score {now.score:.3f}, {now.stands:.0%} stand")
    terminal.echo(f"{out}: {iterations} iterations; measure it with `glassviz evaluate`")
