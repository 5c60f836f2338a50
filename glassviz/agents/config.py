"""Configuration of an agent: its architecture and conventions, stored with its parameters."""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Interval

from glassviz.errors import GlassvizError, UsageError
from glassviz.text import listed, printable
from glassviz.validation import Count, Doc, Natural, NonNegative, Positive, Share

Family = Literal["glass", "tdmpc2"]
PlannerVariant = Literal["glass", "tdmpc2", "tdmpc2-jax"]
_TASK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
Physics = Literal["dm_control", "playground"]
Precision = Literal["float32", "bfloat16"]
# Far beyond any real agent: a malicious configuration must not exhaust memory or time.
MAX_SAMPLES = 1 << 16
MAX_HORIZON = 100
MAX_ITERATIONS = 1000
MAX_EPISODE_STEPS = 100_000
MAX_ACTION_REPEAT = 100
_Samples = Annotated[int, Interval(ge=1, le=MAX_SAMPLES)]
_Horizon = Annotated[int, Interval(ge=1, le=MAX_HORIZON)]
_Iterations = Annotated[int, Interval(ge=1, le=MAX_ITERATIONS)]

_FORBID_EXTRA: dict[str, Any] = {"extra": "forbid"}


Layout = Literal["A", "B", "C", "D"]
"""How files of the official TD-MPC2 name their parameters, from its earliest version to today's."""


@dataclass(frozen=True)
class Unsaid:
    """What a checkpoint of others does not say and a user may; None for the default.

    Attributes:
        tasks: of the agent, one; of a multitask agent, the tasks to read, each as an agent.
        action_repeat: physics steps per decision.
        episode_steps: decisions per episode.
        layout: of the parameters' names, where it is not as recognised.
    """

    tasks: tuple[str, ...] = ()
    action_repeat: int | None = None
    episode_steps: int | None = None
    layout: Layout | None = None

    @property
    def task(self) -> str | None:
        """The task of one agent; None if it is not said.

        Raises:
            UsageError: there are several.
        """
        if len(self.tasks) > 1:
            raise UsageError(
                f"--task: expected one task where one agent is read, found {listed(self.tasks)}: "
                f"name one of them"
            )
        return self.tasks[0] if self.tasks else None

    def each(self) -> tuple[Self, ...]:
        """What is not said of the agent of each task; itself where there is one, or none."""
        if len(self.tasks) < 2:
            return (self,)
        return tuple(replace(self, tasks=(task,)) for task in dict.fromkeys(self.tasks))


UNSAID = Unsaid()


@dataclass(frozen=True)
class GlassConfig:
    """Prototypes and clusters over the latent space.

    Attributes:
        similarity: similarity measure between latents and prototypes.
    """

    __pydantic_config__: ClassVar = _FORBID_EXTRA

    prototypes: Annotated[
        Count, Doc("N, learned reference points in latent space.", name="glass_prototypes")
    ] = 16
    clusters: Annotated[Count, Doc("K, clusters of prototypes.", name="glass_clusters")] = 8
    proto_temperature: Annotated[
        Positive, Doc("τ of the soft assignment c = softmax(similarity / τ).")
    ] = 1.0
    assignment_temperature: Annotated[
        Positive, Doc("Temperature of the row softmax that gives the partition S.")
    ] = 1.0
    similarity: Literal["cosine", "l2"] = "cosine"
    cluster_obs: Annotated[
        bool, Doc("Append S[nearest prototype] to the input of policy and Q.")
    ] = False
    super_clusters: Annotated[
        Natural, Doc("Clusters of clusters, the second level; 0 for none.")
    ] = 0
    routed_critic: Annotated[
        bool, Doc("Let every cluster add its own correction to the Q logits.")
    ] = False


@dataclass(frozen=True)
class PlannerConfig:
    """Parameters of the planner (MPPI over the world model).

    `variant` selects the algorithm: `glass` weights all elites equally, carries the std over to
    the next step and acts with the mean; `tdmpc2` weights the elites by value, resets the std to
    `max_std` for every plan and acts with one elite drawn by weight; `tdmpc2-jax` is `tdmpc2` that
    carries the std over, and values a final latent by all Q heads in place of two.

    Attributes:
        iterations: rounds of sampling and refitting per plan.
        policy_trajectories: sequences proposed by the policy, sampled once per plan.
        elites: number of best sequences that the distribution is refitted to.
        min_std, max_std: bounds of the sampling std; `max_std` is also its initial value.
        temperature: inverse temperature of the elite weights (not of `glass`).
        action_noise: whether std[0]·N(0, 1) is added to the action (`tdmpc2` only; on in the
            official evaluation script, off in its eval mode).
        precision: precision of the model's matrix products. `bfloat16` keeps three significant
            digits: faster on hardware that supports it, but the actions differ.
    """

    __pydantic_config__: ClassVar = _FORBID_EXTRA

    variant: PlannerVariant = "glass"
    horizon: Annotated[
        _Horizon, Doc("H, model steps that the planner looks ahead.", name="mppi_horizon")
    ] = 3
    samples: Annotated[
        _Samples,
        Doc("Action sequences per planner iteration, including the policy's.", name="mppi_samples"),
    ] = 512
    iterations: _Iterations = 6
    policy_trajectories: Natural = 24
    elites: Count = 64
    min_std: NonNegative = 0.05
    max_std: NonNegative = 2.0
    temperature: NonNegative = 0.5
    discount: Annotated[Share, Doc("γ, discount of the planner and of the TD target.")] = 0.99
    action_noise: bool = False
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if min(self.horizon, self.samples, self.iterations, self.elites) < 1:
            raise GlassvizError(
                f"planner: expected horizon, samples, iterations and elites of at least 1, "
                f"found {self.horizon}, {self.samples}, {self.iterations} and {self.elites}"
            )
        if not 0 <= self.policy_trajectories < self.samples:
            raise GlassvizError(
                f"planner: expected fewer policy trajectories than samples, found "
                f"{self.policy_trajectories} of {self.samples}: raise samples or lower them"
            )
        if self.elites > self.samples:
            raise GlassvizError(
                f"planner: expected at most as many elites as samples, found {self.elites} of "
                f"{self.samples}: raise samples or lower elites"
            )


@dataclass(frozen=True)
class EnvConfig:
    """Task and physics profile that an agent was trained on; not every task can be rolled out."""

    __pydantic_config__: ClassVar = _FORBID_EXTRA

    task: Annotated[str, Doc("Task to train on.")] = "hopper-hop"
    physics: Annotated[Physics, Doc("Physics profile to train in.")] = "dm_control"
    action_repeat: Annotated[
        int,
        Interval(ge=1, le=MAX_ACTION_REPEAT),
        Doc("Control steps per decision; an episode has as many fewer decisions."),
    ] = 1
    episode_steps: Annotated[int, Interval(ge=1, le=MAX_EPISODE_STEPS)] = 1000

    def __post_init__(self) -> None:
        if not _TASK_NAME.fullmatch(self.task):
            raise GlassvizError(
                f"environment: expected a task such as hopper-hop, found {printable(self.task)!r}"
            )


@dataclass(frozen=True)
class AgentConfig:
    """Shapes and conventions of an agent: all that is needed to run its parameters.

    Attributes:
        family: implementation that the agent follows; it also selects the training losses.
        obs_dim, action_dim, latent_dim: sizes of observation, action and latent z.
        encoder_widths: hidden layers of the encoder, before the layer that makes z.
        hidden_widths: hidden layers of dynamics, reward, Q and policy.
        activation: nonlinearity of the hidden layers.
        layer_norm_eps: ε of every LayerNorm.
        simnorm_group: values per SimNorm group; each group of z sums to 1.
        final_norm: whether encoder and dynamics apply a LayerNorm before SimNorm.
        symlog_obs: whether observations pass through symlog before the encoder.
        num_bins, bin_min, bin_max: bins of the reward and value distributions, in symlog space.
        log_std_min, log_std_max: bounds of the policy's log std.
        episodic: whether a network predicts that an episode ends; the planner counts nothing after.
        glass: prototypes and clusters; None for an agent trained without Glass.
        planner, env: its planner and its environment.
        no_planner: why the planner cannot run this agent; empty if it can.
    """

    __pydantic_config__: ClassVar = _FORBID_EXTRA

    family: Family = "glass"
    obs_dim: int = 15
    action_dim: int = 4
    latent_dim: int = 512
    encoder_widths: tuple[int, ...] = (512, 512)
    hidden_widths: tuple[int, ...] = (512, 512)
    activation: Literal["silu", "mish"] = "silu"
    layer_norm_eps: float = 1e-6
    simnorm_group: int = 64
    final_norm: bool = False
    symlog_obs: bool = False
    num_q: Annotated[Count, Doc("Heads of the Q ensemble.")] = 2
    num_bins: int = 101
    bin_min: float = -20.0
    bin_max: float = 20.0
    log_std_min: float = -10.0
    log_std_max: float = 2.0
    episodic: bool = False
    glass: GlassConfig | None = None
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    no_planner: str = ""

    def __post_init__(self) -> None:
        if self.simnorm_group < 1 or self.latent_dim % self.simnorm_group:
            raise GlassvizError(
                f"agent: expected a latent size divisible by the SimNorm group, found latent_dim "
                f"{self.latent_dim} and simnorm_group {self.simnorm_group}"
            )

    @property
    def value_input_dim(self) -> int:
        """Input size of policy and Q: z, plus the cluster row with `cluster_obs`."""
        extra = self.glass.clusters if self.glass and self.glass.cluster_obs else 0
        return self.latent_dim + extra

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain containers, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], place: str = "agent configuration") -> Self:
        """The inverse of `to_dict`.

        Raises:
            GlassvizError: a field is unknown, of the wrong type or out of range; names the field.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = printable(".".join(str(part) for part in first["loc"]))
            out_of_range = first["type"].startswith(("greater_than", "less_than"))
            remedy = (
                "no agent runs with this: name another checkpoint"
                if out_of_range
                else "was the file written by a newer version?"
            )
            raise GlassvizError(
                f"{place}: field {where!r} is not usable: {printable(first['msg'].lower())}, found "
                f"{printable(repr(first['input']))}: {remedy}"
            ) from None
        except GlassvizError as error:  # numbers that do not go together
            raise GlassvizError(f"{place}: {error}") from None


def discount(episode_steps: int) -> float:
    """γ of TD-MPC2 for episodes of so many decisions: 1 − 5/L, within 0.95 and 0.995.

    >>> discount(500)
    0.99
    """
    return min(max(1 - 5 / episode_steps, 0.95), 0.995)


def more_iterations(action_dim: int) -> int:
    """How many iterations TD-MPC2 plans with more than six: two from 20 actions on.

    >>> more_iterations(21)
    2
    """
    return 2 if action_dim >= 20 else 0


def tdmpc2_config(**changes: Any) -> AgentConfig:
    """The official TD-MPC2 agent (5 M parameters) with some fields changed.

    >>> tdmpc2_config(latent_dim=256).num_q
    5
    """
    defaults: dict[str, Any] = dict(
        family="tdmpc2",
        encoder_widths=(256,),
        activation="mish",
        layer_norm_eps=1e-5,
        simnorm_group=8,
        final_norm=True,
        num_q=5,
        bin_min=-10.0,
        bin_max=10.0,
        planner=PlannerConfig(variant="tdmpc2"),
        env=EnvConfig(action_repeat=2, episode_steps=500),
    )
    return AgentConfig(**(defaults | changes))
