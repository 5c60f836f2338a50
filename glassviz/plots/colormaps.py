"""Continuous colours: of the gait's phase, which is a circle, and of numbers."""

from functools import cache

import numpy as np
from jaxtyping import Float64
from matplotlib.colors import Colormap, ListedColormap


@cache
def phase_colors() -> Colormap:
    """A circle of hues, dark at touchdown and light half a cycle later.

    Chroma is the same all round (OKLCH); lightness rises and falls once, so that the two halves
    stay apart for those who see few hues, and no phase is near to white.
    """
    phase = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = 0.62 - 0.17 * np.cos(phase)
    hue = phase + np.deg2rad(290)
    a, b = 0.125 * np.cos(hue), 0.125 * np.sin(hue)
    return ListedColormap(_srgb(lightness, a, b), name="gait phase")


def _srgb(
    lightness: Float64[np.ndarray, " n"], a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 3"]:
    """OKLab as sRGB (Ottosson, 2020)."""
    l_, m_, s_ = (
        (lightness + p * a + q * b) ** 3
        for p, q in (
            (0.3963377774, 0.2158037573),
            (-0.1055613458, -0.0638541728),
            (-0.0894841775, -1.2914855480),
        )
    )
    linear = np.stack(
        [
            4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
            -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
            -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
        ],
        axis=1,
    )
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@cache
def scale_colors() -> Colormap:
    """From dark to light, without the palest end, which white paper swallows."""
    from matplotlib import colormaps

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.93, 256)))
