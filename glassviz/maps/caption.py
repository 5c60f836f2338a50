"""What a reader has to know who sees maps: method, n, landmarks, quality, and what not to read."""

from collections.abc import Sequence

import numpy as np

from glassviz.checkpoints.wording import printable
from glassviz.maps.frames import CLOCKLESS_WINDOW_S
from glassviz.maps.latent_map import LatentMap
from glassviz.maps.projection import NEIGHBOURS
from glassviz.maps.spaces import METRICS, TOLD

NO_DISTANCES = "Distances between islands mean nothing."
SHADOW = "What lies together here may lie apart in the other directions."


def caption(maps: Sequence[LatentMap]) -> str:
    """The caption of a figure of one map, or of several."""
    umap = maps[0].options.method == "umap"
    parts = [_made(maps), NO_DISTANCES if umap else SHADOW]
    if len(maps) > 1 and maps[0].options.space == "latent":
        parts.append("Every run has latents of its own, so places cannot be compared between maps.")
    if any(each.cycles for each in maps):
        parts.append(
            "Lines are typical gait cycles, from touchdown (ring) in the arrows' direction, dotted "
            "where they leap from island to island."
        )
    if any(each.prototypes for each in maps):
        parts.append(_prototypes(maps))
    parts += _quality(maps)
    return " ".join(parts)


def method_told(found: LatentMap) -> str:
    """How a map was made, in a few words."""
    if found.options.method == "umap":
        metric = METRICS[found.options.space]
        return f"UMAP ({metric}, {NEIGHBOURS} neighbours, seed {found.options.seed})"
    first, second = found.explained or (0.0, 0.0)
    return f"PCA ({first:.0%} and {second:.0%} of the variance)"


def _made(maps: Sequence[LatentMap]) -> str:
    first = maps[0]
    method = method_told(first) if len({method_told(each) for each in maps}) == 1 else "PCA"
    encoder = ""
    if first.encoder:
        encoder = f" that {printable(first.encoder.name)} makes of all observations"
    counts = [f"{each.fitted:,}" for each in maps]
    told = " and ".join(dict.fromkeys(counts)) if len(set(counts)) < 3 else ", ".join(counts)
    told = f"{method} of the {TOLD[first.options.space]}{encoder}, n\u00a0=\u00a0{told} frames"
    thinned = [each for each in maps if each.fitted < len(each.frames)]
    if thinned:
        of = sum(len(each.frames) for each in thinned)
        told += f", evenly drawn by episode, gait cycle and phase from {of:,}"
        if all(np.isfinite(each.xy).all() for each in thinned):
            exact = all(each.options.method == "pca" for each in thinned)
            told += ", the others projected" if exact else ", the others placed between them"
    return f"{told}."


def _prototypes(maps: Sequence[LatentMap]) -> str:
    told = "Circles are prototypes, each amid the frames nearest to it"
    dead = [(each.name, each.dead_prototypes) for each in maps if each.dead_prototypes]
    if dead:
        lists = [
            ", ".join(map(str, own)) + (f" ({name})" if len(maps) > 1 else "") for name, own in dead
        ]
        told += f"; never visited: {'; '.join(lists)}"
    return f"{told}."


def _quality(maps: Sequence[LatentMap]) -> list[str]:
    found = [each.quality for each in maps if each.quality]
    if not found:
        return []
    windows = np.concatenate([each.frames.window for each in maps])
    low, high = int(windows.min()), int(windows.max())
    n = max(each.frames for each in found)
    return [
        f"Quality over {n:,} frames, k\u00a0=\u00a0{found[0].neighbours}; frames of an episode "
        f"less than half a gait cycle, or {CLOCKLESS_WINDOW_S:g} s without one, apart "
        f"({low if low == high else f'{low} to {high}'} frames) are no neighbours."
    ]
