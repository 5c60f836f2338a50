"""Training losses of world model, critic, policy and Glass."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from glassviz.agents import glass as glass_ops
from glassviz.agents import networks
from glassviz.agents.config import AgentConfig
from glassviz.agents.glass import Scalar
from glassviz.agents.networks import Params, encode, next_latent, reward_logits, two_hot
from glassviz.agents.world_model import policy_action, q_distribution, q_values, value_input
from glassviz.training.config import GlassTraining, TrainConfig

Steps = Float[Array, "steps batch"]
LatentSteps = Float[Array, "steps batch latent"]
ActionSteps = Float[Array, "steps batch act"]
RollOut = Float[Array, "steps_and_one batch latent"]
Metrics = dict[str, Scalar]
HEADS = ("rew", "q", "pi")
SCALE_EMA = 0.01

# Bounds of the spread that the policy loss is divided by; only `glass` has the upper one.
MIN_SCALE, MAX_SCALE = 1.0, 4.0

CONTRAST_TEMPERATURE = 0.5

# The contrastive loss compares all pairs of frames; with more sequences it would dominate the cost.
CONTRAST_SEQUENCES = 64


class Batch(NamedTuple):
    """Sequences of steps for one update, time first; updates and seeds stack on leading axes."""

    obs: Float[Array, "*more steps_and_one batch obs"]
    action: Float[Array, "*more steps batch act"]
    reward: Float[Array, "*more steps batch"]
    planned: Bool[Array, "*more steps batch"]


class Schedule(NamedTuple):
    """Schedule of a run: whether losses are active yet, and the weight of imitation."""

    glass: Bool[Array, "*seeds"]
    smooth: Bool[Array, "*seeds"]
    imitation: Float[Array, "*seeds"]


def total_loss(
    params: Params,
    train: TrainConfig,
    target_params: Params,
    scale: Scalar,
    batch: Batch,
    schedule: Schedule,
    key: Key[Array, ""],
) -> tuple[Scalar, Metrics]:
    """The loss of one update, and its terms by name.

    Args:
        params: online parameters.
        scale: spread of the Q values that the policy loss is divided by; its update is returned
            as the term `scale`.
        key: for random actions and heads; not used by the family `glass`.
    """
    if not train.multitask:
        return _task_loss(params, train, target_params, scale, batch, schedule, key)
    tasks, size = range(len(train.tasks)), batch.reward.shape[1] // len(train.tasks)
    shares = [Batch(*(leaf[:, i * size : (i + 1) * size] for leaf in batch)) for i in tasks]
    results = []
    for i, share in enumerate(shares):
        own, target = task_params(params, i), task_params(target_params, i)
        of_task = jax.random.fold_in(key, i)
        results.append(_task_loss(own, train, target, scale, share, schedule, of_task))
    mean: tuple[Scalar, Metrics] = jax.tree.map(lambda *xs: sum(xs) / len(xs), *results)
    return mean


def task_params(params: Params, task: int) -> dict[str, Any]:
    """Parameters of one task's agent in a multitask run, where heads are stacked by task."""
    heads = {name: jax.tree.map(lambda leaf: leaf[task], params[name]) for name in HEADS}
    return {**params, **heads}


def _task_loss(
    params: Params,
    train: TrainConfig,
    target_params: Params,
    scale: Scalar,
    batch: Batch,
    schedule: Schedule,
    key: Key[Array, ""],
) -> tuple[Scalar, Metrics]:
    config, weights = train.agent, train.losses
    horizon = config.planner.horizon
    frames, steps = batch.obs, batch._replace(obs=batch.obs[:-1])
    batch = Batch(*(leaf[:horizon] for leaf in steps))._replace(obs=frames[: horizon + 1])
    target_key, policy_key = jax.random.split(key)
    rollout = [encode(config, params, batch.obs[0])]
    for step in batch.action:
        rollout.append(next_latent(config, params, rollout[-1], step))
    latents = jnp.stack(rollout)
    z = latents[:-1]

    def along_rollout(per_step: Steps) -> Scalar:
        weight = weights.rho ** jnp.arange(per_step.shape[0])
        return jnp.sum(weight * per_step.mean(axis=1)) / per_step.shape[0]

    expected = jax.lax.stop_gradient(encode(config, params, batch.obs[1:]))
    squared = (latents[1:] - expected) ** 2
    official = config.family == "tdmpc2"
    consistency = along_rollout(squared.mean(axis=-1) if official else squared.sum(axis=-1))
    logits = reward_logits(config, params, z, batch.action)
    reward_loss = along_rollout(_cross_entropy(config, logits, batch.reward))
    if official:
        target = td_target_tdmpc2(train, params, target_params, batch, target_key)
    else:
        target = td_target(train, target_params, batch)
    surprise = _cross_entropy(config, q_distribution(config, params, z, batch.action), target)
    value = along_rollout(surprise.mean(axis=0) if official else surprise.sum(axis=0))
    if official:
        policy_q, entropy = _policy_value_tdmpc2(config, params, latents, policy_key)
        # Spread of the first step only; this loss already uses the updated scale.
        spread = jnp.maximum(_spread(policy_q[0]), MIN_SCALE)
        scale = next_scale = _towards(scale, spread)
        policy = along_rollout(-policy_q / scale - weights.entropy_coef * entropy)
    else:
        policy_q = _policy_value(config, params, z)
        policy = along_rollout(-policy_q / scale)
        next_scale = jnp.clip(_towards(scale, _spread(policy_q)), MIN_SCALE, MAX_SCALE)

    metrics = {
        "consistency_loss": consistency,
        "reward_loss": reward_loss,
        "value_loss": value,
        "policy_loss": policy,
        "q_mean": policy_q.mean(),
        "q_spread": _spread(policy_q),
        "scale": next_scale,
    }
    loss = (
        weights.consistency_coef * consistency
        + weights.reward_coef * reward_loss
        + weights.value_coef * value
        + weights.policy_coef * policy
    )
    if weights.latent_action_smooth_coef:
        metrics["smooth_loss"] = _action_change(config, params, latents)
        smooth = weights.latent_action_smooth_coef * metrics["smooth_loss"]
        loss += jnp.where(schedule.smooth, smooth, 0.0)
    if train.demo_batch and train.demos.demo_bc_coef:
        metrics["imitation_loss"] = along_rollout(_imitation(train, params, z, batch.action))
        loss += schedule.imitation * metrics["imitation_loss"]
    if weights.planner_imitation_coef:
        distance, better = _planner_imitation(config, params, z, batch)
        metrics |= {"planner_imitation_loss": along_rollout(distance), "planner_better": better}
        loss += weights.planner_imitation_coef * metrics["planner_imitation_loss"]
    if config.glass:
        glass_total, glass_metrics = glass_loss(config, train.glass, params, latents, frames)
        loss += jnp.where(schedule.glass, glass_total, 0.0)
        metrics |= glass_metrics
    return loss, metrics | {"loss": loss}


def td_target(train: TrainConfig, target_params: Params, batch: Batch) -> Steps:
    """r + γ·max(min over heads of Q_target(z', π_target(z')), 0), without a gradient."""
    config = train.agent
    z_next = encode(config, target_params, batch.obs[1:])
    action = policy_action(config, target_params, z_next)
    q = q_values(config, target_params, z_next, action).min(axis=0)
    target = batch.reward + config.planner.discount * jnp.maximum(q, 0.0)
    return jax.lax.stop_gradient(target)


def td_target_tdmpc2(
    train: TrainConfig, params: Params, target_params: Params, batch: Batch, key: Key[Array, ""]
) -> Steps:
    """r + γ·min of two random heads of Q_target(z', a ~ π(z')), without a gradient."""
    config = train.agent
    action_key, head_key = jax.random.split(key)
    z_next = encode(config, params, batch.obs[1:])
    action, _ = _sample_action(config, params, z_next, action_key)
    # TD-MPC2 has a target network for Q only; encoder and policy are the online ones.
    mixed = {**params, "q": target_params["q"]}
    q = _two_heads(config, mixed, z_next, action, head_key).min(axis=0)
    return jax.lax.stop_gradient(batch.reward + config.planner.discount * q)


def _policy_value(config: AgentConfig, params: Params, z: LatentSteps) -> Steps:
    """Minimum over heads of Q at the policy's action; only the policy receives a gradient."""
    z = jax.lax.stop_gradient(z)
    action = policy_action(config, params, z)
    return q_values(config, jax.lax.stop_gradient(params), z, action).min(axis=0)


def _policy_value_tdmpc2(
    config: AgentConfig, params: Params, latents: LatentSteps, key: Key[Array, ""]
) -> tuple[Steps, Steps]:
    """Mean of two random heads at an action drawn from the policy, and the policy's entropy."""
    action_key, head_key = jax.random.split(key)
    z = jax.lax.stop_gradient(latents)
    action, entropy = _sample_action(config, params, z, action_key)
    q = _two_heads(config, jax.lax.stop_gradient(params), z, action, head_key)
    return q.mean(axis=0), entropy


def _sample_action(
    config: AgentConfig, params: Params, z: LatentSteps, key: Key[Array, ""]
) -> tuple[ActionSteps, Steps]:
    """tanh of a sample from the policy's Gaussian, and the sample's −log density times act_dim."""
    mean, log_std = networks.policy(config, params, value_input(config, params, z))
    noise = jax.random.normal(key, mean.shape)
    log_density = jnp.sum(-0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi), axis=-1)
    return jnp.tanh(mean + jnp.exp(log_std) * noise), -log_density * config.action_dim


def _two_heads(
    config: AgentConfig,
    params: Mapping[str, Any],
    z: LatentSteps,
    action: ActionSteps,
    key: Key[Array, ""],
) -> Float[Array, "heads steps batch"]:
    heads = jax.random.permutation(key, config.num_q)[:2]
    two_heads = {**params, "q": jax.tree.map(lambda leaf: leaf[heads], params["q"])}
    return q_values(config, two_heads, z, action)


def _action_change(config: AgentConfig, params: Params, latents: RollOut) -> Scalar:
    """Mean ‖π(z_{t+1}) − π(z_t)‖² along the roll-out; only the policy receives a gradient."""
    action = policy_action(config, params, jax.lax.stop_gradient(latents))
    return jnp.mean(jnp.sum((action[1:] - action[:-1]) ** 2, axis=-1))


def _imitation(
    train: TrainConfig, params: Params, z: LatentSteps, action: ActionSteps
) -> Float[Array, "steps demos"]:
    """‖π(z) − a‖² over the demonstrations in the batch; only the policy receives a gradient."""
    demo_z = jax.lax.stop_gradient(z[:, : train.demo_batch])
    difference = policy_action(train.agent, params, demo_z) - action[:, : train.demo_batch]
    return jnp.sum(difference**2, axis=-1)


def _planner_imitation(
    config: AgentConfig, params: Params, z: LatentSteps, batch: Batch
) -> tuple[Steps, Scalar]:
    """‖π(z) − a‖² where the planner took `a` and Q(z, a) > Q(z, π(z)), and how often that is.

    Both are over the steps that the planner acted in. Only the policy receives a gradient. The
    condition is that of critic-regularised regression (Wang et al., NeurIPS 2020, binary).
    """
    z, fixed = jax.lax.stop_gradient(z), jax.lax.stop_gradient(params)
    action = policy_action(config, params, z)
    of_planner = q_values(config, fixed, z, batch.action).min(axis=0)
    of_policy = q_values(config, fixed, z, jax.lax.stop_gradient(action)).min(axis=0)
    better = batch.planned & (of_planner > of_policy)
    steps = jnp.maximum(batch.planned.mean(), 1 / batch.planned.size)
    distance = jnp.sum((action - batch.action) ** 2, axis=-1)
    return jnp.where(better, distance, 0.0) / steps, better.mean() / steps


def _cross_entropy(
    config: AgentConfig, logits: Float[Array, "*heads steps batch bins"], value: Steps
) -> Float[Array, "*heads steps batch"]:
    return -jnp.sum(two_hot(config, value) * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def _towards(scale: Scalar, spread: Scalar) -> Scalar:
    return (1 - SCALE_EMA) * scale + SCALE_EMA * spread


def _spread(q: Float[Array, "..."]) -> Scalar:
    """Difference of the 95th and the 5th percentile."""
    low, high = jnp.percentile(q, jnp.array([5.0, 95.0]))
    return jax.lax.stop_gradient(high - low)


def glass_loss(
    config: AgentConfig,
    train: GlassTraining,
    params: Params,
    latents: RollOut,
    obs: Float[Array, "frames batch obs"],
) -> tuple[Scalar, Metrics]:
    """Structural entropy of the prototypes' transition graph, balance and temporal terms.

    Transitions are pairs of consecutive latents of the model roll-out; no gradient flows through
    the later one, and with `stopgrad_graph` none through the earlier one either.

    Args:
        obs: observations of the same sequences, for the terms that need real frames.
    """
    glass = config.glass
    assert glass is not None
    z = latents[:-1].reshape(-1, latents.shape[-1])
    z_next = jax.lax.stop_gradient(latents[1:]).reshape(z.shape)
    if train.stopgrad_graph:
        z = jax.lax.stop_gradient(z)
    tree = params["glass"]
    c = glass_ops.soft_assignment(glass, tree, z)
    c_next = glass_ops.soft_assignment(glass, tree, z_next)
    clusters = glass_ops.partition(glass, tree)
    graph = glass_ops.transition_graph(glass_ops.transition_matrix(c, c_next))
    s, s_next = c @ clusters, jax.lax.stop_gradient(c_next @ clusters)
    entropy = glass_ops.entropy_2d(graph, clusters)
    balance = _overfull(clusters.mean(axis=0)) + _overfull(c.mean(axis=0))
    terms = {
        "glass_entropy": (train.lambda_se, entropy),
        "glass_balance": (train.lambda_balance, balance),
        "glass_temporal": (train.lambda_temporal, jnp.mean(jnp.sum((s - s_next) ** 2, axis=-1))),
    }
    if train.lambda_temp_stability:
        terms["glass_temp_stability"] = (train.lambda_temp_stability, cosine_distance(s, s_next))
    if glass.super_clusters and (train.lambda_super_se or train.lambda_super_balance):
        supers = glass_ops.super_partition(glass, tree)
        coarse = clusters.T @ graph @ clusters
        terms["glass_super_entropy"] = (train.lambda_super_se, glass_ops.entropy_2d(coarse, supers))
        terms["glass_super_balance"] = (train.lambda_super_balance, _overfull(supers.mean(axis=0)))
    if train.lambda_window or train.lambda_contrastive:
        real_z = encode(config, params, obs)
        if train.stopgrad_graph:
            real_z = jax.lax.stop_gradient(real_z)
        real_c = glass_ops.soft_assignment(glass, tree, real_z)
        if train.lambda_window:
            terms["glass_window"] = (train.lambda_window, window_spread(real_c[: train.window]))
        if train.lambda_contrastive:
            contrast = phase_contrast(real_c, foot_down(obs))
            terms["glass_contrastive"] = (train.lambda_contrastive, contrast)
    total = sum(weight * term for weight, term in terms.values())
    metrics = {name: term for name, (_, term) in terms.items()}
    active = glass_ops.active_in_partition(glass, tree).astype(jnp.float32)
    visited = jnp.bincount(jnp.argmax(c, axis=-1), length=glass.prototypes)
    return jnp.asarray(total), metrics | {
        "clusters_active_in_s": active,
        "prototypes_visited": jnp.sum(visited > 0).astype(jnp.float32),
        "assignment_confidence": c.max(axis=-1).mean(),
    }


def window_spread(c: Float[Array, "window batch prototypes"]) -> Scalar:
    """Mean over windows of H(mean c) − mean H(c), in bits: diversity of a window's frames.

    Between 0 (the same distribution in every frame) and log2 of the window's length.
    """
    return jnp.mean(_entropy(c.mean(axis=0)) - _entropy(c).mean(axis=0))


def foot_down(obs: Float[Array, "frames batch obs"]) -> Bool[Array, "frames batch"]:
    """Whether the toe or heel sensor, the last two values of an observation, is loaded."""
    return jnp.any(obs[..., -2:] > 0, axis=-1)


def phase_contrast(
    c: Float[Array, "frames batch prototypes"], down: Bool[Array, "frames batch"]
) -> Scalar:
    """NT-Xent on assignments (Chen et al., SimCLR, ICML 2020, with several positives per frame).

    Positives of a frame: consecutive frames, and frames of its sequence in the same contact
    state. Negatives: frames of other sequences.
    """
    # Evenly spaced, since demonstrations come first in a batch.
    stride = -(-down.shape[1] // CONTRAST_SEQUENCES)
    c, down = c[:, ::stride], down[:, ::stride]
    frames, batch = down.shape
    time = jnp.repeat(jnp.arange(frames), batch)
    sequence = jnp.tile(jnp.arange(batch), frames)
    contact = down.reshape(-1)
    unit = c.reshape(frames * batch, -1)
    unit /= jnp.linalg.norm(unit, axis=-1, keepdims=True)
    similarity = unit @ unit.T / CONTRAST_TEMPERATURE
    same = sequence[:, None] == sequence
    lag = jnp.abs(time[:, None] - time)
    positive = same & (lag > 0) & ((contact[:, None] == contact) | (lag == 1))
    negatives = jnp.sum(jnp.where(same, 0.0, jnp.exp(similarity)), axis=1, keepdims=True)
    cross_entropy = jnp.log(jnp.exp(similarity) + negatives) - similarity
    return jnp.sum(jnp.where(positive, cross_entropy, 0.0)) / jnp.maximum(positive.sum(), 1)


def cosine_distance(
    s: Float[Array, "pairs clusters"], s_next: Float[Array, "pairs clusters"]
) -> Scalar:
    """Mean 1 − cos between consecutive cluster distributions."""
    dot = jnp.sum(s * s_next, axis=-1)
    return jnp.mean(1.0 - dot / jnp.linalg.norm(s, axis=-1) / jnp.linalg.norm(s_next, axis=-1))


def _entropy(p: Float[Array, "*batch states"]) -> Float[Array, "*batch"]:
    return -jnp.sum(glass_ops.p_log(p, p), axis=-1)


def _overfull(mass: Float[Array, " groups"]) -> Scalar:
    """Σ relu(mass − 2/groups)²: penalty on mass above twice an equal share."""
    return jnp.sum(jax.nn.relu(mass - 2.0 / mass.shape[0]) ** 2)
