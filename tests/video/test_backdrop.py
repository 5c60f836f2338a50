"""Every backdrop shows where the floor is, in every picture, and says so in the film's file."""

import numpy as np
import pytest

from glassviz.envs.hopper import load_model
from glassviz.palette import to_rgb
from glassviz.video.backdrop import BACKGROUNDS, LINE_COLOR, WALL_COLOR
from glassviz.video.encode import probe
from glassviz.video.film import FilmOptions, film
from glassviz.video.overlay import FAINT_COLOR, PANEL_COLOR, TEXT_COLOR
from glassviz.video.renderer import BETWEEN_PANELS, BODY_VIEW, FULL_VIEW, MujocoRenderer, Scene
from tests.helpers.fake_renderer import BACKEND, FakeRenderer
from tests.helpers.traces import clock_trace

SIZES = [(64, 48), (160, 90), (96, 96), (54, 96), (200, 50)]
STANDING, JUMPING = 0.0, 0.3


def picture(background, width=160, height=120, window=FULL_VIEW, camera="cam0", lift_m=STANDING):
    model = load_model("dm_control")
    qpos = model.qpos0.copy()
    qpos[1] += lift_m
    scene = Scene("hopper-hop", "dm_control", camera, width, height, "fast", window, background)
    with MujocoRenderer(scene) as renderer:
        return renderer.render(qpos, np.zeros(model.nv)).astype(int)


@pytest.mark.parametrize("lift_m", [STANDING, JUMPING])
@pytest.mark.parametrize("window", [FULL_VIEW, BETWEEN_PANELS, BODY_VIEW])
@pytest.mark.parametrize("camera", ["cam0", "back"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_floor_reaches_the_lower_edge_of_every_picture(width, height, camera, window, lift_m):
    shown = picture("plain", width, height, window, camera, lift_m)
    wall = np.array(to_rgb(WALL_COLOR))
    assert (np.abs(shown[-1] - wall).max(axis=-1) > 5).all()


@pytest.mark.parametrize("lift_m", [STANDING, JUMPING])
def test_white_is_white_but_for_the_body_and_the_line_of_the_floor(lift_m):
    shown = picture("white", lift_m=lift_m)
    beside = shown[:, [2, -3]]
    inked = (beside != 255).any(axis=-1)
    assert 1 <= inked.sum(axis=0).min() <= inked.sum(axis=0).max() <= 4
    assert beside[inked].min() < 128 + min(to_rgb(LINE_COLOR)), "too faint to print"


def test_backgrounds_differ_and_sky_is_the_usual():
    pictures = [picture(each) for each in BACKGROUNDS]
    usual = Scene("hopper-hop", "dm_control", "cam0", 64, 48, "fast")
    assert usual.background == "sky"
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert np.abs(pictures[one] - pictures[other]).mean() > 10


def luminance(color):
    shares = np.array(color) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("text", [TEXT_COLOR, FAINT_COLOR])
@pytest.mark.parametrize("behind", ["#000000", WALL_COLOR, "#FFFFFF"])
def test_texts_are_readable_on_panels_over_any_background(behind, text):
    opacity = int(PANEL_COLOR[7:], 16) / 255
    panel = opacity * np.array(to_rgb(PANEL_COLOR[:7])) + (1 - opacity) * np.array(to_rgb(behind))
    contrast = (luminance(to_rgb(text)) + 0.05) / (luminance(panel) + 0.05)
    assert contrast >= 4.5  # WCAG 2, level AA


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_film_tells_its_background(tmp_path, background):
    options = FilmOptions(size=(128, 96), jobs=1, background=background)
    out = tmp_path / "film.mp4"
    report = film(
        [clock_trace(frames=3)], out, options, backend=BACKEND, open_renderer=FakeRenderer
    )
    assert report.background == background
    assert f"background {background}, trace" in probe(out).comment
