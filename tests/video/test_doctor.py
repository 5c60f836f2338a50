"""Doctor: known failures come out with cause and fix, and the verdict follows the checks."""

import json

import pytest

from glassviz.errors import GlassvizError
from glassviz.video import doctor, opengl
from glassviz.video.doctor import Check, Report, examine
from glassviz.video.failures import FAILURES, diagnose, diagnose_renderer
from glassviz.video.opengl import Attempt, choose_backend
from tests.helpers.commands import invoke

NO_EGL_DEVICE = (
    "Cannot initialize a EGL device display. This likely means that your EGL driver does not "
    "support the PLATFORM_DEVICE extension, which is required for creating a headless rendering "
    "context."
)
NO_PLATFORM_LIBRARY = (
    "an OpenGL platform library has not been loaded into this process, this most likely means "
    "that a valid OpenGL context has not been created before mjr_makeContext was called"
)
SWRAST_IN_CONDA = """\
libGL error: MESA-LOADER: failed to open swrast: /opt/conda/lib/libstdc++.so.6: version \
`GLIBCXX_3.4.30' not found (required by /usr/lib/x86_64-linux-gnu/dri/swrast_dri.so) \
(search paths /usr/lib/x86_64-linux-gnu/dri:\\$${ORIGIN}/dri:/usr/lib/dri, suffix _dri)
libGL error: failed to load driver: swrast"""
BAD_ACCESS = """\
OpenGL.raw.EGL._errors.EGLError: EGLError(
\terr = EGL_BAD_ACCESS,
\tbaseOperation = eglMakeCurrent,
\tcArguments = (<OpenGL._opaque.EGLDisplay_pointer object at 0x7f0>, None, None,),
\tresult = 0
)"""
TEARDOWN = """\
Exception ignored in: <function GLContext.__del__ at 0x7f6e0c1d8c10>
Traceback (most recent call last):
  File "/site-packages/mujoco/egl/__init__.py", line 130, in __del__
TypeError: 'NoneType' object is not callable"""

MESSAGES = [
    # message, words of the cause, words of the fix
    (NO_EGL_DEVICE, "EGL finds no usable device", "unset MUJOCO_EGL_DEVICE_ID or try 0"),
    (
        "RuntimeError: The MUJOCO_EGL_DEVICE_ID environment variable must be an integer between "
        "0 and 0 (inclusive), got 3.",
        "names an EGL device that does not exist",
        "try 0",
    ),
    ("gladLoadGL error", "no OpenGL context is current", "set MUJOCO_GL"),
    ("mujoco.FatalError: gladLoadGL error", "another backend was loaded first", "before MuJoCo"),
    (NO_PLATFORM_LIBRARY, "without a display", "MUJOCO_GL=egl"),
    (
        "GLFWError: (65550) b'X11: The DISPLAY environment variable is missing'",
        "without a display",
        "MUJOCO_GL=egl",
    ),
    (
        "AttributeError: 'NoneType' object has no attribute 'eglQueryString'",
        "libEGL.so.1 is missing",
        "apt install libegl1",
    ),
    (
        "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory",
        "libEGL.so.1 is missing",
        "apt install libegl1",
    ),
    (
        "AttributeError: 'NoneType' object has no attribute 'glGetError'",
        "libOSMesa is missing",
        "libosmesa6",
    ),
    (
        "libEGL warning: failed to open /dev/dri/renderD128: Permission denied",
        "in no group",
        "usermod -aG render,video",
    ),
    (SWRAST_IN_CONDA, "newer libstdc++", "libstdcxx-ng"),
    ("libGL error: MESA-LOADER: failed to open swrast", "is missing", "libgl1-mesa-dri"),
    (BAD_ACCESS, "current on another thread", "in the thread"),
    (
        "ValueError: Image width 1280 > framebuffer width 640. Either reduce the image width or "
        "specify a larger offscreen framebuffer in the model XML",
        "640x480",
        "offwidth",
    ),
    ("Image width > framebuffer width", "larger than MuJoCo's offscreen buffer", "offheight"),
    (TEARDOWN, "freed too late", "close"),
    (
        "ImportError: Cannot use EGL rendering platform. The PYOPENGL_PLATFORM environment "
        "variable is set to 'osmesa'",
        "PYOPENGL_PLATFORM",
        "unset PYOPENGL_PLATFORM",
    ),
    (
        "RuntimeError: invalid value for environment variable MUJOCO_GL: vulkan",
        "not a known backend",
        "egl, osmesa or glfw",
    ),
    (
        "AttributeError: 'GLXPlatform' object has no attribute 'EGL'",
        "PYOPENGL_PLATFORM differs from MUJOCO_GL",
        "unset PYOPENGL_PLATFORM",
    ),
    (
        "AttributeError: module 'mujoco' has no attribute 'Renderer'",
        "PYOPENGL_PLATFORM differs",
        "MUJOCO_GL=egl",
    ),
    (
        "  device_idx = int(os.environ['MUJOCO_EGL_DEVICE_ID'])\n"
        "ValueError: invalid literal for int() with base 10: 'abc'",
        "MUJOCO_EGL_DEVICE_ID",
        "unset",
    ),
    (
        "GLIBCXX_3.4.30 not found (required by libLLVM-15.so.1)",
        "newer libstdc++",
        "libstdcxx-ng",
    ),
    (
        "/usr/lib/libwayland-client.so: undefined symbol: ffi_type_uint32, version LIBFFI_BASE_7.0",
        "libffi",
        "libffi==3.4",
    ),
    ("/lib/libm.so.6: version `GLIBC_2.35' not found", "newer Linux", "newer distribution"),
    (
        "libEGL warning: MESA-LOADER: failed to open zink: /usr/lib/dri/zink_dri.so: cannot open "
        "shared object file: No such file or directory",
        "software driver is missing",
        "LIBGL_DRIVERS_PATH",
    ),
    (
        "PermissionError: [Errno 13] Permission denied: '/dev/dri/renderD128'",
        "in no group",
        "render",
    ),
    (
        "ImportError: /usr/lib/libgomp.so.1: cannot allocate memory in static TLS block",
        "loaded too late",
        "LD_PRELOAD",
    ),
    (
        "EGLError(\n\terr = EGL_NOT_INITIALIZED,\n\tbaseOperation = eglInitialize,",
        "no usable device",
        "NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    (
        "ImportError: ('Unable to load EGL library', 'libEGL.so.1: cannot open shared object')",
        "libEGL.so.1 is missing",
        "libegl1",
    ),
    (
        "    import cv2\nImportError: libGL.so.1: cannot open shared object file: No such file",
        "OpenCV",
        "opencv-python-headless",
    ),
    ("OSError: libGL.so.1: cannot open shared object file", "libGL.so.1", "apt install libgl1"),
    (
        "libOSMesa.so.8: cannot open shared object file",
        "libOSMesa is missing",
        "MUJOCO_GL",
    ),
    ("libOSMesa.so not found", "libOSMesa is missing", "libosmesa6"),
    ("fatal error: GL/osmesa.h: No such file or directory", "mujoco_py", "package mujoco"),
    ("qt.qpa.xcb: could not connect to display ", "without a display", "MUJOCO_GL=egl"),
    ("GLFWError: (65543) b'GLX: Failed to create context: BadValue'", "no OpenGL", "MUJOCO_GL=egl"),
    ("dlopen: libEGL_nvidia.so.0 failed", "graphics libraries are missing", "libnvidia-gl"),
    ("MESA: error: ZINK: d3d12 failed to open /dev/dxg", "WSL", "wsl --update"),
    (
        "mujoco.FatalError: Default framebuffer is not complete, error 0x0",
        "no OpenGL context is current",
        "in the thread that draws",
    ),
    (
        "ERROR: Offscreen framebuffer is not complete, error 0x8cdd",
        "cannot make a buffer of this size",
        "offsamples=0",
    ),
    ("err = EGL_BAD_ALLOC,", "no memory left", "XLA_PYTHON_CLIENT_PREALLOCATE=false"),
    ("err = EGL_BAD_CONFIG,", "buffers that MuJoCo asks for", "update the GPU's driver"),
    (
        "ValueError: XML Error: XML version mismatch",
        "do not belong together",
        "pip install --upgrade mujoco dm_control",
    ),
    (
        "INTERNAL: CUDA error: no kernel image is available for execution on the device",
        "no programs for this model of GPU",
        "update the NVIDIA driver",
    ),
    (
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to "
        "allocate 2147483648 bytes.",
        "memory is full",
        "XLA_PYTHON_CLIENT_PREALLOCATE=false",
    ),
    ("CUDA_ERROR_OUT_OF_MEMORY: out of memory", "memory is full", "nvidia-smi"),
    (
        "Failed to initialize NVML: Driver/library version mismatch",
        "do not belong together",
        "restart the machine",
    ),
    ("failed call to cuInit: CUDA_ERROR_NO_DEVICE", "no NVIDIA GPU is visible", "--gpus all"),
    (
        "Loaded runtime CuDNN library: 8.9.2 but source was compiled with: 9.1.0.",
        "another cuDNN",
        "unset LD_LIBRARY_PATH",
    ),
    (
        "RuntimeError: Unable to load cuSPARSE. Is it installed?",
        "CUDA library is missing",
        "unset LD_LIBRARY_PATH",
    ),
    (
        "RuntimeError: Unable to initialize backend 'cuda': FAILED_PRECONDITION",
        "JAX_PLATFORMS",
        "set it to cpu",
    ),
    ("Unknown flag in XLA_FLAGS: --xla_foo", "does not know", "XLA_FLAGS"),
    (
        "jaxlib version 0.4.36 is newer than and incompatible with jax version 0.4.35",
        "do not belong together",
        "upgrade them together",
    ),
    (
        "RuntimeError: This version of jaxlib was built using AVX instructions, which your CPU "
        "and/or operating system do not support.",
        "processor instructions",
        "another machine",
    ),
    (
        "ValueError: invalid truth value 'abc' for environment 'JAX_ENABLE_X64'",
        "true or false",
        "unset",
    ),
    ("Unknown encoder 'libx264'", "without the encoder", "unset IMAGEIO_FFMPEG_EXE"),
    ("RuntimeError: No ffmpeg exe could be found.", "no ffmpeg", "pip install imageio-ffmpeg"),
    ("[libx264 @ 0x5] height not divisible by 2 (641x479)", "even width", "even width"),
    ("OSError: [Errno 28] No space left on device", "full", "free some space"),
    ("OSError: [Errno 30] Read-only file system: '/x'", "cannot be written", "--out"),
    ("BrokenPipeError: [Errno 32] Broken pipe", "ended first", "ffmpeg's message"),
    (
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 "
        "from C header, got 88 from PyObject",
        "another version of NumPy",
        "--force-reinstall",
    ),
    (
        "RuntimeError: cannot cache function 'rdist': no locator available for file '/x.py'",
        "Numba",
        "NUMBA_CACHE_DIR",
    ),
    ("std::bad_alloc", "memory", "--jobs"),
]


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in a traceback"])
@pytest.mark.parametrize("message, cause, fix", MESSAGES, ids=lambda text: text[:30])
def test_a_known_message_comes_out_with_its_cause_and_fix(message, cause, fix, wrapped):
    if wrapped:
        message = f'Traceback (most recent call last):\n  File "film.py", line 3\n{message}\n'
    failure = diagnose(message)
    assert failure is not None
    assert cause in failure.cause
    assert fix in failure.fix


def test_every_known_failure_has_a_message_that_leads_to_it():
    reached = {failure.name for message, _, _ in MESSAGES if (failure := diagnose(message))}
    assert reached | {"no-libgl-under-egl"} == {failure.name for failure in FAILURES}


def test_a_permission_denied_before_the_general_message_is_the_cause():
    failure = diagnose(
        f"libEGL warning: failed to open /dev/dri/renderD128: Permission denied\n{NO_EGL_DEVICE}"
    )
    assert failure and failure.name == "render-node"


def test_the_same_message_means_another_library_under_egl():
    message = "AttributeError: 'NoneType' object has no attribute 'glGetError'"
    under_egl, under_osmesa = diagnose(message, "egl"), diagnose(message, "osmesa")
    assert under_egl and under_egl.fix == "apt install libgl1"
    assert under_osmesa and "libosmesa6" in under_osmesa.fix


@pytest.mark.parametrize("message", ["", "ModuleNotFoundError: No module named 'jax'"])
def test_an_unknown_message_is_not_guessed_at(message):
    assert diagnose(message) is None


@pytest.mark.parametrize(
    "renderer, has_gpu, slow",
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", True, True),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", False, False),
        ("softpipe", True, True),
        ("NVIDIA H100 80GB HBM3/PCIe/SSE2", True, False),
    ],
)
def test_software_rendering_is_a_failure_only_beside_a_gpu(renderer, has_gpu, slow):
    failure = diagnose_renderer(renderer, has_gpu)
    assert (failure is not None) == slow
    if failure:
        assert "10_nvidia.json" in failure.cause
        assert "__EGL_VENDOR_LIBRARY_FILENAMES" in failure.fix
        assert "NVIDIA_DRIVER_CAPABILITIES=all" in failure.fix


def test_this_machine_can_make_films():
    report = examine()
    assert report.can_film, report
    found = {check.name: check.found for check in report.checks}
    assert "libx264" in found["encoder"]
    assert "devices: " in found["jax"]
    assert {"gl egl", "gl osmesa", "gl", "python", "packages", "hardware", "cache"} <= set(found)


def test_no_backend_means_no_films_and_names_the_packages(monkeypatch):
    def refuse():
        raise GlassvizError("OpenGL: no backend can draw a picture here: apt install libegl1")

    monkeypatch.setattr(doctor, "find_backend", refuse)
    check = doctor.check_choice()
    assert check.status == "failed"
    assert "apt install libegl1" in check.fix


def test_what_an_earlier_command_remembered_is_not_believed(monkeypatch):
    choose_backend()
    monkeypatch.setattr(opengl, "probe", lambda name: Attempt(name, None, "gladLoadGL error"))
    assert doctor.check_choice().status == "failed"


@pytest.mark.parametrize("spare, status, fix", [(True, "ok", ""), (False, "failed", "libosmesa6")])
def test_a_backend_that_fails_needs_mending_only_if_no_other_works(monkeypatch, spare, status, fix):
    message = "AttributeError: 'NoneType' object has no attribute 'glGetError'"
    monkeypatch.setattr(doctor, "probe", lambda name: Attempt(name, None, message))
    check = doctor.check_backend("osmesa", spare)
    assert check.status == status
    assert "libOSMesa is missing" in check.found
    assert fix in check.fix and bool(fix) == bool(check.fix)


def test_a_missing_encoder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    check = doctor.check_encoder()
    assert check.status == "failed"
    assert "IMAGEIO_FFMPEG_EXE" in check.found and "unset IMAGEIO_FFMPEG_EXE" in check.fix


def test_an_encoder_without_h264_is_not_enough(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'ffmpeg version 1.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    check = doctor.check_encoder()
    assert check.status == "failed"
    assert "without libx264" in check.found


@pytest.mark.parametrize(
    "platforms, plugin, fix",
    [
        ("cpu", True, "unset JAX_PLATFORMS"),
        ("", True, "check nvidia-smi and CUDA_VISIBLE_DEVICES"),
        ("", False, "pip install 'glassviz[cuda]'"),
    ],
)
def test_a_jax_without_the_gpu_beside_it_is_noted(monkeypatch, platforms, plugin, fix):
    monkeypatch.setattr(doctor, "has_gpu", lambda: True)
    monkeypatch.setattr(doctor, "has_cuda_plugin", lambda: plugin)
    monkeypatch.setattr(doctor, "jax_devices", lambda: ["cpu:0"])
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    check = doctor.check_jax()
    assert (check.status, check.fix) == ("note", fix)


@pytest.mark.parametrize(
    "name, value, check",
    [
        ("PYOPENGL_PLATFORM", "glx", doctor.check_choice),
        ("MUJOCO_GL", "vulkan", doctor.check_choice),
        ("MUJOCO_EGL_DEVICE_ID", "abc", doctor.check_choice),
        ("IMAGEIO_FFMPEG_EXE", "/bin/true", doctor.check_encoder),
        ("JAX_PLATFORMS", "abacus", doctor.check_jax),
        ("NUMBA_NUM_THREADS", "many", lambda: doctor.check_variables()[0]),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_nothing_is_to_be_installed(
    monkeypatch, name, value, check
):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setenv(name, value)
    found = check()
    assert found.status == "failed"
    assert name in found.found and value in found.found
    assert f"unset {name}" in found.fix
    assert "install" not in found.fix


def test_a_jax_that_does_not_start_is_a_failure(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    check = doctor.check_jax()
    assert check.status == "failed"
    assert "abacus" in check.found


def test_a_cache_that_cannot_be_written_is_noted(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert doctor.check_cache().status == "note"


@pytest.mark.parametrize("status, exit_code", [("ok", 0), ("note", 0), ("failed", 1)])
def test_the_exit_code_says_whether_films_can_be_made(monkeypatch, status, exit_code):
    report = Report((Check("gl", status, "found this", "do that"),))
    monkeypatch.setattr(doctor, "examine", lambda: report)
    done = invoke("doctor", code=exit_code)
    assert "found this" in done.output and "do that" in done.output
    as_json = invoke("doctor", "--json", code=exit_code)
    told = json.loads(as_json.output)
    assert told == {"can_film": report.can_film, "checks": [*map(vars, report.checks)]}


def test_a_message_is_explained_on_the_command_line():
    done = invoke("doctor", "--message", "-", input=f"{NO_EGL_DEVICE}\n")
    assert "apt install libegl1" in done.output
    unknown = invoke("doctor", "--message", "out of cheese", code=1)
    assert unknown.stderr.startswith("error: ") and "found none" in unknown.stderr


def test_a_message_may_hold_bytes_that_are_no_text():
    done = invoke("doctor", "--message", "-", input=b"\xff\xfe gladLoadGL error\n")
    assert "no OpenGL context" in done.output
