"""Pictures of the body."""

import numpy as np
import pytest

from glassviz.video.opengl import choose_backend
from glassviz.video.renderer import BODY_VIEW, FULL_VIEW, MujocoRenderer, Scene

STATES = [(np.array([x, z, 0.1, 0.2, -0.3, 0.4, -0.1]), np.zeros(7)) for x, z in ((0, 0), (7, 0.5))]
"""Standing at the start, and in flight further on."""


@pytest.mark.parametrize("window", [FULL_VIEW, BODY_VIEW], ids=["full", "body"])
def test_a_sky_that_is_drawn_once_changes_no_pixel(window, monkeypatch):
    choose_backend()

    def pictures():
        with MujocoRenderer(
            Scene("hopper-hop", "dm_control", "cam0", 160, 120, "fast", window)
        ) as renderer:
            return [renderer.render(*state).copy() for state in STATES]

    quick = pictures()
    monkeypatch.setattr(MujocoRenderer, "_draw_sky", lambda self: None)
    whole = pictures()

    assert np.array_equal(quick, whole)
    assert not np.array_equal(*quick)
