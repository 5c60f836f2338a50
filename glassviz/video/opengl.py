"""The OpenGL backend: chosen before MuJoCo is imported, probed, its failures explained."""

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

from glassviz.environment import cache_dir
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import replacing

APT_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri")
"""What MuJoCo needs on Debian and Ubuntu to draw by EGL: the dispatch library (which brings
Mesa's libEGL_mesa with it), an OpenGL library, and Mesa's drivers with the software one."""


SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer")


_INSTALL_MESA = f"apt install {' '.join(APT_PACKAGES)}"


@dataclass(frozen=True)
class Failure:
    """One known way to fail.

    Attributes:
        name: short handle.
        pattern: regular expression that is found in what the failed program wrote.
        cause: why it fails, as a clause.
        fix: what to do, as an imperative clause.
        backend: the backend that the message must come from, None when any.
    """

    name: str
    pattern: str
    cause: str
    fix: str
    backend: str | None = None


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
        "the user may not open the graphics device, being in none of its groups",
        "sudo usermod -aG render,video $USER and log in again, or choose software rendering on "
        "purpose with LIBGL_ALWAYS_SOFTWARE=1",
    ),
    Failure(
        "no-swrast",
        r"failed to open swrast|failed to load driver: swrast",
        "Mesa's software driver is missing",
        _INSTALL_MESA,
    ),
    Failure(
        "no-egl-device",
        r"(?i)Cannot initialize an? (headless )?EGL (device )?display|PLATFORM_DEVICE extension",
        "no EGL driver serves a device: the driver comes without EGL, the user may not open the "
        "device, or MUJOCO_EGL_DEVICE_ID names the wrong one",
        f"{_INSTALL_MESA} (or the GPU driver's EGL library), unset MUJOCO_EGL_DEVICE_ID or try 0, "
        "and in a container pass NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    Failure(
        "no-libegl",
        r"'NoneType' object has no attribute 'egl\w+'|libEGL\.so\.1: cannot open shared object",
        "libEGL.so.1 is missing",
        _INSTALL_MESA,
    ),
    Failure(
        "no-libgl",
        r"'NoneType' object has no attribute 'gl\w+'",
        "EGL is there, an OpenGL library (libGL.so.1 or libOpenGL.so.0) is not",
        "apt install libgl1",
        backend="egl",
    ),
    Failure(
        "no-libosmesa",
        r"'NoneType' object has no attribute '(gl|OSMesa)\w+'",
        "OSMesa was asked for and libOSMesa is missing",
        "apt install libosmesa6 (where the distribution still has it), or set MUJOCO_GL=egl",
    ),
    Failure(
        "platform-conflict",
        r"Cannot use (EGL|OSMesa) rendering platform",
        "PYOPENGL_PLATFORM asks for another platform than MUJOCO_GL",
        "unset PYOPENGL_PLATFORM",
    ),
    Failure(
        "other-thread",
        r"EGL_BAD_ACCESS",
        "the OpenGL context is current on another thread",
        "let one thread (or one process) own the renderer: create it where it is used",
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
        "the picture is larger than MuJoCo's offscreen buffer, 640x480 unless the model says more",
        "raise model.vis.global_.offwidth and offheight",
    ),
    Failure(
        "teardown",
        r"(GLContext|Renderer)\.__del__",
        "the OpenGL context outlived what it needs while the program ended; the pictures are fine",
        "close the renderer explicitly: use it in a with statement or call close()",
    ),
    Failure(
        "bad-name",
        r"invalid value for environment variable MUJOCO_GL"
        r"|Environment variable MUJOCO_GL must be one of",
        "MUJOCO_GL names no backend",
        "set MUJOCO_GL to egl, osmesa or glfw, or unset it",
    ),
)
"""Known failures, the more specific before the more general: the first that matches counts."""


SOFTWARE_ON_GPU = Failure(
    "software-on-gpu",
    "|".join(SOFTWARE_RENDERERS),
    "this machine has an NVIDIA GPU, yet pictures are drawn in software: the driver's EGL file "
    "(10_nvidia.json) or the container's graphics capability is missing",
    "run the container with NVIDIA_DRIVER_CAPABILITIES=all, or point "
    "__EGL_VENDOR_LIBRARY_FILENAMES at the driver's 10_nvidia.json",
)
"""The failure without a message: everything works, many times slower."""


def is_software(renderer: str) -> bool:
    """Whether a GL_RENDERER string names one of Mesa's software rasterizers."""
    return any(name in renderer.lower() for name in SOFTWARE_RENDERERS)


def diagnose(message: str, backend: str | None = None) -> Failure | None:
    """Find the known failure behind a message.

    Args:
        message: what the failed program wrote; a whole traceback will do.
        backend: the backend (egl, osmesa, glfw) that failed, None when unknown.

    Returns:
        The failure, None when the message is none of the known ones.
    """
    for failure in FAILURES:
        fits = failure.backend is None or failure.backend == backend
        if fits and re.search(failure.pattern, message):
            return failure
    return None


def diagnose_renderer(renderer: str, has_gpu: bool) -> Failure | None:
    """Find the failure that gives no message: software rendering beside an idle GPU."""
    return SOFTWARE_ON_GPU if has_gpu and is_software(renderer) else None


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
    command = [sys.executable, "-P", str(Path(__file__).with_name("opengl_probe.py"))]
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
            f"call glassviz.video.opengl.choose_backend) before the first import of mujoco"
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
            f"({failed[0].cause}): set MUJOCO_GL=egl (or call "
            f"glassviz.video.opengl.choose_backend) before the first import of mujoco"
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
