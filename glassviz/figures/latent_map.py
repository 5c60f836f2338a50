"""The figure of a latent map: its data and its caption."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool
from matplotlib.figure import Figure

from glassviz.errors import UsageError
from glassviz.figures.map_drawing import (
    Circle,
    Colouring,
    Groups,
    MapDrawing,
    Mark,
    Scale,
    Trail,
    latent_maps,
)
from glassviz.maps.coordinates import NEIGHBOURS
from glassviz.maps.features import CLOCKLESS_WINDOW_S, SPACE_METRICS, SPACE_NAMES, CyclePath
from glassviz.maps.maps import LatentMap
from glassviz.palette import label_color
from glassviz.text import printable

Color = Literal["label", "phase", "return-to-go", "controller", "episode", "run"]
COLORS: tuple[Color, ...] = get_args(Color)
OnMap = Bool[np.ndarray, " frames"]

TITLES: dict[Color, str] = {
    "label": "Label",
    "phase": "Gait phase",
    "return-to-go": "Return-to-go",
    "controller": "Controller",
    "episode": "Episode",
    "run": "Run",
}

CONTROLLERS = {"mppi": "planner (mppi)", "pi": "policy (pi)"}

_WHY_NOT: dict[Color, str] = {
    "label": "expected runs with labels of one agent, found none, or several agents in one map, "
    "whose labels have no common numbering",
    "phase": "expected gait cycles, found none",
    "return-to-go": "expected rewards, found none",
    "controller": "expected both controllers in a map, found one",
    "episode": "expected several episodes, found one",
    "run": "expected several runs in one map, found one",
}

GROUP_COLORS = (
    "#1F5FA8",  # blue
    "#E07B00",  # orange
    "#B46CFC",  # violet
    "#54A89C",  # teal
    "#782400",  # brown
    "#000090",  # navy
    "#A85430",  # clay
    "#3C0C30",  # aubergine
)
"""Colours of controllers and runs, distinct from each other and from the clusters' colours.

Like the clusters' palette, safe for all kinds of colour blindness.
"""

NO_DISTANCES = "Distances between islands mean nothing."
SHADOW = "Points close to each other here may be far apart in the other dimensions."


def figure(maps: Sequence[LatentMap], colors: Sequence[Color] | None = None) -> Figure:
    """Draw maps: one at the width of a column, several at that of a page.

    Args:
        maps: at least one map.
        colors: colourings, one panel per colouring; None for all that apply to any map.

    Raises:
        UsageError: a colouring applies to no map.
    """
    applicable = [
        color for color in COLORS if any(_applies(color, latent_map) for latent_map in maps)
    ]
    for color in colors or ():
        if color not in applicable:
            raise UsageError(f"--color: {_WHY_NOT[color]}: omit {color}")
    text = caption(maps)
    return latent_maps(
        [drawing_of(latent_map, colors or applicable, text) for latent_map in maps], text
    )


def drawing_of(latent_map: LatentMap, colors: Sequence[Color], caption: str) -> MapDrawing:
    """The content of a figure of a map.

    Args:
        latent_map: the map.
        colors: colourings, one panel per colouring; grey if it does not apply to the map.
        caption: caption of the figure.
    """
    on_map = np.isfinite(latent_map.xy).all(axis=1)
    first, second = latent_map.explained or (0.0, 0.0)
    axes = (f"PC 1 ({first:.0%})", f"PC 2 ({second:.0%})") if latent_map.explained else ("", "")
    return MapDrawing(
        title=_title(latent_map),
        xy=latent_map.xy[on_map],
        colourings=[_colouring(latent_map, color, on_map) for color in colors],
        trails=_trails(latent_map),
        trails_on=TITLES["phase" if latent_map.of_one_checkpoint else "run"],
        marks=[Mark(p.xy, p.number, p.label) for p in latent_map.prototypes],
        marks_on=_label_title(latent_map),
        numbers=numbers(latent_map),
        summary=summary(latent_map),
        caption=caption,
        axes=axes,
    )


def _applies(color: Color, latent_map: LatentMap) -> bool:
    """Whether a colouring applies to a map, with more than one colour for groups."""
    if color == "label":
        return latent_map.has_labels
    if color == "phase":
        return bool((latent_map.frames.cycle >= 0).any())
    if color == "episode":
        return bool(latent_map.frames.episode.any())
    if color == "controller":
        return len({trace.header["controller"] for trace in latent_map.traces}) > 1
    return color == "return-to-go" or len(set(latent_map.names)) > 1


def _title(latent_map: LatentMap) -> str:
    """The names of up to two runs, or the number of runs."""
    runs = len(set(latent_map.names))
    return latent_map.name if runs < 3 else f"{runs} runs together"


def _colouring(latent_map: LatentMap, color: Color, on_map: OnMap) -> Colouring:
    frames, trace = latent_map.frames, latent_map.frames.trace[on_map]
    if color == "label":
        return _labels(latent_map, on_map)
    if color == "phase":
        return Circle(TITLES[color], frames.phase[on_map])
    if color == "return-to-go":
        return Scale(TITLES[color], frames.to_go[on_map])
    if color == "episode":
        return Scale(TITLES[color], frames.episode[on_map] + 1.0, whole=True)
    if color == "controller":
        controllers = [trace.header["controller"] for trace in latent_map.traces]
        name_of_trace = [CONTROLLERS.get(name, name) for name in controllers]
    else:
        name_of_trace = list(latent_map.names)
    names = list(dict.fromkeys(name_of_trace))
    number = np.array([names.index(name) for name in name_of_trace])
    colors = {i: GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(len(names))}
    return Groups(TITLES[color], number[trace], dict(enumerate(names)), colors)


def _labels(latent_map: LatentMap, on_map: OnMap) -> Groups:
    if not latent_map.has_labels:
        return Groups(f"{TITLES['label']}: none", np.full(int(on_map.sum()), -1), {}, {})
    label = latent_map.frames.label[on_map].astype(np.int64)
    named = {n.label: f"{n.label} {n.name}" for n in latent_map.label_names}
    occurring = [int(k) for k in np.unique(label) if k >= 0]
    return Groups(
        _label_title(latent_map),
        label,
        {k: named.get(k, str(k)) for k in occurring},
        {k: label_color(k) for k in occurring},
    )


def _label_title(latent_map: LatentMap) -> str:
    fitted = any(trace.labels_sha256 for trace in latent_map.traces)
    return TITLES["label"] + (" (fitted)" if fitted else "")


def _trails(latent_map: LatentMap) -> list[Trail]:
    """Typical cycles: one per controller, named; in a joint map one per run, in its colour."""
    if latent_map.of_one_checkpoint:
        named = len(latent_map.cycles) > 1
        traces = latent_map.traces
        return [
            Trail(cycle.xy, traces[cycle.trace].header["controller"] if named else "")
            for cycle in latent_map.cycles
        ]
    names = list(dict.fromkeys(latent_map.names))
    longest: dict[str, CyclePath] = {}
    for cycle in sorted(latent_map.cycles, key=lambda cycle: cycle.of):
        longest[latent_map.names[cycle.trace]] = cycle
    return [
        Trail(cycle.xy, "", GROUP_COLORS[names.index(name) % len(GROUP_COLORS)])
        for name, cycle in longest.items()
    ]


def numbers(latent_map: LatentMap) -> list[tuple[str, str, str]]:
    """Rows of the quality table: metric, value in the space, value on the map."""
    rows: list[tuple[str, str, str]] = []
    quality, labels = latent_map.quality, latent_map.labels
    if quality:
        rows += [
            ("trustworthiness", "", f"{quality.trustworthiness:.2f}"),
            ("continuity", "", f"{quality.continuity:.2f}"),
            ("neighbours kept, Q", "", f"{quality.neighbour_preservation:.2f}"),
            ("  over chance, R", "", f"{quality.neighbours_over_chance:.2f}"),
            ("  over all k, AUC", "", f"{quality.neighbour_preservation_auc:.2f}"),
        ]
    if labels:
        rows += [
            ("", latent_map.options.space, "map"),
            ("label purity", f"{labels.purity_space:.2f}", f"{labels.purity_plane:.2f}"),
            ("  by chance", f"{labels.chance_purity:.2f}", f"{labels.chance_purity:.2f}"),
        ]
        if labels.silhouette_space is not None and labels.silhouette_plane is not None:
            rows.append(
                (
                    "silhouette",
                    f"{labels.silhouette_space:.2f}",
                    f"{labels.silhouette_plane:.2f}",
                )
            )
    return rows


def summary(latent_map: LatentMap) -> str:
    """Quality in one line."""
    quality, labels = latent_map.quality, latent_map.labels
    parts = []
    if quality:
        parts += [
            f"trustworthiness {quality.trustworthiness:.2f}",
            f"continuity {quality.continuity:.2f}",
            f"neighbours kept over chance {quality.neighbours_over_chance:.2f}",
        ]
    if labels:
        parts.append(
            f"label purity {labels.purity_space:.2f}, on the map {labels.purity_plane:.2f}"
        )
    return ", ".join(parts)


def caption(maps: Sequence[LatentMap]) -> str:
    """Caption of a figure of one or several maps."""
    umap = maps[0].options.method == "umap"
    parts = [_made(maps), NO_DISTANCES if umap else SHADOW]
    if len(maps) > 1 and maps[0].options.space == "latent":
        parts.append("Latent spaces differ between runs: positions cannot be compared across maps.")
    if any(latent_map.cycles for latent_map in maps):
        parts.append(
            "Lines are typical gait cycles, from touchdown (ring) in the direction of the arrows, "
            "dotted where they jump between islands."
        )
    if any(latent_map.prototypes for latent_map in maps):
        parts.append(_prototypes(maps))
    parts += _quality(maps)
    return " ".join(parts)


def method_text(latent_map: LatentMap) -> str:
    """The method of a map with its parameters."""
    if latent_map.options.method == "umap":
        metric = SPACE_METRICS[latent_map.options.space]
        return f"UMAP ({metric}, {NEIGHBOURS} neighbours, seed {latent_map.options.seed})"
    first, second = latent_map.explained or (0.0, 0.0)
    return f"PCA ({first:.0%} and {second:.0%} of the variance)"


def _made(maps: Sequence[LatentMap]) -> str:
    first = maps[0]
    method = (
        method_text(first) if len({method_text(latent_map) for latent_map in maps}) == 1 else "PCA"
    )
    encoder = ""
    if first.encoder:
        encoder = f" of all observations under the encoder of {printable(first.encoder.name)}"
    fitted = [f"{latent_map.fitted:,}" for latent_map in maps]
    n = " and ".join(dict.fromkeys(fitted)) if len(set(fitted)) < 3 else ", ".join(fitted)
    text = f"{method} of the {SPACE_NAMES[first.options.space]}{encoder}, n\u00a0=\u00a0{n} frames"
    thinned = [latent_map for latent_map in maps if latent_map.fitted < len(latent_map.frames)]
    if thinned:
        total = sum(len(latent_map.frames) for latent_map in thinned)
        text += f", sampled evenly by episode, gait cycle and phase from {total:,}"
        if all(np.isfinite(latent_map.xy).all() for latent_map in thinned):
            exact = all(latent_map.options.method == "pca" for latent_map in thinned)
            text += ", the others projected" if exact else ", the others interpolated"
    return f"{text}."


def _prototypes(maps: Sequence[LatentMap]) -> str:
    text = "Circles are prototypes, placed among the frames nearest to them"
    dead = [
        (latent_map.name, latent_map.dead_prototypes)
        for latent_map in maps
        if latent_map.dead_prototypes
    ]
    if dead:
        lists = [
            ", ".join(map(str, numbers)) + (f" ({name})" if len(maps) > 1 else "")
            for name, numbers in dead
        ]
        text += f"; never visited: {'; '.join(lists)}"
    return f"{text}."


def _quality(maps: Sequence[LatentMap]) -> list[str]:
    qualities = [latent_map.quality for latent_map in maps if latent_map.quality]
    if not qualities:
        return []
    windows = np.concatenate([latent_map.frames.window for latent_map in maps])
    low, high = int(windows.min()), int(windows.max())
    n = max(quality.frames for quality in qualities)
    return [
        f"Quality over {n:,} frames, k\u00a0=\u00a0{qualities[0].neighbours}; frames of an episode "
        f"less than half a gait cycle apart ({CLOCKLESS_WINDOW_S:g} s without one; "
        f"{low if low == high else f'{low} to {high}'} frames) do not count as neighbours."
    ]
