"""What a latent map looks like: its colourings, landmarks and numbers, for the figure."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool
from matplotlib.figure import Figure

from glassviz.errors import UsageError
from glassviz.maps.caption import caption
from glassviz.maps.landmarks import CyclePath
from glassviz.maps.latent_map import LatentMap
from glassviz.plots.latent_map import (
    GROUP_COLORS,
    Circle,
    Colouring,
    Drawn,
    Groups,
    Mark,
    Scale,
    Trail,
    latent_maps,
)
from glassviz.plots.palette import label_color

Color = Literal["label", "phase", "return-to-go", "controller", "episode", "run"]
OnMap = Bool[np.ndarray, " frames"]
COLORS: tuple[Color, ...] = get_args(Color)

TITLES: dict[Color, str] = {
    "label": "Label",
    "phase": "Gait phase",
    "return-to-go": "Return-to-go",
    "controller": "Controller",
    "episode": "Episode",
    "run": "Run",
}
CONTROLLERS = {"mppi": "planner (mppi)", "pi": "policy (pi)"}


def figure(maps: Sequence[LatentMap], colors: Sequence[Color] | None = None) -> Figure:
    """Draw maps: one at the width of a column, several at that of a page.

    Args:
        maps: at least one.
        colors: a panel each; all that some map has by default.

    Raises:
        UsageError: no map has anything to show in one of the colours.
    """
    known = [color for color in COLORS if any(_has(each, color) for each in maps)]
    for color in colors or ():
        if color not in known:
            raise UsageError(f"--color: {_WHY_NOT[color]}: leave {color} out")
    told = caption(maps)
    return latent_maps([drawn(each, colors or known, told) for each in maps], told)


def drawn(found: LatentMap, colors: Sequence[Color], told: str) -> Drawn:
    """Everything that a figure of the map shows.

    Args:
        found: the map.
        colors: a panel each; grey where the map has nothing to show.
        told: the caption.
    """
    on_map = np.isfinite(found.xy).all(axis=1)
    first, second = found.explained or (0.0, 0.0)
    axes = (f"PC 1 ({first:.0%})", f"PC 2 ({second:.0%})") if found.explained else ("", "")
    return Drawn(
        title=_title(found),
        xy=found.xy[on_map],
        colourings=[_colouring(found, color, on_map) for color in colors],
        trails=_trails(found),
        trails_on=TITLES["phase" if found.of_one_checkpoint else "run"],
        marks=[Mark(each.xy, each.number, each.label) for each in found.prototypes],
        marks_on=_label_title(found),
        numbers=numbers(found),
        summary=summary(found),
        caption=told,
        axes=axes,
    )


_WHY_NOT: dict[Color, str] = {
    "label": "expected runs with labels of one agent, found none, or several agents in one map, "
    "whose labels have no common numbering",
    "phase": "expected gait cycles, found none",
    "return-to-go": "expected rewards, found none",
    "controller": "expected both controllers in a map, found one",
    "episode": "expected several episodes, found one",
    "run": "expected several runs in one map, found one",
}


def _has(found: LatentMap, color: Color) -> bool:
    """Whether a map can be coloured so, with more than one colour where there are groups."""
    if color == "label":
        return found.has_labels
    if color == "phase":
        return bool((found.frames.cycle >= 0).any())
    if color == "episode":
        return bool(found.frames.episode.any())
    if color == "controller":
        return len({trace.header["controller"] for trace in found.traces}) > 1
    return color == "return-to-go" or len(set(found.names)) > 1


def _title(found: LatentMap) -> str:
    """The run; of more runs than there is room for, how many."""
    runs = len(set(found.names))
    return found.name if runs < 3 else f"{runs} runs together"


def summary(found: LatentMap) -> str:
    """Quality in a line."""
    quality, labels = found.quality, found.labels
    told = []
    if quality:
        told += [
            f"trustworthiness {quality.trustworthiness:.2f}",
            f"continuity {quality.continuity:.2f}",
            f"neighbours kept over chance {quality.neighbours_over_chance:.2f}",
        ]
    if labels:
        told.append(f"label purity {labels.purity_space:.2f}, on the map {labels.purity_plane:.2f}")
    return ", ".join(told)


def _trails(found: LatentMap) -> list[Trail]:
    """Typical cycles: one a controller, with its name; in a joint map one a run, in its colour."""
    if found.of_one_checkpoint:
        several = len(found.cycles) > 1
        own = [found.traces[each.trace].header["controller"] for each in found.cycles]
        return [
            Trail(cycle.xy, name if several else "")
            for cycle, name in zip(found.cycles, own, strict=True)
        ]
    names = list(dict.fromkeys(found.names))
    longest: dict[str, CyclePath] = {}
    for cycle in sorted(found.cycles, key=lambda each: each.of):
        longest[found.names[cycle.trace]] = cycle
    return [
        Trail(cycle.xy, "", GROUP_COLORS[names.index(name) % len(GROUP_COLORS)])
        for name, cycle in longest.items()
    ]


def numbers(found: LatentMap) -> list[tuple[str, str, str]]:
    """Rows of the table of quality: what, in the space, in the plane."""
    rows: list[tuple[str, str, str]] = []
    quality, labels = found.quality, found.labels
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
            ("", found.options.space, "map"),
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


def _label_title(found: LatentMap) -> str:
    fitted = any(trace.labels_sha256 for trace in found.traces)
    return TITLES["label"] + (" (fitted)" if fitted else "")


def _colouring(found: LatentMap, color: Color, on_map: OnMap) -> Colouring:
    frames, trace = found.frames, found.frames.trace[on_map]
    if color == "label":
        return _labels(found, on_map)
    if color == "phase":
        return Circle(TITLES[color], frames.phase[on_map])
    if color == "return-to-go":
        return Scale(TITLES[color], frames.to_go[on_map])
    if color == "episode":
        return Scale(TITLES[color], frames.episode[on_map] + 1.0, whole=True)
    if color == "controller":
        of_trace = [each.header["controller"] for each in found.traces]
        told = [CONTROLLERS.get(each, each) for each in of_trace]
    else:
        told = list(found.names)
    names = list(dict.fromkeys(told))
    number = np.array([names.index(each) for each in told])
    colors = {i: GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(len(names))}
    return Groups(TITLES[color], number[trace], dict(enumerate(names)), colors)


def _labels(found: LatentMap, on_map: OnMap) -> Groups:
    if not found.has_labels:
        return Groups(f"{TITLES['label']}: none", np.full(int(on_map.sum()), -1), {}, {})
    label = found.frames.label[on_map].astype(np.int64)
    named = {each.label: f"{each.label} {each.name}" for each in found.label_names}
    occurring = [int(k) for k in np.unique(label) if k >= 0]
    return Groups(
        _label_title(found),
        label,
        {k: named.get(k, str(k)) for k in occurring},
        {k: label_color(k) for k in occurring},
    )
