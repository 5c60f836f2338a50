"""Notebooks: `glassviz.load`, and results that display themselves."""

import base64
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args, overload

import numpy as np

from glassviz.agents.config import UNSAID, Layout, Unsaid
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target, replacing
from glassviz.rollout import run as rollouts
from glassviz.rollout.batch import Failed, Listener
from glassviz.rollout.find import TRACE_SUFFIX, find_targets
from glassviz.rollout.remaining import Remaining
from glassviz.text import count_of, printable
from glassviz.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from glassviz.agents.agent import Agent
    from glassviz.agents.planner import Controller
    from glassviz.checkpoints import Checkpoint
    from glassviz.compare.compare import Comparison as Compared
    from glassviz.export.product import Source
    from glassviz.figures.latent_map import Color
    from glassviz.maps.coordinates import Method
    from glassviz.metrics.stability import RunStability
    from glassviz.metrics.transitions import Mode
    from glassviz.video.backdrop import Background
    from glassviz.video.film import FilmReport
    from glassviz.video.renderer import Quality


def rendered(template: str, **values: Any) -> str:
    """A template, filled in."""
    from glassviz.report.html import environment

    page = environment(autoescape=True).get_template(f"{template}.html.j2")
    return page.render(**values, glossary=False)


def fact_table(
    title: str, facts: Sequence[tuple[str, str]], everything: Sequence[tuple[str, str]] = ()
) -> str:
    """A card with a table of names and texts, and `everything` folded away."""
    return rendered("notebook_facts", title=title, facts=facts, everything=everything)


WIDEST, FINEST_DPI = 1000, 200
"""Most pixels, and most of them per inch, of a figure on the screen."""


def hand_over(figure: "Figure") -> "Sequence[Axes]":
    """Give a figure to pyplot, which shows it below the cell that made it; returns its axes."""
    import matplotlib.pyplot as plt

    from glassviz.figures.style import make_drawable

    make_drawable(figure)
    figure.set_dpi(min(FINEST_DPI, WIDEST / figure.get_figwidth()))
    plt.figure(FigureClass=lambda *args, **kwargs: figure)  # type: ignore[arg-type]
    return figure.axes


def check_choice(what: str, found: object, choices: Collection[object]) -> None:
    """Raise UsageError for what is not among the choices."""
    if found not in choices:
        expected = ", ".join(map(str, choices))
        raise UsageError(f"{what}: expected one of {expected}, found {found!r}")


QUIET_S, STEP_S = 3.0, 0.5
"""Nothing is told of what takes no longer; then every half second."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Tell on standard error how far something is; call what it yields with steps done, in all."""
    started = told_at = now = time.monotonic()
    longest = 0
    remaining: Remaining | None = None

    def tell(done: int, total: int) -> None:
        nonlocal told_at, longest, remaining, now
        now = time.monotonic()
        remaining = remaining or Remaining([("step", total)], now=lambda: now, since=started)
        left_s = remaining(done)
        if now - started < QUIET_S or now - told_at < STEP_S or not done:
            return
        told_at = now
        line = f"{printable(what)}: {done} of {total}, {left_s:.0f} s left"
        longest = max(longest, len(line))
        print(f"\r{line:<{longest}}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if longest:
            print(f"\r{'':<{longest}}\r", end="", file=sys.stderr, flush=True)


CONTROLS = 84
"""Pixels below a film for the browser's controls, which would cover the strip of labels."""


@dataclass(frozen=True, eq=False, repr=False)
class Film:
    """A film. As the last line of a cell it plays below it."""

    mp4: bytes
    caption: str
    report: "FilmReport"

    def save(self, path: StrPath, overwrite: bool = False) -> Path:
        """Write the file (.mp4), whole or not at all.

        Raises:
            GlassvizError: there is one already, or it cannot be written.
        """
        target = Path(path)
        check_target(target, overwrite, len(self.mp4))
        with replacing(target) as partial:
            partial.write_bytes(self.mp4)
        return target

    def __repr__(self) -> str:
        frames = f"{self.report.frames} frames at {self.report.fps:g} fps"
        return f"Film({self.caption!r}, {frames}, {len(self.mp4) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.mp4).decode()
        width, height = self.report.size
        return rendered(
            "notebook_film", film=self, data=data, width=width, height=height + CONTROLS
        )


@dataclass(frozen=True, eq=False, repr=False)
class Stability:
    """What a run does and which basin it is in. As the last line of a cell it shows why."""

    run: rollouts.Run

    @property
    def result(self) -> "RunStability":
        """Everything that was found, episode by episode."""
        return self.run.stability

    @property
    def gait(self) -> str:
        """The commonest verdict on the gait; `split` where none is."""
        return self.result.gait.name

    @property
    def basin(self) -> str:
        """The commonest basin; `split` where none is."""
        return self.result.basin.name

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain containers, as `glassviz stability --json` prints it."""
        from glassviz.report.documents import run_dict

        return run_dict(self.run)

    def __repr__(self) -> str:
        from glassviz.report.phrases.numbers import majority, shown_return

        found = self.result
        gait, basin = (majority(each.name, each.split) for each in (found.gait, found.basin))
        return (
            f"Stability({self.run.name!r}, {found.controller}, gait {gait}, basin {basin}, "
            f"return {shown_return(found.returns)})"
        )

    def _repr_html_(self) -> str:
        from glassviz.report.compose import side_of, terms_of

        side = side_of(self.run)
        return rendered("notebook_stability", name=self.run.name, side=side, terms=terms_of([side]))


Part = tuple[float, float]
"""Seconds of an episode, from and to."""


@dataclass(frozen=True, eq=False, repr=False)
class Rollout:
    """Episodes of one checkpoint under one controller, recorded.

    Episodes are counted from 1, as in films, tables and figures: episode 1 is row 0 of the trace's
    arrays. Where one is shown and none is asked for, it is the one with the median return.
    """

    run: rollouts.Run

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a trace.

        Raises:
            GlassvizError: it cannot be read.
        """
        path = Path(path)
        return cls(rollouts.Run.of(Trace.load(path), path))

    @property
    def trace(self) -> Trace:
        """All that was recorded, as arrays (episodes, frames, …)."""
        return self.run.trace

    @property
    def path(self) -> Path:
        """The file of the trace."""
        return self.run.trace_path

    @property
    def name(self) -> str:
        """What films and tables call the run."""
        return self.run.name

    @property
    def reused(self) -> bool:
        """Whether the trace was there already."""
        return self.run.reused

    def labels(self, labels: str) -> "Rollout":
        """The same roll-out by other labels.

        Args:
            labels: `learned`, `fitted` (those that `glassviz fit` left beside the trace), or the
                path of a file of fitted labels.

        Raises:
            GlassvizError: there are none, or they are another checkpoint's.
        """
        rollouts.check_labels(labels)
        run = replace(self.run, labels=labels)
        _ = run.trace  # what is wrong with the labels is said now
        return Rollout(run)

    def film(
        self,
        episode: int | None = None,
        part_s: Part | None = None,
        *,
        speed: float = 1.0,
        size: tuple[int, int] = (480, 360),
        overlay: bool = True,
        quality: "Quality | None" = None,
        background: "Background" = "sky",
        jobs: int = 1,
    ) -> Film:
        """Film an episode, with its label on every frame.

        Args:
            part_s: start and end of the filmed part, s; the whole episode by default.
            speed: 1 for real time, 0.5 for slow motion; every frame is shown.
            size: width and height, even numbers.
            overlay: whether label, controller, time and return are written over it.
            quality: `fast`, `smooth` or `full`; what suits the machine by default.
            background: `sky`, `plain` or `white`.

        Raises:
            GlassvizError: there is no such episode or part, or nothing can be drawn here.
        """
        from glassviz.video.backdrop import BACKGROUNDS
        from glassviz.video.clip import CONTROLLER_NAMES
        from glassviz.video.film import FilmOptions, film

        check_choice("background", background, BACKGROUNDS)
        trace, shown = self.trace, self._shown(episode)
        options = FilmOptions(
            overlay_k=overlay,
            episodes=(shown,),
            part_s=part_s,
            size=size,
            speed=speed,
            quality=quality,
            background=background,
            jobs=jobs,
        )
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            progress(f"filming {self.name}") as on_frame,
        ):
            path = Path(folder) / "film.mp4"
            report = film([trace], path, options, progress=on_frame)
            mp4 = path.read_bytes()
        controller = trace.header["controller"]
        caption = (
            f"{self.name}, {CONTROLLER_NAMES.get(controller, controller)}, episode {shown + 1} of "
            f"{trace.episodes}, return {trace.returns[shown]:.0f}"
        )
        return Film(mp4, caption, report)

    def stability(self) -> Stability:
        """Gait, labels and basin of every episode, with the evidence.

        Raises:
            GlassvizError: the gait cannot be described.
        """
        _ = self.run.stability  # Computed now, so that an error comes from here.
        return Stability(self.run)

    def graph(self, mode: "Mode" = "jump") -> "Axes":
        """Draw the transition graph of prototypes and labels, with its matrices.

        `mode` is `jump` (self-transitions dropped), `frame`, `flow`, or `soft-train`. The returned
        axes are in points from the upper left corner of the graph.

        Raises:
            GlassvizError: there are no labels or, for `soft-train`, no soft assignments.
        """
        from glassviz.compare.graphs import run_graph
        from glassviz.figures.style import PAGE_INCHES, FigureStyle
        from glassviz.figures.transition_graph import transition_graph
        from glassviz.metrics.transitions import Mode

        check_choice("mode", mode, get_args(Mode))
        found = run_graph(self.trace, mode, self.name, self.run.gaits, self.run.given_labels)
        return hand_over(transition_graph(found, FigureStyle(width_mm=25.4 * PAGE_INCHES)))[0]

    def map(self, color: "Color | None" = None, method: "Method" = "umap", seed: int = 0) -> "Axes":
        """Draw the latent map: every frame in a plane, with the typical gait cycle.

        Its coordinates, which are those of the axes, are kept beside the trace and used again.
        Distances between islands mean nothing.

        Args:
            color: what frames are coloured by: `label`, `phase`, `return-to-go` or `episode`;
                label by default, gait phase without labels.
            method: `umap`, or `pca`.
            seed: determines the map.

        Raises:
            GlassvizError: there are too few frames, or nothing to colour them by.
        """
        from glassviz.figures.latent_map import COLORS, figure
        from glassviz.figures.style import FigureStyle
        from glassviz.maps.coordinates import MapOptions, Method
        from glassviz.maps.maps import make_map

        check_choice("color", color, (None, *COLORS))
        check_choice("method", method, get_args(Method))
        options, folder, gaits = MapOptions(method, seed), self.path.parent, [self.run.gaits]
        found = make_map([self.trace], options, folder, [self.name], gaits=gaits)
        steady = bool((found.frames.cycle >= 0).any())
        plain: Color = "phase" if steady else "return-to-go"
        shown = color or ("label" if found.has_labels else plain)
        return hand_over(figure([found], FigureStyle(panels=(shown,))))[0]

    def strip(
        self,
        episode: int | None = None,
        part_s: Part | None = None,
        *,
        background: "Background" = "sky",
    ) -> "Sequence[Axes]":
        """Draw a film strip with labels: two gait cycles below each other, or a part.

        `part_s` is the start and end of the part, s; the background is `sky`, `plain` or `white`.
        Returns the axes of the pictures and bars.

        Raises:
            GlassvizError: there is no such episode or part, or nothing can be drawn here.
        """
        from glassviz.export.figures import strip_figure
        from glassviz.export.product import Studio
        from glassviz.video.backdrop import BACKGROUNDS

        check_choice("background", background, BACKGROUNDS)
        with Studio(background=background) as studio:
            studio.light()
            return hand_over(strip_figure(self._source(episode), studio.stills, part_s))

    def raster(self, episode: int | None = None) -> "Sequence[Axes]":
        """Draw the label of every gait cycle at every phase, of one episode or of all in turn.

        Raises:
            GlassvizError: there are no labels, or no gait cycles.
        """
        from glassviz.export.figures import raster_figure

        return hand_over(raster_figure(self._source(episode)))

    def __repr__(self) -> str:
        trace = self.trace
        return (
            f"Rollout({self.name!r}, {trace.header['controller']}, {trace.episodes} episodes of "
            f"{trace.frames} frames, mean return {trace.returns.mean():.1f})"
        )

    def _repr_html_(self) -> str:
        from glassviz.metrics.statistics import mean_interval
        from glassviz.report.phrases.numbers import shown_return
        from glassviz.video.clip import CONTROLLER_NAMES

        trace, header = self.trace, self.trace.header
        controller = header["controller"]
        returns = ", ".join(f"{each:.0f}" for each in trace.returns[:MOST_RETURNS])
        more = ", …" if trace.episodes > MOST_RETURNS else ""
        source = {"glass": "learned"}.get(header["labels_from"], header["labels_from"])
        facts = [
            ("acts", CONTROLLER_NAMES.get(controller, controller)),
            ("episodes", f"{trace.episodes} of {trace.frames * trace.frame_dt_s:g} s"),
            ("return", f"{shown_return(mean_interval(trace.returns.tolist()))} ({returns}{more})"),
            ("labels", f"{trace.clusters} clusters, {source}" if trace.has_labels else "none"),
            ("trace", f"{self.path}{', found again' if self.reused else ''}"),
        ]
        return fact_table(self.name, facts)

    def _source(self, episode: int | None) -> "Source":
        from glassviz.export.product import Source

        return Source(self.run, self._shown(episode), episode is not None)

    def _shown(self, episode: int | None) -> int:
        """Row of the episode that is asked for, or of the one with the median return."""
        count = self.trace.episodes
        if episode is None:
            return int(np.argsort(self.trace.returns, kind="stable")[(count - 1) // 2])
        if not 1 <= episode <= count:
            raise UsageError(f"episode: expected 1 to {count}, found {episode}")
        return episode - 1


MOST_RETURNS = 20
"""More returns than this are not listed one by one."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A checkpoint. As the last line of a cell it shows what is in it."""

    path: Path
    name: str
    checkpoint: "Checkpoint"
    unsaid: Unsaid = UNSAID

    @classmethod
    def load(cls, path: StrPath, unsaid: Unsaid = UNSAID) -> Self:
        """Read a checkpoint; `unsaid` is what its file does not say.

        Raises:
            GlassvizError: it cannot be read.
        """
        from glassviz import checkpoints

        path = Path(path)
        checkpoint = checkpoints.load(path, unsaid)
        return cls(path, checkpoint.name, checkpoint, unsaid)

    @property
    def agent(self) -> "Agent":
        """Encoder, policy, dynamics, reward, Q heads and labels as functions of arrays.

        >>> import glassviz as gv
        >>> agent = gv.load("checkpoints/glass-small-s1.safetensors").agent
        >>> z = agent.encode(np.zeros((3, 15)))
        >>> agent.next(z, agent.policy(z)).shape, agent.values(z, agent.policy(z)).shape
        ((3, 128), (2, 3))
        """
        from glassviz.agents.agent import Agent

        return Agent(self.checkpoint.config, self.checkpoint.params)

    def rollout(
        self,
        episodes: int = 10,
        controller: "Controller" = "mppi",
        seed: int = 0,
        steps: int | None = None,
        *,
        samples: int | None = None,
        horizon: int | None = None,
        iterations: int | None = None,
        folder: StrPath | None = None,
    ) -> Rollout:
        """Let the agent act; the same roll-out is found again when it was recorded before.

        Args:
            episodes: how many, each from its own reset.
            controller: who acts: `mppi`, the planner, or `pi`, the policy alone, which is a
                hundred times faster.
            seed: determines resets and planning.
            steps: frames per episode; the whole episode by default.
            samples, horizon, iterations: of the planner; the checkpoint's own by default.
            folder: of the traces; by default renders/traces, or the user's cache folder where
                that cannot be written.

        Raises:
            GlassvizError: there is nothing to roll out, there is no planner, or the trace cannot
                be written.
        """
        from glassviz.agents.planner import Controller
        from glassviz.rollout.traces import RolloutOptions, traces_of

        check_choice("controller", controller, get_args(Controller))
        for what, value in {"episodes": episodes, "steps": steps}.items():
            if value is not None and value < 1:
                raise UsageError(f"{what}: expected at least 1, found {value}")
        options = RolloutOptions(
            *(episodes, (controller,), seed, steps, samples, horizon, iterations),
            unsaid=self.unsaid,
        )
        with progress(f"rolling out {self.name}") as on_progress:
            listener = Listener(on_recording=on_progress)
            [made] = traces_of(self.path, options, folder, listener=listener)
        return Rollout(replace(made, name=self.name))

    def __repr__(self) -> str:
        glass = self.checkpoint.config.glass
        labels = f"{glass.clusters} labels" if glass else "no labels"
        return f"Run({self.name!r}, {self.checkpoint.config.family}, {labels})"

    def _repr_html_(self) -> str:
        from glassviz.checkpoints import summarise
        from glassviz.report.phrases.tables import rows_of

        return fact_table(self.name, list(self._facts()), list(rows_of(summarise(self.checkpoint))))

    def _facts(self) -> Iterator[tuple[str, str]]:
        from glassviz.checkpoints import summarise
        from glassviz.environment import reward_shaping
        from glassviz.report.phrases.tables import remarks_of
        from glassviz.rollout.evaluate import recorded_in

        summary, told = summarise(self.checkpoint), self.checkpoint.provenance
        glass = summary.glass
        yield "agent", f"{summary.family}, {summary.parameters:,} parameters"
        labels = "none: `glassviz fit` makes some"
        if glass:
            labels = f"{glass.clusters} clusters of {glass.prototypes} prototypes, τ={glass.tau:g}"
        yield "labels", labels
        yield "task", f"{summary.env['task']}, physics {summary.env['physics']}"
        for name in ("recipe", "seed", "env_steps"):
            if name in told:
                yield name, str(told[name])
        if "shaped" in told:
            yield "shaped", str(reward_shaping(told))
        for controller in ("mppi", "pi"):
            recorded = recorded_in(told, controller)
            if recorded:
                among = f" over {recorded.episodes} episodes" if recorded.episodes else ""
                yield f"return, {controller}", f"{recorded.mean:.0f}{among}, in training"
        yield from remarks_of(summary)


Each = TypeVar("Each")


class Many(Sequence[Each]):
    """Several runs or roll-outs, in their order. As the last line of a cell they are a table."""

    def __init__(self, members: Sequence[Each]) -> None:
        self._members = tuple(members)

    def __len__(self) -> int:
        return len(self._members)

    @overload
    def __getitem__(self, index: int) -> Each: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Each | Self:
        if isinstance(index, slice):
            return type(self)(self._members[index])
        return self._members[index]

    def _table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        return rendered("notebook_many", title=repr(self), head=head, rows=rows)


class Runs(Many[Run]):
    """Several checkpoints."""

    @property
    def agents(self) -> "tuple[Agent, ...]":
        """The agent of each, see `Run.agent`."""
        return tuple(run.agent for run in self)

    def rollout(
        self, episodes: int = 10, controller: "Controller" = "mppi", **options: Any
    ) -> "Rollouts":
        """Let every agent act, with the same options: those of `Run.rollout`.

        Raises:
            GlassvizError: as for `Run.rollout`.
        """
        return Rollouts([run.rollout(episodes, controller, **options) for run in self])

    def __repr__(self) -> str:
        return f"Runs({count_of(len(self), 'checkpoint')})"

    def _repr_html_(self) -> str:
        facts = [dict(run._facts()) for run in self]
        names = [name for name in dict.fromkeys(chain(*facts)) if name in MANY]
        rows = [
            (run.name, *(own.get(name, "–") for name in names))
            for run, own in zip(self, facts, strict=True)
        ]
        return self._table(("run", *names), rows)


MANY = ("agent", "labels", "recipe", "seed", "env_steps", "return, mppi", "return, pi")
"""Facts of a run that stand in the table of several."""


class Rollouts(Many[Rollout]):
    """Several roll-outs, which `compare` assesses and compares."""

    def compare(self) -> "Comparison":
        """Gait, labels and basin of each, and what they say together.

        Raises:
            GlassvizError: a gait cannot be described, or a trace or checkpoint has changed.
        """
        from glassviz.compare.compare import compare

        runs = [each.stability().run for each in self]
        return Comparison(tuple(runs), compare(runs))

    def __repr__(self) -> str:
        return f"Rollouts({count_of(len(self), 'roll-out')})"

    def _repr_html_(self) -> str:
        from glassviz.metrics.statistics import mean_interval
        from glassviz.report.phrases.numbers import shown_return

        head = ("run", "controller", "episodes", "frames", "return")
        rows = [
            (
                each.name,
                each.run.controller,
                str(each.trace.episodes),
                str(each.trace.frames),
                shown_return(mean_interval(each.trace.returns.tolist())),
            )
            for each in self
        ]
        return self._table(head, rows)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Roll-outs side by side: a row for each, and answers about all of them.

    `result` has every number; None with fewer than two.
    """

    runs: tuple[rollouts.Run, ...]
    result: "Compared | None"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain containers, as `glassviz stability --json` prints it."""
        from glassviz.report.documents import run_dict
        from glassviz.report.serialize import plain

        return {"runs": [run_dict(run) for run in self.runs], "together": plain(self.result)}

    def __repr__(self) -> str:
        basins = Counter(run.stability.basin.name for run in self.runs)
        told = ", ".join(f"{count} {basin}" for basin, count in basins.most_common())
        return f"Comparison({count_of(len(self.runs), 'roll-out')}: {told})"

    def _repr_html_(self) -> str:
        from glassviz.report.compose import assessed_row
        from glassviz.report.phrases.comparison import answers

        return rendered(
            "notebook_comparison",
            title=repr(self),
            rows=[assessed_row(run, "") for run in self.runs],
            told=answers(self.result.answers) if self.result else (),
        )


def load(
    path: StrPath | Sequence[StrPath],
    *,
    task: str | Sequence[str] = (),
    action_repeat: int | None = None,
    episode_steps: int | None = None,
    layout: Layout | None = None,
) -> Run | Rollout | Runs | Rollouts:
    """Open a checkpoint as a `Run` and a trace as a `Rollout`; several as `Runs` or `Rollouts`.

    Reading a file runs no code of its own.

    Args:
        path: a native checkpoint (.safetensors), a published one (.pkl), one of TD-MPC2 (.pt), a
            trace (.npz), a run folder, a folder or pattern of these, or a list.
        task: of a checkpoint that does not say it; of a multitask agent, the one to take, or
            several, each as an agent of its own.
        action_repeat, episode_steps, layout: what else such a checkpoint does not say; by default
            as its family has it.

    Raises:
        GlassvizError: there is no such file, it is of another kind or damaged.
        UsageError: there are checkpoints and traces among the files, or a checkpoint needs a task.
    """
    tasks = (task,) if isinstance(task, str) else tuple(task)
    unsaid = Unsaid(tasks, action_repeat, episode_steps, layout)
    found = find_targets(path, unsaid=unsaid)
    targets = []
    for target in found:
        if isinstance(target, Failed):
            raise GlassvizError(target.error)
        targets.append(target)
    traces = [each for each in targets if each.path.suffix == TRACE_SUFFIX]
    if traces and len(traces) < len(targets):
        raise UsageError(
            f"{path}: expected checkpoints or traces, found {len(traces)} of "
            f"{count_of(len(targets), 'file')} to be traces: load them one by one, or by a pattern "
            f"such as *{TRACE_SUFFIX}"
        )
    if traces:
        opened = [Rollout.load(each.path) for each in targets]
        return opened[0] if len(opened) == 1 else Rollouts(opened)
    agents = [Run.load(each.path, each.unsaid) for each in targets]
    named = [
        replace(run, name=each.named(run.name)) for each, run in zip(targets, agents, strict=True)
    ]
    return named[0] if len(named) == 1 else Runs(named)
