"""What is written over each frame: cluster, prototype, controller, episode, time, return.

All that an episode's frames share is drawn once, when the overlay is made; a frame then costs a
few blends.
"""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from glassviz.plots.palette import NO_CLUSTER_COLOR, ink_on, label_color
from glassviz.video.clip import Clip
from glassviz.video.layout import FAINT_COLOR, TEXT_COLOR, Layout
from glassviz.video.sprite import NumberWriter, Sprite, font, line_height, rounded_box
from glassviz.video.timeline import Timeline

Pair = tuple[int, int]
"""Label and prototype."""


class Overlay:
    """Draws one clip's overlay into pictures of one size.

    Raises:
        UsageError: the pictures are too small for an overlay.
    """

    def __init__(self, clip: Clip, width: int, height: int) -> None:
        layout = Layout.of(width, height)
        self._parts = (_Badge(clip, layout), _Status(clip, layout), Timeline(clip, layout))

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], t: int) -> None:
        """Draw the overlay of the clip's frame t into its picture."""
        for part in self._parts:
            part.draw(frame, t)


class _Badge:
    """Upper left: the cluster as a coloured chip, and the prototype behind it."""

    def __init__(self, clip: Clip, layout: Layout) -> None:
        self._clip = clip
        self._at = layout.margin
        pairs = set(zip(clip.label.tolist(), clip.prototype.tolist(), strict=True))
        draw = _glass_badges if clip.has_labels else _grey_badge
        self._sprites = draw(pairs, layout)

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], t: int) -> None:
        pair = int(self._clip.label[t]), int(self._clip.prototype[t])
        self._sprites[pair].draw(frame, self._at, self._at)


def _glass_badges(pairs: set[Pair], layout: Layout) -> dict[Pair, Sprite]:
    def widest(names: set[str], size: int) -> float:
        return max(font(size).getlength(name) for name in names)

    chip_width = round(
        widest({f"K={label}" for label, _ in pairs}, layout.chip_text) + layout.chip_text
    )
    room = widest({f"n={prototype}" for _, prototype in pairs}, layout.text) + 2 * layout.padding
    sprites = {}
    for label, prototype in pairs:
        panel = _chip(f"K={label}", label_color(label), layout.chip_text, chip_width, room, layout)
        ImageDraw.Draw(panel).text(
            (chip_width + 2 * layout.padding + layout.padding // 2, panel.height / 2),
            f"n={prototype}",
            fill=TEXT_COLOR,
            font=font(layout.text),
            anchor="lm",
        )
        sprites[label, prototype] = Sprite(panel)
    return sprites


def _grey_badge(pairs: set[Pair], layout: Layout) -> dict[Pair, Sprite]:
    text, size = "no clusters", layout.text
    width = round(font(size).getlength(text) + 1.5 * size)
    sprite = Sprite(_chip(text, NO_CLUSTER_COLOR, size, width, 0.0, layout))
    return dict.fromkeys(pairs, sprite)


def _chip(text: str, color: str, size: int, width: int, room: float, layout: Layout) -> Image.Image:
    """A panel with a coloured chip in it, and room for more on its right."""
    panel = layout.panel(round(width + 2 * layout.padding + room), layout.header_height)
    box = rounded_box(width, layout.header_height - 2 * layout.padding, layout.radius, color)
    ImageDraw.Draw(box).text(
        (width / 2, box.height / 2), text, fill=ink_on(color), font=font(size), anchor="mm"
    )
    panel.paste(box, (layout.padding, layout.padding), box)
    return panel


class _Status:
    """Upper right: who acts, which episode, time and return so far."""

    def __init__(self, clip: Clip, layout: Layout) -> None:
        self._clip = clip
        self._writer = NumberWriter(layout.text, TEXT_COLOR)
        padding, size = layout.padding, layout.text
        line = line_height(size)
        episode = f"episode {clip.episode}/{clip.episodes}"
        extremes = _number(clip.total.min()), _number(clip.total.max())
        total_width = max(map(self._writer.width, extremes))
        time_width = self._writer.width(_number(clip.time[-1]))
        unit_width = round(font(size).getlength(" s"))
        label_width = round(font(size).getlength("return "))
        column = 3 * padding
        inner = max(
            round(font(size).getlength(clip.controller) + column + font(size).getlength(episode)),
            time_width + unit_width + column + label_width + total_width,
        )
        width = inner + 2 * padding
        first, second = padding, 2 * padding + line
        panel = layout.panel(width, layout.header_height)
        ink = ImageDraw.Draw(panel)

        def write(text: str, x: int, y: int, color: str, anchor: str) -> None:
            ink.text((x, y), text, fill=color, font=font(size), anchor=anchor)

        write(clip.controller, padding, first, TEXT_COLOR, "la")
        write(episode, width - padding, first, FAINT_COLOR, "ra")
        write(" s", padding + time_width, second, FAINT_COLOR, "la")
        write("return ", width - padding - total_width, second, FAINT_COLOR, "ra")
        self._panel = Sprite(panel)
        self._at = layout.width - layout.margin - width, layout.margin
        self._time_right = self._at[0] + padding + time_width
        self._total_right = self._at[0] + width - padding
        self._numbers_top = self._at[1] + second

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], t: int) -> None:
        self._panel.draw(frame, *self._at)
        for value, right in (
            (self._clip.time[t], self._time_right),
            (self._clip.total[t], self._total_right),
        ):
            text = _number(value)
            self._writer.draw(frame, text, right - self._writer.width(text), self._numbers_top)


def _number(value: float) -> str:
    return f"{value:.2f}"
