"""Diagnosis of this machine: what films need, what is installed, and how to fix what is not."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from glassviz import __version__
from glassviz.environment import (
    cache_dir,
    faults,
    has_cuda_plugin,
    has_gpu,
    jax_devices,
    memory_bytes,
)
from glassviz.errors import GlassvizError
from glassviz.files import check_folder
from glassviz.video.failures import INSTALL_MESA
from glassviz.video.opengl import HEADLESS, find_backend, probe

Status = Literal["ok", "note", "failed"]

PACKAGES = (
    *("mujoco", "dm_control", "jax", "jaxlib", "flax", "numpy", "opencv-python-headless"),
    *("imageio-ffmpeg", "PyOpenGL", "safetensors"),
)


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        status: "ok"; "note" if films work but something is suboptimal; "failed" if they do not.
        fix: what to do; empty if nothing needs fixing.
    """

    name: str
    status: Status
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Report:
    """All checks of this machine."""

    checks: tuple[Check, ...]

    @property
    def can_film(self) -> bool:
        """Whether films can be made."""
        return all(check.status != "failed" for check in self.checks)


def examine() -> Report:
    """Run all checks; takes some seconds, since JAX and OpenGL are actually started."""
    choice = check_choice()
    # Of wrong variables the choice tells; installing libraries would not help.
    optional = choice.status != "failed" or choice.fix.startswith("unset ")
    return Report(
        (
            check_python(),
            check_packages(),
            *check_variables(),
            check_jax(),
            choice,
            *(check_backend(name, optional) for name in HEADLESS),
            check_encoder(),
            check_hardware(),
            check_cache(),
        )
    )


def check_python() -> Check:
    """Versions of Python and glassviz."""
    versions = f"{platform.python_version()} ({sys.executable}), glassviz {__version__}"
    return Check("python", "ok", f"{versions}, {platform.platform()}")


def check_packages() -> Check:
    """Versions of the packages that films need."""
    installed, missing = [], []
    for name in PACKAGES:
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        found = f"missing: {', '.join(missing)}; found: {', '.join(installed)}"
        return Check("packages", "failed", found, f"pip install {' '.join(missing)}")
    return Check("packages", "ok", ", ".join(installed))


def check_variables() -> list[Check]:
    """One check per variable of the environment that has a wrong value."""
    return [
        Check("variable", "failed" if variable.stops else "note", *_found_and_fix(str(fault)))
        for variable, fault in faults()
    ]


def _found_and_fix(error: str) -> tuple[str, str]:
    """The two parts of an error's sentence: what was found, and what to do."""
    found, colon, fix = error.rpartition(": ")
    return (found, fix) if colon else (error, "")


def check_jax() -> Check:
    """JAX's devices, listed in a child process, since a broken CUDA installation aborts."""
    try:
        devices = jax_devices()
    except GlassvizError as error:
        return Check("jax", "failed", *_found_and_fix(str(error)))
    found = f"devices: {', '.join(devices)}"
    if has_gpu() and all("cpu" in device.lower() for device in devices):
        if os.environ.get("JAX_PLATFORMS"):
            fix = "unset JAX_PLATFORMS"
        elif has_cuda_plugin():
            fix = "check nvidia-smi and CUDA_VISIBLE_DEVICES"
        else:
            fix = "pip install 'glassviz[cuda]'"
        return Check("jax", "note", f"{found}, but not the GPU", fix)
    return Check("jax", "ok", found)


def check_backend(name: str, optional: bool) -> Check:
    """A backend (egl or osmesa), tested by drawing; `optional` if films can do without it."""
    attempt = probe(name)
    if attempt.renderer:
        return Check(f"gl {name}", "ok", attempt.renderer)
    if optional:
        return Check(f"gl {name}", "ok", f"does not work, but is not needed: {attempt.cause}")
    fix = attempt.failure.fix if attempt.failure else INSTALL_MESA
    return Check(f"gl {name}", "failed", f"does not work: {attempt.cause}", fix)


def check_choice() -> Check:
    """The backend for films, tested anew rather than read from the cache."""
    try:
        backend = find_backend()
    except GlassvizError as error:
        return Check("gl", "failed", *_found_and_fix(str(error)))
    kind = "software" if backend.software else "hardware"
    found = f"films are drawn with {backend.name}: {backend.renderer} ({kind})"
    return Check("gl", "note" if backend.note else "ok", found, backend.note)


def check_encoder() -> Check:
    """ffmpeg, and its support for H.264."""
    from glassviz.video.encode import find_ffmpeg

    try:
        program = find_ffmpeg()
    except GlassvizError as error:
        return Check("encoder", "failed", *_found_and_fix(str(error)))
    return Check("encoder", "ok", f"ffmpeg {program.version} ({program.path}) with libx264")


def check_hardware() -> Check:
    """Cores and memory available to this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = memory_bytes() / 2**30
    return Check("hardware", "ok", f"{cores} cores, {gib:.1f} GiB of memory")


def check_cache() -> Check:
    """The cache folder for compiled programs."""
    directory = cache_dir()
    try:
        check_folder(directory)
    except GlassvizError as error:
        return Check(
            "cache",
            "note",
            f"{error}: every start recompiles",
            "set XDG_CACHE_HOME to a writable folder",
        )
    return Check("cache", "ok", str(directory))
