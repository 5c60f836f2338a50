"""Film formats, and the encoder that writes and verifies MP4, WebM and GIF files."""

import contextlib
import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal, Self

import cv2
import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target, partial_path, refuse_existing, sweep, write_errors

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
    """Properties of a finished file in ffmpeg's names, and the output options that yield them."""

    codec: str
    pixel_format: str
    arguments: tuple[str, ...]


SPECS: dict[Format, FormatSpec] = {
    "mp4": FormatSpec(
        "h264",
        "yuv420p",
        (
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"),
            # The encoder shares the cores with the renderer: this saves a fifth of its time
            # compared to the preset, for files a tenth larger.
            *("-x264-params", "subme=1"),
            *_YUV_COLORS,
            *("-movflags", "+faststart"),
        ),
    ),
    "webm": FormatSpec(
        "vp9",
        "yuv420p",
        (
            *("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "7", "-row-mt", "1"),
            *("-crf", "32", "-b:v", "0", "-pix_fmt", "yuv420p"),
            *_YUV_COLORS,
        ),
    ),
    # A GIF's palette must be known before its first frame, so the film is first stored losslessly
    # and then converted (`Encoder`).
    "gif": FormatSpec("gif", "bgra", ("-loop", "0")),
}


def pack(frame: UInt8[np.ndarray, "height width 3"], format: Format) -> UInt8[np.ndarray, "..."]:
    """Convert an RGB picture to the encoder's input: RGB for a GIF, else planar YUV 4:2:0."""
    if format == "gif":
        return np.ascontiguousarray(frame)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)


def packed_size(width: int, height: int, format: Format) -> int:
    """Size of a packed picture, bytes."""
    return width * height * 3 if format == "gif" else width * height * 3 // 2


def frame_rate(frame_dt_s: float, speed: float, format: Format) -> tuple[Fraction, str]:
    """Frame rate at which every frame is shown exactly once, and a note.

    Slow motion and time lapse change the rate. GIF frames last whole hundredths of a second, at
    least two: the rate is rounded accordingly, and the note says so.

    >>> frame_rate(0.02, speed=0.5, format="mp4")
    (Fraction(25, 1), '')

    A `speed` of 1 is real time; `frame_dt_s` is the simulated time between frames, s.

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
    if rounded == fps:
        return fps, ""
    return rounded, (
        f"gif: {float(fps):.4g} frames per second are not possible in a GIF: it runs at "
        f"{float(rounded):.4g}, {float(rounded / fps):.2f} times the requested speed"
    )


@dataclass(frozen=True)
class FilmFacts:
    """Properties of a video file.

    Attributes:
        frames: number of frames, counted.
        width, height: pixels.
        codec, pixel_format: ffmpeg's names.
        tv_range: whether limited range is declared.
        faststart: whether the index precedes the pictures, so that the film plays while loading;
            true for formats without an index.
        comment: from the metadata.
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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.width, self.height


@dataclass(eq=False)
class Encoder:
    """Context manager that writes a film frame by frame, atomically.

    Attributes:
        width, height: size of the frames, even numbers except for a GIF.
        fps: frames per second.
        comment: comment for the file's metadata; ignored for a GIF.
        max_bytes: maximum size of a GIF; resolution and frame rate are reduced until it fits.
        extra: ffmpeg options that override the format's.
        facts: properties of the finished file; None within the `with` block.
        note: what was reduced to meet `max_bytes`, in one sentence.

    Raises:
        GlassvizError: the file exists, cannot be written, or is not as requested.
    """

    path: StrPath
    width: int
    height: int
    fps: Fraction
    format: Format
    comment: str = ""
    overwrite: bool = False
    max_bytes: int | None = None
    extra: tuple[str, ...] = ()
    facts: FilmFacts | None = field(default=None, init=False)
    note: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._rung = FULL
        self._frames = 0
        # Absolute, since ffmpeg interprets text before a colon as the name of a protocol.
        path = Path(self.path).absolute()
        self._partial = partial_path(path)
        self._lossless = partial_path(path.with_name(f"{path.name}.lossless"))
        self._palette = partial_path(path.with_name(f"{path.name}.palette"))

    def __enter__(self) -> Self:
        check_target(self.path, self.overwrite)
        arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24" if self.format == "gif" else "yuv420p"]
        arguments += ["-s", f"{self.width}x{self.height}", "-r", str(self.fps), "-i", "pipe:0"]
        if self.format == "gif":
            arguments += ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"]
            arguments += ["-f", "matroska", str(self._lossless)]
        else:
            arguments += [*SPECS[self.format].arguments, *self.extra]
            arguments += ["-metadata", f"comment={self.comment}"]
            arguments += ["-f", self.format, str(self._partial)]
        with write_errors(self.path, None):
            self._partial.parent.mkdir(parents=True, exist_ok=True)
        sweep(self._partial.parent)
        command = ffmpeg(*arguments)
        self._messages = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                command,
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._process.stdin is not None
        try:
            if kind is None:
                self._finish()
        finally:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._messages.close()
            for file in (self._partial, self._lossless, self._palette):
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            self._process.communicate()
        except BrokenPipeError:
            raise self._failure() from None
        if self._process.returncode:
            raise self._failure()
        if self.format == "gif":
            self._convert_to_gif()
        self.facts = probe(self._partial)
        self._check(self.facts)
        refuse_existing(self.path, self.overwrite)
        with write_errors(self.path, None):
            os.replace(self._partial, self.path)

    def _convert_to_gif(self) -> None:
        """Convert at the highest quality that meets the size limit, by trial."""
        limit = math.inf if self.max_bytes is None else self.max_bytes
        for rung in LADDER:
            self._write_gif(rung)
            size = self._partial.stat().st_size
            if size <= limit:
                break
        else:
            raise GlassvizError(
                f"{self.path}: expected a GIF of at most {limit / 1e6:g} MB, found "
                f"{size / 1e6:.1f} MB at the lowest quality: show a shorter part of the film"
            )
        self._rung = rung
        if rung != FULL:
            width, height = rung.size(self.width, self.height)
            self.note = (
                f"gif: reduced to {width}x{height}, {float(rung.fps(self.fps)):.4g} frames per "
                f"second and {rung.colors} colours to fit into {limit / 1e6:g} MB"
            )

    def _write_gif(self, rung: "Rung") -> None:
        width, height = rung.size(self.width, self.height)
        reduce = f"framestep={rung.step},scale={width}:{height}:flags=lanczos"
        make_palette = f"{reduce},palettegen=stats_mode=full:max_colors={rung.colors}"
        use_palette = f"[0:v]{reduce}[film];[film][1:v]paletteuse={DITHER}"
        palette = str(self._palette)
        output = [*SPECS["gif"].arguments, "-f", "gif", str(self._partial)]
        # The name has no ending that says the format, and may hold a percent sign.
        picture = ["-frames:v", "1", "-update", "1", "-c:v", "png", "-f", "image2"]
        for arguments in (
            ["-vf", make_palette, *picture, palette],
            ["-f", "png_pipe", "-i", palette, "-lavfi", use_palette, *output],
        ):
            command = ffmpeg("-i", str(self._lossless), *arguments)
            none = subprocess.DEVNULL
            if subprocess.run(command, stdin=none, stdout=none, stderr=self._messages).returncode:
                raise self._failure()

    def _check(self, facts: FilmFacts) -> None:
        spec = SPECS[self.format]
        properties = {
            "frames": (facts.frames, self._rung.frames(self._frames)),
            "frames per second": (facts.fps, round(float(self._rung.fps(self.fps)), 2)),
            "size": (facts.size, self._rung.size(self.width, self.height)),
            "codec": (facts.codec, spec.codec),
            "pixel format": (facts.pixel_format, spec.pixel_format),
            "tv range": (facts.tv_range, self.format != "gif"),
            "index first": (facts.faststart, True),
        }
        for name, (actual, expected) in properties.items():
            if actual != expected:
                raise GlassvizError(
                    f"{self.path}: expected a film with {name} {expected}, found {actual} in "
                    f"ffmpeg's output: run `glassviz doctor` to see which ffmpeg is used"
                )

    def _failure(self) -> GlassvizError:
        self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        cause = lines[0].strip() if lines else f"exit code {self._process.returncode}"
        return GlassvizError(f"{self.path}: the encoder failed: {cause}")


DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
"""Ordered dithering is constant where the picture is, so that only moving regions are stored."""


@dataclass(frozen=True)
class Rung:
    """One quality level of GIFs.

    `scale` is of width and height; only every `step`-th frame is kept, at the same duration;
    `colors` is the size of the palette.
    """

    scale: float = 1.0
    step: int = 1
    colors: int = 256

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the GIF."""
        return round(width * self.scale), round(height * self.scale)

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


def ffmpeg(*arguments: str) -> list[str]:
    """An ffmpeg command line that overwrites its output and prints only errors."""
    return [find_ffmpeg().path, "-hide_banner", "-loglevel", "error", "-y", *arguments]


@dataclass(frozen=True)
class Ffmpeg:
    """The ffmpeg program."""

    path: str
    version: str


def find_ffmpeg() -> Ffmpeg:
    """The ffmpeg that IMAGEIO_FFMPEG_EXE names, or the one that was installed with glassviz.

    Raises:
        UsageError: IMAGEIO_FFMPEG_EXE names no ffmpeg that can write films.
        GlassvizError: there is none.
    """
    return _tried(os.environ.get("IMAGEIO_FFMPEG_EXE", ""))


@cache
def _tried(chosen: str) -> Ffmpeg:
    try:
        path = chosen or imageio_ffmpeg.get_ffmpeg_exe()
        listing = subprocess.run(
            [path, "-encoders"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FFMPEG_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        found = f"no answer within {FFMPEG_TIMEOUT_S:g} s"
    except (RuntimeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        found = f"that it does not run ({reason or error})"
    else:
        number = re.search(r"ffmpeg version (\S+)", listing.stdout + listing.stderr)
        if number and re.search(r"\blibx264\b", listing.stdout):
            return Ffmpeg(path, number[1])
        found = f"ffmpeg {number[1]} without libx264" if number else "another program"
    if chosen:
        raise UsageError(
            f"IMAGEIO_FFMPEG_EXE={chosen}: expected an ffmpeg with libx264, found {found}: unset "
            f"IMAGEIO_FFMPEG_EXE, or set it to such an ffmpeg"
        )
    raise GlassvizError(
        f"ffmpeg: expected one with libx264, found {found}: pip install --force-reinstall "
        f"imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to such an ffmpeg"
    )


FFMPEG_TIMEOUT_S = 30.0


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
    command = [find_ffmpeg().path, "-hide_banner", "-i", str(path.absolute())]
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
