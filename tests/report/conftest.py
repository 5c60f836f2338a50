"""A browser for all tests of reports."""

import pytest

from tests.helpers.chromium import BROWSER


@pytest.fixture(scope="session")
def browser():
    """One for all pages: to start it takes as long as to open one."""
    # Not before a backend for OpenGL is chosen, which is after this file is read.
    from tests.helpers.interactive_page import Player

    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with Player() as browser:
        yield browser
