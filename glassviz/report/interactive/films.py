"""Films for the page: small, and quick to seek to any frame."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from glassviz.errors import GlassvizError
from glassviz.trace import Trace
from glassviz.video.clip import Clip
from glassviz.video.encode import Encoder
from glassviz.video.formats import frame_rate, pack
from glassviz.video.frames import OpenRenderer
from glassviz.video.renderer import BODY, FrameRenderer, MujocoRenderer, Scene

SIZE = (400, 300)

SEEKABLE = (
    # A frame is decoded from the key frame before it: at most nine others on the way, and none
    # that comes later.
    *("-g", "10", "-bf", "0", "-sc_threshold", "0"),
    *("-preset", "medium", "-crf", "27", "-x264-params", "subme=6"),
)


class Projectionist:
    """Films episodes, each physics profile with one renderer. Close it, or use it in a `with`.

    Where nothing can be drawn there are no films.

    Attributes:
        failure: why not; None as long as all went well.
    """

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self.failure: str | None = None
        self._open = open_renderer
        self._renderers: dict[str, FrameRenderer] = {}

    def film(
        self, trace: Trace, episode: int, on_frame: Callable[[], None] = lambda: None
    ) -> bytes | None:
        """The film of an episode as an MP4 file; None if it cannot be drawn.

        Args:
            trace: that holds it.
            episode: from 0.
            on_frame: called for every frame.
        """
        try:
            renderer = self._renderer(trace.header["env"]["physics"])
            return _film(trace, episode, renderer, on_frame)
        except GlassvizError as error:
            self.failure = str(error)
            return None

    def close(self) -> None:
        """Free what the renderers hold."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _renderer(self, physics: str) -> FrameRenderer:
        if physics not in self._renderers:
            scene = Scene(physics, "cam0", *SIZE, "smooth", BODY)  # type: ignore[arg-type]
            self._renderers[physics] = self._open(scene)
        return self._renderers[physics]


def _film(
    trace: Trace, episode: int, renderer: FrameRenderer, on_frame: Callable[[], None]
) -> bytes:
    clip = Clip.of(trace, episode)
    fps, _ = frame_rate(trace.frame_dt_s, 1.0, "mp4")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        comment = f"glassviz, trace {trace.sha256}, episode {episode + 1}"
        with Encoder(path, *SIZE, fps, "mp4", comment, extra=SEEKABLE) as encoder:
            for qpos, qvel in zip(clip.qpos, clip.qvel, strict=True):
                encoder.write(pack(renderer.render(qpos, qvel), "mp4"))
                on_frame()
        return path.read_bytes()
