"""The process environment that JAX reads on import, and the provenance of results."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

from glassviz import __version__

PACKAGES = ("jax", "flax", "numpy", "mujoco", "dm_control")
"""Packages that a result can depend on."""


def cache_dir() -> Path:
    """The user's cache folder for glassviz; everything in it can be recreated."""
    return Path(platformdirs.user_cache_dir("glassviz"))


def memory_bytes() -> int:
    """Physical memory, or the container's limit if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def prepare_environment() -> None:
    """Set JAX's environment variables, unless the user has; call before importing jax.

    - `XLA_PYTHON_CLIENT_PREALLOCATE=false`: by default JAX reserves most of a GPU's memory, which
      leaves too little for OpenGL on the same card.
    - `JAX_COMPILATION_CACHE_DIR`: reuse compiled programs across commands. Not set when the
      folder cannot be created (a read-only home), since JAX would warn at every compilation.
    - `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`: by default JAX caches only programs that took
      over a second to compile; start-up consists of many shorter ones.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = cache_dir() / "jax"
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(directory)


def provenance(recipe: str) -> dict[str, Any]:
    """Provenance of a training run started by this process."""
    return {
        "recipe": recipe,
        "command": command(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def command() -> str:
    """The command line of this process without private paths.

    It can be pasted into a shell. `--out` is left out, and absolute paths are cut to their file
    name.
    """
    words = iter(sys.argv[1:])
    public = []
    for word in words:
        if word in ("--out", "-o"):
            next(words, None)
        elif not word.startswith("--out="):
            option, equals, value = word.rpartition("=")
            path = Path(value)
            public.append(option + equals + (path.name if path.is_absolute() else value))
    return shlex.join(["glassviz", *public])


def versions() -> dict[str, str]:
    """Versions of Python, glassviz and `PACKAGES`."""
    numbers = {"python": platform.python_version(), "glassviz": __version__}
    for name in PACKAGES:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = "not installed"
    return numbers


def git_commit() -> str | None:
    """Commit of the source tree that this package runs from.

    None outside of one; a package installed inside another project's repository does not count.
    """
    here = Path(__file__)

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, check=False
        )
        return run.stdout.strip()

    try:
        return (git("ls-files", here.name) and git("rev-parse", "HEAD")) or None
    except OSError:  # git is not installed
        return None


def reward_shaping(provenance: Mapping[str, Any]) -> Any:
    """Whether an agent was trained on a shaped reward, according to its provenance.

    Returns:
        True if the training reward was shaped, "policy search" if only the objective of the search
        that refined the policy was, False if neither was, None if the provenance does not say. The
        search (`glassviz.training.refine`) always shapes its objective, though older files say
        False.
    """
    recorded = provenance.get("shaped")
    return recorded or ("policy search" if provenance.get("refined") else recorded)
