"""One run under one controller, as exports are made from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from glassviz.checkpoints.wording import printable
from glassviz.errors import UsageError
from glassviz.gait.cycles import Cycles
from glassviz.plots.palette import label_color
from glassviz.stability import Assessed, RunStability, median_episode
from glassviz.trace import Trace
from glassviz.video.clip import CONTROLLER_NAMES


@dataclass(frozen=True, eq=False)
class Source:
    """A run that was assessed, with its trace.

    Attributes:
        row: of the table of runs.
        trace: with the labels that it was judged by.
        episode: the one that is shown where one is, from 0.
        chosen: whether that episode was asked for; otherwise its return is the median.
    """

    row: Assessed
    trace: Trace
    episode: int
    chosen: bool

    @classmethod
    def of(cls, row: Assessed, episode: int | None = None) -> Self:
        """Read a run's trace.

        Args:
            row: of the table of runs.
            episode: to show, from 0; the one with the median return if None.

        Raises:
            UsageError: there is no such episode.
            GlassvizError: the trace is no longer what it was.
        """
        episodes = len(row.stability.episodes)
        if episode is not None and not 0 <= episode < episodes:
            raise UsageError(
                f"--episode: expected 1 to {episodes}, the episodes of {printable(row.name)}, "
                f"found {episode + 1}"
            )
        shown = median_episode(row.stability) if episode is None else episode
        return cls(row, row.load(), shown, episode is not None)

    @property
    def name(self) -> str:
        """Of the run, fit to be printed."""
        return printable(self.row.name)

    @property
    def run(self) -> RunStability:
        """What was found about it."""
        return self.row.stability

    @property
    def controller(self) -> str:
        """Who acts, in the words of films."""
        return CONTROLLER_NAMES.get(self.run.controller, self.run.controller)

    @property
    def title(self) -> str:
        """Run and controller."""
        return f"{self.name}, {self.controller}"

    @property
    def fitted(self) -> bool:
        """Whether its labels were fitted to its latents, and not learned."""
        return self.run.labels_from == "fitted"

    @property
    def episodes(self) -> Sequence[int]:
        """The episodes that are shown where several are."""
        return [self.episode] if self.chosen else range(self.trace.episodes)

    @property
    def colors(self) -> tuple[str, ...]:
        """Of its labels, by label; empty without labels."""
        if not self.trace.has_labels:
            return ()
        return tuple(label_color(k) for k in range(self.trace.clusters))

    def cycles(self, episode: int) -> Cycles:
        """Gait cycles of an episode."""
        return self.run.episodes[episode].gait.cycles

    def phase_names(self) -> dict[int, str]:
        """The phase of the gait that each label lives in, by label; `opening` for all others."""
        found = {each.label: each.name for each in self.run.label_names}
        return {label: found.get(label, "opening") for label in range(len(self.colors))}

    def period_s(self) -> float | None:
        """Median duration of the gait cycles that are shown; None without any."""
        periods = np.concatenate([self.cycles(e).periods_s for e in self.episodes])
        return float(np.median(periods)) if len(periods) else None
