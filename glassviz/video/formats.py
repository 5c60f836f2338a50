"""The file formats of films, and how ffmpeg is asked for each."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from glassviz.errors import UsageError

Format = Literal["mp4", "gif", "webm"]

MIN_FPS, MAX_FPS = 5, 120
"""Slower is a slide show; faster is more than screens show, and players drop frames."""


@dataclass(frozen=True)
class FormatSpec:
    """How one format is written, and how a finished file must describe itself.

    Attributes:
        muxer: ffmpeg's name of the container.
        codec: ffmpeg's name of the video codec.
        pixel_format: layout of the pixels in the file.
        input_format: layout of the pixels that the encoder is fed with.
        arguments: of ffmpeg, for the output.
        tv_range: whether the file must declare limited ("tv") range.
    """

    muxer: str
    codec: str
    pixel_format: str
    input_format: str
    arguments: tuple[str, ...]
    tv_range: bool = True


_YUV_COLORS = (
    *("-color_range", "tv", "-colorspace", "smpte170m"),
    *("-color_primaries", "bt709", "-color_trc", "bt709"),
)
"""What `pack` produces: BT.601 luma weights, studio range, sRGB's primaries."""

SPECS: dict[Format, FormatSpec] = {
    "mp4": FormatSpec(
        muxer="mp4",
        codec="h264",
        pixel_format="yuv420p",
        input_format="yuv420p",
        arguments=(
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"),
            # A fifth less work than the preset's own search, for files a tenth larger: the
            # encoder shares the cores with the renderer.
            *("-x264-params", "subme=1"),
            *_YUV_COLORS,
            *("-movflags", "+faststart"),
        ),
    ),
    "webm": FormatSpec(
        muxer="webm",
        codec="vp9",
        pixel_format="yuv420p",
        input_format="yuv420p",
        arguments=(
            *("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "7", "-row-mt", "1"),
            *("-crf", "32", "-b:v", "0", "-pix_fmt", "yuv420p"),
            *_YUV_COLORS,
        ),
    ),
    # A GIF's palette has to be known before its first frame: the film is kept without loss
    # first, and becomes a GIF when all of it has been seen (`encode.Encoder`).
    "gif": FormatSpec(
        muxer="gif",
        codec="gif",
        pixel_format="bgra",
        input_format="rgb24",
        arguments=("-loop", "0"),
        tv_range=False,
    ),
}


def pack(frame: UInt8[np.ndarray, "height width 3"], format: Format) -> UInt8[np.ndarray, "..."]:
    """An RGB picture in the layout that the format's encoder is fed with."""
    if SPECS[format].input_format == "rgb24":
        return np.ascontiguousarray(frame)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)


def packed_size(width: int, height: int, format: Format) -> int:
    """Bytes of one packed picture."""
    pixels = width * height
    return pixels * 3 if SPECS[format].input_format == "rgb24" else pixels * 3 // 2


def frame_rate(frame_dt_s: float, speed: float, format: Format) -> tuple[Fraction, str]:
    """Frames per second of a film in which no frame is dropped or shown twice, and a note.

    Slow motion and time lapse change the rate. A GIF's frames last whole hundredths of a second,
    at least two: its rate is rounded to that, and the note then says so.

    Raises:
        UsageError: the rate would be outside 5 to 120 frames per second.
    """
    base = Fraction(1 / frame_dt_s).limit_denominator(1000)
    if not MIN_FPS <= float(base) * speed <= MAX_FPS:
        raise UsageError(
            f"speed: expected {MIN_FPS / float(base):g} to {MAX_FPS / float(base):g} for a film of "
            f"{float(base):g} frames per second of simulation, found {speed:g}"
        )
    fps = base * Fraction(speed).limit_denominator(1000)
    if format != "gif":
        return fps, ""
    rounded = Fraction(100, max(2, round(100 / fps)))
    note = ""
    if rounded != fps:
        note = (
            f"gif: {float(fps):.4g} frames per second are not possible in a GIF: it runs at "
            f"{float(rounded):.4g}, {float(rounded / fps):.2f} times the speed asked for"
        )
    return rounded, note
