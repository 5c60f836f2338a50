"""The runs that people begin with: the published one, a small one, and the official TD-MPC2's."""

import dataclasses
from typing import Any, Literal

from glassviz.agents.config import AgentConfig, GlassConfig, PlannerConfig, tdmpc2_config
from glassviz.training.config import Algo, TrainConfig

Preset = Literal["paper", "small"]


def preset(name: Preset, algo: Algo = "tdmpc-glass", **changes: Any) -> TrainConfig:
    """The run that a preset describes, with some fields of `TrainConfig` changed.

    `paper`: 512 wide, batches of 256, as published. `small`: 128 wide, batches of 128, plans of
    256 samples, shorter evaluations: 40 minutes of one CPU core for 500,000 steps.
    """
    glass = GlassConfig() if algo == "tdmpc-glass" else None
    if name == "paper":
        # The published runs without Glass evaluated their planner in three episodes.
        episodes: dict[str, Any] = {} if glass else {"eval_episodes_mppi": 3}
        return TrainConfig(agent=AgentConfig(glass=glass), **(episodes | changes))
    agent = AgentConfig(
        latent_dim=128,
        encoder_widths=(128, 128),
        hidden_widths=(128, 128),
        simnorm_group=16,
        glass=glass,
        planner=PlannerConfig(samples=256),
    )
    small: dict[str, Any] = dict(
        steps=1_000_000,
        batch_size=128,
        eval_every=100_000,
        eval_episodes_mppi=3,
    )
    return TrainConfig(agent=agent, **(small | changes))


def official(train: TrainConfig) -> TrainConfig:
    """The same run with the networks, losses and constants of the official TD-MPC2.

    Sizes of batches and numbers of steps stay, and widths (the encoder's is half the others').
    Source: the released code and appendix of Hansen, Su & Wang, ICLR 2024; its dropout of 1 % in
    the Q heads is left out.
    """
    own = train.agent
    agent = tdmpc2_config(
        latent_dim=own.latent_dim,
        encoder_widths=(own.encoder_widths[0] // 2,),
        hidden_widths=own.hidden_widths,
        glass=own.glass,
        planner=dataclasses.replace(own.planner, variant="tdmpc2"),
        env=dataclasses.replace(own.env, action_repeat=2, episode_steps=500),
    )
    losses = dataclasses.replace(
        train.losses,
        encoder_lr_scale=0.3,
        consistency_coef=20.0,
        reward_coef=0.1,
        value_coef=0.1,
        policy_coef=1.0,
        entropy_coef=1e-4,
    )
    return dataclasses.replace(train, agent=agent, losses=losses)
