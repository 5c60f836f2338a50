"""The interactive report in a real browser: what it shows and does."""

import base64
import dataclasses
import json
import re
import subprocess

import cv2
import numpy as np
import pytest

from glassviz.report.interactive.html import write
from tests.helpers.chromium import SCROLL_WIDTH
from tests.helpers.fake_renderer import read_number
from tests.helpers.interactive_page import (
    FRAME,
    GRAPH,
    LIVE,
    SHOWN,
    in_browser,
)


def check(browser, path):
    """It complained of nothing, and asked for nothing else."""
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("blob:")] == [path.as_uri()]


@pytest.fixture
def player(browser, path):
    """The page as it opens."""
    browser.show(path)
    yield browser
    check(browser, path)


@pytest.fixture
def reader(browser, path):
    """The page at any frame, for tests that change nothing else: they need no new one."""
    if browser.unchanged != path:
        browser.show(path)
    browser.unchanged = None
    yield browser
    check(browser, path)
    browser.unchanged = path


@in_browser
@pytest.mark.parametrize("width", [360, 800, 1440])
def test_it_fits_the_window(browser, path, width):
    """One run and two, in dark colours and in light ones."""
    browser.show(path, width, dark=True, fragment="#frame=400")
    for two in (False, True):
        if two:
            browser.evaluate("location.hash = '#frame=400&versus=plain'")
            browser.wait_for("document.querySelectorAll('.pane').length === 2")
        for dark in (True, False):
            browser.prefer(dark)
            browser.draw()
            browser.picture()
            assert browser.complaints == []
            assert browser.evaluate(SCROLL_WIDTH) <= width
            name = f"{'two' if two else 'one'}-{width}-{'dark' if dark else 'light'}"
            browser.keep(name, whole=True)


MARKS = (".score .playhead", ".raster .cell", ".map .here")


@in_browser
def test_the_film_shows_the_frame_that_is_asked_for(reader):
    for frame in (0, 1, 9, 10, 11, 499, 500, 777, 998, 999, 3):
        reader.seek(frame)
        assert reader.shows(frame)


@in_browser
@pytest.mark.parametrize("mark", MARKS)
def test_a_click_where_a_frame_is_goes_to_that_frame(reader, mark):
    for frame in (623, 250):
        reader.seek(frame)
        place = reader.middle(mark)
        reader.seek(7)
        reader.click(*place)
        assert reader.frame == frame and reader.shows(frame)


@in_browser
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_of_a_walker_is_about_its_own_gait(browser, walker, width):
    browser.show(walker, width)
    text = browser.evaluate("document.body.innerText")
    assert "steady gait" in text and "walk" in text and "phase-locked" in text
    assert "hop" not in text and "flight" not in text
    assert browser.evaluate(SCROLL_WIDTH) <= width
    browser.keep(f"walker-{width}", whole=True)
    for mark in MARKS:
        browser.seek(400)
        place = browser.middle(mark)
        browser.seek(7)
        browser.click(*place)
        # A pixel of a narrow window is more than a frame.
        assert abs(browser.frame - 400) <= 2 and browser.shows(browser.frame)
    check(browser, walker)


def visits(page, state):
    path = page.runs[0].shown[0].state
    return [t for t in range(1, len(path)) if path[t] == state != path[t - 1]]


@in_browser
def test_a_click_on_a_node_goes_to_its_next_visit(reader, page):
    reader.middle(".graph .box")
    for i in range(len(page.runs[0].states)):
        reader.seek(300)
        x, y = reader.evaluate(
            "(() => { const {x, y} = document.querySelector('.graph .canvas')"
            f".getBoundingClientRect(); const [a, b] = {GRAPH}.convertToPixel("
            f"{{xAxisIndex: 0, yAxisIndex: 0}}, {list(page.runs[0].graph.xy[i])});"
            " return [x + a, y + b]; })()"
        )
        reader.click(x, y)
        assert reader.frame == next(t for t in visits(page, i) if t > 300)


@in_browser
def test_a_click_on_an_arrow_goes_to_its_next_switch(reader, page):
    run = page.runs[0]
    path = run.shown[0].state
    for i, edge in enumerate(run.graph.edges):
        reader.middle(".graph .box")
        reader.seek(300)
        # The middle of a quadratic curve, from its ends and its control point.
        x, y = reader.evaluate(
            "(() => { const {x, y} = document.querySelector('.graph .canvas')"
            f".getBoundingClientRect(); const [a, b, c] = {GRAPH}.getModel().getSeriesByIndex(0)"
            f".getGraph().edges[{i}].getLayout();"
            " return [0, 1].map((k) => [x, y][k] + (a[k] + b[k] + 2 * c[k]) / 4); })()"
        )
        reader.click(x, y)
        assert reader.frame == next(
            t for t in range(301, 1000) if (path[t - 1], path[t]) == (edge.source, edge.target)
        )


@in_browser
def test_the_frame_lights_its_label_and_the_last_switch(reader, page):
    path = page.runs[0].shown[0].state
    for frame in (300, 307, 640, 301):
        reader.seek(frame)
        came = next(t for t in range(frame, 0, -1) if path[t] != path[t - 1])
        reader.lights([int(path[frame])], [[int(path[came - 1]), int(path[came])]])


@in_browser
def test_the_film_plays_and_everything_follows(player, page):
    player.seek(300)
    before = player.evaluate("document.querySelector('.playhead').style.transform")
    player.press(" ", "Space")
    player.wait_for(f"{FRAME} > 310")
    player.press(" ", "Space")
    frame = player.frame
    assert player.shows(frame)
    assert player.evaluate("document.querySelector('.playhead').style.transform") != before
    state = page.runs[0].states[page.runs[0].shown[0].state[frame]]
    shown = player.evaluate("document.querySelector('.now .chip').textContent")
    assert shown == f"{state.key} {state.name}"
    said = f"{frame / 50:.2f} seconds. label {state.key}, {state.name}"
    player.wait_for(f"{LIVE}.includes({json.dumps(said)})")


@in_browser
def test_nothing_is_said_while_it_plays(player):
    player.wait_for(f"{LIVE}.startsWith('0.00 seconds')")
    player.press(" ", "Space")
    assert player.evaluate(LIVE) == ""
    player.wait_for(f"{FRAME} > 40")
    assert player.evaluate(LIVE) == ""
    player.press(" ", "Space")


@in_browser
def test_keys(player, page):
    player.seek(100)
    for key, shift, frame in (
        ("ArrowRight", False, 101),
        ("ArrowLeft", False, 100),
        ("ArrowRight", True, 150),
        ("ArrowLeft", True, 100),
        ("End", False, 999),
        ("Home", False, 0),
    ):
        player.press(key, shift=shift)
        assert player.frame == frame, (key, shift)
    key = page.runs[0].states[1].key
    player.press(key, f"Digit{key}")
    player.press("n", "KeyN")
    assert player.frame == next(t for t in visits(page, 1) if t > 0)
    player.press("n", "KeyN")
    player.press("p", "KeyP")
    assert player.frame == visits(page, 1)[0]
    player.press("?", "Slash", shift=True)
    assert player.evaluate("document.getElementById('keys').open")
    player.press("Escape")
    assert not player.evaluate("document.getElementById('keys').open")


# Numbers that are written on the timeline.
NUMBERS = """[...new Set(echarts.getInstanceByDom(document.querySelector(".score .canvas"))
  .getZr().storage.getDisplayList(true).map(({style}) => style.text ?? "")
  .filter((text) => /^[0-9]$/.test(text)))]"""

# How many points of a view have exactly the colour of each state.
COLORED = """((view, colors) => {
  const shown = document.querySelector(`.${view} .canvas canvas`);
  const {width, height} = shown;
  const context = Object.assign(document.createElement("canvas"), {width, height})
    .getContext("2d", {willReadFrequently: true});
  context.drawImage(shown, 0, 0);
  const {data} = context.getImageData(0, 0, width, height);
  const found = new Map(colors.map((color) => [parseInt(color.slice(1), 16), 0]));
  for (let i = 0; i < data.length; i += 4) {
    const color = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
    if (data[i + 3] === 255 && found.has(color)) found.set(color, found.get(color) + 1);
  }
  return [...found.values()];
})"""


@in_browser
def test_the_filter_dims_what_it_leaves_out(player, page):
    colors = json.dumps([state.color for state in page.runs[0].states])
    points = "document.querySelector('.map .canvas canvas').toDataURL()"
    nodes = f"{GRAPH}.getOption().series[0].data.map((each) => each.itemStyle)"
    views = ("score", "raster")
    all_points = player.evaluate(points)
    before = {view: player.evaluate(f"{COLORED}('{view}', {colors})") for view in views}
    undimmed = player.evaluate(nodes)
    assert [each["color"] for each in undimmed] == [state.color for state in page.runs[0].states]
    assert player.evaluate(NUMBERS) == ["3"], "the opening is the only part that is wide enough"
    player.click_on(".label[data-key='2']")
    assert player.evaluate("document.querySelector('.label[data-key=\"2\"]').ariaPressed") == "true"
    assert player.evaluate(points) != all_points
    for view in views:
        first, second, kept, last = player.evaluate(f"{COLORED}('{view}', {colors})")
        assert first == second == last == 0 and min(before[view]) > 1000
        assert kept == pytest.approx(before[view][2], rel=0.1)
    dimmed = player.evaluate(nodes)
    assert [one == other for one, other in zip(dimmed, undimmed, strict=True)] == [
        *(False, False, True, False)
    ]
    assert not any("opacity" in each for each in dimmed), "arrows must not shine through a node"
    assert player.evaluate(NUMBERS) == [], "what is dimmed has no number"
    player.keep("filter")
    player.click_on(".all")
    assert player.evaluate(points) == all_points
    after = {view: player.evaluate(f"{COLORED}('{view}', {colors})") for view in views}
    assert after == before


@in_browser
def test_the_map_shows_the_other_episodes_and_where_the_cycle_leaps(page, tmp_path, browser):
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    path = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    path[12:] += 5  # two islands: from step 11 and back from the last one it leaps
    run = page.runs[0]
    run = dataclasses.replace(run, map=dataclasses.replace(run.map, path=path))
    write(dataclasses.replace(page, runs=(run,), rows=()), tmp_path / "r.html")
    browser.show(tmp_path / "r.html")
    ground, steps, ring = browser.evaluate(
        "(() => { const {series} = echarts.getInstanceByDom(document.querySelector('.map .canvas'))"
        ".getOption(); const at = series.findIndex(({type}) => type === 'lines');"
        " return [series[0].data, series[at].data.map((step) => step.lineStyle.type ?? 'solid'),"
        " series[at + 1].data]; })()"
    )
    assert np.allclose(ground, run.map.ground)
    assert [i for i, kind in enumerate(steps) if kind == "dotted"] == [11, 23] and len(steps) == 24
    assert np.allclose(ring, path[:1])


@in_browser
def test_a_click_on_the_right_moves_both(browser, path):
    browser.show(path, fragment="#run=hopper&by=mppi&versus=plain")
    for mark in MARKS:
        browser.seek(623)
        place = browser.middle(f".pane:nth-child(2) {mark}")
        browser.seek(7)
        browser.click(*place)
        assert browser.frame == 623, mark
        playhead = "[...document.querySelectorAll('.playhead')].map((each) => each.style.transform)"
        left, right = browser.evaluate(playhead)
        assert left == right, mark
    assert browser.complaints == []


@in_browser
def test_two_runs_are_on_one_clock(player):
    player.seek(200)
    player.press("c", "KeyC")
    names = "[...document.querySelectorAll('.pane')].map((pane) => pane.ariaLabel)"
    assert player.evaluate(names) == ["Left", "Right"]
    selected = "[...document.querySelectorAll('.pick select:first-child')].map((s) => s.value)"
    assert player.evaluate(selected) == ["0", "1"], "the other controller of the same checkpoint"
    assert player.evaluate("document.getElementById('strangers').hidden")
    player.seek(321)
    films = "[...document.querySelectorAll('video')]"
    player.wait_for(f"{films}.every((film) => film.readyState > 1 && !film.seeking)")
    times = player.evaluate(f"{films}.map((film) => film.currentTime)")
    assert times == pytest.approx([6.43, 6.43])
    player.press("1", "Digit1")
    pressed = 'document.querySelectorAll(\'.label[data-key="1"][aria-pressed="true"]\').length'
    assert player.evaluate(pressed) == 2, "labels of one checkpoint are filtered together"
    player.press("c", "KeyC")
    assert player.evaluate(names) == ["Run"]


@in_browser
def test_labels_of_two_checkpoints_are_told_apart(browser, path):
    browser.show(path, fragment="#run=hopper&versus=plain&labels=1")
    assert not browser.evaluate("document.getElementById('strangers').hidden")
    pressed = "document.querySelectorAll('.label[aria-pressed=\"true\"]').length"
    assert browser.evaluate(pressed) == 1


@in_browser
def test_the_address_leads_back_to_the_moment(player, path):
    player.evaluate(
        "(() => { const runs = document.querySelector('.pick select'); runs.value = '1';"
        " runs.dispatchEvent(new Event('change')); })()"
    )
    player.seek(444)
    player.press("3", "Digit3")
    player.press("c", "KeyC")
    fragment = player.wait_for("location.hash.includes('versus') && location.hash")
    for part in ("run=hopper", "by=pi", "frame=444", "labels=3", "versus-by=mppi"):
        assert part in fragment
    player.show(path, fragment=fragment)
    assert player.frame == 444 and player.shows(444)
    assert player.evaluate("location.hash") == fragment
    assert player.evaluate("document.querySelector('.label[data-key=\"3\"]').ariaPressed") == "true"
    assert player.evaluate("document.querySelectorAll('.pane').length") == 2


@in_browser
@pytest.mark.parametrize("fragment", ["#run=nobody&frame=x", "#frame=1e9&labels=99,a", "#%%%", "#"])
def test_an_address_that_means_nothing_is_no_fault(browser, path, fragment):
    browser.show(path, fragment=fragment)
    assert browser.complaints == [] and 0 <= browser.frame <= 999


@in_browser
def test_hostile_names_are_text(browser, path):
    browser.show(path)
    browser.click_on("[data-run='3']")
    assert SHOWN in browser.evaluate(
        "document.querySelector('.pick select').selectedOptions[0].textContent"
    )
    assert not browser.evaluate("document.querySelector('img') !== null")
    assert browser.complaints == []
    address = browser.wait_for("location.hash.includes('alert') && location.hash")
    browser.show(path, fragment=address)
    assert browser.evaluate("document.querySelector('.pick select').value") == "3"


@in_browser
def test_everything_is_reached_by_the_tab_key_and_has_a_name(player):
    unnamed = player.evaluate(
        "[...document.querySelectorAll('button, select, input, video, [role=img], [role=group],"
        " section')].filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels"
        "?.[0]?.textContent || each.getAttribute('aria-labelledby'))).length"
    )
    assert unnamed == 0
    reached = set()
    for _ in range(40):
        player.press("Tab")
        reached.add(
            player.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert {"compare", "help", "label", "slider", "play", "speed", "zoom"} <= reached


@in_browser
def test_a_linked_film_plays_from_beside_the_page(page, tmp_path, browser):
    path = tmp_path / "a # b.html"
    write(page, path, link=True)
    browser.show(path, fragment="#frame=123")
    browser.wait_for("document.querySelector('video').readyState > 1")
    assert browser.evaluate("document.querySelector('video').currentTime") == pytest.approx(2.47)
    assert browser.complaints == []


@in_browser
def test_without_films_the_clock_runs_all_the_same(filmless, tmp_path, browser):
    write(filmless, tmp_path / "r.html")
    browser.show(tmp_path / "r.html")
    assert "no OpenGL here" in browser.evaluate("document.querySelector('.no-film').textContent")
    browser.press(" ", "Space")
    browser.wait_for(f"{FRAME} > 20")
    browser.press(" ", "Space")
    assert browser.complaints == []


# From now on three pictures a second: `drawn` has when each was, and the frame that it shows.
RARELY = f"""(() => {{
  window.drawn = [];
  window.requestAnimationFrame = (draw) => setTimeout(() => {{
    const now = performance.now();
    draw(now);
    window.drawn.push([now / 1000, {FRAME}]);
  }}, 333);
}})()"""


@in_browser
def test_a_browser_that_draws_rarely_plays_at_full_speed(filmless, tmp_path, browser):
    """Three pictures a second, 17 frames apart, as on a machine with much else to do."""
    write(filmless, tmp_path / "r.html")
    browser.show(tmp_path / "r.html")
    browser.evaluate(RARELY)
    browser.press(" ", "Space")
    browser.wait_for(f"{FRAME} > 40")
    since = browser.evaluate("drawn.length")
    (then, first), *_, (now, last) = browser.wait_for(
        f"drawn.length > {since} + 6 && drawn.slice({since} - 1)"
    )
    assert last < 999 and (last - first) / 50 == pytest.approx(now - then, abs=0.1)
    # It goes on from where somebody went.
    browser.seek(800)
    browser.wait_for(f"{FRAME} > 820")
    browser.press(" ", "Space")
    assert 820 < browser.frame < 999
    assert browser.complaints == []


# Counts what is made for a second run: charts, watches on sizes, listeners on the clock.
COUNT = """(() => {
  window.made = {charts: 0, observers: 0, listeners: 0};
  const count = (owner, name, what, counts = () => true) => {
    const own = owner[name];
    owner[name] = function (...given) {
      window.made[what] += counts(...given);
      return own.apply(this, given);
    };
  };
  count(echarts, "init", "charts");
  count(ResizeObserver.prototype, "observe", "observers");
  count(EventTarget.prototype, "addEventListener", "listeners",
    (type) => ["frame", "play"].includes(type));
})()"""


@in_browser
def test_comparing_again_and_again_makes_nothing_new(player):
    player.evaluate(COUNT)
    for _ in range(3):
        player.press("c", "KeyC")
        player.evaluate("window.second = document.querySelectorAll('.pane')[1]")
        player.press("c", "KeyC")
        assert player.evaluate("window.made") == {"charts": 4, "observers": 4, "listeners": 3}
    now = "window.second.querySelector('.now').textContent"
    before = player.evaluate(now)
    player.seek(500)
    assert player.evaluate(now) == before, "what is out of the page does no work"
    player.press("c", "KeyC")
    assert player.evaluate(now) != before


TIMELINE = "echarts.getInstanceByDom(document.querySelector('.score .canvas'))"


@in_browser
def test_in_a_window_of_the_timeline_pages_turn_and_only_scales_are_drawn_anew(player):
    player.evaluate(
        "(() => { const zoom = document.getElementById('zoom'); zoom.value = '2';"
        " zoom.dispatchEvent(new Event('change')); window.drawn = 0;"
        f" const chart = {TIMELINE}; const draw = chart.setOption.bind(chart);"
        " chart.setOption = (...given) => { window.drawn++; draw(...given); }; })()"
    )
    for frame in (50, 99, 100, 620, 999, 3):
        player.seek(frame)
        at, *lanes = player.evaluate(
            "[Number(document.querySelector('.playhead').style.transform.match(/[\\d.]+/)[0]),"
            f" ...[0, 1, 2, 3, 4].map((lane) => {TIMELINE}.convertToPixel({{xAxisIndex: lane}},"
            f" {frame + 0.5}))]"
        )
        assert lanes == pytest.approx([at] * 5, abs=0.5)
        place = player.middle(".score .playhead")
        player.click(*place)
        assert player.frame == frame
    assert player.evaluate("window.drawn") == 4, "once for every page that was turned"


@in_browser
def test_in_a_window_lanes_fit_what_it_shows(player, page):
    height = page.runs[0].shown[0].height
    player.evaluate(
        "(() => { const zoom = document.getElementById('zoom'); zoom.value = '2';"
        " zoom.dispatchEvent(new Event('change')); })()"
    )
    for frame, start in ((50, 0), (620, 610)):
        player.seek(frame)
        low, high = player.evaluate(
            f"((axis) => [axis.min, axis.max])({TIMELINE}.getOption().yAxis[2])"
        )
        part = height[start : start + 100]
        assert (low, high) == pytest.approx((part.min(), part.max()))


@in_browser
def test_what_was_measured_is_read_out_at_the_playhead(reader, page):
    episode = page.runs[0].shown[0]
    for frame in (3, 500):
        reader.seek(frame)
        told = reader.evaluate("document.querySelector('.readouts').textContent")
        for name in ("height", "speed", "reward"):
            assert f"{name}{getattr(episode, name)[frame]:.2f}" in told
        assert f"value{episode.value[frame]:.1f} ± " in told


@in_browser
@pytest.mark.parametrize("mark", MARKS)
def test_what_is_under_the_pointer_is_told_with_its_numbers(reader, page, mark):
    reader.seek(623)
    x, y = reader.middle(mark)
    reader.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="none")
    told = reader.wait_for(
        "[...document.querySelectorAll('.hint')].find((each) => !each.hidden)?.textContent"
    )
    assert "frame 623, 12.46 s" in told
    assert f"height {page.runs[0].shown[0].height[623]:.2f} m" in told


@in_browser
def test_the_gait_lane_has_a_legend(reader, page):
    keys = reader.evaluate(
        "[...document.querySelectorAll('.score .key')].map((each) => each.textContent.trim())"
    )
    gait = page.runs[0].shown[0].gait
    assert keys == [page.gait_phases[k][0] for k in np.unique(gait[gait != 255])]


@in_browser
def test_the_page_is_called_by_its_runs(reader):
    assert reader.evaluate("document.querySelector('h1').textContent").startswith("hopper, plain")
    assert reader.evaluate("document.title").startswith("hopper, plain")


# Keeps what is saved instead of asking where.
KEPT = """(() => {
  window.kept = [];
  HTMLAnchorElement.prototype.click = function () { window.kept.at(-1).name = this.download; };
  URL.createObjectURL = (blob) => { window.kept.push({blob}); return "blob:none"; };
})()"""


@in_browser
def test_the_frames_that_are_shown_are_saved_as_a_table(player, page):
    player.evaluate(KEPT)
    player.evaluate("document.getElementById('table').click()")
    episode = page.runs[0].shown[0]
    assert player.evaluate("kept[0].name") == f"hopper-mppi-episode-{episode.number}.csv"
    head, *rows = player.evaluate("kept[0].blob.text()").splitlines()
    assert len(rows) == len(episode.height)
    row = dict(zip(head.split(","), rows[400].split(","), strict=True))
    assert float(row["height_m"]) == pytest.approx(episode.height[400]) and row["time_s"] == "8.000"
    key = page.runs[0].states[episode.state[400]].key
    assert row["label"] == key
    player.press(key, f"Digit{key}")
    player.evaluate("document.getElementById('table').click()")
    fewer = player.evaluate("kept[1].blob.text()").splitlines()[1:]
    assert len(fewer) == (episode.state == episode.state[400]).sum()


@in_browser
def test_what_is_shown_is_saved_as_a_picture(player, page):
    player.wait_for("document.querySelector('video').readyState > 1")
    player.seek(400)
    player.evaluate(KEPT)
    player.evaluate("document.getElementById('picture').click()")
    name = player.wait_for("kept[0]?.name")
    assert name == f"hopper-mppi-episode-{page.runs[0].shown[0].number}-frame-400.png"
    colours = player.evaluate(
        "createImageBitmap(kept[0].blob).then((picture) => { const canvas ="
        " new OffscreenCanvas(picture.width, picture.height); const pen = canvas.getContext('2d');"
        " pen.drawImage(picture, 0, 0); const {data} = pen.getImageData(0, 0, canvas.width,"
        " canvas.height); const found = new Set(); for (let i = 0; i < data.length; i += 404)"
        " found.add(`${data[i]},${data[i + 1]},${data[i + 2]}`); return found.size; })"
    )
    assert colours > 50


def saved(player, number, folder):
    """The file that was saved, in a folder."""
    text = player.evaluate(
        f"new Promise((resolve) => {{ const reader = new FileReader(); reader.onload = () =>"
        f" resolve(reader.result); reader.readAsDataURL(kept[{number}].blob); }})"
    )
    path = folder / player.evaluate(f"kept[{number}].name")
    path.write_bytes(base64.b64decode(text.partition(",")[2]))
    return path


@in_browser
def test_the_window_of_the_film_is_saved_as_a_clip_that_lasts_as_long(player, page, tmp_path):
    from glassviz.video.encode import probe

    player.wait_for("document.querySelector('video').readyState > 1")
    player.evaluate(
        "(() => { const zoom = document.getElementById('zoom'); zoom.value = '2';"
        " zoom.dispatchEvent(new Event('change')); })()"
    )
    player.seek(400)
    player.evaluate(KEPT)
    player.evaluate("document.getElementById('clip').click()")
    assert player.wait_for("document.getElementById('clip').textContent.includes(' of 2 s')")
    player.wait_for("kept.length && kept[0].name")
    assert player.evaluate("document.getElementById('clip').textContent") == "Save clip"
    episode = page.runs[0].shown[0].number
    path = saved(player, 0, tmp_path)
    assert path.name == f"hopper-mppi-episode-{episode}-7.8-9.8s.webm"
    facts = probe(path)
    assert facts.size == (480, 360 + 52)
    capture = cv2.VideoCapture(str(path))
    pictures, times = [], []
    while (read := capture.read())[0]:
        pictures.append(read_number(read[1][:360]))
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    assert 1500 < times[-1] < 3500
    assert pictures == sorted(pictures)
    assert pictures[0] in range(390, 396) and pictures[-1] in range(480, 491)
    assert 1.5 < duration_s(path) < 3.5


def duration_s(path):
    """The duration in the file's head, as players show it."""
    from glassviz.video.encode import find_ffmpeg

    done = subprocess.run([find_ffmpeg().path, "-i", path], capture_output=True, text=True)
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", done.stderr).groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


@in_browser
def test_recording_a_clip_can_be_given_up(player):
    player.wait_for("document.querySelector('video').readyState > 1")
    player.evaluate(KEPT)
    player.evaluate("document.getElementById('clip').click()")
    player.wait_for("document.getElementById('clip').textContent.startsWith('Stop')")
    player.evaluate("document.getElementById('clip').click()")
    player.wait_for("document.getElementById('clip').textContent === 'Save clip'")
    assert player.evaluate("kept.length") == 0


@in_browser
def test_a_browser_that_records_nothing_says_so(player):
    said = "document.getElementById('clip').textContent"
    player.wait_for("document.querySelector('video').readyState > 1")
    player.evaluate("delete window.MediaRecorder")
    player.evaluate("document.getElementById('clip').click()")
    assert player.evaluate(said) == "This browser records no clips"


@in_browser
def test_without_a_film_there_is_no_clip_to_save(filmless, tmp_path, browser):
    write(filmless, tmp_path / "r.html")
    browser.show(tmp_path / "r.html")
    browser.evaluate("document.getElementById('clip').click()")
    said = browser.evaluate("document.getElementById('clip').textContent")
    assert said == "No film to save"


@in_browser
def test_a_film_that_the_page_may_not_read_is_not_recorded(page, tmp_path, browser):
    write(page, tmp_path / "r.html", link=True)
    browser.show(tmp_path / "r.html")
    browser.wait_for("document.querySelector('video').readyState > 1")
    browser.evaluate("document.getElementById('clip').click()")
    said = "document.getElementById('clip').textContent"
    assert browser.wait_for(f"{said}.startsWith('This') && {said}").endswith("record this film")


@in_browser
def test_matched_colours_are_said_whose_they_are_and_can_be_switched_off(browser, tmp_path, twins):
    write(twins, tmp_path / "r.html")
    names = list(dict.fromkeys(run.name for run in twins.runs))
    browser.show(tmp_path / "r.html", fragment=f"#run={names[0]}&versus={names[-1]}")
    chips = (
        "[...document.querySelectorAll('.pane')[1].querySelectorAll('.labels .chip')]"
        ".map((each) => each.style.background)"
    )
    worn = browser.evaluate(chips)
    note = "document.getElementById('whose').textContent"
    assert f"colours of the matching labels of {names[0]}" in browser.evaluate(note)
    browser.evaluate("document.getElementById('match').click()")
    own = browser.evaluate(chips)
    assert own != worn and "each in its own colours" in browser.evaluate(note)
    browser.evaluate("document.getElementById('match').click()")
    assert browser.evaluate(chips) == worn


@in_browser
def test_without_news_of_video_frames_the_film_leads_all_the_same(player):
    player.evaluate("delete HTMLVideoElement.prototype.requestVideoFrameCallback")
    player.seek(300)
    player.press(" ", "Space")
    player.wait_for(f"{FRAME} > 310")
    player.press(" ", "Space")
    assert player.shows(player.frame)


@in_browser
def test_the_filter_leaves_a_playing_film_alone(player):
    player.wait_for("document.querySelector('video').readyState > 1")
    player.press(" ", "Space")
    player.wait_for(f"{FRAME} > 5")
    player.evaluate(
        "(() => { window.sought = 0; document.querySelector('video')"
        ".addEventListener('seeking', () => window.sought++); })()"
    )
    for key in "1213":
        frame = player.frame
        player.press(key, f"Digit{key}")
        player.wait_for(f"{FRAME} > {frame}")
    assert player.evaluate("window.sought") == 0
    player.press(" ", "Space")


@in_browser
def test_one_filter_of_an_address_is_that_of_both_controllers(browser, path):
    pressed = 'document.querySelectorAll(\'.label[data-key="1"][aria-pressed="true"]\').length'
    browser.show(path, fragment="#run=hopper&by=pi&labels=1&versus=hopper&versus-by=mppi")
    assert browser.evaluate(pressed) == 2
