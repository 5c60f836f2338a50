"""Graphs of many runs at once: traces found or made, the broken ones named."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.analysis.transitions import Mode
from glassviz.errors import GlassvizError
from glassviz.gait.gait import describe
from glassviz.graphs.matching import Source
from glassviz.graphs.run_graph import RunGraph, run_graph
from glassviz.relabel import LEARNED, check_labels, load_labelled
from glassviz.targets import NoTarget, find_targets

if TYPE_CHECKING:
    from glassviz.agents.agent import Controller
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
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.graph.run)
        return f"{name}-{self.graph.controller}-{self.graph.mode}"

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


@dataclass(frozen=True)
class Ungraphed:
    """A run that there is no graph of.

    Attributes:
        name: what tables call it.
        error: what is wrong, in one sentence.
    """

    name: str
    error: str


def graph_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    mode: Mode = "jump",
    folder: Path | None = None,
    labels: str = LEARNED,
    tell: Callable[[str], None] = lambda line: None,
    on_recording: Callable[[int, int], None] = lambda done, total: None,
    on_estimate: Callable[[int, float], None] | None = None,
    on_graph: Callable[[int, int], None] = lambda done, total: None,
) -> list[Graphed | Ungraphed]:
    """Graphs of runs, one a checkpoint and controller; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        mode: of the graphs.
        folder: of the traces; renders/traces by default.
        labels: to go by, as for `relabel.load_labelled`.
        tell: called with each line that a user should see.
        on_recording: called with decisions done and in all, while traces are recorded.
        on_estimate: called before that with the number of missing traces and the seconds that
            they will take.
        on_graph: called with graphs done and in all.

    Returns:
        In the order of `arguments`, then of controllers; what leads to no trace comes last.

    Raises:
        GlassvizError: no run can have such labels.
    """
    check_labels(labels)
    from glassviz.runs import TRACE_FOLDER, locate_traces

    targets = find_targets(arguments, tell)
    names = {t.path: None if isinstance(t, NoTarget) else t.name for t in targets}
    broken = [Ungraphed(str(t.path), t.error) for t in targets if isinstance(t, NoTarget)]

    def on_broken(path: Path, controller: "Controller | None", error: GlassvizError) -> None:
        broken.append(Ungraphed(names[path] or str(path), str(error)))

    located = locate_traces(
        [target.path for target in targets if not isinstance(target, NoTarget)],
        options,
        on_broken,
        folder or TRACE_FOLDER,
        tell,
        on_recording,
        on_estimate,
    )
    rows: list[Graphed | Ungraphed] = []
    for done, each in enumerate(located, start=1):
        row = _row(each, names[each.target], mode, labels)
        if row not in rows:  # What is wrong for both controllers is said once.
            rows.append(row)
        on_graph(done, len(located))
    return _told_apart(rows) + broken


def _row(located: "Located", name: str | None, mode: Mode, labels: str) -> Graphed | Ungraphed:
    try:
        trace = load_labelled(located.path, labels, located.target)
        graph = run_graph(trace, mode, name)
    except GlassvizError as error:
        return Ungraphed(name or str(located.target), str(error))
    return Graphed(located.target, located.path, labels, graph)


def _told_apart(rows: list[Graphed | Ungraphed]) -> list[Graphed | Ungraphed]:
    """The same rows; graphs of one name and controller are called by their files, or paths."""
    for longer in (lambda row: row.target.stem, lambda row: str(row.target)):
        count = Counter(row.file_stem for row in rows if isinstance(row, Graphed))
        rows = [
            replace(row, graph=replace(row.graph, run=longer(row)))
            if isinstance(row, Graphed) and count[row.file_stem] > 1
            else row
            for row in rows
        ]
    return rows
