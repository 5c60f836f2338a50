"""Any name that the file system can hold works in every command, figure, page and table."""

import csv
import io
import json
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from glassviz.report.serialize import as_csv
from glassviz.rollout.batch import cut_stem, file_stem
from glassviz.text import broken, cut_middle, spelled_out
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, planted, with_soft

NAMES = {
    "long": "a-long-name-of-a-run-" * 11,
    "foreign": "\u4e2d\u6587 " + os.fsdecode(b"caf\xe9"),
    "formula": "=1+1|cmd' $x_1$",
    "control characters and markup": 'one\ntwo\x1b[31m <b>&"*a*',
}


@pytest.fixture(scope="module")
def trace():
    return with_soft(planted(HOP))


@pytest.fixture(params=NAMES)
def run(request, trace, tmp_path) -> Path:
    """A trace of an odd name, in its header and of its file."""
    name = NAMES[request.param]
    path = tmp_path / f"{name}.npz"
    checkpoint = trace.header["checkpoint"] | {"name": name}
    replace(trace, header=trace.header | {"checkpoint": checkpoint}).save(path)
    return path


def is_well_formed(path: Path) -> bool:
    ElementTree.parse(path)
    return True


def test_tables_and_json_and_csv_of_any_name(run, tmp_path):
    done = invoke("stability", run, "--json", "--out", tmp_path / "out")
    assert json.loads(done.stdout)["runs"][0]["error"] is None
    table = invoke("stability", run).output
    assert "\x1b" not in table
    [row] = csv.DictReader(io.StringIO((tmp_path / "out" / "runs.csv").read_text()))
    assert not row["run"].startswith(("=", "+", "-", "@"))


def test_a_report_of_any_name(run, tmp_path):
    for name in ("report.html", "report.md"):
        invoke("report", run, "-o", tmp_path / name)
        assert "\x1b" not in (tmp_path / name).read_text(encoding="utf-8")
    assert "<b>&" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_interactive_report_of_any_name(run, tmp_path):
    invoke("report", run, "--interactive", "--map", "pca", "-o", tmp_path / "live.html")
    assert "\x1b" not in (tmp_path / "live.html").read_text(encoding="utf-8")


def test_figures_of_any_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke("graph", run, "-o", tmp_path / "graph.svg")
    invoke("graph", run)
    invoke("graph", run, "-o", tmp_path / "graph.graphml")
    invoke("map", run, "--method", "pca", "-o", tmp_path / "map.svg")
    for path in (tmp_path / "graph.svg", tmp_path / "graph.graphml", tmp_path / "map.svg"):
        assert is_well_formed(path)
    [own] = (tmp_path / "renders").glob("graph-*.svg")
    assert is_well_formed(own) and len(os.fsencode(own.name)) < 160


def test_exports_of_any_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke("export", run, "--timeline")
    invoke("export", run, "--raster", "-o", tmp_path / "raster.png")
    assert len(list((tmp_path / "renders").iterdir())) == 1


def test_a_film_of_any_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke("render", run, "--overlay-k", "--steps", 2, "--size", "320x240")
    [film] = (tmp_path / "renders").glob("*.mp4")
    assert len(os.fsencode(film.name)) < 160
    odd = film.with_name(f"{run.stem[:200]}.gif")
    invoke("render", run, "--steps", 2, "--size", "320x240", f"--out={odd}")
    assert odd.exists() and not list(odd.parent.glob(".*"))


def test_a_name_that_no_file_can_have_is_refused_before_the_work(run):
    done = invoke("report", run, "-o", f"{'x' * 300}.html", code=1)
    assert "expected a name of at most 255 bytes" in done.stderr
    assert "the film" not in done.stderr


def test_stems_are_bounded_and_distinct():
    one, other = ("x" * 240 + each + "y" * 300 for each in "ab")
    for stem in (file_stem(one, "pi"), file_stem("\u4e2d" * 200, "pi")):
        assert len(os.fsencode(stem)) <= 120 and stem.endswith("-pi")
    assert file_stem(one) != file_stem(other)
    assert cut_stem("short") == "short"
    assert file_stem(os.fsdecode(b"\xff"), "a b\x1b").isprintable()


def test_long_names_keep_their_ends_and_long_words_are_broken():
    assert cut_middle("seed-1-of-a-long-name-best", lambda t: len(t) <= 11) == "seed-\u2026-best"
    assert broken("abcde", lambda t: len(t) <= 2) == ["ab", "cd", "e"]
    assert spelled_out("a\u4e2d\u6587b", str.isascii) == "aU+4E2D U+6587b"


@pytest.mark.parametrize("text", ["=1", "+1", "-x", "@x", "\t=1", "\r=1", " =1"])
def test_no_cell_of_a_table_is_a_formula(text):
    [_, cell] = csv.reader(io.StringIO(as_csv([{"run": text, "n": -1.5}], ["run"])))
    assert cell[0].lstrip()[0] not in "=+-@"
    assert as_csv([{"n": -1.5}]) == "n\n-1.5\n"


def test_figures_draw_what_the_fonts_have_and_spell_out_the_rest(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from glassviz.figures import style

    figure = Figure()
    figure.text(0, 0, "\u4e2d x\x1b\udcff \U0001f600")
    monkeypatch.setattr(
        style, "_font_of", lambda c, _: "DejaVu Sans" if " " <= c < "\x7f" else None
    )
    style.save(figure, tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    assert "U+4E2D" in text and "U+1F600" in text and is_well_formed(tmp_path / "figure.svg")


def test_films_spell_out_what_their_typeface_lacks():
    from glassviz.video.overlay import drawable

    assert drawable("planner (mppi) \u2026") == "planner (mppi) \u2026"
    assert drawable("\u4e2d") == "U+4E2D"


def test_no_font_of_mere_boxes_stands_in_for_a_glyph():
    from glassviz.figures import style

    assert "Last Resort" not in " ".join(style.families("\U0010fffd \u4e2d"))
