"""The interactive report: its data, its one file, and the command that writes it."""

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from lxml import html

from glassviz.compare import matching as matcher
from glassviz.metrics.agreement import Matching
from glassviz.metrics.stability import assess
from glassviz.report.interactive import page as interactive_page
from glassviz.report.interactive.html import (
    SCRIPTS,
    bundle,
    embedded_json,
    films_beside,
    to_html,
    write,
)
from glassviz.report.interactive.page import NO_STATE, LabelMatch, chosen_episodes, graph_of
from glassviz.rollout.run import Labelling, assess_all
from glassviz.rollout.traces import RolloutOptions
from tests.helpers.commands import invoke
from tests.helpers.interactive_page import (
    LONG_HOP,
    ORDER,
    SHOWN,
    composed,
    save_traces,
)
from tests.helpers.planted_runs import planted, sha256_of

ONE, TWO = sha256_of("one"), sha256_of("two")
VENDOR = Path(__file__).parents[3] / "glassviz/report/vendor/echarts"


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """The traces of `folder`, but of 300 frames: of these pages nobody looks at the frames."""
    folder = tmp_path_factory.mktemp("brief")
    save_traces(folder, frames=300)
    return folder


@pytest.fixture(scope="module")
def text(page):
    return to_html(page)


# What the page shows ------------------------------------------------------------------------------


def test_a_page_has_every_run_and_the_table_names_the_broken_one(page):
    assert [(run.name, run.controller) for run in page.runs] == [
        ("hopper", "mppi"),
        ("hopper", "pi"),
        ("plain", "pi"),
        (SHOWN, "pi"),
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
    run = assess(planted(LONG_HOP, LONG_HOP, LONG_HOP, LONG_HOP, LONG_HOP))
    order = sorted(range(5), key=lambda e: run.episodes[e].episode_return)
    assert chosen_episodes(run, 1) == (order[2],)
    assert chosen_episodes(run, 3) == (order[0], order[2], order[4])
    assert sorted(chosen_episodes(run, 9)) == list(range(5))


def test_the_graph_counts_switches_and_darkens_the_heaviest_cycle():
    state = np.array([[0, 0, 1, 2, 0, 1, 2, 0, 2, NO_STATE, 1]], np.uint8)
    phase = np.zeros(state.shape, np.float32)
    graph = graph_of(state, phase, [5, 0, 7])
    counts = {(each.source, each.target): each.count for each in graph.edges}
    assert counts == {(0, 1): 2, (1, 2): 2, (2, 0): 2, (0, 2): 1}
    assert {key for key, each in zip(counts, graph.edges, strict=True) if each.main} == {
        (0, 1),
        (1, 2),
        (2, 0),
    }
    assert sum(each.share for each in graph.edges) == pytest.approx(1)
    assert "5→0→7→5, with 86 % of the switches" in graph.caption


def test_nodes_stand_clockwise_in_the_order_of_the_gait_cycle():
    state = np.array([[2, 2, 0, 0, 1, 1, 3]], np.uint8)
    phase = np.array([[0.0, 0.1, 0.3, 0.4, 0.6, 0.7, np.nan]], np.float32)
    places = graph_of(state, phase, range(4)).xy
    assert places[2] == pytest.approx((0, 1)) and places[0] == pytest.approx((1, 0))
    assert places[1] == pytest.approx((0, -1)) and places[3] == pytest.approx((-1, 0))


def test_labels_of_two_checkpoints_are_matched_by_their_phase(twins):
    [found] = twins.matches
    assert {found.one, found.other} == {ONE, TWO}
    assert dict(found.pairs) == {str(k): str(ORDER[k]) for k in range(4)}
    assert "gait phase" in found.told and "similarity 1.00" in found.told


def test_labels_are_matched_by_observations_where_the_checkpoints_are_at_hand(
    twins_folder, monkeypatch
):
    rows = assess_all([twins_folder], RolloutOptions(), jobs=1)
    matching = Matching(np.array([-1, 3, 1]), np.array([0, 0.5, 0.4]))
    frames = np.zeros(1900, np.int64)
    found = matcher.LabelMatches(
        names={Labelling(ONE, None, "soft"): "A", Labelling(TWO, None, "soft"): "B"},
        clusters={"A": 4, "B": 3},
        pairs=(matcher.LabelMatch("B", "A", matcher.MatchedBy.OBSERVATIONS, matching, 0.75),),
        probe_set=matcher.ProbeSet(np.zeros((1900, 3), np.float32), frames, frames, frames),
        labels={"A": frames, "B": frames},
        obstacle=None,
    )
    monkeypatch.setattr(interactive_page, "match_labels", lambda rows: found)
    assert interactive_page.matches_of(rows) == (
        LabelMatch(
            TWO,
            ONE,
            (("1", "3"), ("2", "1")),
            "matched on 1,900 observations of both, which agree on 75 %",
        ),
    )


def test_labels_of_one_checkpoint_need_no_matching(page):
    assert page.matches == ()


def test_without_opengl_there_are_no_films_and_the_page_says_why(filmless, tmp_path):
    assert not filmless.films and filmless.no_films == "no OpenGL here"
    assert filmless.runs[0].shown[0].film is None
    write(filmless, tmp_path / "r.html")


# One file -----------------------------------------------------------------------------------------


def embedded(text: str, name: str) -> str:
    [found] = html.fromstring(text).xpath(f"//script[@id='{name}']")
    return found.text


def test_data_are_read_back_as_they_were(page):
    films = {key: f"the film {key}".encode() for key in page.films}
    page = dataclasses.replace(page, films=films)
    text = to_html(page)
    data = json.loads(embedded(text, "data"))
    told, run = data["runs"][3], page.runs[3]
    assert told["name"] == SHOWN
    values = np.frombuffer(base64.b64decode(told["shown"][0]["height"]), "<f4")
    assert (values == run.shown[0].height).all()
    for key, film in page.films.items():
        assert base64.b64decode(embedded(text, f"film-{key}")) == film


def test_nothing_from_a_file_is_markup(text):
    tree = html.fromstring(text)
    assert not tree.xpath("//@onerror") and "alert(1)" not in "".join(
        script.text or "" for script in tree.xpath("//script[not(@id)]")
    )
    assert any(SHOWN[:20] in each.text_content() for each in tree.xpath("//tbody//button"))
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


def test_the_same_runs_give_the_same_page(brief):
    films = re.compile(r'<script type="text/plain".*?</script>')
    one, other = (films.sub("", to_html(composed(brief))) for _ in range(2))
    assert one == other


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
    return invoke("report", "--map", "pca", *arguments, code=None)


@pytest.fixture
def fake_films(monkeypatch):
    monkeypatch.setattr("glassviz.report.interactive.page.Projectionist.film", _film)


def _film(self, trace, episode, on_frame=lambda: None):
    return b"a film"


def test_the_command_writes_the_page(brief, tmp_path, fake_films):
    done = report(brief, "--interactive", "-o", tmp_path / "r.html")
    assert done.exit_code == 1 and "4 of 5 rows, 3 seeds" in done.stdout
    assert not films_beside(tmp_path / "r.html").exists()


def test_films_may_lie_beside_the_page(brief, tmp_path, fake_films):
    arguments = (
        brief / "a.npz",
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


def test_a_page_that_is_written_again_leaves_no_old_films(brief, tmp_path, fake_films):
    options = ("--interactive", "--link", "--overwrite", "-o", tmp_path / "r.html")
    assert report(brief / "a.npz", *options).exit_code == 0
    [old] = (tmp_path / "r_films").iterdir()
    kept = {tmp_path / "r_films" / name for name in ("holiday.mp4", "0-1.mp4", f"{old.stem}.gif")}
    for path in kept:
        path.write_bytes(b"the user's")
    assert report(brief / "b.npz", *options).exit_code == 0
    [new] = set((tmp_path / "r_films").iterdir()) - kept
    assert new.stem in (tmp_path / "r.html").read_text() and new != old


def test_links_need_an_interactive_page_and_that_is_html(brief, tmp_path):
    assert report(brief / "a.npz", "--link", "-o", tmp_path / "r.html").exit_code == 2
    done = report(brief / "a.npz", "--interactive", "-o", tmp_path / "r.md")
    assert done.exit_code == 2 and "ends in .html" in done.stderr


def test_a_page_of_failures_says_so(brief, tmp_path):
    done = report(brief / "c.npz", "--interactive", "-o", tmp_path / "r.html")
    assert done.exit_code == 1
    tree = html.fromstring((tmp_path / "r.html").read_text())
    assert "expected a trace" in tree.text_content() and not tree.xpath("//script")
