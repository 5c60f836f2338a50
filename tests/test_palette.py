"""The colours of clusters and phases can be told apart, by everyone and on every ground."""

import re
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from glassviz.figures.latent_map import OUTSIDE_COLOR
from glassviz.figures.style import GROUP_COLORS
from glassviz.metrics.labels import GAIT_PHASES
from glassviz.palette import CLUSTER_COLORS, NO_CLUSTER_COLOR, ink_on, label_color, to_rgb
from glassviz.report.interactive.page import PHASE_COLORS

# Machado, Oliveira & Fernandes 2009, severity 1.0; they act on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Ottosson 2020: linear sRGB to LMS, and its cube root to Oklab.
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# In Oklab 0.02 is a just noticeable difference: this is more than five of them.
THRESHOLD = 0.11


def linear(color):
    value = np.array(to_rgb(color)) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(color, vision):
    seen = np.clip(VISION[vision] @ linear(color), 0, 1)
    return TO_OKLAB @ np.cbrt(TO_LMS @ seen)


def distance(one, other, vision):
    return float(np.linalg.norm(oklab(one, vision) - oklab(other, vision)))


def contrast(one, other):
    """Of WCAG 2: 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    bright, dark = sorted((weights @ linear(color) for color in (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_oklab_distance_is_right():
    assert distance("#000000", "#FFFFFF", "normal") == pytest.approx(1, abs=1e-4)
    assert oklab("#FF0000", "normal") == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colors", [CLUSTER_COLORS, PHASE_COLORS], ids=["clusters", "phases"])
def test_every_pair_can_be_told_apart(vision, colors):
    assert min(distance(*pair, vision) for pair in combinations(colors, 2)) > THRESHOLD


def test_phases_of_the_gait_are_duller_than_clusters():
    def colourfulness(color):
        return np.linalg.norm(oklab(color, "normal")[1:])

    dullest = min(map(colourfulness, CLUSTER_COLORS))
    assert max(map(colourfulness, PHASE_COLORS)) < max(dullest, 0.1)
    assert len(PHASE_COLORS) == len(GAIT_PHASES)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("ground", [NO_CLUSTER_COLOR, "#000000", "#14161C", "#FFFFFF"])
def test_every_cluster_stands_out_from_grey_and_from_dark_and_light_grounds(vision, ground):
    assert min(distance(color, ground, vision) for color in CLUSTER_COLORS) > THRESHOLD


@pytest.mark.parametrize("vision", VISION)
def test_every_pair_of_runs_on_a_map_can_be_told_apart_and_from_its_ground(vision):
    grounds = [(color, ground) for color in GROUP_COLORS for ground in (OUTSIDE_COLOR, "#FFFFFF")]
    pairs = [*combinations(GROUP_COLORS, 2), *grounds]
    assert min(distance(*pair, vision) for pair in pairs) > THRESHOLD


def test_runs_on_a_map_have_other_colours_than_clusters():
    pairs = product(GROUP_COLORS, CLUSTER_COLORS)
    assert min(distance(*pair, "normal") for pair in pairs) > 0.05


def test_a_palette_that_mixes_red_and_green_would_fail():
    assert distance("#C00000", "#5A7A00", "deuteranopia") < THRESHOLD
    assert distance("#C00000", "#5A7A00", "normal") > THRESHOLD


def test_eight_clusters_have_eight_colours_and_none_is_grey():
    assert len({label_color(k) for k in range(8)}) == 8
    assert label_color(-1) == NO_CLUSTER_COLOR
    assert NO_CLUSTER_COLOR not in CLUSTER_COLORS
    assert label_color(8) == label_color(0)


@pytest.mark.parametrize("color", [*CLUSTER_COLORS, *PHASE_COLORS, NO_CLUSTER_COLOR])
def test_text_on_every_colour_has_the_contrast_that_wcag_asks_for(color):
    assert contrast(color, ink_on(color)) >= 4.5


# The page's own colours ---------------------------------------------------------------------------

SHEET = Path(__file__).parents[1] / "glassviz/report/templates/colors.css"
TEXTS = [
    *[(text, ground) for text in ("ink", "soft", "link") for ground in ("paper", "card")],
    *[(tone, f"{tone}-ground") for tone in ("good", "bad", "mixed")],
    ("paper", "ink"),  # a pressed button
]


def themes():
    """The colours of the light and of the dark page by name, as the style sheet sets them."""
    light, dark = SHEET.read_text().split("@media (prefers-color-scheme: dark)")
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in (light, dark)]
    assert found[0].keys() == found[1].keys() and len(found[0]) == 13
    return found


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_of_the_page_have_the_contrast_that_wcag_asks_for(theme):
    colors = themes()[theme]
    for text, ground in TEXTS:
        assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    for ground in ("paper", "card"):
        assert contrast(colors["edge"], colors[ground]) >= 3, "the edge of a control"
