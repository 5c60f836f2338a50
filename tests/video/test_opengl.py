"""Which OpenGL backend is chosen, and what is said when none works."""

import json
import os
import subprocess
import sys
import time

import pytest

from glassviz.errors import GlassvizError, UsageError
from glassviz.video import opengl
from glassviz.video.opengl import Attempt, Backend, choose_backend, probe


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process in which nothing was chosen or imported yet, with an empty cache folder."""
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in opengl.BACKENDS:
        monkeypatch.delitem(sys.modules, f"mujoco.{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choose_backend.cache_clear()
    yield
    choose_backend.cache_clear()


def only(*working: str):
    """Stand-in for `probe` on a machine where just these backends work."""

    def attempt(name: str) -> Attempt:
        if name in working:
            return Attempt(name, "llvmpipe (LLVM 15.0.6, 256 bits)", "")
        library = {"egl": "eglQueryString", "osmesa": "glGetError"}.get(name, "glfwInit")
        return Attempt(
            name, None, f"AttributeError: 'NoneType' object has no attribute '{library}'"
        )

    return attempt


def test_a_real_picture_is_drawn_and_its_renderer_named(fresh):
    attempt = probe("egl")
    assert attempt.renderer, attempt.message
    assert attempt.failure is None


def test_a_backend_that_fails_says_why(fresh, monkeypatch):
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "99")
    attempt = probe("egl")
    assert attempt.renderer is None
    assert attempt.failure and attempt.failure.name == "device-id"


def test_a_backend_that_hangs_is_given_up(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "PROBE_TIMEOUT_S", 0.01)
    assert "no picture within" in probe("egl").cause


def test_the_choice_is_a_backend_that_really_draws(fresh):
    backend = choose_backend()
    assert os.environ["MUJOCO_GL"] == backend.name
    assert backend.renderer
    assert backend.software == ("llvmpipe" in backend.renderer)


def test_egl_comes_first_and_osmesa_second(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl", "osmesa", "glfw"))
    assert choose_backend().name == "egl"
    choose_backend.cache_clear()
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(opengl, "_read_cache", lambda entry: None)
    monkeypatch.setattr(opengl, "probe", only("osmesa", "glfw"))
    assert choose_backend().name == "osmesa"


def test_the_users_choice_comes_first(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl", "osmesa"))
    monkeypatch.setenv("MUJOCO_GL", "OSMesa ")
    assert choose_backend().name == "osmesa"


def test_a_choice_that_does_not_work_is_replaced_with_a_word(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    backend = choose_backend()
    assert backend.name == "egl"
    assert "MUJOCO_GL=osmesa does not work here" in backend.note
    assert "libOSMesa" in backend.note


@pytest.mark.parametrize("value", ["elg", "vulkan"])
def test_a_name_that_is_none_lists_the_good_ones(fresh, monkeypatch, value):
    monkeypatch.setenv("MUJOCO_GL", value)
    with pytest.raises(UsageError, match=f"egl, osmesa, glfw.*{value}"):
        choose_backend()


@pytest.mark.parametrize(
    "variables, wrong, found",
    [
        ({"PYOPENGL_PLATFORM": "glx"}, "PYOPENGL_PLATFORM", "egl, osmesa or unset, found 'glx'"),
        (
            {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"},
            "PYOPENGL_PLATFORM",
            "expected egl, as MUJOCO_GL, or unset, found 'osmesa'",
        ),
        ({"MUJOCO_EGL_DEVICE_ID": "abc"}, "MUJOCO_EGL_DEVICE_ID", "found 'abc'"),
        ({"MUJOCO_EGL_DEVICE_ID": ""}, "MUJOCO_EGL_DEVICE_ID", "found ''"),
        ({"MUJOCO_EGL_DEVICE_ID": "-1"}, "MUJOCO_EGL_DEVICE_ID", "found '-1'"),
    ],
)
@pytest.mark.parametrize("choose", [choose_backend, opengl.prefer_backend])
def test_a_wrong_variable_is_told_before_any_probe(
    fresh, monkeypatch, choose, variables, wrong, found
):
    monkeypatch.setattr(opengl, "probe", lambda name: pytest.fail("probed"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=found) as told:
        choose()
    assert str(told.value).startswith(f"{wrong}: expected ")
    assert f"unset {wrong}" in str(told.value)


@pytest.mark.parametrize("choose", [choose_backend, opengl.prefer_backend])
def test_a_graphics_device_that_is_not_there_is_told_with_those_that_are(
    fresh, monkeypatch, choose
):
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "7")
    message = (
        "RuntimeError: The MUJOCO_EGL_DEVICE_ID environment variable must be an integer between 0 "
        "and 3 (inclusive), got 7."
    )
    monkeypatch.setattr(opengl, "probe", lambda name: Attempt(name, None, message))
    with pytest.raises(UsageError, match="from 0 to 3, found '7': unset MUJOCO_EGL_DEVICE_ID"):
        choose()


def test_a_platform_of_pyopengl_alone_asks_for_that_backend(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl", "osmesa"))
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    assert choose_backend().name == "osmesa"


def test_a_platform_that_does_not_work_gives_way_with_the_backend(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    backend = choose_backend()
    assert backend.note.startswith("PYOPENGL_PLATFORM=osmesa does not work here")
    assert (os.environ["MUJOCO_GL"], os.environ["PYOPENGL_PLATFORM"]) == ("egl", "egl")


def test_rendering_switched_off_stops_only_what_draws(fresh, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    opengl.prefer_backend()


def test_rendering_switched_off_is_refused(fresh, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(UsageError, match="disables rendering"):
        choose_backend()


def test_nothing_works_names_cause_and_packages(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only())
    with pytest.raises(
        GlassvizError,
        match=r"egl: libEGL\.so\.1 is missing; osmesa: .*: apt install libegl1 libgl1 libgl1-mesa",
    ):
        choose_backend()
    assert "MUJOCO_GL" not in os.environ


@pytest.mark.parametrize(
    "environment, verdict",
    [
        ({"MUJOCO_GL": "egl"}, "egl"),
        ({"MUJOCO_GL": ""}, "MuJoCo was imported with glfw"),
    ],
)
def test_mujoco_imported_before(environment, verdict):
    script = (
        "import mujoco\nfrom glassviz.errors import GlassvizError\n"
        "from glassviz.video.opengl import choose_backend\n"
        "try: print(choose_backend().name)\n"
        "except GlassvizError as error: print(error)"
    )
    without = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=without | environment, capture_output=True, text=True
    )
    assert verdict in done.stdout, done.stderr


def test_asking_for_another_backend_than_the_imported_one_is_refused(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco.egl", sys)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(GlassvizError, match="MuJoCo was already imported with egl"):
        choose_backend()


def test_the_answer_is_remembered_for_the_next_process(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    first = choose_backend()
    choose_backend.cache_clear()
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(opengl, "probe", lambda name: pytest.fail("asked again"))
    assert choose_backend() == first


@pytest.mark.parametrize("spoil", ["old", "broken"])
def test_a_stale_or_broken_answer_is_asked_again(fresh, monkeypatch, spoil):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    choose_backend()
    (entry,) = (opengl.cache_dir() / "gl").iterdir()
    if spoil == "old":
        an_hour_ago = time.time() - opengl.CACHE_VALID_S - 1
        os.utime(entry, (an_hour_ago, an_hour_ago))
    else:
        entry.write_text(json.dumps({"name": "egl"}))
    choose_backend.cache_clear()
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(opengl, "probe", only("osmesa"))
    assert choose_backend().name == "osmesa"


def test_another_environment_is_asked_anew(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    choose_backend()
    choose_backend.cache_clear()
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setenv("LIBGL_ALWAYS_SOFTWARE", "1")
    monkeypatch.setattr(opengl, "probe", only("osmesa"))
    assert choose_backend().name == "osmesa"


def test_a_cache_folder_that_cannot_be_written_costs_nothing(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(opengl, "probe", only("egl"))
    assert choose_backend().name == "egl"


def test_software_rendering_beside_a_gpu_is_noted(fresh, monkeypatch):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    monkeypatch.setattr(opengl, "has_gpu", lambda: True)
    backend = choose_backend()
    assert isinstance(backend, Backend) and backend.software
    assert "NVIDIA_DRIVER_CAPABILITIES=all" in backend.note


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"name": "egl"}'),
        b'{"name": "egl", "renderer": 3, "software": false}',
        b'{"name": "lunar", "renderer": "a", "software": false}',
        b'{"name": "egl", "renderer": "a", "software": "no"}',
        b'{"name": "egl", "renderer": "a", "software": false, "more": 1}',
    ],
)
def test_a_damaged_cache_entry_counts_as_none(fresh, monkeypatch, content):
    monkeypatch.setattr(opengl, "probe", only("egl"))
    choose_backend()
    [entry] = (opengl.cache_dir() / "gl").iterdir()
    entry.write_bytes(content)
    choose_backend.cache_clear()
    monkeypatch.delenv("MUJOCO_GL")
    assert choose_backend().renderer.startswith("llvmpipe")


@pytest.mark.parametrize("output", ["", "warning", "[]", "null", '{"renderer": 3}'])
def test_a_probe_that_tells_no_renderer_has_failed(monkeypatch, output):
    done = subprocess.CompletedProcess([], 0, output, "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    assert probe("egl").renderer is None and probe("egl").cause
