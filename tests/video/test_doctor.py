"""Doctor: known failures come out with cause and fix, and the verdict follows the checks."""

import json

import pytest

from glassviz.errors import GlassvizError
from glassviz.video import doctor, opengl
from glassviz.video.doctor import Check, Report, examine
from glassviz.video.opengl import FAILURES, Attempt, choose_backend, diagnose, diagnose_renderer
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
    assert reached | {"no-libgl"} == {failure.name for failure in FAILURES}


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
    assert "apt install libegl1" in check.found


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
    assert "imageio-ffmpeg" in check.fix


def test_an_encoder_without_h264_is_not_enough(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'ffmpeg version 1.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    check = doctor.check_encoder()
    assert check.status == "failed"
    assert "without libx264" in check.found


def test_a_cpu_only_jax_beside_a_gpu_is_noted(monkeypatch):
    monkeypatch.setattr(doctor, "has_gpu", lambda: True)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    check = doctor.check_jax()
    assert check.status == "note"
    assert "glassviz[cuda]" in check.fix


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
    assert unknown.stderr.startswith("error: ")
