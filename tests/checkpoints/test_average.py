"""The mean of several checkpoints of a run."""

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz.agents.networks import init_params
from glassviz.checkpoints import average, load, save
from glassviz.errors import GlassvizError, UsageError
from tests.helpers.commands import invoke

CONFIG = tiny.TRAIN.agent


def written(folder, *seeds, config=CONFIG):
    paths = []
    for seed in seeds:
        paths.append(folder / f"step_{seed}.safetensors")
        provenance = {"env_steps": 100 * seed, "evaluation": {"pi": {"mean": 1.0}}}
        save(paths[-1], config, init_params(config, jax.random.key(seed)), provenance)
    return paths


def test_every_parameter_is_the_mean_of_those_of_the_sources(tmp_path):
    paths = written(tmp_path, 1, 2, 3)
    made = average(paths, tmp_path / "mean.safetensors")
    sources = [load(path).params for path in paths]
    expected = jax.tree.map(lambda *leaves: np.mean(np.stack(leaves), axis=0), *sources)
    for ours, theirs in zip(jax.tree.leaves(made.params), jax.tree.leaves(expected), strict=True):
        assert np.allclose(ours, theirs, atol=1e-7)


def test_the_mean_says_of_what_and_claims_no_returns(tmp_path):
    made = average(written(tmp_path, 1, 2), tmp_path / "mean.safetensors")
    assert [each["env_steps"] for each in made.provenance["average_of"]] == [100, 200]
    assert made.provenance["env_steps"] == 200
    assert "evaluation" not in made.provenance


def test_the_mean_of_the_same_agent_is_that_agent(tmp_path):
    [path] = written(tmp_path, 1)
    made = average([path, path], tmp_path / "mean.safetensors")
    pairs = zip(jax.tree.leaves(made.params), jax.tree.leaves(load(path).params), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_agents_of_other_shapes_have_no_mean(tmp_path):
    [one] = written(tmp_path, 1)
    [other] = written(tmp_path, 2, config=CONFIG.replace(num_q=3))
    with pytest.raises(UsageError, match=r"step_1.* expected the configuration of .*step_2"):
        average([one, other], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_the_target_is_checked_first_and_kept(tmp_path):
    paths, target = written(tmp_path, 1, 2), tmp_path / "mean.safetensors"
    invoke("average", *paths, "-o", target)
    before = target.read_bytes()
    with pytest.raises(GlassvizError, match="overwrite"):
        average(["missing", "missing"], target)
    assert target.read_bytes() == before
    assert "at least two" in invoke("average", paths[0], "-o", target, code=2).output
    assert "ends in .safetensors" in invoke("average", *paths, "-o", "mean.npz", code=2).output
