"""Maps of many runs: one a checkpoint, or one of all; those that cannot be made are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError
from glassviz.maps.coordinates import MapOptions
from glassviz.maps.latent_map import LatentMap, make_map
from glassviz.relabel import LEARNED, check_labels, load_labelled
from glassviz.targets import NoTarget, find_targets
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.agents.agent import Controller
    from glassviz.runs import RolloutOptions


@dataclass(frozen=True)
class Unmapped:
    """A run without a map.

    Attributes:
        name: what tables call it.
        error: what is wrong, in one sentence.
    """

    name: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON."""
        return {"run": self.name, "error": self.error}


@dataclass(frozen=True, eq=False)
class _Source:
    """A trace with what its checkpoint is called, and the folder that it lies in."""

    name: str
    trace: Trace
    folder: Path


def map_all(
    arguments: Sequence[Path],
    rollout: "RolloutOptions",
    options: MapOptions,
    joint: bool = False,
    folder: Path | None = None,
    labels: str = LEARNED,
    tell: Callable[[str], None] = lambda line: None,
    on_recording: Callable[[int, int], None] = lambda done, total: None,
    on_estimate: Callable[[int, float], None] | None = None,
    on_mapping: Callable[[int, int], None] = lambda done, total: None,
) -> list[LatentMap | Unmapped]:
    """Map runs; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        rollout: how checkpoints are rolled out whose traces are missing.
        options: how maps are made.
        joint: one map of all traces, in place of one a checkpoint.
        folder: of the traces; renders/traces by default. Coordinates are kept beside each
            checkpoint's first trace.
        labels: that frames are coloured by, as for `relabel.load_labelled`.
        tell: called with each line that a user should see.
        on_recording: called with decisions done and in all, while traces are recorded.
        on_estimate: called before that with the number of missing traces and the seconds that
            they will take.
        on_mapping: called with maps done and in all.

    Returns:
        Maps in the order of `arguments`, then what could not be mapped.

    Raises:
        GlassvizError: no run can have such labels, or a joint map has no space in common.
    """
    check_labels(labels)
    found, broken = _sources(arguments, rollout, folder, labels, tell, on_recording, on_estimate)
    groups: dict[str, list[_Source]] = {}
    for source in found:
        sha256 = source.trace.header["checkpoint"]["sha256"]
        groups.setdefault("all" if joint else sha256, []).append(source)
    rows: list[LatentMap | Unmapped] = []
    for done, group in enumerate(groups.values(), start=1):
        try:
            rows.append(_map(group, options, tell))
        except GlassvizError as error:
            if joint:
                raise
            rows.append(Unmapped(group[0].name, str(error)))
        on_mapping(done, len(groups))
    maps = [row for row in rows if isinstance(row, LatentMap)]
    return [*maps, *(row for row in rows if isinstance(row, Unmapped)), *broken]


def _map(sources: Sequence[_Source], options: MapOptions, tell: Callable[[str], None]) -> LatentMap:
    traces, names = [each.trace for each in sources], [each.name for each in sources]
    return make_map(traces, options, sources[0].folder, names, tell)


def _sources(
    arguments: Sequence[Path],
    rollout: "RolloutOptions",
    folder: Path | None,
    labels: str,
    tell: Callable[[str], None],
    on_recording: Callable[[int, int], None],
    on_estimate: Callable[[int, float], None] | None,
) -> tuple[list[_Source], list[Unmapped]]:
    """The traces that arguments lead to, each once; and what leads to none."""
    from glassviz.runs import TRACE_FOLDER, locate_traces

    targets = find_targets(arguments, tell)
    names: dict[Path, str | None] = {
        target.path: None if isinstance(target, NoTarget) else target.name for target in targets
    }
    broken = [
        Unmapped(str(target.path), target.error)
        for target in targets
        if isinstance(target, NoTarget)
    ]

    def on_broken(path: Path, controller: "Controller | None", error: GlassvizError) -> None:
        row = Unmapped(names[path] or str(path), str(error))
        if row not in broken:  # What is wrong for both controllers is said once.
            broken.append(row)

    located = locate_traces(
        [target.path for target in targets if not isinstance(target, NoTarget)],
        rollout,
        on_broken,
        folder or TRACE_FOLDER,
        tell,
        on_recording,
        on_estimate,
    )
    found: dict[str, _Source] = {}
    for each in located:
        try:
            trace = load_labelled(each.path, labels, each.target)
        except GlassvizError as error:
            on_broken(each.target, None, error)
            continue
        name = names[each.target] or trace.header["checkpoint"]["name"]
        found.setdefault(trace.sha256, _Source(name, trace, each.path.parent))
    return list(found.values()), broken
