"""The cost of a roll-out, estimated before it begins: operations and memory."""

from dataclasses import dataclass
from itertools import pairwise

import jax

from glassviz.agents.config import AgentConfig, EnvConfig, PlannerConfig
from glassviz.agents.networks import input_dims, modules
from glassviz.agents.planner import Controller
from glassviz.environment import memory_bytes
from glassviz.envs.bodies import HOPPER, task_of
from glassviz.errors import GlassvizError

OPTIONS = "--episodes, --steps, --samples, --iterations or --horizon"

# What machines reach at best, so that an estimate is below the time that is needed.
_CPU_FLOPS = 1e11
_ACCELERATOR_FLOPS = 1e14
_YEAR_S = 365 * 24 * 3600
_PHYSICS_FLOATS = 100  # of a frame, beside observation, latent and assignment
_FLOAT_BYTES = 4
_EPISODE_BYTES = {HOPPER: 400_000, "dog": 100_000_000}
_OTHER_EPISODE_BYTES = 15_000_000
"""Of an episode in progress, by body: those of the suite have a model of their own."""


@dataclass(frozen=True)
class Cost:
    """What a roll-out takes at least.

    Attributes:
        operations: floating point operations of the networks.
        planning_bytes: memory for the candidates of one planning step, on the device.
        host_bytes: memory for all episodes and frames.
    """

    operations: float
    planning_bytes: int
    host_bytes: int


def cost_of(
    config: AgentConfig,
    planner: PlannerConfig,
    env: EnvConfig,
    controller: Controller,
    episodes: int,
) -> Cost:
    """The cost of rolling out one agent."""
    dims, nets = input_dims(config), modules(config)
    products = {}
    for name, net in nets.items():
        sizes = (dims[name], *net.hidden, net.out)
        products[name] = sum(a * b for a, b in pairwise(sizes))
    decision = products["enc"] + products["pi"] + config.num_q * products["q"]
    planning = 0
    if controller == "mppi":
        candidate = planner.horizon * (products["dyn"] + products["rew"]) + products["q"]
        decision += planner.iterations * planner.samples * candidate
        floats = 2 * planner.horizon * config.action_dim + config.latent_dim + config.num_bins
        planning = episodes * planner.samples * floats * _FLOAT_BYTES
    prototypes = config.glass.prototypes if config.glass else 0
    frame = (_PHYSICS_FLOATS + config.obs_dim + config.latent_dim + prototypes) * _FLOAT_BYTES
    frames = episodes * env.episode_steps
    host = episodes * episode_bytes(env.task) + frame * frames
    return Cost(2.0 * decision * frames, planning, host)


def episode_bytes(task: str) -> int:
    """Memory for the simulation of one episode in progress."""
    return _EPISODE_BYTES.get(task_of(task).body.name, _OTHER_EPISODE_BYTES)


def check_cost(
    place: str,
    config: AgentConfig,
    planner: PlannerConfig,
    env: EnvConfig,
    controller: Controller,
    episodes: int,
    options: str = OPTIONS,
) -> None:
    """Refuse a roll-out that this machine cannot hold, or that takes more than a year.

    Args:
        place: what messages call the agent.
        options: those that make it smaller.

    Raises:
        GlassvizError: it is too large; names its numbers. Or there is no environment for its task.
    """
    cost = cost_of(config, planner, env, controller, episodes)
    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    host = memory_bytes()
    limit = host if on_cpu else (device.memory_stats() or {}).get("bytes_limit", host)
    seconds = cost.operations / (_CPU_FLOPS if on_cpu else _ACCELERATOR_FLOPS)
    if seconds > _YEAR_S:
        expected, found = "of at most a year", f"{seconds / _YEAR_S:,.1f} years"
    elif cost.host_bytes > host:
        expected = f"that fits into {host / 1e9:.3g} GB of memory"
        found = f"{cost.host_bytes / 1e9:,.0f} GB of episodes and frames"
    elif cost.planning_bytes > limit:
        expected = f"that fits into {limit / 1e9:.3g} GB of memory"
        found = f"{cost.planning_bytes / 1e9:,.0f} GB of candidates at every step"
    else:
        return
    numbers = f"{episodes} episodes of {env.episode_steps} steps"
    if controller == "mppi":
        numbers += (
            f", each planned with {planner.samples} samples over {planner.horizon} steps in "
            f"{planner.iterations} iterations"
        )
    raise GlassvizError(
        f"{place}: expected a roll-out {expected}, found one of {found} ({numbers}): lower "
        f"{options}"
    )
