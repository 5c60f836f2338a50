"""A renderer without OpenGL, whose pictures tell which state they were drawn from."""

import os
from itertools import pairwise

import numpy as np

from glassviz.errors import GlassvizError
from glassviz.video.opengl import Backend
from glassviz.video.renderer import Scene

BACKEND = Backend("fake", "no OpenGL at all", software=False)
BITS = 14


class FakeRenderer:
    """Draws the distance glided, in centimetres, as a row of black and white bars.

    They lie in the middle of the picture, which no overlay covers, and survive encoding.
    """

    def __init__(self, scene: Scene) -> None:
        self.picture = np.full((scene.height, scene.width, 3), 90, np.uint8)

    def begin(self, reset_seed):
        self.reset_seed = reset_seed

    def render(self, qpos, qvel):
        number = round(qpos[0] * 100)
        self.picture[:] = 90
        for bit, bar in enumerate(_bars(self.picture)):
            bar[:] = 255 * (number >> bit & 1)
        return self.picture

    def close(self) -> None:
        pass


class FailingRenderer(FakeRenderer):
    """Has a user error at 20 cm."""

    def render(self, qpos, qvel):
        if qpos[0] >= 0.2:
            raise GlassvizError("the fake renderer has had enough")
        return super().render(qpos, qvel)


class DyingRenderer(FakeRenderer):
    """Takes its process down at 20 cm, as a GL driver does."""

    def render(self, qpos, qvel):
        if qpos[0] >= 0.2:
            os._exit(3)
        return super().render(qpos, qvel)


class NoRenderer(FakeRenderer):
    """As on a machine without OpenGL."""

    def __init__(self, scene: Scene) -> None:
        raise GlassvizError("no OpenGL here")


def read_number(picture) -> int:
    """The number in a picture that FakeRenderer drew, perhaps encoded and decoded since."""
    return sum(1 << bit for bit, bar in enumerate(_bars(picture)) if bar.mean() > 128)


def _bars(picture):
    height, width, _ = picture.shape
    edges = np.linspace(0.1 * width, 0.9 * width, BITS + 1).astype(int)
    rows = slice(height // 2, height // 2 + height // 8)
    return [picture[rows, a:b] for a, b in pairwise(edges)]
