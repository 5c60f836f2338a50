"""What an agent did, in a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

import numpy as np

from glassviz.notebook.choices import check_choice
from glassviz.notebook.figures import hand_over
from glassviz.notebook.film import Film
from glassviz.notebook.html import fact_table
from glassviz.notebook.stability import Stability
from glassviz.relabel import LEARNED, check_labels, load_labelled
from glassviz.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glassviz.analysis.transitions import Mode
    from glassviz.export import Source
    from glassviz.maps.drawing import Color
    from glassviz.maps.projection import Method
    from glassviz.stability import Assessed
    from glassviz.video.renderer import Quality

Part = tuple[float, float]
"""Seconds of an episode, from and to."""


@dataclass(frozen=True, eq=False, repr=False)
class Rollout:
    """Episodes of one checkpoint under one controller, recorded.

    Episodes are counted from 1, as in films, tables and figures: episode 1 is row 0 of the trace's
    arrays. Where one is shown and none is asked for, it is the one with the median return.

    Attributes:
        path: of the trace.
        trace: all that was recorded, as arrays (episodes, frames, …).
        target: the checkpoint, or the trace itself.
        name: what films and tables call the run.
        reused: whether the trace was there already.
        labels_from: the labels that it goes by, as they were asked for.
    """

    path: Path
    trace: Trace
    target: Path
    name: str
    reused: bool
    labels_from: str = LEARNED

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a trace.

        Raises:
            GlassvizError: it cannot be read.
        """
        trace = Trace.load(path)
        return cls(path, trace, path, trace.header["checkpoint"]["name"], True)

    def labels(self, labels: str) -> "Rollout":
        """The same roll-out by other labels.

        Args:
            labels: `learned`, `fitted` (those that `glassviz fit` left beside the trace), or the
                path of a file of fitted labels.

        Raises:
            GlassvizError: there are none, or they are another checkpoint's.
        """
        check_labels(labels)
        trace = load_labelled(self.path, labels, self.target)
        return Rollout(self.path, trace, self.target, self.name, self.reused, labels)

    def film(
        self,
        episode: int | None = None,
        part_s: Part | None = None,
        *,
        speed: float = 1.0,
        size: tuple[int, int] = (480, 360),
        overlay: bool = True,
        quality: "Quality | None" = None,
        jobs: int = 1,
    ) -> Film:
        """Film an episode, with its label on every frame.

        Args:
            episode: from 1.
            part_s: seconds of it, from and to; all of it by default.
            speed: 1 for real time, 0.5 for slow motion; every frame is shown.
            size: width and height, even numbers.
            overlay: whether label, controller, time and return are written over it.
            quality: `fast`, `smooth` or `full`; what suits the machine by default.
            jobs: processes that draw.

        Raises:
            GlassvizError: there is no such episode or part, or nothing can be drawn here.
        """
        from glassviz.video.film import FilmOptions

        options = FilmOptions(
            overlay_k=overlay,
            episodes=(self._shown(episode),),
            part_s=part_s,
            size=size,
            speed=speed,
            quality=quality,
            jobs=jobs,
        )
        return Film.of(self.trace, self.name, options)

    def stability(self) -> Stability:
        """Gait, labels and basin of every episode, with the evidence.

        Raises:
            GlassvizError: the gait cannot be described.
        """
        return Stability(self._assessed)

    def graph(self, mode: "Mode" = "jump") -> "Axes":
        """Draw the transition graph of prototypes and labels, with its matrices.

        Args:
            mode: `jump` (self-transitions dropped), `frame`, `flow`, or `soft-train`.

        Returns:
            The axes of the graph, in points from its upper left corner.

        Raises:
            GlassvizError: there are no labels or, for `soft-train`, no soft assignments.
        """
        from glassviz.analysis.transitions import Mode
        from glassviz.graphs import figure_of, run_graph
        from glassviz.plots.transition_graph import transition_graph

        check_choice("mode", mode, get_args(Mode))
        found = run_graph(self.trace, mode, self.name)
        return hand_over(transition_graph(figure_of(found), "page"))[0]

    def map(self, color: "Color | None" = None, method: "Method" = "umap", seed: int = 0) -> "Axes":
        """Draw the latent map: every frame in a plane, with the typical gait cycle.

        Its coordinates are kept beside the trace, and used again.

        Args:
            color: what frames are coloured by: `label`, `phase`, `return-to-go` or `episode`;
                label by default, gait phase without labels.
            method: `umap`, or `pca`.
            seed: determines the map.

        Returns:
            The axes of the map, in its coordinates. Distances between islands mean nothing.

        Raises:
            GlassvizError: there are too few frames, or nothing to colour them by.
        """
        from glassviz.maps import MapOptions, make_map
        from glassviz.maps.drawing import COLORS, figure
        from glassviz.maps.projection import Method

        check_choice("color", color, (None, *COLORS))
        check_choice("method", method, get_args(Method))
        options = MapOptions(method, seed)
        found = make_map([self.trace], options, self.path.parent, [self.name])
        steady = bool((found.frames.cycle >= 0).any())
        plain: Color = "phase" if steady else "return-to-go"
        return hand_over(figure([found], [color or ("label" if found.has_labels else plain)]))[0]

    def strip(self, episode: int | None = None, part_s: Part | None = None) -> "Sequence[Axes]":
        """Draw a film strip with labels: two gait cycles below each other, or a part.

        Args:
            episode: from 1.
            part_s: seconds of it, from and to.

        Returns:
            The axes of its pictures and bars.

        Raises:
            GlassvizError: there is no such episode or part, or nothing can be drawn here.
        """
        from glassviz.export.figures import strip_figure
        from glassviz.export.product import Studio

        with Studio() as studio:
            studio.light()
            return hand_over(strip_figure(self._source(episode), studio.stills, part_s))

    def raster(self, episode: int | None = None) -> "Sequence[Axes]":
        """Draw the label of every gait cycle at every phase, an episode after the other.

        Args:
            episode: the only one that is drawn; all of them by default.

        Returns:
            The axes of its blocks.

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
        from glassviz.analysis.statistics import mean_interval
        from glassviz.stability.wording import shown_return
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

    @cached_property
    def _assessed(self) -> "Assessed":
        from glassviz.stability import Assessed, assess

        found = assess(self.trace)
        return Assessed(
            self.name, self.target, self.path, self.reused, None, found, self.labels_from
        )

    def _source(self, episode: int | None) -> "Source":
        from glassviz.export import Source

        shown = self._shown(episode)
        return Source(self._assessed, self.trace, shown, episode is not None)

    def _shown(self, episode: int | None) -> int:
        """Row of the episode that is asked for, or of the one with the median return."""
        from glassviz.errors import UsageError

        count = self.trace.episodes
        if episode is None:
            return int(np.argsort(self.trace.returns, kind="stable")[(count - 1) // 2])
        if not 1 <= episode <= count:
            raise UsageError(f"episode: expected 1 to {count}, found {episode}")
        return episode - 1


MOST_RETURNS = 20
"""More returns than this are not listed one by one."""
