"""Where something was made: command, versions, device, git commit."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("glassviz", "jax", "flax", "numpy", "mujoco", "dm_control")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result can depend on."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the source tree that this package runs from; None outside of one."""
    run = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or None


def describe(recipe: str) -> dict[str, Any]:
    """Provenance of a training run that this process starts."""
    return {
        "recipe": recipe,
        "command": " ".join(["glassviz", *sys.argv[1:]]),
        "versions": versions(),
        "git_commit": git_commit(),
    }
