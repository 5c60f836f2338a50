"""The process environment: its variables, whether they are right, and the provenance of results."""

import hashlib
import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

from glassviz import __version__
from glassviz.errors import GlassvizError, UsageError

PACKAGES = ("jax", "flax", "numpy", "mujoco", "dm_control")
"""Packages that a result can depend on."""


def cache_dir() -> Path:
    """The user's cache folder for glassviz; everything in it can be recreated."""
    return Path(platformdirs.user_cache_dir("glassviz"))


def memory_bytes() -> int:
    """Physical memory, or the container's limit if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def prepare_environment() -> None:
    """Set JAX's environment variables, unless the user has; call before importing jax.

    - `XLA_PYTHON_CLIENT_PREALLOCATE=false`: by default JAX reserves most of a GPU's memory, which
      leaves too little for OpenGL on the same card.
    - `JAX_COMPILATION_CACHE_DIR`: reuse compiled programs across commands. Not set when the
      folder cannot be created (a read-only home), since JAX would warn at every compilation.
    - `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`: by default JAX caches only programs that took
      over a second to compile; start-up consists of many shorter ones.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = cache_dir() / "jax"
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(directory)


# Variables that are wrong -------------------------------------------------------------------------


@dataclass(frozen=True)
class Variable:
    """A variable whose value can be judged by itself.

    Attributes:
        expected: what a value has to be, with its article.
        fits: whether a value is that.
        stops: whether a library cannot be imported with a wrong value, or would do something else
            than the user asked for; otherwise the doctor alone mentions it.
    """

    name: str
    expected: str
    fits: Callable[[str], bool]
    stops: bool = True

    def fault(self) -> UsageError | None:
        """What is wrong with the value, if it is set and wrong."""
        value = os.environ.get(self.name, "")
        if not value or self.fits(value):
            return None
        return UsageError(
            f"{self.name}: expected {self.expected}, found {value!r}: unset {self.name}, or set it "
            f"to {self.expected}"
        )


def _is_count(value: str) -> bool:
    return value.strip().isdecimal() and int(value) > 0


def _are_counts(value: str) -> bool:
    return all(map(_is_count, value.split(",")))


def _is_number(value: str) -> bool:
    try:
        return 0 < float(value) < math.inf
    except ValueError:
        return False


_TRUE = ("y", "yes", "t", "true", "on", "1")
_FALSE = ("n", "no", "f", "false", "off", "0")


def _is_switch(value: str) -> bool:
    return value.lower() in _TRUE + _FALSE


_GPUS = re.compile(r"(\d+|(GPU|MIG)-[\w/-]+)(,(-?\d+|(GPU|MIG)-[\w/-]+))*")
_NO_GPUS = ("-1", "none", "nodevfiles", "void")
"""Values that are in use for hiding every GPU."""


def _are_gpus(value: str) -> bool:
    bare = value.replace(" ", "")
    return bare.lower() in _NO_GPUS or bool(_GPUS.fullmatch(bare))


def _is_writable(value: str) -> bool:
    """Whether files can be written in a folder, which is made when it is needed."""
    if "://" in value:  # JAX keeps its cache in the cloud too
        return True
    folder = Path(value)
    with suppress(OSError, ValueError):
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return _takes_files(folder)
    return False


def _takes_files(folder: str | Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, ValueError):
        return False


_BACKENDS = ("egl", "osmesa", "glfw", "glx", *("1", "on", "true", "enable", "enabled"))
_NO_BACKENDS = ("0", "off", "false", "disable", "disabled")


def _is_backend(value: str) -> bool:
    return value.strip().lower() in ("", *_BACKENDS, *_NO_BACKENDS)


_SWITCHES = ("DISABLE_JIT", "DEBUG_NANS", "DEBUG_INFS", "ENABLE_COMPILATION_CACHE", "ENABLE_X64")
_FOLDER = "a folder that can be written"

VARIABLES = (
    *(Variable(f"JAX_{name}", "true or false", _is_switch) for name in _SWITCHES),
    Variable("JAX_COMPILATION_CACHE_DIR", _FOLDER, _is_writable),
    Variable("XLA_PYTHON_CLIENT_MEM_FRACTION", "a share of memory such as 0.5", _is_number),
    Variable("CUDA_VISIBLE_DEVICES", "numbers of GPUs such as 0,1", _are_gpus),
    Variable("MUJOCO_GL", "egl, osmesa or glfw", _is_backend),
    Variable("NUMBA_NUM_THREADS", "a number of threads", _is_count),
    Variable("OMP_NUM_THREADS", "a number of threads", _are_counts, stops=False),
    Variable("COLUMNS", "a number of columns", _is_count, stops=False),
    Variable("NUMBA_CACHE_DIR", _FOLDER, _is_writable, stops=False),
    Variable("MPLCONFIGDIR", _FOLDER, _is_writable, stops=False),
    Variable("TMPDIR", _FOLDER, _takes_files, stops=False),
    Variable("XDG_CACHE_HOME", _FOLDER, _is_writable, stops=False),
)
"""Variables that libraries read on import; OpenGL and ffmpeg are judged where they are started."""


def faults() -> Iterator[tuple[Variable, UsageError]]:
    """Every variable of `VARIABLES` that is wrong, and what is wrong with it."""
    for variable in VARIABLES:
        if fault := variable.fault():
            yield variable, fault


def check_variables() -> None:
    """Check the variables that libraries read, before they are imported.

    Raises:
        UsageError: one is wrong; names it, its value, and what to set.
        GlassvizError: there is no folder for temporary files.
    """
    for variable, fault in faults():
        if variable.stops:
            raise fault
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise GlassvizError(
            "TMPDIR: expected a folder that can be written, found none, nor /tmp: set TMPDIR to "
            "a folder with free space"
        ) from None


def has_gpu() -> bool:
    """Whether this machine (or container) has an NVIDIA GPU."""
    return Path("/dev/nvidiactl").exists()


JAX_VALID_S = 3600.0
_JAX_SCRIPT = "import jax, json; print(json.dumps([str(d) for d in jax.devices()]))"
_JAX_PREFIXES = ("JAX_", "XLA_", "LIBTPU_")
_UNKNOWN_FLAGS = re.compile(r"Unknown flags? in XLA_FLAGS: *(.*)")


def check_jax() -> None:
    """Check that JAX starts, if variables of the user decide about it.

    XLA ends the process at a flag that it does not know, so JAX is started in a child process. A
    success is remembered for an hour. Where JAX is imported already, it is left alone.

    Raises:
        UsageError, GlassvizError: as `jax_devices`.
    """
    decisive = _jax_variables()
    if not decisive or "jax" in sys.modules:
        return
    facts = [sys.executable, versions()["jax"], has_gpu(), decisive]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    mark = cache_dir() / "jax-starts" / key
    with suppress(OSError):
        if time.time() - mark.stat().st_mtime < JAX_VALID_S:
            return
    jax_devices()
    with suppress(OSError):  # the folder may be read-only
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _jax_variables() -> dict[str, str]:
    """What the user has set for JAX, but for what every JAX starts with."""
    ours = ("XLA_PYTHON_CLIENT_PREALLOCATE", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    harmless = {"JAX_PLATFORMS": "cpu"}
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(_JAX_PREFIXES)
        and name not in (*ours, "JAX_COMPILATION_CACHE_DIR")
        and value not in ("", harmless.get(name))
    }


def jax_devices() -> list[str]:
    """The devices that JAX finds, by starting it in a child process.

    Raises:
        UsageError: a variable keeps it from starting; names it, its value, and what to set.
        GlassvizError: it does not start for another reason.
    """
    done = subprocess.run(
        [sys.executable, "-c", _JAX_SCRIPT], capture_output=True, text=True, errors="replace"
    )
    if done.returncode == 0:
        return list(json.loads(done.stdout.splitlines()[-1]))
    unknown = _UNKNOWN_FLAGS.search(done.stderr)
    if unknown:
        raise UsageError(
            f"XLA_FLAGS: expected flags that this version of XLA knows, found "
            f"{unknown[1].strip()}: remove it from XLA_FLAGS"
        )
    decisive = _jax_variables()
    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        if name in decisive:
            raise UsageError(
                f"{name}: expected a kind of device that JAX finds here, found "
                f"{decisive[name]!r}: {_platform_fix(name, decisive[name])}"
            )
    # After its errors, JAX prints a line and a remark on tracebacks.
    lines = [line for line in done.stderr.splitlines() if line and line[:4] not in ("----", "For ")]
    last = lines[-1].strip() if lines else f"exit code {done.returncode}"
    if decisive:
        told = ", ".join(f"{name}={value}" for name, value in decisive.items())
        raise UsageError(
            f"{told}: expected that JAX starts, found {last}: unset {', '.join(decisive)}"
        )
    raise GlassvizError(
        f"JAX: expected that it starts, found {last}: pip install --upgrade glassviz, or set "
        f"JAX_PLATFORMS=cpu"
    )


def _platform_fix(name: str, value: str) -> str:
    wants_gpu = {"cuda", "gpu"} & set(value.lower().split(","))
    if wants_gpu and has_gpu() and not has_cuda_plugin():
        return f"pip install 'glassviz[cuda]', or unset {name}"
    return f"unset {name}, or set it to cpu"


def has_cuda_plugin() -> bool:
    """Whether JAX's support of NVIDIA GPUs is installed."""
    for release in (12, 13):
        with suppress(PackageNotFoundError):
            return bool(version(f"jax-cuda{release}-plugin"))
    return False


# Provenance ---------------------------------------------------------------------------------------


def provenance(recipe: str) -> dict[str, Any]:
    """Provenance of a training run started by this process."""
    return {
        "recipe": recipe,
        "command": command(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def command() -> str:
    """The command line of this process without private paths.

    It can be pasted into a shell. `--out` is left out, and absolute paths are cut to their file
    name.
    """
    words = iter(sys.argv[1:])
    public = []
    for word in words:
        if word in ("--out", "-o"):
            next(words, None)
        elif not word.startswith("--out="):
            option, equals, value = word.rpartition("=")
            path = Path(value)
            public.append(option + equals + (path.name if path.is_absolute() else value))
    return shlex.join(["glassviz", *public])


def versions() -> dict[str, str]:
    """Versions of Python, glassviz and `PACKAGES`."""
    numbers = {"python": platform.python_version(), "glassviz": __version__}
    for name in PACKAGES:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = "not installed"
    return numbers


def git_commit() -> str | None:
    """Commit of the source tree that this package runs from.

    None outside of one; a package installed inside another project's repository does not count.
    """
    here = Path(__file__)

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, check=False
        )
        return run.stdout.strip()

    try:
        return (git("ls-files", here.name) and git("rev-parse", "HEAD")) or None
    except OSError:  # git is not installed
        return None


def reward_shaping(provenance: Mapping[str, Any]) -> Any:
    """Whether an agent was trained on a shaped reward, according to its provenance.

    Returns:
        True if the training reward was shaped, "policy search" if only the objective of the search
        that refined the policy was, False if neither was, None if the provenance does not say. An
        agent that started from another one inherits this. The search (`glassviz.training.refine`)
        always shapes its objective, though older files say False.
    """
    recorded, init = provenance.get("shaped"), provenance.get("init")
    inherited = init.get("shaped") if isinstance(init, Mapping) else None
    return recorded or ("policy search" if provenance.get("refined") else inherited or recorded)
