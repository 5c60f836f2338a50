"""Choose the OpenGL backend; call `choose_backend` before anything imports MuJoCo.

MuJoCo reads `MUJOCO_GL` once, on import, and fails much later, with a message about something
else, when that backend does not work. Here a child process draws a picture first. That costs
about 0.4 s, so the answer is kept for an hour in the user's cache folder.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import replacing
from glassviz.runtime import cache_dir
from glassviz.video.gl_failures import (
    APT_PACKAGES,
    Failure,
    diagnose,
    diagnose_renderer,
    is_software,
)

BACKENDS = ("egl", "osmesa", "glfw")
HEADLESS = ("egl", "osmesa")
"""What is tried without being asked for, in this order."""

PROBE_TIMEOUT_S = 60.0
CACHE_VALID_S = 3600.0

_SAME_AS_UNSET = ("", "1", "on", "true", "enable", "enabled")
_SWITCHED_OFF = ("0", "off", "false", "disable", "disabled")
_ALIASES = {"glx": "glfw"}

_DECISIVE_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "DISPLAY",
    "GALLIUM_DRIVER",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBGL_ALWAYS_SOFTWARE",
    "LIBGL_DRIVERS_PATH",
    "MESA_LOADER_DRIVER_OVERRIDE",
    "MUJOCO_EGL_DEVICE_ID",
    "MUJOCO_GL",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PYOPENGL_PLATFORM",
    "__EGL_VENDOR_LIBRARY_DIRS",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
)


@dataclass(frozen=True)
class Backend:
    """A working OpenGL backend.

    Attributes:
        name: egl, osmesa or glfw: the value of MUJOCO_GL.
        renderer: GL_RENDERER, the name of what really draws.
        software: whether that is a software rasterizer, some 100 times slower than a GPU.
        note: one sentence for the user when the choice may surprise, else empty.
    """

    name: str
    renderer: str
    software: bool
    note: str = ""


@dataclass(frozen=True)
class Attempt:
    """What came of trying one backend.

    Attributes:
        name: the backend.
        renderer: GL_RENDERER, None when it failed.
        message: what the failed try wrote, empty when it worked.
    """

    name: str
    renderer: str | None
    message: str

    @property
    def failure(self) -> Failure | None:
        """The known failure behind the message, if it is one."""
        return diagnose(self.message, self.name) if self.renderer is None else None

    @property
    def cause(self) -> str:
        """Why it failed: the known cause, else the last line that it wrote."""
        if self.failure:
            return self.failure.cause
        return (self.message.strip().splitlines() or ["no message"])[-1].strip()


def probe(name: str) -> Attempt:
    """Draw a picture with one backend, in a child process."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("gl_probe.py"))]
    environment = os.environ | {"MUJOCO_GL": name}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Attempt(name, None, f"no picture within {PROBE_TIMEOUT_S:.0f} s")
    if done.returncode < 0:
        return Attempt(name, None, f"{done.stderr}\nkilled by signal {-done.returncode}")
    if done.returncode > 0:
        return Attempt(name, None, done.stderr)
    return Attempt(name, json.loads(done.stdout.splitlines()[-1])["renderer"], "")


def has_gpu() -> bool:
    """Whether this machine (or container) was given an NVIDIA GPU."""
    return Path("/dev/nvidiactl").exists()


@cache
def choose_backend() -> Backend:
    """Find a backend that works, and set MUJOCO_GL to it.

    The answer holds for the process, and is remembered for the next ones.

    Raises:
        UsageError, GlassvizError: as `find_backend`.
    """
    entry = cache_dir() / "gl" / f"{_key()}.json"
    backend = _recall(entry)
    if backend is None:
        backend = find_backend()
        _remember(entry, backend)
    os.environ["MUJOCO_GL"] = backend.name
    return backend


def find_backend() -> Backend:
    """Try the user's MUJOCO_GL first, then egl, then osmesa, and remember nothing.

    Raises:
        UsageError: MUJOCO_GL names no backend, or switches rendering off.
        GlassvizError: no backend works, or MuJoCo was imported before with one that does not.
    """
    requested = _requested()
    loaded = _loaded()
    if loaded and requested not in (None, loaded):
        raise GlassvizError(
            f"MUJOCO_GL={requested}: MuJoCo was imported with {loaded} before: set MUJOCO_GL (or "
            f"call glassviz.video.gl.choose_backend) before the first import of mujoco"
        )
    wanted = (loaded,) if loaded else tuple(dict.fromkeys(filter(None, (requested, *HEADLESS))))
    return _first_working(wanted, requested, loaded)


def _requested() -> str | None:
    value = os.environ.get("MUJOCO_GL", "").strip().lower()
    value = _ALIASES.get(value, value)
    if value in _SAME_AS_UNSET:
        return None
    if value in _SWITCHED_OFF:
        raise UsageError(f"MUJOCO_GL={value} switches rendering off: unset it, or set it to egl")
    if value not in BACKENDS:
        raise UsageError(f"MUJOCO_GL: expected {', '.join(BACKENDS)} or unset, found {value!r}")
    return value


def _loaded() -> str | None:
    """The backend that MuJoCo was imported with, None when it has not been imported."""
    return next((name for name in BACKENDS if f"mujoco.{name}" in sys.modules), None)


def _first_working(wanted: tuple[str, ...], requested: str | None, loaded: str | None) -> Backend:
    failed: list[Attempt] = []
    for name in wanted:
        attempt = probe(name)
        if attempt.renderer:
            return _backend(name, attempt.renderer, failed, requested)
        failed.append(attempt)
    if loaded:
        raise GlassvizError(
            f"OpenGL: MuJoCo was imported with {loaded}, which does not work here "
            f"({failed[0].cause}): set MUJOCO_GL=egl (or call glassviz.video.gl.choose_backend) "
            f"before the first import of mujoco"
        )
    causes = "; ".join(f"{attempt.name}: {attempt.cause}" for attempt in failed)
    failure = next((attempt.failure for attempt in failed if attempt.failure), None)
    fix = failure.fix if failure else f"apt install {' '.join(APT_PACKAGES)}"
    raise GlassvizError(f"OpenGL: no backend can draw a picture here ({causes}): {fix}")


def _backend(name: str, renderer: str, failed: list[Attempt], requested: str | None) -> Backend:
    note = ""
    slow = diagnose_renderer(renderer, has_gpu())
    if requested and failed:
        note = f"MUJOCO_GL={requested} does not work here ({failed[0].cause}): using {name}"
    elif slow:
        note = f"{slow.cause}: {slow.fix}"
    return Backend(name, renderer, is_software(renderer), note)


def _key() -> str:
    """Name of everything that the answer depends on."""
    variables = {name: os.environ.get(name) for name in _DECISIVE_VARIABLES}
    facts = [sys.executable, version("mujoco"), _loaded(), has_gpu(), variables]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _recall(entry: Path) -> Backend | None:
    try:
        if time.time() - entry.stat().st_mtime > CACHE_VALID_S:
            return None
        return Backend(**json.loads(entry.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _remember(entry: Path, backend: Backend) -> None:
    """Write the answer down; a home that cannot be written to costs only the time."""
    with suppress(GlassvizError), replacing(entry) as partial:
        partial.write_text(json.dumps(asdict(backend)))
