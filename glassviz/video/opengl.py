"""Choice of a working OpenGL backend before MuJoCo is imported, and diagnosis of failures."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from glassviz.environment import cache_dir, has_gpu
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import read_text, replacing
from glassviz.text import parse_json
from glassviz.video.failures import (
    INSTALL_MESA,
    Failure,
    diagnose,
    diagnose_renderer,
    is_software,
)

BACKENDS = ("egl", "osmesa", "glfw")

HEADLESS = ("egl", "osmesa")
"""Backends tried by default, in this order."""

DISABLED = "disable"

PROBE_TIMEOUT_S = 60.0
CACHE_VALID_S = 3600.0

_DECISIVE_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "DISPLAY", "GALLIUM_DRIVER", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("LIBGL_ALWAYS_SOFTWARE", "LIBGL_DRIVERS_PATH", "MESA_LOADER_DRIVER_OVERRIDE"),
    *("MUJOCO_EGL_DEVICE_ID", "MUJOCO_GL", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES"),
    *("PYOPENGL_PLATFORM", "__EGL_VENDOR_LIBRARY_DIRS", "__EGL_VENDOR_LIBRARY_FILENAMES"),
)


@dataclass(frozen=True)
class Backend:
    """A working OpenGL backend.

    Attributes:
        name: the value of MUJOCO_GL.
        renderer: GL_RENDERER, the name of the actual renderer.
        software: whether that is a software rasterizer, about 100 times slower than a GPU.
        note: one sentence for the user if the choice is unexpected, else empty.
    """

    name: str
    renderer: str
    software: bool
    note: str = ""


@dataclass(frozen=True)
class Attempt:
    """Result of probing a backend.

    Attributes:
        renderer: GL_RENDERER; None if the probe failed.
        message: output of a failed probe, else empty.
    """

    name: str
    renderer: str | None
    message: str

    @property
    def failure(self) -> Failure | None:
        """The known failure that matches the message, if any."""
        return diagnose(self.message, self.name) if self.renderer is None else None

    @property
    def cause(self) -> str:
        """Why the probe failed: the known cause, else the last line of its output."""
        if self.failure:
            return self.failure.cause
        return (self.message.strip().splitlines() or ["no message"])[-1].strip()


@cache
def choose_backend() -> Backend:
    """Find a working backend and set MUJOCO_GL to it.

    The result is cached, for this process and on disk for later ones.

    Raises:
        UsageError, GlassvizError: as `find_backend`.
    """
    entry = cache_dir() / "gl" / f"{_key()}.json"
    backend = _read_cache(entry)
    if backend is None:
        backend = find_backend()
        with suppress(GlassvizError), replacing(entry) as partial:  # the folder may be read-only
            partial.write_text(json.dumps(asdict(backend)), encoding="utf-8")
    os.environ["MUJOCO_GL"] = backend.name
    if "PYOPENGL_PLATFORM" in os.environ and backend.name in HEADLESS:
        os.environ["PYOPENGL_PLATFORM"] = backend.name
    return backend


def prefer_backend() -> None:
    """Choose a backend if one works; otherwise, code that has to draw raises the error.

    Raises:
        UsageError: a variable that decides about OpenGL is wrong.
    """
    if _requested() == DISABLED:
        return
    try:
        choose_backend()
    except UsageError:
        raise
    except GlassvizError:
        pass


def find_backend() -> Backend:
    """Probe the user's MUJOCO_GL, then egl, then osmesa, without a cache.

    Raises:
        UsageError: MUJOCO_GL, PYOPENGL_PLATFORM or MUJOCO_EGL_DEVICE_ID is wrong, or MUJOCO_GL
            disables rendering.
        GlassvizError: no backend works, or MuJoCo was already imported with one that does not.
    """
    requested = _requested()
    if requested == DISABLED:
        raise UsageError("MUJOCO_GL disables rendering: unset MUJOCO_GL, or set it to egl")
    loaded = _loaded()
    if loaded and requested not in (None, loaded):
        raise GlassvizError(
            f"MUJOCO_GL={requested}: MuJoCo was already imported with {loaded}: set MUJOCO_GL (or "
            f"call glassviz.video.opengl.choose_backend) before the first import of mujoco"
        )
    names = (loaded,) if loaded else tuple(dict.fromkeys(filter(None, (requested, *HEADLESS))))
    failed: list[Attempt] = []
    for attempt in map(probe, names):
        if attempt.renderer:
            name, note = attempt.name, ""
            slow = diagnose_renderer(attempt.renderer, has_gpu())
            if requested and failed:
                asking = "MUJOCO_GL" if os.environ.get("MUJOCO_GL") else "PYOPENGL_PLATFORM"
                note = f"{asking}={requested} does not work here ({failed[0].cause}): using {name}"
            elif slow:
                note = f"{slow.cause}: {slow.fix}"
            return Backend(name, attempt.renderer, is_software(attempt.renderer), note)
        if attempt.failure and attempt.failure.name == "device-id":
            raise _no_such_device(attempt.message)
        failed.append(attempt)
    if loaded:
        raise GlassvizError(
            f"OpenGL: MuJoCo was imported with {loaded}, which does not work here "
            f"({failed[0].cause}): set MUJOCO_GL=egl (or call "
            f"glassviz.video.opengl.choose_backend) before the first import of mujoco"
        )
    causes = "; ".join(f"{attempt.name}: {attempt.cause}" for attempt in failed)
    fix = next((attempt.failure.fix for attempt in failed if attempt.failure), INSTALL_MESA)
    raise GlassvizError(f"OpenGL: no backend can draw a picture here ({causes}): {fix}")


def _requested() -> str | None:
    """The backend that the user's variables ask for, or `DISABLED`; None for any.

    Raises:
        UsageError: one of the variables is wrong.
    """
    value = os.environ.get("MUJOCO_GL", "").strip().lower()
    if value in ("0", "off", "false", "disable", "disabled"):
        return DISABLED
    value = {"glx": "glfw"}.get(value, value)
    if value in ("1", "on", "true", "enable", "enabled"):
        value = ""
    if value and value not in BACKENDS:
        raise UsageError(
            f"MUJOCO_GL: expected {', '.join(BACKENDS)} or unset, found {value!r}: unset "
            f"MUJOCO_GL, or set it to egl"
        )
    device = os.environ.get("MUJOCO_EGL_DEVICE_ID")
    if device is not None and not device.strip().isdecimal() and value in ("", "egl"):
        raise UsageError(
            f"MUJOCO_EGL_DEVICE_ID: expected the number of a graphics device, from 0, found "
            f"{device!r}: unset MUJOCO_EGL_DEVICE_ID, or set it to 0"
        )
    platform = os.environ.get("PYOPENGL_PLATFORM", "").strip().lower()
    if value == "glfw" or not platform:
        return value or None
    # MuJoCo draws through PyOpenGL, and refuses any other platform than its own.
    if platform not in HEADLESS or platform != (value or platform):
        wanted = f"{value}, as MUJOCO_GL, or" if value else "egl, osmesa or"
        raise UsageError(
            f"PYOPENGL_PLATFORM: expected {wanted} unset, found {platform!r}: unset "
            f"PYOPENGL_PLATFORM"
        )
    return platform


def _no_such_device(message: str) -> UsageError:
    known = re.search(r"between (\d+) and (\d+)", message)
    last = f" to {known[2]}" if known else ""
    return UsageError(
        f"MUJOCO_EGL_DEVICE_ID: expected the number of a graphics device of this machine, from 0"
        f"{last}, found {os.environ.get('MUJOCO_EGL_DEVICE_ID')!r}: unset MUJOCO_EGL_DEVICE_ID, or "
        f"set it to 0"
    )


def _loaded() -> str | None:
    """The backend that MuJoCo was imported with; None if it has not been imported."""
    return next((name for name in BACKENDS if f"mujoco.{name}" in sys.modules), None)


def _key() -> str:
    """Hash of everything that the choice of a backend depends on."""
    variables = {name: os.environ.get(name) for name in _DECISIVE_VARIABLES}
    facts = [sys.executable, version("mujoco"), _loaded(), has_gpu(), variables]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _read_cache(entry: Path) -> Backend | None:
    """The backend in an entry; None if it is missing, old or damaged."""
    try:
        if time.time() - entry.stat().st_mtime > CACHE_VALID_S:
            return None
        found = Backend(**parse_json(read_text(entry, "a choice of OpenGL", _MAX_ENTRY)))
    except (OSError, ValueError, TypeError, GlassvizError):
        return None
    kinds = {"name": str, "renderer": str, "software": bool, "note": str}
    sound = all(isinstance(getattr(found, name), kind) for name, kind in kinds.items())
    return found if sound and found.name in BACKENDS else None


_MAX_ENTRY = 1 << 16


def _without_platform() -> dict[str, str]:
    """The environment, in which MuJoCo chooses PyOpenGL's platform anew."""
    return {name: value for name, value in os.environ.items() if name != "PYOPENGL_PLATFORM"}


def probe(name: str) -> Attempt:
    """Draw a picture with a backend in a child process."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("opengl_probe.py"))],
            env=_without_platform() | {"MUJOCO_GL": name},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Attempt(name, None, f"no picture within {PROBE_TIMEOUT_S:.0f} s")
    if done.returncode < 0:
        return Attempt(name, None, f"{done.stderr}\nkilled by signal {-done.returncode}")
    if done.returncode > 0:
        return Attempt(name, None, done.stderr)
    told = told_as_json(done.stdout)
    renderer = told.get("renderer") if isinstance(told, dict) else None
    if not isinstance(renderer, str) or not renderer:
        return Attempt(name, None, "no name of a renderer")
    return Attempt(name, renderer, "")


def told_as_json(output: str) -> Any:
    """The JSON in the last line that a child process printed; None if there is none."""
    try:
        return parse_json(output.splitlines()[-1])
    except (ValueError, IndexError):
        return None
