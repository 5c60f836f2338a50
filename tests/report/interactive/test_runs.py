"""Several runs and episodes in the interactive report, in a real browser."""

import dataclasses
import json

import pytest

from glassviz.report.interactive.html import write
from tests.helpers.interactive_page import (
    FRAME,
    GRAPH,
    LIVE,
    LONG_HOP,
    ORDER,
    composed,
    in_browser,
    playable,
    shortened,
)
from tests.helpers.planted_runs import planted


@in_browser
def test_a_longer_run_is_shown_to_its_end(tmp_path, browser):
    whole = playable(planted(LONG_HOP, name="whole"))
    short = playable(planted(LONG_HOP, name="short"))
    shortened(short, 600).save(tmp_path / "a.npz")
    whole.save(tmp_path / "b.npz")
    page = composed(tmp_path)
    assert [run.shown[0].state.size for run in page.runs] == [600, 1000]
    write(page, tmp_path / "r.html")
    for fragment in ("#run=short&versus=whole", "#run=whole&versus=short"):
        browser.show(tmp_path / "r.html", fragment=fragment)
        browser.press("End")
        assert browser.frame == 999
        # However long the machine is busy with something else, it will not have come to the end.
        browser.play_at(0.25)
        # Beyond the end of the shorter one, and over it while playing.
        for start, until in ((700, 705), (595, 620)):
            browser.seek(start)
            browser.press(" ", "Space")
            browser.wait_for(f"{FRAME} > {until}")
            assert browser.playing
            browser.press(" ", "Space")
            assert until < browser.frame < 999 and not browser.playing
        browser.seek(900)
        browser.wait_for(
            "[...document.querySelectorAll('video')].every((film) => film.readyState > 1 &&"
            " !film.seeking && film.paused)"
        )
        times = browser.evaluate(
            "[...document.querySelectorAll('video')].map((film) => film.currentTime)"
        )
        wanted = [11.99, 18.01] if fragment.startswith("#run=short") else [18.01, 11.99]
        assert times == pytest.approx(wanted, abs=0.011)
    assert browser.complaints == []


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Episodes 1 and 3 of three are shown; label 5 is in the third alone, label 6 in the second.

    In the opening of the first there is a switch from 3 to 0, which graphs leave out.
    """
    folder = tmp_path_factory.mktemp("rare")
    trace = playable(planted(LONG_HOP, LONG_HOP, LONG_HOP, name="rare"))
    label = trace.label.copy()
    label[0, 20:40], label[2, 500:505], label[1, 700:703] = 0, 5, 6
    dataclasses.replace(trace, label=label).save(folder / "a.npz")
    page = composed(folder, films=2)
    assert [each.number for each in page.runs[0].shown] == [1, 3]
    write(page, folder / "r.html")
    return folder / "r.html", label


def press_switch(browser, source: str, target: str) -> None:
    """Press the button of a switch in the list of them."""
    browser.evaluate(
        "[...document.querySelectorAll('.switches button')].find((each) =>"
        f" each.textContent.trim().startsWith('{source} → {target}')).click()"
    )


EPISODE = "document.querySelectorAll('.pick select')[1].selectedOptions[0].textContent"
CAPTION = "document.querySelector('.graph figcaption').textContent"


@in_browser
def test_what_is_in_another_episode_is_found_there(browser, rare):
    path, label = rare
    browser.show(path, fragment="#frame=100")
    before = int(label[2, 499])
    absent = browser.evaluate(
        f"{GRAPH}.getOption().series[0].links.map((each) => each.lineStyle.type)"
    )
    assert set(absent) == {"solid", "dotted"} and absent.count("dotted") == 4
    assert "dotted: not in this episode" in browser.evaluate(CAPTION)
    press_switch(browser, before, 5)
    assert browser.frame == 500 and browser.evaluate(EPISODE).startswith("episode 3 of 3")
    said = f"{before} → 5: not in episode 1; now showing episode 3."
    assert said in browser.evaluate(CAPTION)
    browser.wait_for(f"{LIVE}.startsWith({json.dumps(said + ' 10.00 seconds')})")
    press_switch(browser, 3, 0)
    assert said not in browser.evaluate(CAPTION), "it is said once"
    assert browser.complaints == []


@in_browser
def test_what_no_shown_episode_has_is_said_to_be_missing(browser, rare):
    path, label = rare
    browser.show(path, fragment="#frame=100")
    press_switch(browser, int(label[1, 699]), 6)
    assert browser.frame == 100 and browser.evaluate(EPISODE).startswith("episode 1 of 3")
    said = f"{label[1, 699]} → 6: not in this episode"
    assert said in browser.evaluate(CAPTION)
    browser.wait_for(f"{LIVE}.startsWith({json.dumps(said)})")
    # Node and list say so too.
    names = browser.evaluate(
        "[...document.querySelectorAll('.label')].map((each) => each.dataset.key)"
    )
    x, y = browser.evaluate(
        "(() => { const canvas = document.querySelector('.graph .canvas');"
        " canvas.scrollIntoView({block: 'center', behavior: 'instant'});"
        " const {x, y} = canvas.getBoundingClientRect();"
        f" const series = {GRAPH}.getOption().series[0]; const [a, b] = {GRAPH}.convertToPixel("
        f"{{xAxisIndex: 0, yAxisIndex: 0}}, series.data[{names.index('6')}].value);"
        " return [x + a, y + b]; })()"
    )
    browser.click(x, y)
    assert browser.frame == 100 and "Label 6, flight: not in this episode" in browser.evaluate(
        CAPTION
    )
    listed = browser.evaluate("document.querySelector('.switches').textContent")
    assert listed.count("none in this episode") == 4
    browser.keep("absent")


@in_browser
def test_a_click_finds_only_switches_that_the_graph_counts(browser, rare):
    path, label = rare
    browser.show(path)
    press_switch(browser, 3, 0)
    found = browser.frame
    assert (label[0, found - 1], label[0, found]) == (3, 0) and found > 60
    browser.lights([0], [[3, 0]])
    # A switch in the opening is none of the graph's.
    browser.seek(25)
    browser.lights([0], [])


@in_browser
def test_labels_wear_the_colours_of_those_they_correspond_to(twins, tmp_path, browser):
    write(twins, tmp_path / "r.html")
    colors = (
        "[...document.querySelectorAll('.pane')].map((pane) => Object.fromEntries("
        "[...pane.querySelectorAll('.label')].map((each) => [each.dataset.key,"
        " each.querySelector('.chip').style.background])))"
    )
    browser.show(tmp_path / "r.html", fragment="#run=one&versus=two&frame=400")
    left, right = browser.evaluate(colors)
    assert right == {str(ORDER[int(k)]): left[k] for k in left} | {"7": "rgb(128, 128, 128)"}
    note = browser.evaluate("document.getElementById('strangers').textContent")
    assert "similarity 1.00" in note and "grey: no match" in note
    graphs = browser.evaluate(
        "[...document.querySelectorAll('.graph .canvas')].map((each) =>"
        " echarts.getInstanceByDom(each).getOption().series[0].data.map((node) =>"
        " [node.label.formatter, node.itemStyle.color]))"
    )
    drawn = [{key: color.upper() for key, color in graph} for graph in graphs]
    assert drawn[1] == {str(ORDER[int(k)]): drawn[0][k] for k in drawn[0]} | {"7": "#808080"}
    browser.keep("matched")
    # The other way round each has the other's part; alone, or beside its own kind, its own.
    browser.show(tmp_path / "r.html", fragment="#run=two&versus=one&frame=400")
    own, worn = browser.evaluate(colors)
    assert {k: own[str(ORDER[int(k)])] for k in left} == worn
    browser.press("c", "KeyC")
    [alone] = browser.evaluate(colors)
    assert alone == own
    assert browser.complaints == []


@in_browser
def test_matching_labels_leaves_the_episode_on_the_right_chosen(twins, tmp_path, browser):
    write(twins, tmp_path / "r.html")
    assert [each.number for each in twins.runs[1].shown] == [1, 2]
    browser.show(tmp_path / "r.html", fragment="#run=one&versus=two&versus-episode=2&frame=400")
    chosen = (
        "[...document.querySelectorAll('.pane')].map((pane) =>"
        " [...pane.querySelectorAll('select')].map((each) =>"
        " each.selectedOptions[0].textContent).find((told) => told.startsWith('episode')))"
    )
    left, right = browser.evaluate(chosen)
    assert left.startswith("episode 1 ") and right.startswith("episode 2 ")
