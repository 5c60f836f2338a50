"""The numbers that runs are compared by: one an episode, by the name that explains it."""

from collections.abc import Callable
from types import MappingProxyType

from glassviz.stability.episode import EpisodeStability

Metric = Callable[[EpisodeStability], float | None]


def _of_gait(name: str) -> Metric:
    return lambda episode: getattr(episode.gait, name)


def _of_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.labels, names)


def _of_steady_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_labels, names)


def _of_soft(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_soft, names)


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
    "duty_factor": _of_gait("duty_factor"),
    "period_s": lambda episode: episode.gait.cycles.period_s,
    "period_cv": lambda episode: episode.gait.cycles.period_cv,
    "cycles": lambda episode: float(episode.gait.cycles.count),
    "rhythm": lambda episode: _walk(episode.gait.rhythm, ("strength",)),
    "rho": lambda episode: _walk(episode.gait.return_map, ("rho",)),
}
"""What the body does: parts of it, such as speed, are what the task rewards."""

OF_LABELS: dict[str, Metric] = {
    "dominant_share": _of_labels("occupancy", "dominant_share"),
    "effective_labels": _of_labels("occupancy", "effective_labels"),
    "occupancy_entropy": _of_labels("occupancy", "entropy"),
    "switch_rate_hz": _of_steady_labels("switching", "rate_hz"),
    "switches_per_cycle": _of_steady_labels("switching", "per_cycle"),
    "flicker_share": _of_steady_labels("switching", "flicker_share"),
    "return_share": _of_steady_labels("switching", "return_share"),
    "chatter_share": _of_steady_labels("chatter_share"),
    "dwell_cv": _of_steady_labels("dwell_cv"),
    "label_period_s": _of_steady_labels("persistence", "period_s"),
    "periodicity": _of_steady_labels("persistence", "periodicity"),
    "window_mi_5_bits": _of_steady_labels("window_mi_5_bits"),
    "window_mi_10_bits": _of_steady_labels("window_mi_10_bits"),
    "between_cycle_mi_bits": _of_steady_labels("between_cycle_mi_bits"),
    "within_cycle_mi_bits": _of_steady_labels("within_cycle_mi_bits"),
    "phase_information_bits": _of_steady_labels("locking", "phase_information_bits"),
    "locking_u": _of_steady_labels("locking", "locking_u"),
    "nmi": _of_steady_labels("locking", "nmi"),
    "phase_ami": _of_steady_labels("locking", "ami"),
    "locking_p": _of_steady_labels("locking", "locking_p"),
    "fleiss_kappa": _of_steady_labels("agreement", "fleiss_kappa"),
    "pairwise_agreement": _of_steady_labels("agreement", "pairwise_agreement"),
    "modal_word_share": _of_steady_labels("words", "modal_share"),
    "clear_word_share": _of_steady_labels("clear_words", "modal_share"),
    "mean_distance": _of_steady_labels("words", "mean_distance"),
    "step_jsd_bits": _of_soft("change", "step_jsd_bits"),
    "temporal": _of_soft("change", "temporal"),
    "temp_stability": _of_soft("change", "temp_stability"),
    "confidence": _of_soft("confidence"),
    "margin": _of_soft("margin"),
    "soft_entropy": _of_soft("entropy"),
    "rule_agreement": _of_soft("rule_agreement"),
}
"""Over steady frames; those about occupancy over all."""

METRICS = MappingProxyType(OF_BODY | OF_LABELS)
"""By name."""
