"""Maps of many runs: one a checkpoint, or one of all; those that cannot be made are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.errors import GlassvizError, UsageError
from glassviz.many import NOBODY, Failed, Listener, each_once, told_apart
from glassviz.maps.coordinates import MapOptions
from glassviz.maps.encoder import Encoder
from glassviz.maps.latent_map import LatentMap, make_map
from glassviz.relabel import LEARNED, check_labels, load_labelled
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.runs import RolloutOptions


@dataclass(frozen=True, eq=False)
class _Source:
    """A trace with what its checkpoint is called, what led to it, and the folder it lies in."""

    name: str
    target: Path
    trace: Trace
    folder: Path

    @property
    def checkpoint(self) -> str:
        """Hash of its checkpoint."""
        return str(self.trace.header["checkpoint"]["sha256"])


def map_all(
    arguments: Sequence[Path],
    rollout: "RolloutOptions",
    options: MapOptions,
    joint: bool = False,
    folder: Path | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
    encoder: Path | None = None,
) -> list[LatentMap | Failed]:
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
        listener: who is told how it goes.
        encoder: checkpoint of the agent that makes the latents of a joint map; each its own if
            None.

    Returns:
        Maps in the order of `arguments`, then what could not be mapped.

    Raises:
        UsageError: an encoder for what is no joint map of latents.
        GlassvizError: no run can have such labels, the encoder cannot be read, or a joint map has
            no space in common.
    """
    check_labels(labels)
    if encoder and not (joint and options.space == "latent"):
        raise UsageError("--encoder: expected --joint latent with it: add that, or leave it out")
    shown_to = Encoder.load(encoder) if encoder else None
    found, failed = _sources(arguments, rollout, folder, labels, listener)
    groups: dict[str, list[_Source]] = {}
    for source in found:
        groups.setdefault("all" if joint else source.checkpoint, []).append(source)
    maps: list[LatentMap] = []
    for done, group in enumerate(groups.values(), start=1):
        try:
            maps.append(_map(group, options, listener.tell, shown_to))
        except GlassvizError as error:
            if joint:
                raise
            failed.append(Failed(group[0].name, group[0].target, None, str(error)))
        listener.on_run(done, len(groups))
    return [*maps, *failed]


def _map(
    sources: Sequence[_Source],
    options: MapOptions,
    tell: Callable[[str], None],
    encoder: Encoder | None,
) -> LatentMap:
    traces, names = [each.trace for each in sources], [each.name for each in sources]
    return make_map(traces, options, sources[0].folder, names, tell, encoder)


def _sources(
    arguments: Sequence[Path],
    rollout: "RolloutOptions",
    folder: Path | None,
    labels: str,
    listener: Listener,
) -> tuple[list[_Source], list[Failed]]:
    """The traces that arguments lead to, each once; and what leads to none."""
    from glassviz.runs import find_traces

    found: dict[str, _Source] = {}
    failed: list[Failed] = []
    for row in find_traces(arguments, rollout, folder, listener):
        if isinstance(row, Failed):
            failed.append(row)
            continue
        try:
            trace = load_labelled(row.path, labels, row.target)
        except GlassvizError as error:
            failed.append(row.failed(error))
            continue
        name = row.name or trace.header["checkpoint"]["name"]
        found.setdefault(trace.sha256, _Source(name, row.target, trace, row.path.parent))
    return _told_apart(list(found.values())), each_once(failed)


def _told_apart(sources: list[_Source]) -> list[_Source]:
    """The same; checkpoints of one name are called by their files, or paths."""
    first: dict[str, _Source] = {}
    for each in sources:
        first.setdefault(each.checkpoint, each)
    own = told_apart([each.name for each in first.values()], [e.target for e in first.values()])
    names = dict(zip(first, own, strict=True))
    return [replace(each, name=names[each.checkpoint]) for each in sources]
