"""Streams frames to ffmpeg, and checks the file that comes out."""

import contextlib
import math
import os
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from jaxtyping import UInt8

from glassviz.errors import GlassvizError
from glassviz.files import refuse_existing
from glassviz.video.formats import SPECS, Format
from glassviz.video.gif import LADDER, WHOLE, convert, ffmpeg
from glassviz.video.probe import FilmFacts, probe

PIPE_BYTES = 1 << 20
"""A frame in two or three pieces instead of the usual 64 KiB; Linux gives no more to everybody."""


class Encoder:
    """Writes one film, frame by frame. Leaving its `with` block by an error leaves no file.

    Args:
        path: where the film goes; it is written beside that and renamed when it is whole.
        width, height: of the frames, even numbers.
        fps: frames per second.
        format: file format.
        comment: put into the file's metadata (a GIF has none).
        overwrite: whether a file at `path` may be replaced.
        most_bytes: of a GIF, which becomes smaller and slower until it fits; None for any size.
        extra: arguments of ffmpeg that come after the format's own, and overrule them.

    Attributes:
        facts: what the finished file says about itself, once the `with` block is left.
        note: what was given up for `most_bytes`, in a sentence.

    Raises:
        GlassvizError: the file exists, cannot be written, or is not what was asked for.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        format: Format,
        comment: str = "",
        overwrite: bool = False,
        most_bytes: int | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.facts: FilmFacts | None = None
        self.note = ""
        self._most_bytes = most_bytes
        self._extra = extra
        self._rung = WHOLE
        self._path = path
        self._size = width, height
        self._fps = fps
        self._format = format
        self._comment = comment
        self._overwrite = overwrite
        self._frames = 0
        # Absolute: ffmpeg takes what stands before a colon for the name of a protocol.
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
                process_group=0,  # Ctrl-C is for us: we then end it, and clean up after it
                pipesize=PIPE_BYTES,
            )
        except OSError as error:
            self._messages.close()
            raise GlassvizError(
                f"ffmpeg: expected a program at {error.filename}, found that it cannot be started "
                f"({error.strerror}): mend or unset IMAGEIO_FFMPEG_EXE"
            ) from None
        return self

    def write(self, packed: UInt8[np.ndarray, "..."]) -> None:
        """Add a frame, as `formats.pack` lays it out; waits while the encoder is busy."""
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
        """Keep as much of the film as the limit lets in, by trying."""
        limit = math.inf if self._most_bytes is None else self._most_bytes
        for rung in LADDER:
            if not convert(
                self._lossless, self._partial, self._palette, rung, self._size, self._messages
            ):
                raise self._failure()
            found = self._partial.stat().st_size
            if found <= limit:
                break
        else:
            raise GlassvizError(
                f"{self._path}: expected a GIF of at most {limit / 1e6:g} MB, found "
                f"{found / 1e6:.1f} MB at its smallest: show a shorter part of the film"
            )
        self._rung = rung
        if rung != WHOLE:
            width, height = rung.size(*self._size)
            self.note = (
                f"gif: {width}x{height}, {float(rung.fps(self._fps)):.4g} frames per second, "
                f"{rung.colors} colours: what fits into {limit / 1e6:g} MB"
            )

    def _check(self, facts: FilmFacts) -> None:
        spec = SPECS[self._format]
        asked = {
            "frames": (facts.frames, self._rung.frames(self._frames)),
            "frames per second": (facts.fps, round(float(self._rung.fps(self._fps)), 2)),
            "size": ((facts.width, facts.height), self._rung.size(*self._size)),
            "codec": (facts.codec, spec.codec),
            "pixel format": (facts.pixel_format, spec.pixel_format),
            "tv range": (facts.tv_range, spec.tv_range),
            "index first": (facts.faststart, True),
        }
        for what, (found, expected) in asked.items():
            if found != expected:
                raise GlassvizError(
                    f"{self._path}: expected a film with {what} {expected}, found {found} in what "
                    f"ffmpeg wrote: run `glassviz doctor` to see which ffmpeg that is"
                )

    def _failure(self) -> GlassvizError:
        self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        cause = lines[0].strip() if lines else f"exit code {self._process.returncode}"
        return GlassvizError(f"{self._path}: the encoder failed: {cause}")
