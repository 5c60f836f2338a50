"""The numbers that runs are compared by: one an episode, by the name that explains it."""

from collections.abc import Callable
from types import MappingProxyType

from glassviz.analysis.label_verdict import DEFAULT_THRESHOLDS
from glassviz.stability.episode import EpisodeStability

Metric = Callable[[EpisodeStability], float | None]


def _of_gait(name: str) -> Metric:
    return lambda episode: getattr(episode.gait, name)


def _of_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.labels, names)


def _of_steady_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_labels, names)


def _of_soft(*names: str) -> Metric:
    return lambda episode: _walk(episode.soft, names)


def _of_steady_soft(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_soft, names)


def _locking_is_significant(episode: EpisodeStability) -> float | None:
    """1 or 0, so that the mean is a share of episodes: a mean of p-values says nothing."""
    p = _walk(episode.steady_labels, ("locking", "locking_p"))
    return None if p is None else float(p <= DEFAULT_THRESHOLDS.alpha)


def _walk(value: object, names: tuple[str, ...]) -> float | None:
    """The value at the end of a path of attributes; None where the path ends early."""
    for name in names:
        if value is None:
            return None
        value = getattr(value, name)
    assert value is None or isinstance(value, float)
    return value


OF_BODY: dict[str, Metric] = {
    "distance_m": _of_gait("distance_m"),
    "mean_speed_mps": _of_gait("mean_speed_mps"),
    "moving_share": _of_gait("moving_share"),
    "standing_rate": _of_gait("standing_rate"),
    "foot_only_share": _of_gait("foot_only_share"),
    "body_share": _of_gait("body_share"),
    "flight_share": _of_gait("flight_share"),
    "falls_per_minute": _of_gait("falls_per_minute"),
    "first_fall_m": _of_gait("first_fall_m"),
    "hops_per_s": _of_gait("hops_per_s"),
    "mean_height_m": _of_gait("mean_height_m"),
    "duty_factor": _of_gait("duty_factor"),
    "period_s": lambda episode: episode.gait.cycles.period_s,
    "period_cv": lambda episode: episode.gait.cycles.period_cv,
    "cycles": lambda episode: float(episode.gait.cycles.count),
    "rhythm": lambda episode: _walk(episode.gait.rhythm, ("strength",)),
    "rho": lambda episode: _walk(episode.gait.return_map, ("rho",)),
}
"""What the body does: parts of it, such as speed, are what the task rewards."""

_IN_TIME = {
    "switch_rate_hz": ("switching", "rate_hz"),
    "flicker_share": ("switching", "flicker_share"),
    "return_share": ("switching", "return_share"),
    "chatter_share": ("chatter_share",),
    "dwell_cv": ("dwell_cv",),
    "label_period_s": ("persistence", "period_s"),
    "periodicity": ("persistence", "periodicity"),
    "window_mi_5_bits": ("window_mi_5_bits",),
    "window_mi_10_bits": ("window_mi_10_bits",),
}
"""Of labels, by the name of the metric, where it is in `LabelStats`."""

_IN_CYCLES = {
    "switches_per_cycle": ("switching", "per_cycle"),
    "between_cycle_mi_bits": ("between_cycle_mi_bits",),
    "within_cycle_mi_bits": ("within_cycle_mi_bits",),
    "phase_information_bits": ("locking", "phase_information_bits"),
    "locking_u": ("locking", "locking_u"),
    "nmi": ("locking", "nmi"),
    "phase_ami": ("locking", "ami"),
    "fleiss_kappa": ("agreement", "fleiss_kappa"),
    "pairwise_agreement": ("agreement", "pairwise_agreement"),
    "modal_word_share": ("words", "modal_share"),
    "clear_word_share": ("clear_words", "modal_share"),
    "mean_distance": ("words", "mean_distance"),
}
"""The same, of gait cycles."""

_SOFT = {
    "soft_window_mi_5_bits": ("change", "window_mi_5_bits"),
    "soft_window_mi_10_bits": ("change", "window_mi_10_bits"),
    "step_jsd_bits": ("change", "step_jsd_bits"),
    "temporal": ("change", "temporal"),
    "temp_stability": ("change", "temp_stability"),
    "confidence": ("confidence",),
    "margin": ("margin",),
    "soft_entropy": ("entropy",),
    "rule_agreement": ("rule_agreement",),
}
"""Of soft assignments, where it is in `SoftStats`."""

OF_LABELS: dict[str, Metric] = {
    "dominant_share": _of_labels("occupancy", "dominant_share"),
    "effective_labels": _of_labels("occupancy", "effective_labels"),
    "occupancy_entropy": _of_labels("occupancy", "entropy"),
    **{name: _of_steady_labels(*path) for name, path in (_IN_TIME | _IN_CYCLES).items()},
    "locking_significant_share": _locking_is_significant,
    **{name: _of_steady_soft(*path) for name, path in _SOFT.items()},
    "soft_between_cycle_mi_bits": _of_steady_soft("between_cycle_mi_bits"),
    "soft_within_cycle_mi_bits": _of_steady_soft("within_cycle_mi_bits"),
}
"""Over steady frames; those about occupancy over all."""

METRICS = MappingProxyType(OF_BODY | OF_LABELS)
"""By name: what runs are compared by."""

ALL_FRAMES = "_all_frames"

OVER_ALL_FRAMES = MappingProxyType(
    {f"{name}{ALL_FRAMES}": _of_labels(*path) for name, path in _IN_TIME.items()}
    | {f"{name}{ALL_FRAMES}": _of_soft(*path) for name, path in _SOFT.items()}
)
"""What is not about gait cycles once more, over all frames after the opening: falls included."""

SHARES = frozenset({"locking_significant_share"})
"""Of which each episode has 0 or 1."""
