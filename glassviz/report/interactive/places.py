"""Where the frames of a checkpoint are on its latent map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from glassviz.errors import GlassvizError
from glassviz.maps import LatentMap, MapOptions, make_map
from glassviz.maps.caption import NO_DISTANCES, SHADOW, method_told
from glassviz.maps.coordinates import MAX_POINTS
from glassviz.maps.projection import Method
from glassviz.report.interactive.page import Map, MapPrototype, State
from glassviz.trace import Trace

GROUND_POINTS = 1500
NOWHERE = np.zeros((0, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Places:
    """A map of the frames of some traces, or why there is none.

    Attributes:
        xy: of each frame of each trace; all in one place without a map.
        found: the map.
        failure: why there is none; empty if there is one.
    """

    xy: tuple[Float32[np.ndarray, "_ _ 2"], ...]
    found: LatentMap | None
    failure: str = ""

    def of(self, number: int, states: Sequence[State]) -> Map:
        """What lies under the frames of one of the traces.

        Args:
            number: of the trace.
            states: of its frames.
        """
        every = np.concatenate([xy.reshape(-1, 2) for xy in self.xy])
        (left, bottom), (right, top) = every.min(axis=0).tolist(), every.max(axis=0).tolist()
        bounds = (left, right), (bottom, top)
        if self.found is None:
            return Map(bounds, NOWHERE, NOWHERE, (), self.failure)
        ground = every[:: -(-len(every) // GROUND_POINTS)]
        paths = [each.xy for each in self.found.cycles if each.trace == number]
        path = paths[0].astype(np.float32) if paths else NOWHERE
        numbers = {state.key: i for i, state in enumerate(states)}
        prototypes = tuple(
            MapPrototype(each.number, numbers[str(each.label)], *each.xy)
            for each in self.found.prototypes
            if str(each.label) in numbers
        )
        caption = _caption(self.found, bool(paths), bool(prototypes))
        return Map(bounds, ground, path, prototypes, caption)


def places_of(traces: Sequence[Trace], folder: Path, method: Method = "umap") -> Places:
    """Map the latents of traces of one checkpoint together; fitted before, the map is used again.

    Args:
        traces: of one checkpoint.
        folder: where coordinates of maps are kept.
        method: of the map.
    """
    frames = sum(trace.label.size for trace in traces)
    try:
        found = make_map(traces, MapOptions(method, place_rest=frames > MAX_POINTS), folder)
    except GlassvizError as error:
        nowhere = [np.zeros((*trace.label.shape, 2), np.float32) for trace in traces]
        return Places(tuple(nowhere), None, str(error))
    return Places(found.coordinates, found)


def _caption(found: LatentMap, path: bool, prototypes: bool) -> str:
    warning = NO_DISTANCES if found.options.method == "umap" else SHADOW
    told = f"{method_told(found)} of the latents; grey: all episodes. {warning}"
    if found.quality:
        told += f" Trustworthiness {found.quality.trustworthiness:.2f}."
    if path:
        told += " Line: the typical gait cycle, from touchdown (ring), dotted where it leaps."
    if prototypes:
        told += " Circles: prototypes."
    return told
