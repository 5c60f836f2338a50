"""The interactive report stays fast: a small part of `benchmarks/interactive.py`."""

import pytest
from interactive import SCRUB, WINDOW, median_and_slow, repeated

from glassviz.report.interactive.html import write
from tests.helpers.fake_renderer import NoRenderer
from tests.helpers.interactive_page import (
    LONG_HOP,
    Player,
    composed,
    in_browser,
    playable,
)
from tests.helpers.planted_runs import planted, with_soft

TRIES = 3
"""What the page itself takes is what it takes at best: the machine has other work too."""


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    """A page of twenty runs of 1,000 frames."""
    folder = tmp_path_factory.mktemp("twenty")
    playable(with_soft(planted(LONG_HOP, name="hopper"))).save(folder / "a.npz")
    page = repeated(composed(folder), 20)
    assert len({run.name for run in page.runs}) == len(page.films) == 20
    write(page, folder / "r.html")
    return folder / "r.html"


@pytest.fixture(scope="module")
def browser():
    with Player() as browser:
        yield browser


@in_browser
def test_a_page_of_twenty_runs_is_soon_ready(browser, twenty):
    def ready_ms():
        browser.show(twenty)
        return int(browser.evaluate("document.documentElement.dataset.ready"))

    assert any(ready_ms() < 3000 for _ in range(TRIES))


@in_browser
@pytest.mark.parametrize(
    ("fragment", "seconds"), [("#frame=0", 0), ("#frame=0", 2), ("#frame=0&versus=hopper-1", 0)]
)
def test_a_step_of_scrubbing_is_done_within_two_pictures(browser, twenty, fragment, seconds):
    browser.show(twenty, fragment=fragment)
    browser.evaluate(f"{WINDOW}({seconds})")

    def slow_ms():
        return median_and_slow(browser.evaluate(SCRUB)["work"])[1]

    assert any(slow_ms() < 33 for _ in range(TRIES))


def test_pages_without_films_are_repeated_too(tmp_path):
    playable(planted(LONG_HOP, name="hopper")).save(tmp_path / "a.npz")
    page = repeated(composed(tmp_path, open_renderer=NoRenderer), 3)
    assert not page.films and [run.shown[0].film for run in page.runs] == [None] * 3
