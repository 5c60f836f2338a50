"""The process environment that JAX reads once, on import."""

import os
from pathlib import Path

import platformdirs


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
