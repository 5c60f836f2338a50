"""What every test runs under: checked shapes and types, a working GL backend, fixed examples."""

import contextlib
import gc
import os
import signal

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from threadpoolctl import threadpool_limits

from glassviz.environment import prepare_environment
from tests.helpers import typechecking

# Tests run each program for a moment and compile hundreds of them: compiling is what takes time.
# Unoptimised, with LLVM's older emitters and in one piece, they compile in a fifth of the time.
COMPILE_FAST = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ["XLA_FLAGS"] = " ".join([*COMPILE_FAST, os.environ.get("XLA_FLAGS", "")])
# Before JAX is imported, which the hook below does: JAX reads its compile cache's place then.
prepare_environment()
# Before all else of glassviz is imported: every annotation in it is checked at every call.
install_import_hook("glassviz", f"{typechecking.__name__}.check")

# Hundreds of compiled programs are millions of objects, and garbage is sought among all of them.
gc.set_threshold(100_000, 50, 100)

# The matrices of the tests are small: threads would spend more time waiting than multiplying.
threadpool_limits(1, "blas")

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Choose what draws, as the command line does, and let processes hear Ctrl-C."""
    from glassviz.errors import GlassvizError
    from glassviz.video.opengl import choose_backend

    # A shell's background jobs ignore SIGINT, those of nohup SIGHUP, and so would all that the
    # tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Without a working backend only the tests that draw fail, each saying why.
    with contextlib.suppress(GlassvizError):
        choose_backend()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)
