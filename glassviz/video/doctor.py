"""Diagnosis of this machine: what films need, what is installed, and how to fix what is not."""

import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from glassviz import __version__
from glassviz.environment import cache_dir
from glassviz.errors import GlassvizError
from glassviz.video.opengl import HEADLESS, INSTALL_MESA, find_backend, has_gpu, probe, told_as_json

Status = Literal["ok", "note", "failed"]

PACKAGES = (
    *("mujoco", "dm_control", "jax", "jaxlib", "flax", "numpy", "opencv-python-headless"),
    *("imageio-ffmpeg", "PyOpenGL", "safetensors"),
)

_JAX_SCRIPT = "import jax, json; print(json.dumps([str(d) for d in jax.devices()]))"


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
    optional = choice.status != "failed"
    return Report(
        (
            check_python(),
            check_packages(),
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


def check_jax() -> Check:
    """JAX's devices, listed in a child process, since a broken CUDA installation aborts."""
    done = subprocess.run(
        [sys.executable, "-c", _JAX_SCRIPT], capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check("jax", "failed", last, "pip install --upgrade glassviz, or JAX_PLATFORMS=cpu")
    devices = told_as_json(done.stdout)
    if not isinstance(devices, list) or not all(isinstance(each, str) for each in devices):
        return Check("jax", "failed", "no list of devices", "pip install --upgrade glassviz")
    found = f"devices: {', '.join(devices)}"
    if has_gpu() and all("cpu" in device.lower() for device in devices):
        return Check("jax", "note", f"{found}, but not the GPU", "pip install 'glassviz[cuda]'")
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
        return Check("gl", "failed", str(error))
    kind = "software" if backend.software else "hardware"
    found = f"films are drawn with {backend.name}: {backend.renderer} ({kind})"
    return Check("gl", "note" if backend.note else "ok", found, backend.note)


def check_encoder() -> Check:
    """ffmpeg, and its support for H.264."""
    import imageio_ffmpeg

    fix = "pip install --force-reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg"
    try:
        executable = imageio_ffmpeg.get_ffmpeg_exe()
        listing = subprocess.run(
            [executable, "-encoders"], capture_output=True, encoding="utf-8", errors="replace"
        )
    except (RuntimeError, OSError) as error:
        return Check("encoder", "failed", f"ffmpeg does not run ({error})", fix)
    number = re.search(r"ffmpeg version (\S+)", listing.stdout + listing.stderr)
    found = f"ffmpeg {number.group(1) if number else 'of unknown version'} ({executable})"
    if not re.search(r"\blibx264\b", listing.stdout):
        return Check("encoder", "failed", f"{found} without libx264", fix)
    return Check("encoder", "ok", f"{found} with libx264")


def check_hardware() -> Check:
    """Cores and memory available to this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = _memory_bytes() / 2**30
    return Check("hardware", "ok", f"{cores} cores, {gib:.1f} GiB of memory")


def check_cache() -> Check:
    """The cache folder for compiled programs."""
    directory = cache_dir()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        found = f"{directory} is not writable ({error.strerror}): every start recompiles"
        return Check("cache", "note", found, "set XDG_CACHE_HOME to a writable folder")
    return Check("cache", "ok", str(directory))


def _memory_bytes() -> int:
    """Physical memory, or the container's limit if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8").strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical
