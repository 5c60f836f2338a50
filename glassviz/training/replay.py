"""Replay in host memory: a ring buffer with one row per time step of all hoppers."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from glassviz.errors import GlassvizError

_ARRAYS = ("obs", "action", "reward", "first")


class Sequences(NamedTuple):
    """Batches of sequences for several updates, and optionally several seeds."""

    obs: Float32[np.ndarray, "*seeds updates steps_and_one batch obs"]
    action: Float32[np.ndarray, "*seeds updates steps batch act"]
    reward: Float32[np.ndarray, "*seeds updates steps batch"]


def joined(*parts: Sequences) -> Sequences:
    """Concatenate sequences from several sources into one batch, in order."""
    return Sequences(*(np.concatenate(arrays, axis=2) for arrays in zip(*parts, strict=True)))


class Replay:
    """The last `rows` steps of `num_envs` hoppers, sampled as sequences that cross no reset.

    A row holds observation, action and reward, and whether the observation is the first of an
    episode.
    """

    def __init__(self, rows: int, num_envs: int, obs_dim: int, action_dim: int) -> None:
        self.obs = np.zeros((rows, num_envs, obs_dim), np.float32)
        self.action = np.zeros((rows, num_envs, action_dim), np.float32)
        self.reward = np.zeros((rows, num_envs), np.float32)
        self.first = np.zeros((rows, num_envs), bool)
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, len(self.obs))

    def add(
        self,
        obs: Float32[np.ndarray, "envs obs"],
        action: Float32[np.ndarray, "envs act"],
        reward: Float32[np.ndarray, " envs"],
        first: Bool[np.ndarray, " envs"],
    ) -> None:
        """Add one row; overwrites the oldest when the buffer is full."""
        row = self.added % len(self.obs)
        self.obs[row], self.action[row] = obs, action
        self.reward[row], self.first[row] = reward, first
        self.added += 1

    def sample(
        self, rng: np.random.Generator, updates: int, batch_size: int, horizon: int, groups: int = 1
    ) -> Sequences:
        """Sample independent batches for `updates` updates, stacked on a leading axis.

        A sequence has `horizon` transitions of one hopper within one episode, drawn uniformly from
        the buffer. With `groups`, the hoppers are divided into equal groups, which have equal,
        consecutive shares of every batch.

        Raises:
            GlassvizError: the buffer has fewer steps than a sequence needs.
        """
        starts = len(self) - horizon
        if starts < 1:
            raise GlassvizError(
                f"replay: expected more than {horizon} steps before the first update, found "
                f"{len(self)}: raise learning_starts"
            )
        oldest = self.added - len(self)
        count = updates * batch_size
        ages = rng.integers(starts, size=count)
        size = self.obs.shape[1] // groups
        group = np.tile(np.repeat(np.arange(groups), batch_size // groups), updates) * size
        envs = group + rng.integers(size, size=count)
        while (crossing := self._crosses_reset(oldest + ages, envs, horizon)).any():
            ages[crossing] = rng.integers(starts, size=crossing.sum())
            envs[crossing] = group[crossing] + rng.integers(size, size=crossing.sum())
        # (updates, horizon + 1, batch)
        steps = np.arange(horizon + 1)[None, :, None]
        rows = ((oldest + ages).reshape(updates, 1, batch_size) + steps) % len(self.obs)
        envs = np.broadcast_to(envs.reshape(updates, 1, batch_size), rows.shape)
        before = rows[:, :-1], envs[:, :-1]
        return Sequences(self.obs[rows, envs], self.action[before], self.reward[before])

    def observations(
        self, rng: np.random.Generator, count: int
    ) -> Float32[np.ndarray, "count obs"]:
        """Observations drawn uniformly from the buffer."""
        rows = rng.integers(len(self), size=count)
        return self.obs[rows, rng.integers(self.obs.shape[1], size=count)]

    def get_state(self) -> dict[str, Any]:
        """The filled part of the buffer, for `set_state`."""
        filled = len(self)
        arrays = {name: getattr(self, name)[:filled] for name in _ARRAYS}
        return arrays | {"added": np.array(self.added)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `get_state`."""
        for name in _ARRAYS:
            getattr(self, name)[: len(state[name])] = state[name]
        self.added = int(state["added"])

    def _crosses_reset(
        self, start: np.ndarray, envs: np.ndarray, horizon: int
    ) -> Bool[np.ndarray, " sequences"]:
        rows = (start[:, None] + np.arange(1, horizon + 1)) % len(self.obs)
        return self.first[rows, envs[:, None]].any(axis=1)
