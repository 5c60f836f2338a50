"""Graphs of many runs at once: traces found or made, the broken ones named."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.analysis.transitions import Mode
from glassviz.errors import GlassvizError
from glassviz.gait.gait import describe
from glassviz.graphs.matching import Source
from glassviz.graphs.run_graph import RunGraph, run_graph
from glassviz.many import NOBODY, Failed, Listener, each_once, file_stem, told_apart
from glassviz.relabel import LEARNED, check_labels, load_labelled

if TYPE_CHECKING:
    from glassviz.runs import Located, RolloutOptions


@dataclass(frozen=True, eq=False)
class Graphed:
    """A run whose graph there is.

    Attributes:
        target: the trace or checkpoint.
        trace: the trace file.
        labels: that the graph is of, as they were asked for.
        graph: what came of it.
    """

    target: Path
    trace: Path
    labels: str
    graph: RunGraph

    @property
    def file_stem(self) -> str:
        """A name for its file, which no other row has if no other has the graph's name."""
        return file_stem(self.graph.run, self.graph.controller, self.graph.mode)

    def source(self) -> Source:
        """The run with all that it can be matched with another by; reads the trace again."""
        trace = load_labelled(self.trace, self.labels, self.target)
        return Source(
            graph=self.graph,
            trace=trace,
            gaits=[describe(trace, episode) for episode in range(trace.episodes)],
            path=self.trace,
            checkpoint=None if self.target == self.trace else self.target,
            labels=self.labels,
        )


def graph_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    mode: Mode = "jump",
    folder: Path | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Graphed | Failed]:
    """Graphs of runs, one a checkpoint and controller; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        mode: of the graphs.
        folder: of the traces; renders/traces by default.
        labels: to go by, as for `relabel.load_labelled`.
        listener: who is told how it goes.

    Returns:
        In the order of `arguments`, then of controllers; what failed comes last.

    Raises:
        GlassvizError: no run can have such labels.
    """
    check_labels(labels)
    from glassviz.runs import find_traces

    found = find_traces(arguments, options, folder, listener)
    rows: list[Graphed | Failed] = []
    for done, each in enumerate(found, start=1):
        rows.append(each if isinstance(each, Failed) else _row(each, mode, labels))
        listener.on_run(done, len(found))
    graphed = [row for row in rows if isinstance(row, Graphed)]
    return [*_told_apart(graphed), *each_once(row for row in rows if isinstance(row, Failed))]


def _row(located: "Located", mode: Mode, labels: str) -> Graphed | Failed:
    try:
        trace = load_labelled(located.path, labels, located.target)
        graph = run_graph(trace, mode, located.name)
    except GlassvizError as error:
        return located.failed(error)
    return Graphed(located.target, located.path, labels, graph)


def _told_apart(rows: list[Graphed]) -> list[Graphed]:
    """The same rows; graphs of one name and controller are called by their files, or paths."""
    names = told_apart(
        [row.graph.run for row in rows],
        [row.target for row in rows],
        [(row.graph.controller, row.graph.mode) for row in rows],
    )
    return [
        replace(row, graph=replace(row.graph, run=name))
        for row, name in zip(rows, names, strict=True)
    ]
