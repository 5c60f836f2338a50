"""The interactive report: its data, its one file, and what it does in a real browser.

Screenshots of the browser tests are kept in the folder that GLASSVIZ_SCREENSHOTS names.
"""

import base64
import dataclasses
import hashlib
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from chromium import BROWSER, SCROLL_WIDTH, Chromium
from fake_renderer import BITS, FakeRenderer
from lxml import html
from test_stability import HOP, KNEE, STILL, UNLOCKED, planted, with_soft
from typer.testing import CliRunner

from glassviz.cli import app
from glassviz.errors import GlassvizError
from glassviz.report.interactive import compose, write
from glassviz.report.interactive.compose import chosen_episodes
from glassviz.report.interactive.graph import graph_of
from glassviz.report.interactive.html import SCRIPTS, bundle, embedded_json, films_beside, to_html
from glassviz.report.interactive.page import NO_STATE
from glassviz.runs import RolloutOptions
from glassviz.stability import assess, assess_all

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}\u2028#"
VENDOR = Path(__file__).parents[1] / "glassviz/report/vendor/echarts"

in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


class NoRenderer(FakeRenderer):
    """As on a machine without OpenGL."""

    def __init__(self, scene):
        raise GlassvizError("no OpenGL here")


def playable(trace, period=97):
    """The trace with frame t a centimetre further, and on a spiral in the latent space."""
    t = np.broadcast_to(np.arange(trace.frames), trace.label.shape)
    qpos = trace.qpos.copy()
    qpos[..., 0] = t / 100
    turn = 2 * np.pi * t / period
    latent = np.stack([np.cos(turn), np.sin(turn), t / 700], axis=-1)
    return dataclasses.replace(trace, qpos=qpos, latent=latent.astype(np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two controllers of one run, a broken file, a run without labels, and a hostile name."""
    folder = tmp_path_factory.mktemp("traces")
    hop = playable(with_soft(planted(HOP, HOP, HOP, name="hopper")))
    dataclasses.replace(hop, header=hop.header | {"controller": "mppi"}).save(folder / "a.npz")
    playable(with_soft(planted(KNEE, UNLOCKED, name="hopper"))).save(folder / "b.npz")
    (folder / "c.npz").write_bytes(b"no trace")
    plain = playable(planted(HOP, name="plain", labels=False), period=83)
    other = plain.header | {"checkpoint": plain.header["checkpoint"] | {"sha256": "1" * 64}}
    dataclasses.replace(plain, header=other).save(folder / "d.npz")
    playable(planted(STILL, name=HOSTILE)).save(folder / "e.npz")
    return folder


@pytest.fixture(scope="module")
def page(folder):
    rows = assess_all([folder], RolloutOptions(), jobs=1)
    return compose(
        rows, "glassviz report --interactive x", method="pca", open_renderer=FakeRenderer
    )


@pytest.fixture(scope="module")
def text(page):
    return to_html(page)


# What the page shows ------------------------------------------------------------------------------


def test_a_page_has_every_run_and_the_table_names_the_broken_one(page):
    assert [(run.name, run.controller) for run in page.runs] == [
        ("hopper", "mppi"),
        ("hopper", "pi"),
        ("plain", "pi"),
        (HOSTILE, "pi"),
    ]
    assert [row.anchor for row in page.rows] == ["0", "1", None, "2", "3"]
    assert "expected a trace" in (page.rows[2].error or "")


def test_states_are_labels_and_every_frame_has_its_own(page, folder):
    from glassviz.trace import Trace

    run, trace = page.runs[0], Trace.load(folder / "a.npz")
    [episode] = run.shown
    keys = np.array([state.key for state in run.states])
    assert (keys[episode.state] == trace.label[episode.number - 1].astype(str)).all()
    assert sum(state.share for state in run.states) == pytest.approx(1)


def test_without_labels_states_are_phases_of_the_gait(page):
    run = page.runs[2]
    assert {state.name for state in run.states} <= {name for name, _ in page.gait_phases}
    [episode] = run.shown
    own = episode.state != NO_STATE
    names = np.array([name for name, _ in page.gait_phases])
    told = np.array([state.name for state in run.states])
    assert (names[episode.gait[own]] == told[episode.state[own]]).all()


def test_both_controllers_of_a_checkpoint_share_a_map(page):
    assert page.runs[0].map.bounds == page.runs[1].map.bounds != page.runs[2].map.bounds


def test_episodes_are_chosen_by_their_return():
    run = assess(planted(HOP, HOP, HOP, HOP, HOP))
    order = sorted(range(5), key=lambda e: run.episodes[e].episode_return)
    assert chosen_episodes(run, 1) == (order[2],)
    assert chosen_episodes(run, 3) == (order[0], order[2], order[4])
    assert sorted(chosen_episodes(run, 9)) == list(range(5))


def test_the_graph_counts_switches_and_darkens_the_heaviest_cycle():
    state = np.array([[0, 0, 1, 2, 0, 1, 2, 0, 2, NO_STATE, 1]], np.uint8)
    phase = np.zeros(state.shape, np.float32)
    graph = graph_of(state, phase, 3)
    counts = {(each.source, each.target): each.count for each in graph.edges}
    assert counts == {(0, 1): 2, (1, 2): 2, (2, 0): 2, (0, 2): 1}
    assert {key for key, each in zip(counts, graph.edges, strict=True) if each.main} == {
        (0, 1),
        (1, 2),
        (2, 0),
    }
    assert sum(each.share for each in graph.edges) == pytest.approx(1)


def test_nodes_stand_clockwise_in_the_order_of_the_gait_cycle():
    state = np.array([[2, 2, 0, 0, 1, 1, 3]], np.uint8)
    phase = np.array([[0.0, 0.1, 0.3, 0.4, 0.6, 0.7, np.nan]], np.float32)
    places = graph_of(state, phase, 4).xy
    assert places[2] == pytest.approx((0, 1)) and places[0] == pytest.approx((1, 0))
    assert places[1] == pytest.approx((0, -1)) and places[3] == pytest.approx((-1, 0))


def test_without_opengl_there_are_no_films_and_the_page_says_why(folder, tmp_path):
    rows = assess_all([folder / "e.npz"], RolloutOptions(), jobs=1)
    page = compose(rows, "x", method="pca", open_renderer=NoRenderer)
    assert not page.films and page.no_films == "no OpenGL here"
    assert page.runs[0].shown[0].film is None
    write(page, tmp_path / "r.html")


# One file -----------------------------------------------------------------------------------------


def embedded(text: str, name: str) -> str:
    [found] = html.fromstring(text).xpath(f"//script[@id='{name}']")
    return found.text


def test_data_are_read_back_as_they_were(page, text):
    data = json.loads(embedded(text, "data"))
    told, run = data["runs"][3], page.runs[3]
    assert told["name"] == HOSTILE
    values = np.frombuffer(base64.b64decode(told["shown"][0]["height"]), "<f4")
    assert (values == run.shown[0].height).all()
    for key, film in page.films.items():
        assert base64.b64decode(embedded(text, f"film-{key}")) == film


def test_nothing_from_a_file_is_markup(text):
    tree = html.fromstring(text)
    assert not tree.xpath("//@onerror") and "alert(1)" not in "".join(
        script.text or "" for script in tree.xpath("//script[not(@id)]")
    )
    assert any(HOSTILE[:20] in each.text_content() for each in tree.xpath("//tbody//button"))
    assert "<" not in embedded_json({"a": "</script><!--"})


def test_the_policy_allows_these_scripts_and_nothing_else(text):
    tree = html.fromstring(text)
    [policy] = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy and "http" not in policy
    assert rules["media-src"] == "blob:" and rules["img-src"] == "data:"
    run = [script.text for script in tree.xpath("//script[not(@id)]")]
    run_hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'"
        for each in run
    }
    assert run_hashes == set(rules["script-src"].split())
    assert not tree.xpath("//@style") and not tree.xpath("//script/@src")
    assert all(each.startswith("data:") for each in tree.xpath("//@href | //@src"))


def test_the_same_runs_give_the_same_page(folder, text):
    rows = assess_all([folder], RolloutOptions(), jobs=1)
    again = compose(
        rows, "glassviz report --interactive x", method="pca", open_renderer=FakeRenderer
    )
    films = re.compile(r'<script type="text/plain".*?</script>')
    assert films.sub("", to_html(again)) == films.sub("", text)


def test_modules_become_one_script_with_a_scope_each():
    one = "const hidden = 1;\nexport const a = hidden;\nexport class B {}\n"
    two = 'import { a, B } from "./one.js";\nconst hidden = 2;\nexport function c() {}\n'
    told = bundle({"one": one, "two": two})
    assert "import" not in told and "export" not in told
    assert "return {a, B};" in told and "const { a, B } = module_one;" in told


def test_modules_come_after_what_they_import():
    assets = VENDOR.parents[1] / "assets"
    assert {path.stem for path in assets.glob("*.js")} == set(SCRIPTS)
    for i, name in enumerate(SCRIPTS):
        text = (assets / f"{name}.js").read_text()
        assert set(re.findall(r'from "\./(\w+)\.js"', text)) <= set(SCRIPTS[:i])


def test_the_library_is_the_published_one():
    told = (VENDOR / "README.md").read_text()
    assert hashlib.sha256((VENDOR / "echarts.min.js").read_bytes()).hexdigest() in told
    for name in re.findall(r"`((?:LICENSE|NOTICE)[\w-]*)`", told):
        assert (VENDOR / name).stat().st_size > 100


# The command --------------------------------------------------------------------------------------


def report(*arguments):
    return CliRunner().invoke(app, ["report", "--map", "pca", *map(str, arguments)])


@pytest.fixture
def fake_films(monkeypatch):
    monkeypatch.setattr("glassviz.report.interactive.films.Projectionist.film", _film)


def _film(self, trace, episode, on_frame=lambda: None):
    return b"a film"


def test_the_command_writes_the_page(folder, tmp_path, fake_films):
    done = report(folder, "--interactive", "-o", tmp_path / "r.html")
    assert done.exit_code == 1 and "4 of 5 rows, 3 checkpoints" in done.stdout
    assert not films_beside(tmp_path / "r.html").exists()


def test_films_may_lie_beside_the_page(folder, tmp_path, fake_films):
    arguments = (
        folder / "a.npz",
        "--interactive",
        "--link",
        "--films",
        2,
        "-o",
        tmp_path / "r.html",
    )
    assert report(*arguments).exit_code == 0
    films = sorted((tmp_path / "r_films").iterdir())
    assert [film.read_bytes() for film in films] == [b"a film"] * 2
    text = (tmp_path / "r.html").read_text()
    assert "film-" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    done = report(*arguments)
    assert done.exit_code == 1 and "--overwrite" in done.stderr


def test_links_need_an_interactive_page_and_that_is_html(folder, tmp_path):
    assert report(folder / "a.npz", "--link", "-o", tmp_path / "r.html").exit_code == 2
    done = report(folder / "a.npz", "--interactive", "-o", tmp_path / "r.md")
    assert done.exit_code == 2 and "ends in .html" in done.stderr


def test_a_page_of_failures_says_so(folder, tmp_path):
    done = report(folder / "c.npz", "--interactive", "-o", tmp_path / "r.html")
    assert done.exit_code == 1
    tree = html.fromstring((tmp_path / "r.html").read_text())
    assert "expected a trace" in tree.text_content() and not tree.xpath("//script")


# A real browser -----------------------------------------------------------------------------------

FRAME = "Number(document.getElementById('slider').value)"
LIVE = "document.getElementById('live').textContent"
GRAPH = "echarts.getInstanceByDom(document.querySelector('.graph .canvas'))"


class Player(Chromium):
    """The page, by what a reader does with it."""

    def show(self, path: Path, width: int = 1440, dark: bool = False, fragment: str = "") -> None:
        self.open(path, width, dark, fragment)
        self.wait_for("document.documentElement.dataset.ready")

    def seek(self, frame: int) -> None:
        self.evaluate(
            f"(() => {{ const slider = document.getElementById('slider'); slider.value = {frame};"
            " slider.dispatchEvent(new Event('input')); })()"
        )

    @property
    def frame(self) -> int:
        return self.evaluate(FRAME)

    def middle(self, selector: str) -> tuple[float, float]:
        """Middle of an element, scrolled to where the player does not cover it."""
        x, y = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const {x, y, width, height} = found.getBoundingClientRect();"
            " return [x + width / 2, y + height / 2]; })()"
        )
        return x, y

    def click_on(self, selector: str) -> None:
        self.click(*self.middle(selector))

    def picture(self) -> int:
        """The number that the film shows now."""
        self.wait_for("document.querySelector('video').readyState > 1")
        bits = self.evaluate(
            "(() => { const film = document.querySelector('video');"
            " const {videoWidth: width, videoHeight: height} = film;"
            " const canvas = Object.assign(document.createElement('canvas'), {width, height});"
            " const context = canvas.getContext('2d', {willReadFrequently: true});"
            " context.drawImage(film, 0, 0);"
            f" return Array.from({{length: {BITS}}}, (_, i) => context.getImageData("
            f"width * (0.1 + 0.8 * (i + 0.5) / {BITS}), height * 0.56, 1, 1).data[0] > 128); }})()"
        )
        return sum(1 << i for i, bit in enumerate(bits) if bit)

    def shows(self, frame: int, seconds: float = 10.0) -> bool:
        """Whether the film comes to show the number of a frame: it may have to seek first."""
        until = time.monotonic() + seconds
        while self.picture() != frame:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def keep(self, name: str, whole: bool = False) -> None:
        """Keep a screenshot, if somebody wants it."""
        if folder := os.environ.get("GLASSVIZ_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.screenshot(Path(folder) / f"{name}.png", whole)


@pytest.fixture(scope="module")
def path(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "r.html"
    write(page, path)
    return path


@pytest.fixture(scope="module")
def browser():
    with Player() as browser:
        yield browser


@pytest.fixture
def player(browser, path):
    browser.show(path)
    yield browser
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("blob:")] == [path.as_uri()]


@in_browser
@pytest.mark.parametrize("width", [360, 800, 1440])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("two", [False, True])
def test_it_fits_the_window(browser, path, width, dark, two):
    browser.show(path, width, dark, "#frame=400" + "&versus=plain" * two)
    browser.picture()
    assert browser.complaints == []
    assert browser.evaluate(SCROLL_WIDTH) <= width
    browser.keep(f"{'two' if two else 'one'}-{width}-{'dark' if dark else 'light'}", whole=True)


@in_browser
def test_the_film_shows_the_frame_that_is_asked_for(player):
    for frame in (0, 1, 9, 10, 11, 499, 500, 777, 998, 999, 3):
        player.seek(frame)
        assert player.shows(frame)


@in_browser
@pytest.mark.parametrize("mark", [".score .playhead", ".raster .cell", ".map .here"])
def test_a_click_where_a_frame_is_goes_to_that_frame(player, mark):
    for frame in (623, 250):
        player.seek(frame)
        place = player.middle(mark)
        player.seek(7)
        player.click(*place)
        assert player.frame == frame and player.shows(frame)


def visits(page, state):
    path = page.runs[0].shown[0].state
    return [t for t in range(1, len(path)) if path[t] == state != path[t - 1]]


@in_browser
def test_a_click_on_a_node_goes_to_its_next_visit(player, page):
    player.middle(".graph .box")
    for i in range(len(page.runs[0].states)):
        player.seek(300)
        x, y = player.evaluate(
            "(() => { const {x, y} = document.querySelector('.graph .canvas')"
            f".getBoundingClientRect(); const [a, b] = {GRAPH}.convertToPixel("
            f"{{xAxisIndex: 0, yAxisIndex: 0}}, {list(page.runs[0].graph.xy[i])});"
            " return [x + a, y + b]; })()"
        )
        player.click(x, y)
        assert player.frame == next(t for t in visits(page, i) if t > 300)


@in_browser
def test_a_click_on_an_arrow_goes_to_its_next_switch(player, page):
    run = page.runs[0]
    path = run.shown[0].state
    for i, edge in enumerate(run.graph.edges):
        player.middle(".graph .box")
        player.seek(300)
        # The middle of a quadratic curve, from its ends and its control point.
        x, y = player.evaluate(
            "(() => { const {x, y} = document.querySelector('.graph .canvas')"
            f".getBoundingClientRect(); const [a, b, c] = {GRAPH}.getModel().getSeriesByIndex(0)"
            f".getGraph().edges[{i}].getLayout();"
            " return [0, 1].map((k) => [x, y][k] + (a[k] + b[k] + 2 * c[k]) / 4); })()"
        )
        player.click(x, y)
        assert player.frame == next(
            t for t in range(301, 1000) if (path[t - 1], path[t]) == (edge.source, edge.target)
        )


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


@in_browser
def test_the_filter_dims_what_it_leaves_out(player):
    points = "document.querySelector('.map .canvas canvas').toDataURL()"
    all_of_them = player.evaluate(points)
    player.click_on(".label[data-key='2']")
    assert player.evaluate("document.querySelector('.label[data-key=\"2\"]').ariaPressed") == "true"
    assert player.evaluate(points) != all_of_them
    player.keep("filter")
    player.click_on(".all")
    assert player.evaluate(points) == all_of_them


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
    assert HOSTILE in browser.evaluate(
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
def test_without_films_the_clock_runs_all_the_same(folder, tmp_path, browser):
    rows = assess_all([folder / "a.npz"], RolloutOptions(), jobs=1)
    write(compose(rows, "x", method="pca", open_renderer=NoRenderer), tmp_path / "r.html")
    browser.show(tmp_path / "r.html")
    assert "no OpenGL here" in browser.evaluate("document.querySelector('.no-film').textContent")
    browser.press(" ", "Space")
    browser.wait_for(f"{FRAME} > 20")
    browser.press(" ", "Space")
    assert browser.complaints == []
