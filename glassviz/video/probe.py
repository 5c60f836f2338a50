"""What a finished film file says about itself."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from glassviz.errors import GlassvizError

_VIDEO = re.compile(r"Stream #0:0.*?: Video: (\w+).*?, (\w+)(?:\((.*?)\))?, (\d+)x(\d+)")
_FPS = re.compile(r"([\d.]+) fps")
_FRAMES = re.compile(r"frame=\s*(\d+)")
_COMMENT = re.compile(r"^\s+comment\s+: (.*)$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class FilmFacts:
    """A video file, as read back.

    Attributes:
        frames: number of frames, counted.
        fps: frames per second.
        width, height: in pixels.
        codec: ffmpeg's name of the codec.
        pixel_format: ffmpeg's name of the pixel layout.
        tv_range: whether it declares limited range.
        faststart: whether its index comes before its pictures, so that it plays while it loads
            (always true of formats without such an index).
        comment: the comment in its metadata.
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


def probe(path: Path) -> FilmFacts:
    """Read a video file's facts; counts its frames without decoding them.

    Raises:
        GlassvizError: the file cannot be read as a film.
    """
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
    """Whether the box `moov` comes before `mdat`; ISO/IEC 14496-12, section 4.2."""
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
