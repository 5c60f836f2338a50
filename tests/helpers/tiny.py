"""An agent and a training run small enough for tests; nothing else about them is special."""

from pathlib import Path
from typing import Any

from glassviz.agents.config import AgentConfig, EnvConfig, GlassConfig, PlannerConfig
from glassviz.training.config import Exploration, GlassTraining, TrainConfig
from glassviz.training.trainer import Trainer

GLASS = GlassConfig(prototypes=6, clusters=3, proto_temperature=0.7)
AGENT = AgentConfig(
    latent_dim=16,
    encoder_widths=(16,),
    hidden_widths=(16,),
    simnorm_group=4,
    glass=GLASS,
    planner=PlannerConfig(samples=32, elites=8, policy_trajectories=4, iterations=2),
    env=EnvConfig(episode_steps=60),
)
TRAIN = TrainConfig(
    agent=AGENT,
    steps=400,
    num_envs=4,
    k_update=2,
    batch_size=8,
    buffer_steps=200,
    learning_starts=40,
    explore=Exploration(expl_until=80),
    glass=GlassTraining(warmup_steps=120, every_k_updates=2),
    eval_every=100,
    eval_episodes_pi=2,
    eval_episodes_mppi=1,
    save_every=100,
)


def trainer(
    folder: Path, train: TrainConfig = TRAIN, resume: bool = False, **options: Any
) -> Trainer:
    """A trainer of the tiny run."""
    return Trainer(train, folder, {"recipe": "tiny"}, resume_from_save=resume, **options)
