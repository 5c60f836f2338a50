"""What every test runs under: checked shapes and types, a working GL backend, fixed examples."""

import contextlib

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Before the first import of glassviz: every annotation in it is checked at every call.
install_import_hook("glassviz", "typechecking.check")

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment that JAX and MuJoCo read on import, as the command line does."""
    from glassviz.errors import GlassvizError
    from glassviz.runtime import prepare_environment
    from glassviz.video.gl import choose_backend

    prepare_environment()
    # Without a working backend only the tests that draw fail, each saying why.
    with contextlib.suppress(GlassvizError):
        choose_backend()
