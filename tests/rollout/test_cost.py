"""A roll-out that no machine could finish is refused before it begins; no real one is."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from glassviz.agents.config import MAX_SAMPLES, AgentConfig, EnvConfig, PlannerConfig
from glassviz.checkpoints import save
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout import cost
from glassviz.rollout.cost import check_cost, cost_of
from glassviz.rollout.evaluate import reevaluate
from glassviz.rollout.traces import RolloutOptions, traces_of
from tests.helpers.commands import invoke
from tests.helpers.published_files import own_params
from tests.helpers.tiny import AGENT


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save(tmp_path / "agent.safetensors", AGENT, own_params(AGENT), {})
    return tmp_path / "agent.safetensors"


def test_the_cost_counts_products_and_frames() -> None:
    config = AgentConfig(
        obs_dim=2,
        action_dim=1,
        latent_dim=4,
        encoder_widths=(),
        hidden_widths=(),
        simnorm_group=4,
        num_q=1,
        num_bins=3,
    )
    planner = PlannerConfig(horizon=2, samples=10, iterations=3, policy_trajectories=0, elites=1)
    policy = 2 * 4 + 4 * 2 + 5 * 3
    planned = 3 * 10 * (2 * (5 * 4 + 5 * 3) + 5 * 3)
    env = EnvConfig(episode_steps=7)
    assert cost_of(config, planner, env, "pi", 5).operations == 2 * policy * 35
    found = cost_of(config, planner, env, "mppi", 5)
    assert found.operations == 2 * (policy + planned) * 35
    assert found.planning_bytes == 5 * 10 * (2 * 2 * 1 + 4 + 3) * 4
    assert found.host_bytes == 5 * 400_000 + 35 * (100 + 2 + 4) * 4


@pytest.mark.parametrize(
    ("episodes", "planner", "env", "found"),
    [
        (10**9, {}, {}, "GB of episodes and frames .*1000000000 episodes of 60 steps"),
        (10_000, {"samples": MAX_SAMPLES, "horizon": 100}, {}, "years|GB of candidates"),
        (100, {"samples": MAX_SAMPLES, "horizon": 100, "iterations": 1000},
         {"episode_steps": 100_000}, "years .*65536 samples over 100 steps in 1000 iterations"),
    ],
)  # fmt: skip
def test_an_absurd_roll_out_names_its_numbers_and_the_options(
    episodes: int, planner: dict[str, Any], env: dict[str, Any], found: str
) -> None:
    larger = dataclasses.replace(AGENT.planner, **planner)
    longer = dataclasses.replace(AGENT.env, **env)
    with pytest.raises(GlassvizError, match=f"{found}.*: lower --episodes, --steps"):
        check_cost("agent", AGENT, larger, longer, "mppi", episodes)


def test_the_largest_real_roll_out_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "memory_bytes", lambda: 16 << 30)
    large = AgentConfig(
        latent_dim=1408, encoder_widths=(1792,) * 5, hidden_widths=(4096,) * 2, num_q=8
    )
    planner = PlannerConfig(samples=512, iterations=8)
    check_cost("agent", large, planner, EnvConfig(), "mppi", 100)


def test_nothing_is_begun_that_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    options = RolloutOptions(episodes=10**9, controllers=("pi",))
    with pytest.raises(GlassvizError, match="lower --episodes"):
        traces_of(checkpoint, options, tmp_path / "traces")
    assert not (tmp_path / "traces").exists()
    [row] = reevaluate(checkpoint, ["pi"], 10**9, 0)
    assert "lower --episodes" in getattr(row, "reason", str(row))


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 0},
        {"samples": 3},
        {"samples": 2**20},
        {"horizon": 2**20},
        {"iterations": 0},
        {"steps": 0},
        {"steps": 2**20},
    ],
)
def test_options_have_the_bounds_of_the_configuration(
    checkpoint: Path, options: dict[str, int]
) -> None:
    with pytest.raises(UsageError):
        traces_of(checkpoint, RolloutOptions(**options))
    [(name, value)] = options.items()
    invoke("rollout", checkpoint, f"--{name}", value, "--controller", "mppi", code=2)
