"""GIFs: one palette for the whole film, and as much of it as a limit on the file's size lets in."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import imageio_ffmpeg

from glassviz.video.formats import SPECS

DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
"""An ordered pattern stands still where the picture does, so that only what moves is stored."""


@dataclass(frozen=True)
class Rung:
    """How much of a film a GIF keeps.

    Attributes:
        scale: of width and height.
        every: one frame of so many; the others are left out, and it lasts as long as all.
        colors: in the palette.
    """

    scale: float = 1.0
    every: int = 1
    colors: int = 256

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the GIF, even numbers."""
        return 2 * round(width * self.scale / 2), 2 * round(height * self.scale / 2)

    def frames(self, frames: int) -> int:
        """Number of frames of the GIF."""
        return -(-frames // self.every)

    def fps(self, fps: Fraction) -> Fraction:
        """Frames per second of the GIF."""
        return fps / self.every


WHOLE = Rung()

LADDER = (
    WHOLE,
    Rung(colors=128),
    Rung(every=2),
    Rung(every=2, colors=128),
    Rung(0.75, 2, 128),
    Rung(0.75, 2, 64),
    Rung(0.6, 2, 64),
    Rung(0.5, 2, 64),
    Rung(0.5, 4, 32),
)
"""From best to smallest: colours go before frames, and frames before size."""


def convert(
    source: Path,
    gif: Path,
    palette: Path,
    rung: Rung,
    size: tuple[int, int],
    messages: IO[bytes],
) -> bool:
    """Turn a lossless film into a GIF; whether that went well.

    Args:
        source: the film.
        gif: the file to write.
        palette: a place for the palette.
        rung: how much to keep.
        size: width and height of the film.
        messages: takes what ffmpeg complains about.
    """
    width, height = rung.size(*size)
    kept = f"framestep={rung.every},scale={width}:{height}:flags=lanczos"
    draw = f"{kept},palettegen=stats_mode=full:max_colors={rung.colors}"
    use = f"[0:v]{kept}[film];[film][1:v]paletteuse={DITHER}"
    film = ["-i", str(source)]
    return _run([*film, "-vf", draw, "-frames:v", "1", str(palette)], messages) and _run(
        [
            *(*film, "-i", str(palette), "-lavfi", use),
            *(*SPECS["gif"].arguments, "-f", "gif", str(gif)),
        ],
        messages,
    )


def ffmpeg(*arguments: str) -> list[str]:
    """A command line of ffmpeg that replaces its output and says nothing but errors."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments]


def _run(arguments: list[str], messages: IO[bytes]) -> bool:
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return subprocess.run(ffmpeg(*arguments), **quiet, stderr=messages).returncode == 0
