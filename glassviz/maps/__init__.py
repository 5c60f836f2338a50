"""Latent maps: frames of agents in a plane, with what the plane keeps of their neighbourhoods.

    make_map: the map of one checkpoint's traces, or of what several have in common.
    map_all: the same for many runs at once; missing traces are made, broken runs named.

    encoder: one agent that is shown what all saw.
    frames: the frames of several traces; spaces: what is mapped; thinning: fewer, evenly.
    projection: UMAP and PCA; coordinates: fitted once, kept beside the traces, found again.
    landmarks: the typical gait cycle, prototypes.
    caption, drawing: what a figure shows; gallery: what each prototype stands for.

Loads neither JAX, MuJoCo, umap nor matplotlib until a map is made or drawn.
"""

from glassviz.maps.coordinates import Coordinates, MapOptions
from glassviz.maps.landmarks import CyclePath, PlacedPrototype
from glassviz.maps.latent_map import LatentMap, make_map
from glassviz.maps.many import map_all

__all__ = [
    "Coordinates",
    "CyclePath",
    "LatentMap",
    "MapOptions",
    "PlacedPrototype",
    "make_map",
    "map_all",
]
