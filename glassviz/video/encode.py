"""Film formats, and the encoder that writes and verifies MP4, WebM and GIF files."""

import contextlib
import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import cv2
import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, refuse_existing

Format = Literal["mp4", "gif", "webm"]

MIN_FPS, MAX_FPS = 5, 120
"""Below, a film becomes a slide show; above, players and screens drop frames."""

PIPE_BYTES = 1 << 20
"""Larger than the default of 64 KiB to write a frame in few pieces; Linux's unprivileged limit."""

_YUV_COLORS = (
    *("-color_range", "tv", "-colorspace", "smpte170m"),
    *("-color_primaries", "bt709", "-color_trc", "bt709"),
)
"""Colour space of `pack`: BT.601 luma weights, limited range, sRGB primaries."""


@dataclass(frozen=True)
class FormatSpec:
    """Encoder settings of a format, and the expected properties of a finished file.

    Attributes:
        muxer: ffmpeg's name of the container.
        codec: ffmpeg's name of the video codec.
        pixel_format: pixel layout in the file.
        input_format: pixel layout of the encoder's input.
        arguments: ffmpeg's output options.
        tv_range: whether the file must declare limited ("tv") range.
    """

    muxer: str
    codec: str
    pixel_format: str
    input_format: str
    arguments: tuple[str, ...]
    tv_range: bool = True


SPECS: dict[Format, FormatSpec] = {
    "mp4": FormatSpec(
        muxer="mp4",
        codec="h264",
        pixel_format="yuv420p",
        input_format="yuv420p",
        arguments=(
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"),
            # The encoder shares the cores with the renderer: this saves a fifth of its time
            # compared to the preset, for files a tenth larger.
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
    # A GIF's palette must be known before its first frame, so the film is first stored losslessly
    # and then converted (`Encoder`).
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
    """Convert an RGB picture to the format's input layout."""
    if SPECS[format].input_format == "rgb24":
        return np.ascontiguousarray(frame)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)


def packed_size(width: int, height: int, format: Format) -> int:
    """Size of a packed picture, bytes."""
    pixels = width * height
    return pixels * 3 if SPECS[format].input_format == "rgb24" else pixels * 3 // 2


def frame_rate(frame_dt_s: float, speed: float, format: Format) -> tuple[Fraction, str]:
    """Frame rate at which every frame is shown exactly once, and a note.

    Slow motion and time lapse change the rate. GIF frames last whole hundredths of a second, at
    least two: the rate is rounded accordingly, and the note says so.

    >>> frame_rate(0.02, speed=0.5, format="mp4")
    (Fraction(25, 1), '')

    Args:
        frame_dt_s: simulated time between frames, s.
        speed: playback speed; 1 is real time.
        format: file format.

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
            f"{float(rounded):.4g}, {float(rounded / fps):.2f} times the requested speed"
        )
    return rounded, note


@dataclass(frozen=True)
class FilmFacts:
    """Properties of a video file.

    Attributes:
        frames: counted number of frames.
        fps: frames per second.
        width, height: size of a frame, pixels.
        codec: ffmpeg's name of the codec.
        pixel_format: ffmpeg's name of the pixel layout.
        tv_range: whether limited range is declared.
        faststart: whether the index precedes the pictures, so that the film plays while loading;
            true for formats without an index.
        comment: comment in the metadata.
    """

    frames: int
    fps: float
    width: int
    height: int
    codec: str
    pixel_format: str
    tv_range: bool
    faststart: bool
    comment: str


class Encoder:
    """Context manager that writes a film frame by frame, atomically.

    Args:
        path: file to write.
        width, height: size of the frames, even numbers.
        fps: frames per second.
        format: file format.
        comment: comment for the file's metadata; ignored for a GIF.
        overwrite: replace an existing file.
        max_bytes: maximum size of a GIF; resolution and frame rate are reduced until it fits.
        extra: ffmpeg options that override the format's.

    Attributes:
        facts: properties of the finished file; None within the `with` block.
        note: what was reduced to meet `max_bytes`, in one sentence.

    Raises:
        GlassvizError: the file exists, cannot be written, or is not as requested.
    """

    def __init__(
        self,
        path: StrPath,
        width: int,
        height: int,
        fps: Fraction,
        format: Format,
        comment: str = "",
        overwrite: bool = False,
        max_bytes: int | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        path = Path(path)
        self.facts: FilmFacts | None = None
        self.note = ""
        self._max_bytes = max_bytes
        self._extra = extra
        self._rung = FULL
        self._path = path
        self._size = width, height
        self._fps = fps
        self._format = format
        self._comment = comment
        self._overwrite = overwrite
        self._frames = 0
        # Absolute, since ffmpeg interprets text before a colon as the name of a protocol.
        self._partial = path.absolute().with_name(f".{path.name}.{os.getpid()}.partial")
        self._lossless = self._partial.with_suffix(".lossless")
        self._palette = self._partial.with_suffix(".palette.png")

    def __enter__(self) -> Self:
        refuse_existing(self._path, self._overwrite)
        spec = SPECS[self._format]
        width, height = self._size
        arguments = ["-f", "rawvideo", "-pix_fmt", spec.input_format, "-s", f"{width}x{height}"]
        arguments += ["-r", str(self._fps), "-i", "pipe:0"]
        if self._format == "gif":
            arguments += ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"]
            arguments += ["-f", "matroska", str(self._lossless)]
        else:
            arguments += [*spec.arguments, *self._extra, "-metadata", f"comment={self._comment}"]
            arguments += ["-f", spec.muxer, str(self._partial)]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GlassvizError(f"{self._path}: cannot be written to: {error.strerror}") from None
        self._messages: IO[bytes] = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                ffmpeg(*arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._messages,
                process_group=0,  # Ctrl-C reaches only this process, which stops ffmpeg
                pipesize=PIPE_BYTES,
            )
        except OSError as error:
            self._messages.close()
            raise GlassvizError(
                f"ffmpeg: expected a program at {error.filename}, found that it cannot be started "
                f"({error.strerror}): fix or unset IMAGEIO_FFMPEG_EXE"
            ) from None
        return self

    def write(self, packed: UInt8[np.ndarray, "..."]) -> None:
        """Add a frame packed by `pack`; waits while the encoder is busy."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(packed.data)
        except BrokenPipeError:
            raise self._failure() from None
        self._frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        try:
            if kind is None:
                self._finish()
        finally:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._messages.close()
            for file in (self._partial, self._lossless, self._palette):
                file.unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            self._process.communicate()
        except BrokenPipeError:
            raise self._failure() from None
        if self._process.returncode:
            raise self._failure()
        if self._format == "gif":
            self._convert_to_gif()
        self.facts = probe(self._partial)
        self._check(self.facts)
        refuse_existing(self._path, self._overwrite)
        os.replace(self._partial, self._path)

    def _convert_to_gif(self) -> None:
        """Convert at the highest quality that meets the size limit, by trial."""
        limit = math.inf if self._max_bytes is None else self._max_bytes
        for rung in LADDER:
            if not _write_gif(
                self._lossless, self._partial, self._palette, rung, self._size, self._messages
            ):
                raise self._failure()
            size = self._partial.stat().st_size
            if size <= limit:
                break
        else:
            raise GlassvizError(
                f"{self._path}: expected a GIF of at most {limit / 1e6:g} MB, found "
                f"{size / 1e6:.1f} MB at the lowest quality: show a shorter part of the film"
            )
        self._rung = rung
        if rung != FULL:
            width, height = rung.size(*self._size)
            self.note = (
                f"gif: reduced to {width}x{height}, {float(rung.fps(self._fps)):.4g} frames per "
                f"second and {rung.colors} colours to fit into {limit / 1e6:g} MB"
            )

    def _check(self, facts: FilmFacts) -> None:
        spec = SPECS[self._format]
        properties = {
            "frames": (facts.frames, self._rung.frames(self._frames)),
            "frames per second": (facts.fps, round(float(self._rung.fps(self._fps)), 2)),
            "size": ((facts.width, facts.height), self._rung.size(*self._size)),
            "codec": (facts.codec, spec.codec),
            "pixel format": (facts.pixel_format, spec.pixel_format),
            "tv range": (facts.tv_range, spec.tv_range),
            "index first": (facts.faststart, True),
        }
        for name, (actual, expected) in properties.items():
            if actual != expected:
                raise GlassvizError(
                    f"{self._path}: expected a film with {name} {expected}, found {actual} in "
                    f"ffmpeg's output: run `glassviz doctor` to see which ffmpeg is used"
                )

    def _failure(self) -> GlassvizError:
        self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        cause = lines[0].strip() if lines else f"exit code {self._process.returncode}"
        return GlassvizError(f"{self._path}: the encoder failed: {cause}")


DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
"""Ordered dithering is constant where the picture is, so that only moving regions are stored."""


@dataclass(frozen=True)
class Rung:
    """One quality level of GIFs.

    Attributes:
        scale: factor of width and height.
        step: only every `step`-th frame is kept; the duration does not change.
        colors: size of the palette.
    """

    scale: float = 1.0
    step: int = 1
    colors: int = 256

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the GIF, even numbers."""
        return 2 * round(width * self.scale / 2), 2 * round(height * self.scale / 2)

    def frames(self, frames: int) -> int:
        """Number of frames of the GIF."""
        return -(-frames // self.step)

    def fps(self, fps: Fraction) -> Fraction:
        """Frames per second of the GIF."""
        return fps / self.step


FULL = Rung()

LADDER = (
    FULL,
    Rung(colors=128),
    Rung(step=2),
    Rung(step=2, colors=128),
    Rung(0.75, 2, 128),
    Rung(0.75, 2, 64),
    Rung(0.6, 2, 64),
    Rung(0.5, 2, 64),
    Rung(0.5, 4, 32),
)
"""Quality levels, best first: colours are reduced before frames, frames before size."""


def _write_gif(
    source: Path,
    gif: Path,
    palette: Path,
    rung: Rung,
    size: tuple[int, int],
    messages: IO[bytes],
) -> bool:
    """Convert a lossless film to a GIF.

    Args:
        source: the film's file.
        gif: file to write.
        palette: temporary file for the palette.
        rung: quality level.
        size: width and height of the film.
        messages: receives ffmpeg's error messages.

    Returns:
        Whether ffmpeg succeeded.
    """
    width, height = rung.size(*size)
    reduce = f"framestep={rung.step},scale={width}:{height}:flags=lanczos"
    make_palette = f"{reduce},palettegen=stats_mode=full:max_colors={rung.colors}"
    use_palette = f"[0:v]{reduce}[film];[film][1:v]paletteuse={DITHER}"
    film = ["-i", str(source)]
    return _run([*film, "-vf", make_palette, "-frames:v", "1", str(palette)], messages) and _run(
        [
            *(*film, "-i", str(palette), "-lavfi", use_palette),
            *(*SPECS["gif"].arguments, "-f", "gif", str(gif)),
        ],
        messages,
    )


def _run(arguments: list[str], messages: IO[bytes]) -> bool:
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return subprocess.run(ffmpeg(*arguments), **quiet, stderr=messages).returncode == 0


def ffmpeg(*arguments: str) -> list[str]:
    """An ffmpeg command line that overwrites its output and prints only errors."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments]


_VIDEO = re.compile(r"Stream #0:0.*?: Video: (\w+).*?, (\w+)(?:\((.*?)\))?, (\d+)x(\d+)")
_FPS = re.compile(r"([\d.]+) fps")
_FRAMES = re.compile(r"frame=\s*(\d+)")
_COMMENT = re.compile(r"^\s+comment\s+: (.*)$", re.IGNORECASE | re.MULTILINE)


def probe(path: StrPath) -> FilmFacts:
    """Read the properties of a video file; counts frames without decoding them.

    Raises:
        GlassvizError: the file is not a readable film.
    """
    path = Path(path)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path.absolute())]
    command += ["-map", "0:v:0", "-c", "copy", "-f", "null", "-"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    text = done.stderr
    video, frames = _VIDEO.search(text), _FRAMES.findall(text)
    fps = _FPS.search(text, video.start()) if video else None  # the file's name comes before
    if done.returncode or not (video and fps and frames):
        last = (text.strip().splitlines() or ["no message"])[-1]
        raise GlassvizError(f"{path}: expected a film, found a file that cannot be read ({last})")
    codec, pixel_format, colors, width, height = video.groups()
    comment = _COMMENT.search(text)
    return FilmFacts(
        frames=int(frames[-1]),
        fps=float(fps[1]),
        width=int(width),
        height=int(height),
        codec=codec,
        pixel_format=pixel_format,
        tv_range="tv" in (colors or "").split(", "),
        faststart=_index_first(path),
        comment=comment[1].strip() if comment else "",
    )


def _index_first(path: Path) -> bool:
    """Whether the box `moov` precedes `mdat` (ISO/IEC 14496-12, section 4.2)."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:
                break
            file.seek(size - 8, 1)
    return True
