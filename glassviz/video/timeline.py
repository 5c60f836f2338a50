"""The strip along the bottom: an episode's labels and floor contacts, and where the film is."""

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8
from PIL import Image, ImageDraw

from glassviz.plots.palette import ink_on, label_color, to_rgb
from glassviz.video.clip import Clip
from glassviz.video.layout import FAINT_COLOR, Layout
from glassviz.video.sprite import Sprite, font, line_height, rounded_box

FOOT_COLOR = "#F4F5F7"
OTHER_COLOR = "#A98467"
LANE_COLOR = "#2B2E37"
CONTACT_TITLE = "floor contact"
AHEAD = 0.6
"""Brightness of what the film has not reached yet."""


class Timeline:
    """Label and contacts of a clip's every frame, with a playhead.

    Attributes:
        height: of the whole panel, in pixels.
    """

    def __init__(self, clip: Clip, layout: Layout) -> None:
        width = layout.width - 2 * layout.margin
        padding = layout.padding
        gap = max(2, layout.margin // 4)
        bars = _bars(clip, width - 2 * padding, layout)
        legend = _legend(clip, width - 2 * padding, layout)
        self._bars_top = padding + legend.height + gap
        self.height = self._bars_top + bars.shape[0] + padding
        panel = layout.panel(width, self.height)
        panel.paste(legend, (padding, padding), legend)
        ahead = Image.fromarray((bars * AHEAD).astype(np.uint8))
        panel.paste(ahead, (padding, self._bars_top))
        self._panel = Sprite(panel)
        self._bars = bars
        self._frames = clip.frames
        self._left = layout.margin
        self._top = layout.height - layout.margin - self.height
        self._padding = padding
        self._playhead = _playhead(bars.shape[0] + 2 * gap, layout)
        self._overhang = gap

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], t: int) -> None:
        """Draw it into the picture of frame t, which is the last one that the playhead passed."""
        self._panel.draw(frame, self._left, self._top)
        height, width, _ = self._bars.shape
        reached = round((t + 1) / self._frames * width)
        left, top = self._left + self._padding, self._top + self._bars_top
        frame[top : top + height, left : left + reached] = self._bars[:, :reached]
        head = left + reached - self._playhead.width // 2
        self._playhead.draw(frame, head, top - self._overhang)


def _bars(clip: Clip, width: int, layout: Layout) -> UInt8[np.ndarray, "height width 3"]:
    """Labels above, below them a lane for the foot and one for the rest of the body."""
    label_height = round(layout.text * 0.85)
    lane_height = max(3, round(layout.text * 0.32))
    gap = max(1, round(layout.text * 0.1))
    ground = np.zeros((1, width, 3), np.uint8)
    rows = (
        (_label_row(clip.label, width), label_height),
        (ground, gap),
        (_contact_row(clip.foot, width, FOOT_COLOR), lane_height),
        (ground, gap),
        (_contact_row(clip.other, width, OTHER_COLOR), lane_height),
    )
    return np.concatenate([np.repeat(row, height, axis=0) for row, height in rows])


def _label_row(label: Int32[np.ndarray, " frames"], width: int) -> UInt8[np.ndarray, "1 width 3"]:
    """One colour a pixel column: that of the most frequent label among its frames."""
    labels, which = np.unique(label, return_inverse=True)
    colors = np.array([to_rgb(label_color(int(k))) for k in labels], np.uint8)
    shares = np.stack([_column_means(which == i, width) for i in range(len(labels))])
    return colors[shares.argmax(axis=0)][None]


def _contact_row(
    contact: Bool[np.ndarray, " frames"], width: int, color: str
) -> UInt8[np.ndarray, "1 width 3"]:
    """Brightness tells in what share of a column's frames there was contact."""
    share = _column_means(contact, width)[:, None]
    row = np.array(to_rgb(color)) * share + np.array(to_rgb(LANE_COLOR)) * (1 - share)
    return row.round().astype(np.uint8)[None]


def _column_means(values: Bool[np.ndarray, " frames"], width: int) -> Float64[np.ndarray, " width"]:
    """Mean over the frames, or parts of frames, that fall on each pixel column."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    edges = np.linspace(0, len(values), width + 1)
    return np.diff(np.interp(edges, np.arange(len(total)), total)) * width / len(values)


def _legend(clip: Clip, width: int, layout: Layout) -> Image.Image:
    """Which clusters occur in the episode, and what the contact lanes mean."""
    size = layout.small_text
    height = line_height(size) + 2
    legend = Image.new("RGBA", (width, height))
    ink = ImageDraw.Draw(legend)
    middle = height / 2
    gap = round(size * 0.45)

    right = width
    for name, color in (("other", OTHER_COLOR), ("foot", FOOT_COLOR)):
        right -= round(font(size).getlength(name))
        ink.text((right, middle), name, fill=FAINT_COLOR, font=font(size), anchor="lm")
        side = round(size * 0.7)
        right -= side + gap
        box = rounded_box(side, side, side * 0.25, color)
        legend.paste(box, (right, round(middle - side / 2)), box)
        right -= 2 * gap

    labels = [int(k) for k in np.unique(clip.label)] if clip.has_labels else []
    learned = "fitted clusters" if clip.fitted else "clusters"
    title = learned if labels else "no clusters"
    ink.text((0, middle), title, fill=FAINT_COLOR, font=font(size), anchor="lm")
    pen = round(font(size).getlength(title)) + gap
    for label in labels:
        swatch = _swatch(str(label), label_color(label), size, height)
        if pen + swatch.width > right:
            break
        legend.paste(swatch, (pen, 0), swatch)
        pen += swatch.width + max(2, gap // 2)

    if right - font(size).getlength(CONTACT_TITLE) > pen:
        ink.text((right, middle), CONTACT_TITLE, fill=FAINT_COLOR, font=font(size), anchor="rm")
    return legend


def _swatch(text: str, color: str, size: int, height: int) -> Image.Image:
    width = max(height, round(font(size).getlength(text) + size * 0.8))
    box = rounded_box(width, height, height * 0.25, color)
    ink = ImageDraw.Draw(box)
    ink.text((width / 2, height / 2), text, fill=ink_on(color), font=font(size), anchor="mm")
    return box


def _playhead(height: int, layout: Layout) -> Sprite:
    line = max(1.0, layout.height / 360)
    width = round(3 * line)
    return Sprite(rounded_box(width, height, width / 2, "#FFFFFF", outline="#000000", line=line))
