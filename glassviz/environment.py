"""The process environment that JAX reads on import, and the provenance of results."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

from glassviz import __version__


def cache_dir() -> Path:
    """The user's cache folder for glassviz; nothing in it is worth keeping."""
    return Path(platformdirs.user_cache_dir("glassviz"))


def prepare_environment() -> None:
    """Set JAX's environment variables that the user has not set; call before importing jax.

    - `XLA_PYTHON_CLIENT_PREALLOCATE=false`: by default JAX takes most of a GPU's memory, and
      OpenGL, which draws on the same card, starves.
    - `JAX_COMPILATION_CACHE_DIR`: what one command compiled, the next one loads. Left alone when
      the folder cannot be made (a read-only home), where JAX would warn at every compilation.
    - `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`: JAX keeps only what took over a second to
      compile; a start consists of many shorter ones.
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


PACKAGES = ("jax", "flax", "numpy", "mujoco", "dm_control")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result can depend on."""
    found = {
        "python": platform.python_version(),
        "glassviz": __version__,
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the source tree that this package runs from; None outside of one.

    A package that is installed within somebody else's repository is no part of it.
    """
    here = Path(__file__)

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, check=False
        )
        return run.stdout.strip()

    try:
        return (git("ls-files", here.name) and git("rev-parse", "HEAD")) or None
    except OSError:  # no git on this machine
        return None


def describe(recipe: str) -> dict[str, Any]:
    """Provenance of a training run that this process starts."""
    return {
        "recipe": recipe,
        "command": command(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def shaped(made_by: Mapping[str, Any]) -> Any:
    """What an agent's provenance says of shaping: whether it came of the task's reward alone.

    True when the training reward was shaped, "policy search" when the search that refined its
    policy had a shaped objective, False when neither was, None when the file does not say. A
    search always has one (`glassviz.training.refine`), though older files say False.
    """
    told = made_by.get("shaped")
    return told or ("policy search" if made_by.get("refined") else told)


def command() -> str:
    """The command line of this process, without the folders on the user's disk.

    Those are nobody else's business: `--out` is left out, and of an absolute path only the name
    is kept.
    """
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in ("--out", "-o"):
            next(words, None)
        elif not word.startswith("--out="):
            option, equals, value = word.rpartition("=")
            kept.append(option + equals + _name(value))
    return " ".join(["glassviz", *kept])


def _name(word: str) -> str:
    path = Path(word)
    return path.name if path.is_absolute() else word
