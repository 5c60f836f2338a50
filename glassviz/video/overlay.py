"""The overlay of a film: cluster badge, status, and a timeline of labels and contacts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import count, takewhile
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8
from PIL import Image, ImageDraw, ImageFont

from glassviz.errors import UsageError
from glassviz.palette import NO_CLUSTER_COLOR, ink_on, label_color, to_rgb
from glassviz.text import cut_middle, spelled_out
from glassviz.video.clip import Canvas, Clip

SUPERSAMPLING = 4
"""Pillow does not antialias shapes: they are drawn larger and scaled down."""

MIN_WIDTH, MIN_HEIGHT = 280, 200
"""Below this size panels overlap or text becomes unreadable."""

PANEL_COLOR = "#14161CE0"
"""Nearly opaque: texts are readable on a white picture too."""

TEXT_COLOR = "#F4F5F7"
FAINT_COLOR = "#B4B9C4"
FOOT_COLORS = ("#F4F5F7", "#86B6E8", "#E8D27A", "#9AD9A0")
OTHER_COLOR = "#A98467"
LANE_COLOR = "#2B2E37"
CONTACT_TITLE = "floor contact"

PROTOTYPE = "μ"
"""Prefix of the numbers of prototypes."""

WINDOW_S = 4.0
"""Duration of the enlarged part of the timeline."""

LONGER = 1.5
"""Clips that are this many times as long as the window have one."""

ROOMY = 300
"""Pictures from this height on have room for the agent's name, for seconds and for a window."""

WIDEST_CHIP = 0.36
"""Longer names of clusters are cut to this share of the picture's width."""

AHEAD = 0.6
"""Brightness of the part of the timeline that is still ahead."""

Pair = tuple[int, int]
"""Label and prototype."""


class Overlay:
    """Draws the overlay of a clip into its pictures.

    Raises:
        UsageError: the pictures are too small for an overlay.
    """

    def __init__(self, clip: Clip, width: int, height: int) -> None:
        layout = Layout.of(width, height)
        self._parts = (_Badge(clip, layout), _Status(clip, layout), Timeline(clip, layout))

    def draw(self, frame: Canvas, t: int) -> None:
        """Draw the overlay of frame t into its picture."""
        for part in self._parts:
            part.draw(frame, t)


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels, derived from the size of the picture.

    Attributes:
        margin: distance of the panels from the picture's edge.
        padding: distance of a panel's content from its edge.
        text, chip_text, small_text: font sizes.
        radius: radius of a panel's corners.
    """

    width: int
    height: int
    margin: int
    padding: int
    text: int
    chip_text: int
    small_text: int
    radius: float

    @classmethod
    def of(cls, width: int, height: int) -> Self:
        """The layout for a picture.

        Raises:
            UsageError: the picture is too small for an overlay.
        """
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            raise UsageError(
                f"size: expected at least {MIN_WIDTH}x{MIN_HEIGHT} per picture for an overlay, "
                f"found {width}x{height}: choose a larger size or omit the overlay"
            )
        unit = min(height, 0.75 * width)
        text = round(6 + unit / 45)
        return cls(
            width=width,
            height=height,
            margin=round(unit / 48),
            padding=round(unit / 60) + 1,
            text=text,
            chip_text=round(1.6 * text),
            small_text=max(10, round(0.8 * text)),
            radius=unit / 80 + 1,
        )

    @property
    def header_height(self) -> int:
        """Height of the panels at the top: two lines of text."""
        return 2 * line_height(self.text) + 3 * self.padding

    def panel(self, width: int, height: int) -> Image.Image:
        """The dark, semi-transparent background of a part of the overlay."""
        return rounded_box(width, height, self.radius, PANEL_COLOR)


class Sprite:
    """A picture with transparency, prepared for blending in two passes over its pixels."""

    def __init__(self, picture: Image.Image) -> None:
        rgba = np.asarray(picture.convert("RGBA"))
        alpha = rgba[..., 3:]
        self.width, self.height = picture.size
        self._transparency = np.repeat(255 - alpha, 3, axis=2)
        self._premultiplied = np.round(rgba[..., :3] * (alpha / 255.0)).astype(np.uint8)

    @classmethod
    def text(cls, text: str, size: int, color: str) -> Self:
        """A line of text with the font's line height."""
        text, glyphs = drawable(text), font(size)
        width = max(1, round(glyphs.getlength(text)))
        picture = Image.new("RGBA", (width, line_height(size)), color + "00")
        ImageDraw.Draw(picture).text((0, 0), text, font=glyphs, fill=color)
        return cls(picture)

    def draw(self, frame: Canvas, x: int, y: int) -> None:
        """Blend into `frame` with the upper left corner at (x, y)."""
        region = frame[y : y + self.height, x : x + self.width]
        cv2.multiply(region, self._transparency, dst=region, scale=1 / 255)
        cv2.add(region, self._premultiplied, dst=region)


class NumberWriter:
    """Writes changing numbers from cached glyphs.

    All digits take the width of the widest, so that a running number does not jitter.
    """

    def __init__(self, size: int, color: str) -> None:
        self._size, self._color = size, color
        self._digit_width = max(font(size).getlength(digit) for digit in "0123456789")
        self._glyphs: dict[str, Sprite] = {}

    def width(self, text: str) -> int:
        """Width of `text`, in pixels."""
        return round(sum(map(self._advance, text)))

    def draw(self, frame: Canvas, text: str, x: int, y: int) -> None:
        """Write `text` into `frame` with the upper left corner at (x, y)."""
        pen = float(x)
        for character in text:
            advance = self._advance(character)
            if character != " ":
                if character not in self._glyphs:
                    self._glyphs[character] = Sprite.text(character, self._size, self._color)
                glyph = self._glyphs[character]
                glyph.draw(frame, round(pen + (advance - glyph.width) / 2), y)
            pen += advance

    def _advance(self, character: str) -> float:
        return self._digit_width if character.isdigit() else font(self._size).getlength(character)


def drawable(text: str) -> str:
    """`text` as films show it: with code points for characters that the typeface lacks."""
    return spelled_out(text, _has_glyph)


@cache
def _has_glyph(character: str) -> bool:
    """Whether the typeface draws a character as something else than a missing one."""
    glyph, missing = (bytes(font(20).getmask(each)) for each in (character, "\U0010ffff"))
    return character.isprintable() and glyph != missing


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's default typeface (Aileron) at `size` pixels."""
    typeface = ImageFont.load_default(size)
    assert isinstance(typeface, ImageFont.FreeTypeFont)
    return typeface


@cache
def greek_font(size: int) -> ImageFont.FreeTypeFont:
    """A typeface with Greek letters, which Pillow's lacks: DejaVu Sans, of Matplotlib's data."""
    spec = find_spec("matplotlib")  # found without being imported
    assert spec is not None and spec.origin is not None
    return ImageFont.truetype(
        Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size
    )


def line_height(size: int) -> int:
    """Height of a line of text, from the tallest ascender to the lowest descender."""
    return sum(font(size).getmetrics())


def rounded_box(
    width: int, height: int, radius: float, fill: str, outline: str | None = None, line: float = 0.0
) -> Image.Image:
    """A box with antialiased rounded corners; colours are #RRGGBB or #RRGGBBAA."""
    scale = SUPERSAMPLING
    large = Image.new("RGBA", (width * scale, height * scale), fill[:7] + "00")
    corners = (0, 0, width * scale - 1, height * scale - 1)
    ImageDraw.Draw(large).rounded_rectangle(
        corners, round(radius * scale), fill, outline, round(line * scale)
    )
    return large.reduce(scale)


def text_box(
    text: str, size: int, width: int, height: int, radius: float, color: str, ink: str = ""
) -> Image.Image:
    """A rounded box with a text of font size `size` in its middle, in a readable ink by default."""
    box = rounded_box(width, height, radius, color)
    middle = width / 2, height / 2
    ink = ink or ink_on(color)
    ImageDraw.Draw(box).text(middle, drawable(text), fill=ink, font=font(size), anchor="mm")
    return box


def text_width(text: str, size: int) -> float:
    """Width of a line of text, pixels."""
    return font(size).getlength(drawable(text))


class _Badge:
    """Upper left: the cluster as a coloured chip, followed by the prototype."""

    def __init__(self, clip: Clip, layout: Layout) -> None:
        self._clip, self._at = clip, layout.margin
        pairs = set(zip(clip.label.tolist(), clip.prototype.tolist(), strict=True))
        if clip.has_labels:
            self._sprites = _glass_badges(pairs, clip.given_labels, layout)
        else:
            text, size = "no clusters", layout.text
            width = round(text_width(text, size) + 1.5 * size)
            sprite = Sprite(_chip(text, NO_CLUSTER_COLOR, size, width, 0.0, layout))
            self._sprites = dict.fromkeys(pairs, sprite)

    def draw(self, frame: Canvas, t: int) -> None:
        pair = int(self._clip.label[t]), int(self._clip.prototype[t])
        self._sprites[pair].draw(frame, self._at, self._at)


def _glass_badges(pairs: set[Pair], given: Mapping[int, str], layout: Layout) -> dict[Pair, Sprite]:
    size, text, padding = layout.chip_text, layout.text, layout.padding
    names = {label: f"K={label} {given.get(label, '')}".strip() for label, _ in pairs}
    # Wider chips would cover the agent.
    widest = layout.width * WIDEST_CHIP - size

    def fits(text: str) -> bool:
        return text_width(text, size) <= widest

    names = {label: cut_middle(name, fits) for label, name in names.items()}
    chip_width = round(max(text_width(name, size) for name in names.values()) + size)
    greek = greek_font(text)
    room = max(greek.getlength(f"{PROTOTYPE}{n}") for _, n in pairs) + 2 * padding
    sprites = {}
    for label, prototype in pairs:
        panel = _chip(names[label], label_color(label), size, chip_width, room, layout)
        at = chip_width + 2 * padding + padding // 2, panel.height / 2
        number = f"{PROTOTYPE}{prototype}"
        ImageDraw.Draw(panel).text(at, number, fill=TEXT_COLOR, font=greek, anchor="lm")
        sprites[label, prototype] = Sprite(panel)
    return sprites


def _chip(text: str, color: str, size: int, width: int, room: float, layout: Layout) -> Image.Image:
    """A panel with a coloured chip, and `room` pixels to its right."""
    padding, height = layout.padding, layout.header_height
    panel = layout.panel(round(width + 2 * padding + room), height)
    box = text_box(text, size, width, height - 2 * padding, layout.radius, color)
    panel.paste(box, (padding, padding), box)
    return panel


class _Status:
    """Upper right: controller, episode, time and return so far."""

    def __init__(self, clip: Clip, layout: Layout) -> None:
        self._clip = clip
        self._writer = NumberWriter(layout.text, TEXT_COLOR)
        padding, size = layout.padding, layout.text
        line = line_height(size)
        episode = f"episode {clip.episode}/{clip.episodes}"
        extremes = f"{clip.total.min():.2f}", f"{clip.total.max():.2f}"
        total_width = max(map(self._writer.width, extremes))
        time_width = self._writer.width(f"{clip.time[-1]:.2f}")
        unit_width = round(text_width(" s", size))
        label_width = round(text_width("return ", size))
        column = 3 * padding
        inner = max(
            round(text_width(clip.controller, size) + column + text_width(episode, size)),
            time_width + unit_width + column + label_width + total_width,
        )
        width = inner + 2 * padding
        first, second = padding, 2 * padding + line
        panel = layout.panel(width, layout.header_height)
        ink = ImageDraw.Draw(panel)

        def write(text: str, x: int, y: int, color: str, anchor: str) -> None:
            ink.text((x, y), drawable(text), fill=color, font=font(size), anchor=anchor)

        write(clip.controller, padding, first, TEXT_COLOR, "la")
        write(episode, width - padding, first, FAINT_COLOR, "ra")
        write(" s", padding + time_width, second, FAINT_COLOR, "la")
        write("return ", width - padding - total_width, second, FAINT_COLOR, "ra")
        self._panel = Sprite(panel)
        self._at = layout.width - layout.margin - width, layout.margin
        self._time_right = self._at[0] + padding + time_width
        self._total_right = self._at[0] + width - padding
        self._numbers_top = self._at[1] + second

    def draw(self, frame: Canvas, t: int) -> None:
        self._panel.draw(frame, *self._at)
        clip = self._clip
        for values, right in ((clip.time, self._time_right), (clip.total, self._total_right)):
            text = f"{values[t]:.2f}"
            self._writer.draw(frame, text, right - self._writer.width(text), self._numbers_top)


class Timeline:
    """Bottom: labels and contacts over the clip, with a playhead; `height` is in pixels.

    Below the whole clip lies a window of `WINDOW_S` around the playhead, if the clip is longer and
    the picture has room for it. The lowest bars have seconds below them: their ticks move with the
    window, and a label that would be cut at its edge is left out.
    """

    def __init__(self, clip: Clip, layout: Layout) -> None:
        width = layout.width - 2 * layout.margin
        self._inner = inner = width - 2 * layout.padding
        padding = layout.padding
        gap = max(2, layout.margin // 4)
        legend = _legend(clip, inner, layout)
        step_s = float(clip.time[1] - clip.time[0]) if clip.frames > 1 else WINDOW_S
        duration_s = clip.frames * step_s
        enlarged = duration_s >= LONGER * WINDOW_S and layout.height >= ROOMY
        lanes = [_bars(clip, inner, layout)]
        if enlarged:
            lanes.append(_bars(clip, round(inner * duration_s / WINDOW_S), layout))
        tops = [padding + legend.height + gap]
        for lane in lanes[:-1]:
            tops.append(tops[-1] + lane.shape[0] + 3 * gap)
        seconds = _Seconds(clip, duration_s, lanes[-1].shape[1], inner, layout)
        self.height = tops[-1] + lanes[-1].shape[0] + seconds.height + padding
        panel = layout.panel(width, self.height)
        panel.paste(legend, (padding, padding), legend)
        self._panel = Sprite(panel)
        self._frames = clip.frames
        self._left, self._top = layout.margin, layout.height - layout.margin - self.height
        self._bars_left = self._left + padding
        self._lanes = [
            (self._top + top, lane, (lane * AHEAD).astype(np.uint8))
            for top, lane in zip(tops, lanes, strict=True)
        ]
        self._seconds = seconds
        self._seconds_top = self._top + tops[-1] + lanes[-1].shape[0]
        line = max(1.0, layout.height / 360)
        head = round(3 * line), lanes[0].shape[0] + 2 * gap
        box = rounded_box(*head, head[0] / 2, "#FFFFFF", outline="#000000", line=line)
        self._playhead = Sprite(box)
        self._overhang = gap

    def draw(self, frame: Canvas, t: int) -> None:
        """Draw the timeline into the picture of frame t, with the playheads at the frame's end."""
        self._panel.draw(frame, self._left, self._top)
        first = 0
        for top, lane, ahead in self._lanes:
            height, length, _ = lane.shape
            reached = round((t + 1) / self._frames * length)
            # The playhead is in the middle of a window, except at the ends of the clip.
            first = min(max(0, reached - self._inner // 2), length - self._inner)
            last, here = first + self._inner, reached - first
            shown = frame[top : top + height, self._bars_left : self._bars_left + self._inner]
            shown[:, :here] = lane[:, first:reached]
            shown[:, here:] = ahead[:, reached:last]
            head = self._bars_left + here - self._playhead.width // 2
            self._playhead.draw(frame, head, top - self._overhang)
        self._seconds.draw(frame, first, self._bars_left, self._seconds_top)


class _Seconds:
    """Ticks of the time since the reset, below bars; `height` is in pixels.

    Args:
        width: of the bars of the whole clip, pixels.
        inner: of the part of them that is shown, pixels.
    """

    def __init__(
        self, clip: Clip, duration_s: float, width: int, inner: int, layout: Layout
    ) -> None:
        size = layout.small_text
        self.height = line_height(size) + 3 if layout.height >= ROOMY else 0
        self._inner = inner
        self._texts: list[tuple[int, int]] = []
        picture = Image.new("RGBA", (width, self.height), FAINT_COLOR + "00")
        begin = float(clip.time[0])
        end, per_second = begin + duration_s, width / duration_s
        room = LABEL_ROOM * text_width(f"{end:.1f} s", size)
        step = next((each for each in TICKS_S if each * per_second >= room), TICKS_S[-1])
        numbers = takewhile(lambda n: n * step <= end + 1e-9, count())
        ink = ImageDraw.Draw(picture)
        for second in (n * step for n in numbers if self.height and n * step >= begin - 1e-9):
            x = (second - begin) * per_second
            ink.line((x, 0, x, 2), fill=FAINT_COLOR)
            text = f"{second:g} s"
            half = math.ceil(text_width(text, size) / 2)
            x = min(max(round(x), half), width - half)
            ink.text((x, 3), text, fill=FAINT_COLOR, font=font(size), anchor="ma")
            self._texts.append((x - half, x + half))
        self._picture = np.asarray(picture)

    def draw(self, frame: Canvas, first: int, left: int, top: int) -> None:
        """Draw what is below the bars from pixel `first` on; a label that is cut is left out."""
        if not self.height:
            return
        last = first + self._inner
        shown = self._picture[:, first:last].copy()
        for begin, end in self._texts:
            if begin < first < end or begin < last < end:
                shown[3:, max(begin - first, 0) : end - first] = 0
        Sprite(Image.fromarray(shown)).draw(frame, left, top)


LABEL_ROOM = 2.2
"""Least distance of ticks, in widths of a label."""

TICKS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Distances of ticks, s."""


def _bars(clip: Clip, width: int, layout: Layout) -> Canvas:
    """Labels at the top; below, a contact lane for each foot and one for the rest of the body."""
    label_height = round(layout.text * 0.85)
    lane_height = max(3, round(layout.text * 0.32))
    gap = max(1, round(layout.text * 0.1))
    black = np.zeros((1, width, 3), np.uint8)
    rows = [np.repeat(_label_row(clip.label, width), label_height, axis=0)]
    for contact, (_, color) in zip(clip.contacts.T, _lanes(clip), strict=True):
        lane = _contact_row(contact, width, color)
        rows += [np.repeat(black, gap, axis=0), np.repeat(lane, lane_height, axis=0)]
    return np.concatenate(rows)


def _lanes(clip: Clip) -> list[tuple[str, str]]:
    """Name and colour of each contact lane."""
    if not clip.lanes:
        return []
    colors = (*FOOT_COLORS[: len(clip.lanes) - 1], OTHER_COLOR)
    return list(zip(clip.lane_names, colors, strict=True))


def _label_row(label: Int32[np.ndarray, " frames"], width: int) -> UInt8[np.ndarray, "1 width 3"]:
    """One colour per pixel column: that of the most frequent label among its frames."""
    labels, index = np.unique(label, return_inverse=True)
    colors = np.array([to_rgb(label_color(int(k))) for k in labels], np.uint8)
    shares = np.stack([_column_means(index == i, width) for i in range(len(labels))])
    return colors[shares.argmax(axis=0)][None]


def _contact_row(
    contact: Bool[np.ndarray, " frames"], width: int, color: str
) -> UInt8[np.ndarray, "1 width 3"]:
    """One colour per pixel column, interpolated by the share of its frames with contact."""
    share = _column_means(contact, width)[:, None]
    row = np.array(to_rgb(color)) * share + np.array(to_rgb(LANE_COLOR)) * (1 - share)
    return row.round().astype(np.uint8)[None]


def _column_means(values: Bool[np.ndarray, " frames"], width: int) -> Float64[np.ndarray, " width"]:
    """Mean per pixel column, over the frames and parts of frames that it covers."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    edges = np.linspace(0, len(values), width + 1)
    return np.diff(np.interp(edges, np.arange(len(total)), total)) * width / len(values)


def _legend(clip: Clip, width: int, layout: Layout) -> Image.Image:
    """The agent, its task and seed, the contact lanes, and below them the clusters in the episode.

    A small picture has a single line, without the agent.
    """
    size = layout.small_text
    line = line_height(size) + 2
    roomy = layout.height >= ROOMY
    legend = Image.new("RGBA", (width, 2 * line if roomy else line))
    ink = ImageDraw.Draw(legend)
    gap = round(size * 0.45)

    def write(x: float, y: float, text: str, anchor: str) -> None:
        ink.text((x, y), drawable(text), fill=FAINT_COLOR, font=font(size), anchor=anchor)

    right, middle = width, line / 2
    for name, color in reversed(_lanes(clip)):
        right -= round(text_width(name, size))
        write(float(right), middle, name, "lm")
        side = round(size * 0.7)
        right -= side + gap
        box = rounded_box(side, side, side * 0.25, color)
        legend.paste(box, (right, round(middle - side / 2)), box)
        right -= 2 * gap
    named = 0.0
    if roomy:
        task = "" if clip.task in clip.name else f", {clip.task}"
        seed = f"{task}, seed {clip.seed}"
        room = right - text_width(seed, size)
        name = cut_middle(clip.name, lambda part: text_width(part, size) <= room)
        write(0.0, middle, f"{name}{seed}", "lm")
        named = text_width(f"{name}{seed}", size)

    top = line if roomy else 0
    end = width if roomy else right
    labels = [int(k) for k in np.unique(clip.label)] if clip.has_labels else []
    kind = "fitted clusters" if clip.fitted else "clusters"
    title = kind if labels else "no clusters"
    write(0.0, top + middle, title, "lm")
    pen = round(text_width(title, size)) + gap
    for label in labels:
        box_width = max(line, round(text_width(str(label), size) + size * 0.8))
        swatch = text_box(str(label), size, box_width, line, line * 0.25, label_color(label))
        if pen + swatch.width > end:
            break
        legend.paste(swatch, (pen, top), swatch)
        pen += swatch.width + max(2, gap // 2)

    if clip.lanes and right - text_width(CONTACT_TITLE, size) > (named + 2 * gap if roomy else pen):
        write(float(right), middle, CONTACT_TITLE, "rm")
    return legend
