"""The report: what it shows of planted runs, in HTML, in Markdown and in a real browser."""

import dataclasses
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from lxml import etree, html

from glassviz.cli.tables import STABILITY_COLUMNS
from glassviz.compare.compare import compare
from glassviz.errors import GlassvizError
from glassviz.gait.cycles import Cycles
from glassviz.metrics.stability import median_episode
from glassviz.report.compose import compose
from glassviz.report.html import source_hash, to_html, to_markdown, write_html, write_markdown
from glassviz.report.page import Missed
from glassviz.report.phrases import captions
from glassviz.report.sections import FRAMES, chosen_frames
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run, assess_all
from glassviz.rollout.traces import RolloutOptions
from tests.helpers.chromium import SCROLL_WIDTH
from tests.helpers.commands import invoke, loaded, run_python
from tests.helpers.fake_renderer import FakeRenderer, NoRenderer
from tests.helpers.planted_runs import HOP, KNEE, STILL, UNLOCKED, planted, with_soft
from tests.helpers.traces import clock_trace

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}|`*[x](javascript:y)'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two controllers of one run, a broken file, a run without labels, and a hostile name."""
    folder = tmp_path_factory.mktemp("traces")
    with_soft(planted(HOP, HOP, HOP, name="hopper")).save(folder / "a.npz")
    with_soft(planted(KNEE, UNLOCKED, name="hopper", controller="pi")).save(folder / "b.npz")
    (folder / "c.npz").write_bytes(b"no trace")
    planted(STILL, name="plain", controller="pi", glass=False).save(folder / "d.npz")
    planted(HOP, name=HOSTILE, controller="pi").save(folder / "e.npz")
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    return assess_all([folder], RolloutOptions(), jobs=1)


@pytest.fixture(scope="module")
def page(rows):
    return compose(rows, "glassviz report x", compare(rows), open_renderer=FakeRenderer)


@pytest.fixture(scope="module")
def text(page):
    return to_html(page)


def composed(tmp_path, *traces):
    """A page of traces, whatever they hold."""
    rows = []
    for i, trace in enumerate(traces):
        path = tmp_path / f"{i}.npz"
        trace.save(path)
        rows.append(Run.of(trace, path, f"run {i}"))
    return compose(rows, "glassviz report", open_renderer=FakeRenderer)


# What the page shows ------------------------------------------------------------------------------


def test_every_row_of_the_table_is_there_and_the_broken_one_says_why(page, rows):
    assert [row.name for row in page.rows] == [row.name for row in rows]
    broken = page.rows[2]
    assert broken.anchor is None and broken.error and "expected a trace" in broken.error
    assert page.rows[0].basin == "stable-hop" and page.rows[0].tone == "good"


def test_the_labels_that_the_verdict_is_of_stand_under_the_table(page, text):
    soft = "rule nearest-prototype, τ = 0.1 (hopper)"
    [line] = page.labels
    assert line.startswith("labels: learned, ") and soft in line
    assert f"; rule nearest-prototype, τ = 0.7 ({HOSTILE})" in line and "plain" not in line
    assert (
        line
        in html.fromstring(text).xpath("//section[@aria-labelledby='all-runs']")[0].text_content()
    )


def test_a_checkpoint_has_one_card_with_its_controllers_in_it(page):
    assert [len(card.sides) for card in page.cards] == [2, 1, 1]
    assert [side.controller for side in page.cards[0].sides] == ["planner (mppi)", "policy (pi)"]


def test_the_verdict_counts_hops_and_basins_by_controller(page):
    told = " ".join(page.verdict)
    assert (
        "With the planner, the gait is hop, the labels are phase-locked, and the basin is " in told
    )
    assert "With the policy, 1 of 3 runs hops." in told
    assert f"Basins: stable-hop 1 ({HOSTILE}); unstable 2 (hopper and plain)" in told
    assert "Planner and policy differ in gait or basin for 1 run: hopper." in told
    assert "1 of 5 rows could not be assessed" in told


def test_two_traces_of_a_checkpoint_are_one_run(tmp_path):
    traces = [planted(HOP, name="twin"), planted(HOP, HOP, name="twin")]
    page = composed(tmp_path, *traces)
    assert len(page.rows) == 2 and page.verdict[0].startswith("With the planner, the gait is hop")
    for i, trace in enumerate(traces):
        trace.save(tmp_path / "traces" / f"{i}.npz")
    done = report(tmp_path / "traces", "-o", tmp_path / "r.html")
    assert "2 of 2 rows, 1 seed\n" in done.stdout


def test_the_command_is_shown_whole_and_without_control_characters(rows):
    command = f"glassviz report {'a' * 500} 'two  spaces\x1b[31m'"
    shown = compose(rows[:1], command, open_renderer=FakeRenderer).command
    assert shown == command.replace("\x1b", "?")


def test_evidence_is_the_criteria_of_the_episodes_with_their_places(page):
    groups = {group.title: group for group in page.cards[0].sides[0].evidence}
    hop = {each.name: each for each in groups["Gait hop: requires all"].criteria}
    assert all(each.met == each.episodes == 3 for each in hop.values())
    assert hop["foot_only_share"].threshold == "≥ 0.85"
    assert all(place > 0.5 for each in hop.values() for place in each.dots)
    falls = hop["falls_per_minute"]
    assert (falls.value, falls.margin, falls.dots) == ("0", "+6", (1.0, 1.0, 1.0))
    assert groups["Gait knee-walk: requires all"].folded
    locked, oscillating = (
        next(group for title, group in groups.items() if title.startswith(start))
        for start in ("Labels one label", "Labels oscillating")
    )
    assert [each.name for each in locked.criteria].count("fleiss_kappa") == 1
    assert [each.threshold for each in oscillating.criteria if each.name == "fleiss_kappa"] == [
        "≤ 0.3"
    ]
    assert not any(each.met for each in oscillating.criteria if each.name != "pairwise_agreement")


def test_every_episode_says_which_criterion_of_a_stable_hop_it_misses_first_and_by_how_much(
    tmp_path,
):
    page = composed(
        tmp_path,
        planted(HOP, UNLOCKED, KNEE),
        planted(HOP, glass=False),
    )
    rows = page.cards[0].sides[0].episodes
    assert [each.basin for each in rows] == ["stable-hop", "unstable", "unstable"]
    assert rows[0].missed is None
    loose = rows[1].missed
    assert loose.name == "fleiss_kappa"
    value, threshold, margin = (each.split()[-1] for each in loose.told.split(", "))
    assert float(margin) == pytest.approx(float(value) - float(threshold), abs=0.01)
    assert float(margin) < 0 and "≥" in loose.told
    knee = rows[2].missed
    assert knee.name == "foot_only_share" and "≥ 0.85, margin -0." in knee.told
    assert page.cards[1].sides[0].episodes[0].missed == Missed("", "no labels")
    shown = html.fromstring(to_html(page)).xpath("//*[@class='misses']")
    assert [each.text_content() for each in shown[:1]] == [f"Misses fleiss_kappa: {loose.told}."]
    assert f"fleiss\\_kappa {loose.told}" in to_markdown(page, "x")


def test_an_unmeasured_criterion_has_no_value_and_no_dot(page):
    [side] = page.cards[1].sides
    evidence = [each for group in side.evidence for each in group.criteria]
    unmeasured = [each for each in evidence if each.name == "period_cv"]
    assert unmeasured and all(
        (each.value, each.dots, each.met) == ("–", (), 0) for each in unmeasured
    )


def test_the_answers_are_what_was_planted(page):
    answers = {each.question: each.text for each in page.cards[0].sides[0].answers}
    assert answers["Forward or in place?"].startswith("Forward in 3 of 3 episodes")
    assert answers["Rhythmic?"].startswith("Rhythmic in 3 of 3 episodes; mean cycle 0.40 s")
    assert answers["How does it fall?"] == "It never falls."
    assert answers["Hops per second?"].startswith("2.5")
    assert answers["How many labels?"].startswith(
        "4 of 8 have more than 1 % of frames: 0, 1, 2, 3."
    )
    assert "0→1→2→3" in answers["In step with the gait?"] and answers[
        "In step with the gait?"
    ].startswith("In step in 3 of 3")
    assert "(3 pairs)" in answers["Same phase map in all episodes?"]
    assert "0 of 3 episodes" in answers["One label nearly all the time?"]
    plain = {each.question: each.text for each in page.cards[1].sides[0].answers}
    assert plain["Forward or in place?"].startswith("In place in 1 of 1 episode; on average ")
    assert not any("label" in question or "phase" in question for question in plain)


def test_how_far_an_episode_got_says_of_each_whether_it_fell(tmp_path):
    falling = replace(HOP, falls=1)
    page = composed(tmp_path, planted(falling, HOP, falling))
    [text] = [each.text for each in page.cards[0].sides[0].answers if "How far" in each.question]
    entries, spared = text.removeprefix("By episode: ").split(". ")
    fallen, whole, last = entries.split(", ")
    assert whole.endswith(" m (no fall)") and spared == "No fall in 1 of 3."
    assert all(re.fullmatch(r"\d+\.\d m \(\d+\.\d s\)", each) for each in (fallen, last))
    assert float(whole.split()[0]) > float(fallen.split()[0])


def test_recorded_returns_stand_beside_the_fresh_ones(rows):
    from glassviz.rollout.evaluate import Recorded

    row = dataclasses.replace(rows[0], recorded=Recorded(10_000.0, 5))
    page = compose([row], "glassviz report", open_renderer=FakeRenderer)
    [answer] = [each for each in page.cards[0].sides[0].answers if "Return" in each.question]
    assert "Evaluation during training: 10000, above the interval of these episodes." in answer.text


def test_the_strip_is_two_cycles_of_the_median_episode_of_the_better_controller(page, rows):
    strip = page.cards[0].strip
    assert len(strip.pictures) == FRAMES
    better = max(rows[:2], key=lambda row: row.stability.returns.mean)
    episode = median_episode(better.stability)
    assert strip.caption.startswith(f"Episode {episode + 1} of {len(better.stability.episodes)}")
    phases = [picture.phase for picture in strip.pictures]
    assert phases[0] == 0 and None not in phases[:-1]
    assert sum(b < a for a, b in pairwise(phases) if b is not None) in (1, 2)


@pytest.mark.parametrize(
    ("starts", "ends", "first", "last", "words"),
    [
        ([10, 30, 50, 70], [30, 50, 70, 90], 30, 70, "two gait cycles"),
        ([10, 40], [30, 60], 40, 60, "one gait cycle"),
        ([], [], 0, 99, "no gait cycles"),
    ],
)
def test_frames_of_a_strip(starts, ends, first, last, words):
    cycles = Cycles(
        np.array(starts, int), np.array(ends, int), np.zeros(100), np.zeros(100, int), 0.02
    )
    frames, shown = chosen_frames(cycles, 100)
    assert (frames[0], frames[-1]) == (first, last)
    assert words in captions.strip(0, 1, "pi", shown)


def test_every_metric_that_is_shown_is_in_the_glossary(page):
    shown = {
        each.name
        for card in page.cards
        for side in card.sides
        for group in side.evidence
        for each in group.criteria
    }
    assert shown and shown | {"locking_u", "rule_agreement"} <= set(page.terms)


def test_columns_are_called_as_in_the_table_of_stability(page):
    tree = html.fromstring(to_html(page))
    titles = [each.text_content() for each in tree.xpath("//table[@id='runs']//thead//th")]
    assert titles == [*STABILITY_COLUMNS, "why"]
    assert f"| {' | '.join(titles)} |" in to_markdown(page, "x")


def test_without_opengl_the_page_is_complete_and_says_why_there_is_no_strip(rows):
    page = compose(rows[:1], "glassviz report", open_renderer=NoRenderer)
    assert page.cards[0].strip.caption == "No film strip: no OpenGL here"
    assert "no OpenGL here" in to_html(page) and "<svg" in to_html(page)


# Degenerate runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 10])
@pytest.mark.parametrize("labels", [True, False])
def test_tiny_traces_have_a_page(tmp_path, frames, labels):
    text = to_html(composed(tmp_path, clock_trace(1, frames, labels=labels)))
    assert "There are no gait cycles to draw." in text or not labels


def test_a_run_with_one_label_and_no_cycles_says_so(tmp_path):
    trace = clock_trace(2, 300)
    trace.label[:], trace.contacts[:] = 3, False
    text = to_html(composed(tmp_path, trace))
    assert "There are no gait cycles to draw." in text
    assert "No label has a complete segment." in text
    assert "in 2 of 2 episodes one label covers 80 % or more" in text
    assert "No temperature audit" in text


@pytest.mark.parametrize("plan", [STILL, replace(HOP, map=(3,))])
def test_a_temperature_audit_of_which_some_curves_are_undefined_is_drawn(tmp_path, plan):
    page = composed(tmp_path, with_soft(planted(plan)))
    [drawing] = [each for each in page.cards[0].sides[0].drawings if "audit" in each.name]
    for axes in drawing.figure.axes:
        low, high = axes.get_xlim()
        assert low < 0.02 < 2 < high


def test_one_label_is_said_where_locking_stands_and_no_label_is_a_dash(tmp_path):
    one = planted(*[replace(HOP, map=(3,))] * 2)
    sometimes = planted(HOP, replace(HOP, map=(3,)))
    knee = planted(replace(KNEE, map=(3,)))
    page = composed(tmp_path, one, planted(HOP, glass=False), sometimes, knee)
    constant, without, sometimes, knee = page.rows
    assert (knee.labels, knee.basin, knee.reason) == (
        "one label (label 3: 100%)",
        "unstable",
        "not a hop",
    )
    assert (constant.labels, constant.basin, constant.reason) == (knee.labels, "stable-hop", "")
    assert page.cards[0].sides[0].reasons == ("hop, one label",)
    assert (without.locking, without.labels, without.reason) == ("–", "none", "no labels")
    assert re.fullmatch(r"[01]\.\d\d", sometimes.locking)
    assert "1 one label" in sometimes.labels and "1 phase-locked" in sometimes.labels


def test_nothing_but_broken_runs_is_a_page():
    rows = [Failed("x", Path("x.npz"), None, "x.npz: expected a trace, found nothing")]
    page = compose(rows, "glassviz report x.npz")
    assert page.cards == () and "could not be assessed" in page.verdict[0]
    assert "expected a trace, found nothing" in to_html(page)
    assert "expected a trace, found nothing" in to_markdown(page, "x")


# HTML ---------------------------------------------------------------------------------------------


def test_the_html_is_well_formed_and_its_ids_and_links_are_sound(text):
    # As XML every tag must be closed; void elements are the only ones that HTML leaves open.
    closed = re.sub(r"<(meta|link|img|input|br|wbr)([^>]*)>", r"<\1\2/>", text)
    closed = re.sub(r"<!DOCTYPE html>|<(style|script)>.*?</\1>", "", closed, flags=re.DOTALL)
    etree.fromstring(closed.replace("&nbsp;", " "), etree.XMLParser(resolve_entities=False))
    tree = html.fromstring(text)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    links = [link.removeprefix("#") for link in tree.xpath("//@href") if link.startswith("#")]
    assert links and set(links) <= set(ids)
    used = re.findall(r"url\(#([^)]*)\)", text)
    assert set(used) <= set(ids)


def test_headings_go_down_one_level_at_a_time_and_tables_and_pictures_are_told(text):
    tree = html.fromstring(text)
    levels = [int(each.tag[1]) for each in tree.iter("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert tree.xpath("//th") and not tree.xpath("//th[not(@scope)]")
    assert tree.xpath("//img") and not tree.xpath("//img[not(@alt) or @alt='']")
    figures = tree.xpath("//figure//svg")
    assert figures and all(each.get("role") == "img" and each.get("aria-label") for each in figures)


def test_the_page_names_nothing_that_lies_elsewhere(text):
    tree = html.fromstring(text)
    sources = tree.xpath("//@src | //@href")
    assert all(each.startswith(("data:", "#")) for each in sources)
    assert "url(http" not in text and "@import" not in text
    [policy] = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    [script] = tree.xpath("//script")
    assert "default-src 'none'" in policy and f"script-src {source_hash(script.text)};" in policy


def test_hostile_names_are_text(text):
    tree = html.fromstring(text)
    assert len(tree.xpath("//script")) == 1 and not tree.xpath("//@onerror")
    assert any(HOSTILE in each.text_content() for each in tree.xpath("//article//h2"))
    assert "{{ 7 * 7 }}" in tree.text_content()


def test_labels_are_written_on_their_colours(text):
    chips = html.fromstring(text).xpath("//*[contains(@class, 'chip')][@style]")
    assert chips and all(re.fullmatch(r"(K=)?(\d+|–)", each.text_content()) for each in chips)


def test_the_same_runs_give_the_same_page(rows, text):
    again = compose(rows, "glassviz report x", compare(rows), open_renderer=FakeRenderer)
    assert to_html(again) == text


# Markdown -----------------------------------------------------------------------------------------


def test_markdown_names_its_pictures_and_they_are_there(page, tmp_path):
    write_markdown(page, tmp_path / "my report.md")
    text = (tmp_path / "my report.md").read_text()
    named = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert len(named) > FRAMES and len(set(named)) == len(named)
    files = {f"my%20report_pictures/{path.name}" for path in tmp_path.glob("*_pictures/*")}
    assert set(named) == files


def test_markdown_is_read_as_it_was_meant(page):
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    tree = html.fromstring(parser.render(to_markdown(page, "pictures")))
    [heading] = [each for each in tree.iter("h2") if "script" in each.text_content()]
    assert heading.text_content() == HOSTILE
    assert not tree.xpath("//script") and not [a for a in tree.iter("a")]
    first = tree.xpath("(//table)[1]//tr")
    assert len(first) == 1 + len(page.rows)
    assert {len(row.xpath("td|th")) for row in first} == {12}


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "name"), [(write_html, "r.html"), (write_markdown, "r.md")])
def test_nothing_is_overwritten_unasked(page, tmp_path, write, name):
    write(page, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(GlassvizError, match="--overwrite"):
        write(page, tmp_path / name)
    write(page, tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(("write", "name"), [(write_html, "r.html"), (write_markdown, "r.md")])
def test_an_interruption_leaves_nothing(page, tmp_path, write, name, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassviz.report.html.inline_svg", interrupt)
    monkeypatch.setattr("glassviz.report.html.figures.save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(page, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_next_report_sweeps_what_a_killed_process_left(page, tmp_path):
    left = (
        "import os, signal, sys; from pathlib import Path\n"
        "from glassviz.files import partial_path\n"
        "partial_path(Path(sys.argv[1]) / 'r_pictures').mkdir()\n"
        "partial_path(Path(sys.argv[1]) / 'r.md').touch()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run_python("-c", left, tmp_path, code=-signal.SIGKILL)
    assert len(list(tmp_path.iterdir())) == 2
    write_markdown(page, tmp_path / "r.md")
    assert not list(tmp_path.glob(".*"))


# The command --------------------------------------------------------------------------------------


def report(*arguments):
    return invoke("report", *arguments, code=None)


def test_the_command_writes_the_report_and_says_that_a_run_failed(folder, tmp_path):
    done = report(folder, "-o", tmp_path / "r.html")
    assert done.exit_code == 1 and "4 of 5 rows, 3 seeds" in done.stdout
    assert f"error: {folder / 'c.npz'}: expected a trace" in done.stderr
    text = (tmp_path / "r.html").read_text()
    assert "data:image/jpeg;base64," in text and "Comparison of runs" in text


def test_the_command_writes_markdown(folder, tmp_path):
    assert report(folder / "a.npz", "-o", tmp_path / "r.md").exit_code == 0
    assert (tmp_path / "r_pictures" / "run-1-frame-0.jpg").exists()
    assert "Comparison of runs" not in (tmp_path / "r.md").read_text()


@pytest.mark.parametrize("name", ["r.pdf", "r"])
def test_other_formats_are_refused(folder, tmp_path, name):
    done = report(folder / "a.npz", "-o", tmp_path / name)
    assert done.exit_code == 2 and "ends in .html or .md" in done.stderr


@pytest.mark.parametrize("there", ["r.md", "r_pictures"])
def test_an_existing_report_is_refused_before_any_work(tmp_path, there):
    (tmp_path / there).write_text("mine")
    done = report(tmp_path / "none.npz", "-o", tmp_path / "r.md")
    assert done.exit_code == 1 and f"{there}: already exists" in done.stderr


def test_figures_need_neither_jax_nor_mujoco():
    statement = "import glassviz.figures.labels, glassviz.figures.style"
    assert loaded(statement, {"jax", "mujoco"}) == set()


# A real browser -----------------------------------------------------------------------------------


def test_a_browser_shows_it_without_asking_or_complaining_or_scrolling_sideways(
    page, tmp_path, browser
):
    path = tmp_path / "r.html"
    write_html(page, path)
    for width in (360, 1600):
        for dark in (False, True):
            browser.open(path, width, dark)
            assert browser.requests == [path.as_uri()]
            assert browser.complaints == []
            assert browser.evaluate(SCROLL_WIDTH) <= width
            assert browser.evaluate("[...document.images].every(i => i.naturalWidth > 0)")


@pytest.fixture(scope="module")
def printed(page, tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("printed")
    write_html(page, folder / "r.html")
    browser.open(folder / "r.html", 1280)
    browser.pdf(folder / "r.pdf")
    return folder / "r.pdf"


def test_on_paper_closed_cards_share_pages(page, printed):
    pages = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert pages <= 4 + len(page.cards)


def words_of(pdf: Path) -> str:
    done = subprocess.run(["pdftotext", "-raw", pdf, "-"], capture_output=True, check=True)
    return re.sub(r"\s+", "", done.stdout.decode())


needs_pdftotext = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="no pdftotext on this machine"
)


@needs_pdftotext
def test_on_paper_a_closed_card_says_its_verdict_and_nothing_long(page, printed):
    text = words_of(printed)
    for side in (side for card in page.cards for side in card.sides):
        assert re.sub(r"\s+", "", side.summary) in text
        assert re.sub(r"\s+", "", side.answers[0].text) not in text
    assert re.sub(r"\s+", "", page.sources[0].facts) in text
    assert re.sub(r"\s+", "", next(iter(page.terms.values())).trap) in text


@needs_pdftotext
def test_on_paper_an_open_card_has_all_that_it_has_on_the_screen(page, tmp_path, browser):
    write_html(page, tmp_path / "r.html")
    browser.open(tmp_path / "r.html", 1280)
    browser.evaluate("[...document.querySelectorAll('article > details')].at(-1).open = true")
    browser.pdf(tmp_path / "r.pdf")
    text = words_of(tmp_path / "r.pdf")
    last = page.cards[-1].sides[-1]
    for each in last.answers:
        assert re.sub(r"\s+", "", each.text) in text
    assert re.sub(r"\s+", "", last.episodes[-1].reason) in text
    folded = [group for group in last.evidence if group.folded]
    assert folded
    for group in folded:
        assert text.count(re.sub(r"\s+", "", group.title)) == 1


# Long reports -------------------------------------------------------------------------------------


def test_cards_are_closed_where_there_are_several_and_what_they_share_is_said_once(tmp_path):
    page = composed(tmp_path, planted(HOP, name="one"), planted(HOP, UNLOCKED, name="two"))
    other = composed(tmp_path, planted(HOP, name="one"), planted(UNLOCKED, name="two"))
    [episodes] = set(other.shared) - set(page.shared)
    assert episodes.startswith("1 episode of ") and page.shared
    tree = html.fromstring(to_html(other))
    cards = tree.xpath("//article/details")
    assert len(cards) == 2 and not any("open" in each.attrib for each in cards)
    for said in (" · ".join(other.shared), *(told for _, told in captions.READING)):
        assert tree.text_content().count(said) == 1, said


def test_a_single_card_is_open(rows):
    page = compose(rows[:1], "glassviz report", open_renderer=FakeRenderer)
    [card] = html.fromstring(to_html(page)).xpath("//article/details")
    assert "open" in card.attrib and page.shared == ()


@pytest.fixture
def opened(page, tmp_path, browser):
    write_html(page, tmp_path / "r.html")
    browser.open(tmp_path / "r.html", 1440)
    yield browser
    assert browser.complaints == []


ORDER = (
    "[...document.querySelectorAll('#runs tbody tr')]"
    ".map((row) => (row.cells[3] ?? row.cells[2]).textContent)"
)


def test_the_table_is_sorted_by_a_click_and_what_has_no_number_comes_last(page, opened):
    returns = [float(re.split(" ±", row.returns)[0]) for row in page.rows if row.error is None]
    for wanted in (sorted(returns, reverse=True), sorted(returns)):
        opened.evaluate("document.querySelectorAll('#runs thead button')[3].click()")
        *numbers, failed = opened.evaluate(ORDER)
        assert [float(re.split(" ±", each)[0]) for each in numbers] == wanted
        assert "expected a trace" in failed


def test_the_filter_keeps_rows_cards_and_contents_of_the_runs_that_match(page, opened):
    opened.evaluate(
        "(() => { const box = document.getElementById('filter'); box.value = 'hopper KNEE';"
        " box.dispatchEvent(new Event('input')); })()"
    )
    kept = "[...document.querySelectorAll('{}')].filter((each) => !each.hidden).length"
    assert opened.evaluate(kept.format("#runs tbody tr")) == 1
    assert opened.evaluate(kept.format("article")) == 1
    assert opened.evaluate(kept.format("li[data-run]")) == 1
    assert opened.evaluate("document.getElementById('shown').textContent") == "1 of 5 rows"


def test_a_link_opens_the_card_that_it_leads_to(page, opened):
    opened.evaluate("location.hash = '#run-2'")
    assert opened.wait_for("document.querySelector('#run-2').parentElement.open")
    assert opened.evaluate("document.querySelectorAll('article > [open]').length") == 1


def test_the_heads_of_the_table_stay_in_view(page, opened):
    moved = opened.evaluate(
        "(() => { const box = document.querySelector('.tall'); box.style.maxHeight = '120px';"
        " box.scrollTop = 80; return box.querySelector('th').getBoundingClientRect().top -"
        " box.getBoundingClientRect().top; })()"
    )
    assert moved == pytest.approx(1, abs=1.5)
