"""Collection: acting in batches, shaped rewards, rescue of runs, and the replay buffer."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from glassviz import envs
from glassviz.agents import glass as glass_ops
from glassviz.agents.networks import Params, encode, map_stacked
from glassviz.agents.planner import NO_CLUSTER, PlannerState, decide, initial_state
from glassviz.agents.world_model import policy_action
from glassviz.envs.batch import Batch, Step
from glassviz.envs.hopper import STAND_HEIGHT_M
from glassviz.errors import GlassvizError
from glassviz.rollout.rollout import roll_out
from glassviz.training.config import FEWEST_ACTIVE, Shaping, Signal, TrainConfig
from glassviz.training.losses import task_params

REPLAY_ARRAYS = ("obs", "action", "reward", "first")
"""Saved arrays of a replay buffer, with one row per step."""

ADDED = "added"
"""Saved number of rows that were ever added to it."""


class Sequences(NamedTuple):
    """Batches of sequences for several updates, and optionally several seeds.

    `planned` is whether the planner took the action.
    """

    obs: Float32[np.ndarray, "*seeds updates steps_and_one batch obs"]
    action: Float32[np.ndarray, "*seeds updates steps batch act"]
    reward: Float32[np.ndarray, "*seeds updates steps batch"]
    planned: Bool[np.ndarray, "*seeds updates steps batch"]


def joined(*parts: Sequences) -> Sequences:
    """Concatenate sequences from several sources into one batch, in order."""
    return Sequences(*(np.concatenate(arrays, axis=2) for arrays in zip(*parts, strict=True)))


class Replay:
    """The last `rows` steps of `num_envs` bodies, sampled as sequences that cross no reset.

    A row holds observation, action and reward, and whether the observation is the first of an
    episode.

    Attributes:
        planned: which bodies the planner acts for; none at first.
    """

    def __init__(self, rows: int, num_envs: int, obs_dim: int, action_dim: int) -> None:
        self.obs = np.zeros((rows, num_envs, obs_dim), np.float32)
        self.action = np.zeros((rows, num_envs, action_dim), np.float32)
        self.reward = np.zeros((rows, num_envs), np.float32)
        self.first = np.zeros((rows, num_envs), bool)
        self.planned = np.zeros(num_envs, bool)
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

        A sequence has `horizon` transitions of one body within one episode, drawn uniformly from
        the buffer. With `groups`, the bodies are divided into equal groups, which have equal,
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
        return Sequences(
            self.obs[rows, envs],
            self.action[before],
            self.reward[before],
            self.planned[before[1]],
        )

    def observations(
        self, rng: np.random.Generator, count: int
    ) -> Float32[np.ndarray, "count obs"]:
        """Observations drawn uniformly from the buffer."""
        rows = rng.integers(len(self), size=count)
        return self.obs[rows, rng.integers(self.obs.shape[1], size=count)]

    def get_state(self) -> dict[str, Any]:
        """The filled part of the buffer, for `set_state`."""
        filled = len(self)
        arrays = {name: getattr(self, name)[:filled] for name in REPLAY_ARRAYS}
        return arrays | {ADDED: np.array(self.added)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `get_state`."""
        for name in REPLAY_ARRAYS:
            getattr(self, name)[: len(state[name])] = state[name]
        self.added = int(state[ADDED])

    def _crosses_reset(
        self, start: np.ndarray, envs: np.ndarray, horizon: int
    ) -> Bool[np.ndarray, " sequences"]:
        rows = (start[:, None] + np.arange(1, horizon + 1)) % len(self.obs)
        return self.first[rows, envs[:, None]].any(axis=1)


# Body parts that are near the floor in a knee-walk.
KNEE_GEOMS = ("torso", "nose", "pelvis", "thigh", "calf")

# Length of the roll-out that the gait is assessed by, and of the initial drop, which is excluded.
GAIT_STEPS = 300
DROP_STEPS = 50

# Below this value of the signal, an agent is in a bad basin.
BASIN_THRESHOLD: dict[Signal, float] = {"gait": 0.25, "prototypes": FEWEST_ACTIVE}

# The n-th restart of seed s uses seed s + n·SEED_STRIDE, far from the seeds that users choose.
SEED_STRIDE = 10_000
KMEANS_SAMPLE = 4096


class Proposal(NamedTuple):
    """Actions of an agent before exploration noise.

    Attributes:
        label: clusters of the observations; empty if not needed.
        plan: planner state for the next step; empty without a planner.
    """

    action: Float[Array, "*seeds envs act"]
    label: Int[Array, "*seeds labels"]
    plan: tuple[Array, ...]


class Collector:
    """Collects experience with the bodies of one seed.

    Args:
        rng: generator for resets and exploration, shared within the seed.
        replay: buffer that steps are added to.
    """

    def __init__(self, train: TrainConfig, rng: np.random.Generator, replay: Replay) -> None:
        self.train, self.rng, self.replay = train, rng, replay
        agent, share = train.agent, train.num_envs // len(train.tasks)
        self._batches: list[Batch] = [
            envs.make(dataclasses.replace(agent.env, task=task), share) for task in train.tasks
        ]
        geoms = self._batches[0].geoms
        self._shaper = Shaper(train.shaping, train.num_envs, agent.action_dim, geoms)
        self.obs = np.zeros((train.num_envs, agent.obs_dim), np.float32)
        self.episode_step = 0
        self.plan: tuple[np.ndarray, ...] = ()
        self._planned = train.explore.planned(share)
        of_planner = np.arange(share) >= share - self._planned
        replay.planned = np.tile(of_planner, len(train.tasks))
        self._burst_left = np.zeros(train.num_envs, np.int64)

    def reset(self) -> None:
        """Start an episode of every body."""
        seeds = [int(seed) for seed in self.rng.integers(2**31, size=self.train.num_envs)]
        share = len(seeds) // len(self._batches)
        upright = round(self.train.explore.upright_resets * share)
        steps = [
            batch.reset(seeds[i * share : (i + 1) * share], upright)
            for i, batch in enumerate(self._batches)
        ]
        self.obs = np.concatenate([step.obs for step in steps])
        self.episode_step = 0
        self._shaper.reset()
        self._burst_left[:] = 0
        if planned := self._planned * len(self._batches):
            fresh = initial_state(self.train.agent, self.train.agent.planner, planned)
            self.plan = tuple(np.asarray(leaf) for leaf in fresh)

    @property
    def episode_steps(self) -> int:
        """Number of decisions per episode in collection."""
        return self.train.explore.collect_episode_steps or self.train.agent.env.episode_steps

    def needs_proposal(self, env_steps: int) -> bool:
        """Whether the next actions or rewards depend on the agent."""
        explore = self.train.explore
        random = env_steps < explore.expl_until and not explore.expl_mix_decay_steps
        return not random or bool(self.train.shaping.cluster_intrinsic_coef)

    def step(self, proposal: Proposal | None, env_steps: int) -> None:
        """Act once in every body and add the step to the replay buffer.

        Args:
            proposal: this seed's result of `propose`; None while all actions are random.
            env_steps: environment steps of the run before this step.
        """
        action = self._explore(proposal, env_steps)
        shares = np.split(action.astype(np.float64), len(self._batches))
        steps = [batch.step(share) for batch, share in zip(self._batches, shares, strict=True)]
        names = [field.name for field in dataclasses.fields(Step)]
        step = Step(**{n: np.concatenate([getattr(s, n) for s in steps]) for n in names})
        reward = step.reward
        if self.train.shaping.active:
            labels = None if proposal is None else np.asarray(proposal.label)
            reward = reward + self._shaper(step, action, labels, env_steps)
        first = np.full(len(action), self.episode_step == 0)
        self.replay.add(self.obs, action, reward.astype(np.float32), first)
        self.obs = step.obs
        if proposal is not None:
            self.plan = tuple(np.asarray(leaf) for leaf in proposal.plan)
        self.episode_step += 1
        if self.episode_step == self.episode_steps:
            self.reset()

    def get_state(self) -> dict[str, np.ndarray]:
        """Arrays for `set_state`."""
        return {
            "env_state": np.concatenate([batch.get_state() for batch in self._batches]),
            "env_obs": self.obs,
            "episode_step": np.array(self.episode_step),
            "burst_left": self._burst_left,
            **{f"plan_{i}": leaf for i, leaf in enumerate(self.plan)},
            **self._shaper.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `get_state`."""
        rows = np.split(state["env_state"], len(self._batches))
        for batch, share in zip(self._batches, rows, strict=True):
            batch.set_state(share)
        # Not recomputed from the state: touch sensors belong to the last simulated substep.
        self.obs = state["env_obs"]
        self.episode_step = int(state["episode_step"])
        self._burst_left = state["burst_left"]
        self.plan = tuple(state[name] for name in ("plan_0", "plan_1") if name in state)
        self._shaper.set_state(state)

    def _explore(self, proposal: Proposal | None, env_steps: int) -> Float32[np.ndarray, "e act"]:
        explore = self.train.explore
        shape = (self.train.num_envs, self.train.agent.action_dim)
        mix_steps = explore.expl_mix_decay_steps
        if proposal is None or (env_steps < explore.expl_until and not mix_steps):
            return self.rng.uniform(-1, 1, shape).astype(np.float32)
        share = shape[0] // len(self._batches)
        std = np.tile(noise_std(self.train, env_steps, share), len(self._batches))[:, None]
        noise = std * self.rng.standard_normal(shape, np.float32)
        action = np.clip(np.asarray(proposal.action) + noise, -1, 1).astype(np.float32)
        if explore.burst_rate:
            bursting = self._bursting(share)[:, None]
            uniform = self.rng.uniform(-1, 1, shape).astype(np.float32)
            action = np.where(bursting, uniform, action)
        if mix_steps and env_steps < mix_steps:
            replaced = self.rng.random(len(action)) < 1 - env_steps / mix_steps
            uniform = self.rng.uniform(-1, 1, shape).astype(np.float32)
            action = np.where(replaced[:, None], uniform, action)
        return action

    def _bursting(self, share: int) -> Bool[np.ndarray, " envs"]:
        """Which bodies act at random now; those of the planner, the last of a share, never do."""
        explore, count = self.train.explore, len(self._burst_left)
        begins = (self.rng.random(count) < explore.burst_rate) & (self._burst_left == 0)
        begins &= ~self.replay.planned
        lengths = self.rng.integers(1, explore.burst_steps + 1, count)
        self._burst_left = np.where(begins, lengths, self._burst_left)
        bursting = self._burst_left > 0
        self._burst_left = np.maximum(self._burst_left - 1, 0)
        return bursting


def noise_std(train: TrainConfig, env_steps: int, share: int) -> Float32[np.ndarray, " share"]:
    """Std of the exploration noise of every body of a task, of which there are `share`.

    The last ones are those of the planner; it is 0 for the planner of TD-MPC2, which samples from
    its plan.
    """
    explore = train.explore
    start, end = explore.act_noise_start, explore.act_noise_end
    if end is None:
        std = start
    else:
        std = start + min(1.0, env_steps / explore.act_noise_anneal_steps) * (end - start)
    planned, spread = explore.planned(share), explore.act_noise_spread
    factors = np.linspace(1 - spread, 1 + spread, share - planned)
    of_planner = std if explore.planner_noise is None else explore.planner_noise
    if train.agent.planner.variant == "tdmpc2":
        of_planner = 0.0
    return np.concatenate([std * factors, np.full(planned, of_planner)]).astype(np.float32)


def propose(
    train: TrainConfig,
    params: Params,
    obs: Float32[np.ndarray, "seeds envs obs"],
    plan: tuple[np.ndarray, ...],
    seeds: Int32[np.ndarray, " seeds"],
    env_steps: int,
) -> list[Proposal]:
    """Propose actions for the agents of several seeds, in one compiled call.

    `params` have the seeds on the first axis of every leaf. `plan` are the collectors' planner
    states, of the bodies that the planner acts for; it is empty if there are none. The planner's
    random numbers come from `seeds` and `env_steps`, the environment steps of the run so far.
    """
    on_device = jnp.asarray(obs), tuple(map(jnp.asarray, plan))
    host = jax.tree.map(np.asarray, _proposals(train, params, *on_device, seeds, env_steps))
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(obs))]


@partial(jax.jit, static_argnames="train")
def _proposals(
    train: TrainConfig,
    params: Params,
    obs: Float[Array, "seeds envs obs"],
    plan: tuple[Array, ...],
    seeds: Int[Array, " seeds"],
    env_steps: Int[Array, ""],
) -> Proposal:
    def one_seed(arguments: tuple[Params, Array, tuple[Array, ...], Array]) -> Proposal:
        params, obs, plan, seed = arguments
        key = jax.random.fold_in(jax.random.key(seed), env_steps)
        if not train.multitask:
            return _propose(train, params, obs, plan, key)
        count, shares = len(train.tasks), []
        for i in range(count):
            own, own_obs = task_params(params, i), jnp.split(obs, count)[i]
            own_plan = tuple(jnp.split(leaf, count)[i] for leaf in plan)
            shares.append(_propose(train, own, own_obs, own_plan, jax.random.fold_in(key, i)))
        joined: Proposal = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *shares)
        return joined

    return map_stacked(one_seed, (params, obs, plan, seeds))


def _propose(
    train: TrainConfig,
    params: Params,
    obs: Float[Array, "envs obs"],
    plan: tuple[Array, ...],
    key: Array,
) -> Proposal:
    agent = train.agent
    z = encode(agent, params, obs)
    label = jnp.zeros(0, int)
    if train.shaping.cluster_intrinsic_coef and agent.glass:
        label = glass_ops.label(agent.glass, params["glass"], z)
    planned = train.explore.planned(len(obs))
    by_policy = len(obs) - planned
    if not planned:
        return Proposal(policy_action(agent, params, z), label, ())
    planner = dataclasses.replace(agent.planner, action_noise=agent.planner.variant == "tdmpc2")
    keys, state = jax.random.split(key, planned), PlannerState(*plan)
    decision, state = decide(
        agent, planner, "mppi", "nearest-prototype", params, obs[by_policy:], state, keys
    )
    action = decision.action
    if by_policy:
        action = jnp.concatenate([policy_action(agent, params, z[:by_policy]), action])
    return Proposal(action, label, tuple(state))


class Shaper:
    """Reward shaping for a batch of bodies; stateful in their last actions and labels.

    `geoms` are names, in the order of `Step.geom_heights`. Terms of heights are of the
    hopper alone.
    """

    def __init__(
        self, settings: Shaping, num_envs: int, action_dim: int, geoms: tuple[str, ...]
    ) -> None:
        self.settings = settings
        self._knees = [geoms.index(name) for name in KNEE_GEOMS if settings.knee_penalty_coef]
        self._action = np.zeros((num_envs, action_dim), np.float32)
        self._labels = np.full((settings.cluster_intrinsic_window, num_envs), NO_CLUSTER)
        self._first = True

    def reset(self) -> None:
        """Clear the state: an episode begins of every body."""
        self._labels[:] = NO_CLUSTER
        self._first = True

    def __call__(
        self,
        step: Step,
        action: Float32[np.ndarray, "envs act"],
        labels: Int[np.ndarray, " envs"] | None,
        env_steps: int,
    ) -> Float[np.ndarray, " envs"]:
        """The shaping term of this step's reward.

        Args:
            step: result of the action.
            labels: clusters of the observations acted on; only needed for the intrinsic reward.
            env_steps: environment steps of the run so far.
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
        """Arrays for `set_state`."""
        return {
            "shaper_action": self._action,
            "shaper_labels": self._labels,
            "shaper_first": np.array(self._first),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `get_state`."""
        self._action, self._labels = state["shaper_action"], state["shaper_labels"]
        self._first = bool(state["shaper_first"])


def stand_share(settings: Shaping, env_steps: int) -> float:
    """Remaining share of the stand bonus after `env_steps` steps."""
    if not settings.soft_stand_anneal_steps:
        return 1.0
    return max(0.0, 1 - env_steps / settings.soft_stand_anneal_steps)


def intrinsic_share(settings: Shaping, env_steps: int) -> float:
    """Remaining share of the intrinsic reward after `env_steps` steps."""
    start = settings.cluster_intrinsic_decay_start_steps
    end = settings.cluster_intrinsic_decay_steps
    if not end:
        return 1.0
    return float(np.clip((end - env_steps) / max(end - start, 1), 0, 1))


def label_entropy(labels: Int[np.ndarray, "window envs"]) -> Float[np.ndarray, " envs"]:
    """Entropy of each body's labels over the window, bits; frames without a label are ignored.

    >>> label_entropy(np.array([[0, 3], [1, 3]]))
    array([1., 0.])
    """
    labelled = np.maximum((labels != NO_CLUSTER).sum(axis=0), 1)
    entropy = np.zeros(labels.shape[1])
    for label in range(labels.max() + 1):
        share = (labels == label).sum(axis=0) / labelled
        entropy -= share * np.log2(np.where(share > 0, share, 1))
    return entropy


def basin_signal(train: TrainConfig, signal: Signal, params: Params, seed: int) -> float:
    """Value of a basin signal for an agent; below `BASIN_THRESHOLD` it is in a bad basin.

    Args:
        signal: `gait`: share of the frames with floor contact in which only the foot touches, in a
            roll-out of the policy. `prototypes`: number of clusters active in the partition.
        seed: reset seed of the roll-out.
    """
    if signal == "prototypes":
        glass = train.agent.glass
        assert glass is not None
        return float(glass_ops.active_in_partition(glass, params["glass"]))
    env = envs.make(train.agent.env, 1)
    [arrays] = roll_out(train.agent, [params], "pi", env, seed, GAIT_STEPS)
    return foot_share(arrays["contacts"][0, DROP_STEPS:], env.geoms)


def foot_share(contacts: Bool[np.ndarray, "frames geoms"], geoms: tuple[str, ...]) -> float:
    """Share of the frames with floor contact in which only the foot touches; 0 without contact."""
    touching = contacts.any(axis=1)
    others = np.delete(contacts, geoms.index("foot"), axis=1).any(axis=1)
    return float((touching & ~others).sum() / max(touching.sum(), 1))


def kmeans_prototypes(
    train: TrainConfig, params: Params, obs: Float32[np.ndarray, "sample obs"], seed: int
) -> Float32[np.ndarray, "prototypes latent"]:
    """k-means centroids of the latents of `obs`, one per prototype."""
    from sklearn.cluster import KMeans

    assert train.agent.glass is not None
    z = np.asarray(encode(train.agent, params, jnp.asarray(obs)))
    clustering = KMeans(train.agent.glass.prototypes, n_init=1, random_state=seed).fit(z)
    return np.asarray(clustering.cluster_centers_, np.float32)
