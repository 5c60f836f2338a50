"""The process environment."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from glassviz import environment
from glassviz.environment import (
    cache_dir,
    check_jax,
    check_variables,
    jax_devices,
    prepare_environment,
)
from glassviz.errors import GlassvizError, UsageError
from tests.helpers.commands import PROJECT, invoke, run_program, run_python

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


# Variables that are wrong -------------------------------------------------------------------------

WRONG = [
    ("JAX_ENABLE_X64", "abc", "true or false"),
    ("JAX_COMPILATION_CACHE_DIR", "/proc/none", "a folder that can be written"),
    ("XLA_PYTHON_CLIENT_MEM_FRACTION", "half", "0.5"),
    ("CUDA_VISIBLE_DEVICES", "first", "0,1"),
    ("NUMBA_NUM_THREADS", "many", "a number of threads"),
    ("MUJOCO_GL", "vulkan", "egl"),
]


@pytest.mark.parametrize("name, value, expected", WRONG)
def test_a_command_names_a_wrong_variable_its_value_and_what_to_set(
    monkeypatch, name, value, expected
):
    monkeypatch.setenv(name, value)
    done = invoke("inspect", "none.safetensors", code=2)
    assert done.stderr.startswith(f"error: {name}: expected ")
    assert repr(value) in done.stderr and f"unset {name}" in done.stderr
    assert expected in done.stderr and "install" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert invoke("explain").output  # needs no such library


@pytest.mark.parametrize(
    "name, value",
    [
        ("CUDA_VISIBLE_DEVICES", ""),
        ("CUDA_VISIBLE_DEVICES", "-1"),
        ("CUDA_VISIBLE_DEVICES", "NoDevFiles"),
        ("CUDA_VISIBLE_DEVICES", "0, 3"),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"),
        ("XLA_PYTHON_CLIENT_MEM_FRACTION", ".75"),
        ("JAX_ENABLE_X64", "False"),
        ("JAX_COMPILATION_CACHE_DIR", "gs://bucket/cache"),
        ("MUJOCO_GL", "Disabled"),
        ("OMP_NUM_THREADS", "4,2"),
    ],
)
def test_a_value_that_its_library_takes_is_right(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert name not in {variable.name for variable, _ in environment.faults()}
    check_variables()


@pytest.mark.parametrize(
    "name, value", [("OMP_NUM_THREADS", "x"), ("COLUMNS", "0"), ("TMPDIR", "/proc/none")]
)
def test_a_variable_that_its_library_passes_over_stops_no_command(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert name in {variable.name for variable, _ in environment.faults()}
    check_variables()


def test_a_folder_is_judged_without_making_it(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "new" / "cache"))
    check_variables()
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_folder_for_temporary_files_is_told_so(monkeypatch):
    def none_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    with pytest.raises(GlassvizError, match="set TMPDIR"):
        check_variables()


@pytest.mark.parametrize(
    "name, value",
    [("JAX_PLATFORMS", "cuda"), ("JAX_PLATFORMS", "abacus"), ("XLA_FLAGS", "--xla_none=1")],
)
def test_a_jax_that_would_not_start_is_told_before_any_work(bare, monkeypatch, name, value):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv(name, value)
    if value == "cuda" and environment.has_gpu():
        pytest.skip("this machine has a GPU")
    done = run_program("inspect", "none.safetensors", code=2)
    assert done.stderr.startswith(f"error: {name}: expected ")
    assert value in done.stderr and "install" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_jax_that_starts_is_remembered(bare, monkeypatch):
    started = []
    monkeypatch.setattr(environment, "jax_devices", lambda: started.append("cpu:0"))
    monkeypatch.setattr(environment, "sys", SysWithoutJax)
    monkeypatch.setenv("XLA_FLAGS", "--xla_mine")
    check_jax()
    check_jax()
    assert len(started) == 1
    monkeypatch.setenv("XLA_FLAGS", "--xla_other")
    check_jax()
    assert len(started) == 2


class SysWithoutJax:
    """What `environment` reads of `sys`, in a process that has not imported JAX."""

    executable = "python"
    modules: tuple[str, ...] = ()


def test_a_process_that_sets_nothing_for_jax_starts_it_once_only(bare, monkeypatch):
    for name in [each for each in os.environ if each.startswith(("JAX_", "XLA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "sys", SysWithoutJax)
    monkeypatch.setattr(environment, "jax_devices", lambda: pytest.fail("started"))
    prepare_environment()
    check_jax()


@pytest.mark.parametrize(
    "gpu, plugin, fix",
    [(False, False, "set it to cpu"), (True, True, "set it to cpu"), (True, False, "pip install")],
)
def test_support_of_gpus_is_to_be_installed_only_where_it_lacks(monkeypatch, gpu, plugin, fix):
    failed = subprocess.CompletedProcess([], 1, "", "RuntimeError: Unknown backend")
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(environment, "has_gpu", lambda: gpu)
    monkeypatch.setattr(environment, "has_cuda_plugin", lambda: plugin)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UsageError, match=fix) as told:
        jax_devices()
    assert ("install" in str(told.value)) == (fix == "pip install")


def test_what_matplotlib_draws_on_in_a_notebook_does_not_matter_to_a_command():
    code = "import sys; sys.argv = ['glassviz', '--version']\nfrom glassviz.cli import main\n"
    code += "try: main()\nexcept SystemExit: import matplotlib"
    assert "glassviz" in run_python("-c", code, MPLBACKEND="nonsense").stdout


def test_every_text_file_is_read_and_written_in_utf_8():
    source = Path(PROJECT / "glassviz")
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        assert ".read_text()" not in text, path
