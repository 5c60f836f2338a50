"""The process environment."""

import json
import os

import pytest

from glassviz.environment import cache_dir, prepare_environment
from tests.helpers.commands import run_python

VARIABLES = (
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
)

COMPILE = """
import json, sys, warnings
from glassviz.environment import prepare_environment
prepare_environment()
import jax
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event.rsplit("/")[-1]) if "/cache_" in event else None
)
jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((8, 8)))
print(json.dumps({name: hits.count(name) for name in ("cache_hits", "cache_misses")}))
"""


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment in which the user has set nothing, and whose cache folder is empty."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_unset_variables_are_set(bare):
    prepare_environment()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0"
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(bare / "glassviz" / "jax")
    assert cache_dir() == bare / "glassviz"


@pytest.mark.parametrize("name", VARIABLES)
def test_the_users_own_value_stays(bare, monkeypatch, name):
    monkeypatch.setenv(name, "mine")
    prepare_environment()
    assert os.environ[name] == "mine"


def test_a_cache_folder_that_cannot_be_made_is_left_unset(bare, monkeypatch):
    (bare / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare / "file"))
    prepare_environment()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_a_second_process_compiles_nothing_and_warns_of_nothing(bare):
    def run() -> dict[str, int]:
        done = run_python("-W", "error", "-c", COMPILE)
        assert done.stderr == ""
        return json.loads(done.stdout)

    first, second = run(), run()
    assert first["cache_misses"] > 0
    assert second == {"cache_hits": first["cache_misses"], "cache_misses": 0}
