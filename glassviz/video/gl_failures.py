"""What goes wrong with OpenGL on a machine without a display: message, cause, fix."""

import re
from dataclasses import dataclass

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
