"""Joints: their principal components, the rhythm of these, and whether they are at rest."""

import numpy as np
from jaxtyping import Float64

from glassviz.envs.bodies import Body
from glassviz.gait.contacts import Mask
from glassviz.gait.cycles import FASTEST_S, Rhythm, autocorrelation, first_peak

SLOWEST_S = 5.0
"""Longest period of the joints of a body without feet, s."""

WARM_UP = 0.25
"""Share of an episode that a body without feet may take to get going."""

QUIET = 0.05
"""A joint is at rest below this share of its own highest speed."""

LEAST_SPEED = 1.0
"""A joint that never exceeds this speed, rad/s or m/s, is compared with it instead."""

HELD = 0.95
"""Share of frames in which all joints of a body at rest are at rest."""

Columns = Float64[np.ndarray, "frames columns"]


def joint_velocities(
    body: Body, qvel: Float64[np.ndarray, "frames nv"]
) -> Float64[np.ndarray, "frames joints"]:
    """Velocities of the body's own joints: without its root, and without objects of a task."""
    return qvel[:, body.root : _end(body, body.root)]


def joint_features(
    body: Body, qpos: Float64[np.ndarray, "frames nq"], qvel: Float64[np.ndarray, "frames nv"]
) -> Float64[np.ndarray, "frames features"]:
    """Positions and velocities of the joints, each with a variance of one, or none if at rest.

    Positions enter as sine and cosine, which need no unwrapping, scaled together: a joint that
    hardly moves has a cosine that hardly varies, and it stays small.
    """
    # A free root has a quaternion, one number more than it has angular velocities.
    first = body.root + (body.root == FREE)
    angle = qpos[:, first : _end(body, first)]
    velocity = joint_velocities(body, qvel)
    sine, cosine = (part(angle) - part(angle).mean(axis=0) for part in (np.sin, np.cos))
    together = np.sqrt(sine.var(axis=0) + cosine.var(axis=0))
    moved = velocity - velocity.mean(axis=0)
    return np.concatenate(
        [_scaled(sine, together), _scaled(cosine, together), _scaled(moved, moved.std(axis=0))],
        axis=1,
    )


FREE = 6
"""Velocities of a root that moves freely in space."""


def _end(body: Body, first: int) -> int | None:
    return None if body.joints is None else first + body.joints


def _scaled(values: Columns, scale: Float64[np.ndarray, " columns"]) -> Columns:
    return values / np.where(scale < 1e-6, np.inf, scale)


def principal_components(
    features: Float64[np.ndarray, "frames features"], mask: Mask
) -> Float64[np.ndarray, "frames 2"]:
    """The first two principal components of the frames in the mask, of all frames.

    The sign of each is such that its largest weight is positive.
    """
    if mask.sum() < 2:
        return np.zeros((len(features), 2))
    centred = features - features[mask].mean(axis=0)
    _, axes = np.linalg.eigh(centred[mask].T @ centred[mask])
    first = axes[:, ::-1][:, :2]
    largest = np.take_along_axis(first, np.abs(first).argmax(axis=0, keepdims=True), axis=0)
    plane = centred @ (first * np.where(largest < 0, -1.0, 1.0))
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def plane_rhythm(plane: Columns, mask: Mask, dt_s: float, slowest_s: float) -> Rhythm | None:
    """Rhythm of the autocorrelation of a point in the plane; None without a positive peak.

    r(l) = mean of x_t · x_{t+l} / mean of x_t², over both components. Lags longer than half the
    frames in the mask are ignored.
    """
    lags = min(round(slowest_s / dt_s), int(mask.sum()) // 2) + 1
    shortest = max(1, int(np.ceil(FASTEST_S / dt_s)))
    if lags <= shortest + 1:
        return None
    found = [(part[mask].var(), autocorrelation(part, mask, lags)) for part in plane.T]
    known = [(variance, r) for variance, r in found if r is not None]
    total = sum(variance for variance, _ in known)
    if not total:
        return None
    together = np.sum([variance / total * r for variance, r in known], axis=0)
    below = np.flatnonzero(together < 0)
    # Before it falls below 0 once, the peaks are of noise on a slower swing.
    return first_peak(together, max(shortest, int(below[0])), dt_s) if len(below) else None


def quiet_frames(velocities: Columns, dt_s: float) -> Mask:
    """Whether every joint is slower than 5 % of its own highest speed, or of 1 rad/s if slower.

    Velocities are averaged over 1/6 s, so that a body that trembles in its place is at rest.
    """
    if not velocities.size:
        return np.zeros(len(velocities), bool)
    window = np.ones(max(1, round(FASTEST_S / dt_s)))
    weight = np.convolve(np.ones(len(velocities)), window, "full")
    begin = (len(window) - 1) // 2
    inside = slice(begin, begin + len(velocities))
    summed = np.apply_along_axis(np.convolve, 0, velocities, window, "full")
    mean = summed[inside] / weight[inside, None]
    highest = np.maximum(np.abs(velocities).max(axis=0), LEAST_SPEED)
    return np.all(np.abs(mean) <= QUIET * highest, axis=1)


def held_from(quiet: Mask) -> int | None:
    """First frame from which nearly all frames are quiet to the end; None if that is no half."""
    if len(quiet) < 2:
        return None
    shares = np.cumsum(quiet[::-1]) / np.arange(1, len(quiet) + 1)
    held = np.flatnonzero(shares[::-1][: len(quiet) // 2 + 1] >= HELD)
    return int(held[0]) if len(held) else None
