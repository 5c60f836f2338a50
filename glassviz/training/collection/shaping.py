"""What is added to the task's reward in training. Evaluation never sees it."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from glassviz.agents.agent import NO_CLUSTER
from glassviz.envs.hopper import STAND_HEIGHT_M, Step
from glassviz.training.parts import Shaping

# The parts that a knee-walk brings near the floor.
KNEE_GEOMS = ("torso", "nose", "pelvis", "thigh", "calf")


class Shaper:
    """The shaping of one batch of hoppers; remembers their last actions and labels.

    Args:
        geoms: names of the geoms, in the order of `Step.geom_heights`.
    """

    def __init__(
        self, settings: Shaping, num_envs: int, action_dim: int, geoms: tuple[str, ...]
    ) -> None:
        self.settings = settings
        self._knees = [geoms.index(name) for name in KNEE_GEOMS]
        self._action = np.zeros((num_envs, action_dim), np.float32)
        self._labels = np.full((settings.cluster_intrinsic_window, num_envs), NO_CLUSTER)
        self._first = True

    def reset(self) -> None:
        """Forget: an episode begins in every hopper."""
        self._labels[:] = NO_CLUSTER
        self._first = True

    def __call__(
        self,
        step: Step,
        action: Float32[np.ndarray, "envs act"],
        labels: Int[np.ndarray, " envs"] | None,
        env_steps: int,
    ) -> Float[np.ndarray, " envs"]:
        """What this step's reward is changed by.

        Args:
            step: what the action led to.
            labels: clusters of the observations acted on; needed by the intrinsic reward alone.
            env_steps: of the run so far.
        """
        settings = self.settings
        change = np.zeros(len(action))
        if settings.knee_penalty_coef:
            below = settings.knee_threshold_m - step.geom_heights[:, self._knees]
            change -= settings.knee_penalty_coef * np.maximum(below, 0).sum(axis=1)
        if settings.gait_fall_penalty:
            change -= settings.gait_fall_penalty * (step.height < settings.gait_fall_height_m)
        if settings.gait_action_smooth and not self._first:
            squared = np.sum((action - self._action) ** 2, axis=1)
            change -= settings.gait_action_smooth * squared
        if settings.soft_stand_bonus:
            span = STAND_HEIGHT_M - settings.soft_stand_floor_m
            share = np.clip((step.height - settings.soft_stand_floor_m) / span, 0, 1)
            change += settings.soft_stand_bonus * stand_share(settings, env_steps) * share
        if settings.cluster_intrinsic_coef:
            assert labels is not None
            self._labels = np.roll(self._labels, -1, axis=0)
            self._labels[-1] = labels
            bonus = settings.cluster_intrinsic_coef * intrinsic_share(settings, env_steps)
            change += bonus * label_entropy(self._labels)
        self._action, self._first = action, False
        return change

    def get_state(self) -> dict[str, np.ndarray]:
        """What `set_state` continues from."""
        return {
            "shaper_action": self._action,
            "shaper_labels": self._labels,
            "shaper_first": np.array(self._first),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self._action, self._labels = state["shaper_action"], state["shaper_labels"]
        self._first = bool(state["shaper_first"])


def stand_share(settings: Shaping, env_steps: int) -> float:
    """What is left of the stand bonus after so many steps."""
    if not settings.soft_stand_anneal_steps:
        return 1.0
    return max(0.0, 1 - env_steps / settings.soft_stand_anneal_steps)


def intrinsic_share(settings: Shaping, env_steps: int) -> float:
    """What is left of the intrinsic reward after so many steps."""
    start, end = (
        settings.cluster_intrinsic_decay_start_steps,
        settings.cluster_intrinsic_decay_steps,
    )
    if not end:
        return 1.0
    return float(np.clip((end - env_steps) / max(end - start, 1), 0, 1))


def label_entropy(labels: Int[np.ndarray, "window envs"]) -> Float[np.ndarray, " envs"]:
    """Entropy of each hopper's labels in bits; frames without a label do not count."""
    seen = np.maximum((labels != NO_CLUSTER).sum(axis=0), 1)
    entropy = np.zeros(labels.shape[1])
    for label in range(labels.max() + 1):
        share = (labels == label).sum(axis=0) / seen
        entropy -= share * np.log2(np.where(share > 0, share, 1))
    return entropy
