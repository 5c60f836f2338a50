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

from glassviz.environment import cache_dir
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import read_text, replacing
from glassviz.text import parse_json

BACKENDS = ("egl", "osmesa", "glfw")

HEADLESS = ("egl", "osmesa")
"""Backends tried by default, in this order."""

PROBE_TIMEOUT_S = 60.0
CACHE_VALID_S = 3600.0

APT_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri")
"""Packages that MuJoCo needs on Debian and Ubuntu to draw by EGL: the dispatch library (which
depends on Mesa's libEGL_mesa), an OpenGL library, and Mesa's drivers, including software."""

INSTALL_MESA = f"apt install {' '.join(APT_PACKAGES)}"
SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer")

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
class Failure:
    """A known kind of failure.

    Attributes:
        pattern: regular expression that matches the failed program's output.
        cause: why it fails, as a clause.
        fix: what to do, as an imperative clause.
        backend: backend that the output must come from; None for any.
    """

    name: str
    pattern: str
    cause: str
    fix: str
    backend: str | None = None


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
    return backend


def prefer_backend() -> None:
    """Choose a backend if one works; otherwise, code that has to draw raises the error."""
    with suppress(GlassvizError):
        choose_backend()


def find_backend() -> Backend:
    """Probe the user's MUJOCO_GL, then egl, then osmesa, without a cache.

    Raises:
        UsageError: MUJOCO_GL is not a backend, or disables rendering.
        GlassvizError: no backend works, or MuJoCo was already imported with one that does not.
    """
    requested = _requested()
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
                note = f"MUJOCO_GL={requested} does not work here ({failed[0].cause}): using {name}"
            elif slow:
                note = f"{slow.cause}: {slow.fix}"
            return Backend(name, attempt.renderer, is_software(attempt.renderer), note)
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
    value = os.environ.get("MUJOCO_GL", "").strip().lower()
    value = {"glx": "glfw"}.get(value, value)
    if value in ("", "1", "on", "true", "enable", "enabled"):
        return None
    if value in ("0", "off", "false", "disable", "disabled"):
        raise UsageError(f"MUJOCO_GL={value} disables rendering: unset it, or set it to egl")
    if value not in BACKENDS:
        raise UsageError(f"MUJOCO_GL: expected {', '.join(BACKENDS)} or unset, found {value!r}")
    return value


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


def probe(name: str) -> Attempt:
    """Draw a picture with a backend in a child process."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("opengl_probe.py"))],
            env=os.environ | {"MUJOCO_GL": name},
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


def has_gpu() -> bool:
    """Whether this machine (or container) has an NVIDIA GPU."""
    return Path("/dev/nvidiactl").exists()


def is_software(renderer: str) -> bool:
    """Whether a GL_RENDERER string names one of Mesa's software rasterizers.

    >>> is_software("llvmpipe (LLVM 15.0.7, 256 bits)")
    True
    """
    return any(name in renderer.lower() for name in SOFTWARE_RENDERERS)


def diagnose(message: str, backend: str | None = None) -> Failure | None:
    """Find the known failure that matches a message; None for an unknown message.

    The message is the output of a failed program, such as a traceback; `backend` is the backend
    that failed, None if unknown.
    """
    fitting = (each for each in FAILURES if each.backend in (None, backend))
    return next((each for each in fitting if re.search(each.pattern, message)), None)


def diagnose_renderer(renderer: str, has_gpu: bool) -> Failure | None:
    """Find the failure without a message: software rendering despite a GPU."""
    return SOFTWARE_ON_GPU if has_gpu and is_software(renderer) else None


FAILURES = (
    Failure(
        "device-id",
        r"MUJOCO_EGL_DEVICE_ID environment variable must be|EGL_DEVICE_ID.*invalid literal",
        "MUJOCO_EGL_DEVICE_ID names an EGL device that does not exist",
        "unset MUJOCO_EGL_DEVICE_ID or try 0",
    ),
    Failure(
        "old-libstdc++",
        r"(?s)(failed to open swrast.*GLIBCXX|GLIBCXX_[\d.]+' not found)",
        "Mesa's driver needs a newer libstdc++ than the one that a conda environment loaded first",
        "conda install -c conda-forge 'libstdcxx-ng>=12', or use a plain virtual environment",
    ),
    Failure(
        "render-node",
        r"failed to open /dev/dri/\S*: Permission denied",
        "the user is in no group that may open the graphics device",
        "sudo usermod -aG render,video $USER and log in again, or choose software rendering "
        "explicitly with LIBGL_ALWAYS_SOFTWARE=1",
    ),
    Failure(
        "no-swrast",
        r"failed to open swrast|failed to load driver: swrast",
        "Mesa's software driver is missing",
        INSTALL_MESA,
    ),
    Failure(
        "no-egl-device",
        r"(?i)Cannot initialize an? (headless )?EGL (device )?display|PLATFORM_DEVICE extension",
        "EGL finds no usable device: the driver lacks EGL, the user may not open the device, or "
        "MUJOCO_EGL_DEVICE_ID names the wrong one",
        f"{INSTALL_MESA} (or the GPU driver's EGL library), unset MUJOCO_EGL_DEVICE_ID or try 0, "
        "and in a container pass NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    Failure(
        "no-libegl",
        r"'NoneType' object has no attribute 'egl\w+'|libEGL\.so\.1: cannot open shared object",
        "libEGL.so.1 is missing",
        INSTALL_MESA,
    ),
    Failure(
        "no-libgl",
        r"'NoneType' object has no attribute 'gl\w+'",
        "EGL is installed, but an OpenGL library (libGL.so.1 or libOpenGL.so.0) is missing",
        "apt install libgl1",
        backend="egl",
    ),
    Failure(
        "no-libosmesa",
        r"'NoneType' object has no attribute '(gl|OSMesa)\w+'",
        "OSMesa was requested, but libOSMesa is missing",
        "apt install libosmesa6 (if the distribution still has it), or set MUJOCO_GL=egl",
    ),
    Failure(
        "platform-conflict",
        r"Cannot use (EGL|OSMesa) rendering platform",
        "PYOPENGL_PLATFORM requests another platform than MUJOCO_GL",
        "unset PYOPENGL_PLATFORM",
    ),
    Failure(
        "other-thread",
        r"EGL_BAD_ACCESS",
        "the OpenGL context is current on another thread",
        "create the renderer in the thread (or process) that uses it",
    ),
    Failure(
        "no-display",
        r"an OpenGL platform library has not been loaded into this process"
        r"|DISPLAY environment variable is missing",
        "MUJOCO_GL is unset (or glfw) on a machine without a display",
        "set MUJOCO_GL=egl before MuJoCo is imported",
    ),
    Failure(
        "no-context",
        r"gladLoadGL error",
        "no OpenGL context is current, or another backend was loaded first",
        "set MUJOCO_GL (egl or osmesa) before MuJoCo is imported",
    ),
    Failure(
        "framebuffer",
        r"Image (width|height) \S+ > framebuffer (width|height)"
        r"|Image (width|height) > framebuffer (width|height)",
        "the picture is larger than MuJoCo's offscreen buffer, 640x480 by default",
        "raise model.vis.global_.offwidth and offheight",
    ),
    Failure(
        "teardown",
        r"(GLContext|Renderer)\.__del__",
        "the OpenGL context was freed too late, at the end of the program; the pictures are fine",
        "close the renderer explicitly: use it in a with statement or call close()",
    ),
    Failure(
        "bad-name",
        r"invalid value for environment variable MUJOCO_GL"
        r"|Environment variable MUJOCO_GL must be one of",
        "MUJOCO_GL is not a known backend",
        "set MUJOCO_GL to egl, osmesa or glfw, or unset it",
    ),
)
"""Known failures, specific ones first: the first match counts."""

SOFTWARE_ON_GPU = Failure(
    "software-on-gpu",
    "|".join(SOFTWARE_RENDERERS),
    "this machine has an NVIDIA GPU, but OpenGL renders in software: the driver's EGL file "
    "(10_nvidia.json) or the container's graphics capability is missing",
    "run the container with NVIDIA_DRIVER_CAPABILITIES=all, or point "
    "__EGL_VENDOR_LIBRARY_FILENAMES at the driver's 10_nvidia.json",
)
"""A failure without a message: everything works, only much slower."""
