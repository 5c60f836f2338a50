"""Learning curves: read as they were logged, drawn as they were read, written like any figure."""

import re
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from glassviz.errors import GlassvizError, UsageError
from glassviz.figures.returns import HOPPER_HOP_POLICY, TITLES, learning_curves, short
from glassviz.figures.style import save
from glassviz.training.log import Curve, Run, read_run, read_runs
from tests.helpers.commands import invoke

HEADER = "step,reward,eval_type,seed"


def write(folder: Path, seed: int, *rows: str, end: str = "\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed_{seed}.csv"
    path.write_text("\n".join([HEADER, *rows]) + end)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "hop"
    write(folder, 1, "250000,10.5,mppi,1", "250000,3.0,pi,1", "500000,60.0,mppi,1",
          "500000,12.0,restart_1,1", "500000,50.0,pi,1")  # fmt: skip
    write(folder, 2, "250000,1.0,pi,2", "250000,2.0,arb,2", "1000000,300.0,pi,2")
    (folder / "seed_1_diag.csv").write_text("no log\n")
    (folder / "seed_1").mkdir()
    return folder


def test_curves_are_what_the_logs_say(folder):
    run = read_run(folder, "hop")
    assert run.curves == (
        Curve(1, "pi", (250_000, 500_000), (3.0, 50.0)),
        Curve(1, "mppi", (250_000, 500_000), (10.5, 60.0)),
        Curve(2, "pi", (250_000, 1_000_000), (1.0, 300.0)),
    )
    assert run.restarts == {1: (500_000,), 2: ()}
    assert run.seeds == 2


@given(st.dictionaries(st.integers(0, 10**7), st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_every_evaluation_comes_back_in_the_order_of_its_steps(tmp_path_factory, points):
    folder = tmp_path_factory.mktemp("run")
    write(folder, 3, *(f"{step},{reward},pi,3" for step, reward in points.items()))
    [curve] = read_run(folder, "run").curves
    assert dict(zip(curve.env_steps, curve.returns, strict=True)) == points
    assert list(curve.env_steps) == sorted(points)


def test_of_two_evaluations_at_a_step_the_later_line_counts(tmp_path):
    write(tmp_path, 1, "100,1.0,pi,1", "200,2.0,pi,1", "100,9.0,pi,1")
    [curve] = read_run(tmp_path, "run").curves
    assert curve.returns == (9.0, 2.0)


@pytest.mark.parametrize("cut", ["200", "200,2.", "200,2.5,p", "200,,pi,1"])
def test_a_last_line_that_is_still_being_written_is_left_out(tmp_path, cut):
    write(tmp_path, 1, "100,1.0,pi,1", cut, end="")
    [curve] = read_run(tmp_path, "run").curves
    assert curve.env_steps == (100,)


@pytest.mark.parametrize(
    "row", ["200,2.5,pi", "200,high,pi,1", "2e3,1.0,pi,1", "200,nan,pi,1", "-1,1.0,pi,1", ""]
)
def test_a_broken_line_is_named_with_its_number(tmp_path, row):
    path = write(tmp_path, 1, "100,1.0,pi,1", row, "300,1.0,pi,1")
    with pytest.raises(GlassvizError, match=rf"{re.escape(str(path))}, line 3: expected step"):
        read_run(tmp_path, "run")


def test_folders_without_a_log_or_an_evaluation_are_named(tmp_path, folder):
    with pytest.raises(GlassvizError, match=r"nowhere: expected a run folder .* no such folder"):
        read_run(tmp_path / "nowhere", "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GlassvizError, match=r"empty: expected a run folder .* found none"):
        read_run(tmp_path / "empty", "x")
    write(tmp_path / "early", 4)
    with pytest.raises(GlassvizError, match=r"early: expected evaluations in seed_4\.csv"):
        read_run(tmp_path / "early", "x")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_a_file_with_other_columns_is_named(tmp_path, text):
    (tmp_path / "seed_1.csv").write_text(text)
    with pytest.raises(GlassvizError, match=r"seed_1\.csv, line 1: expected the columns step,"):
        read_run(tmp_path, "x")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "seed_1.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GlassvizError, match=r"seed_1\.csv: cannot be read: it is not text"):
        read_run(tmp_path, "x")


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    folders = [tmp_path / name for name in ("a/hop", "b/hop", "b/stand")]
    for each in folders:
        write(each, 1, "100,1.0,pi,1")
    assert [run.name for run in read_runs(folders)] == ["a/hop", "b/hop", "stand"]


def lines_of(figure, title):
    """Data of the lines with more than one point in the panel with this title."""
    [axes] = [axes for axes in figure.axes if axes.get_title("left") == title]
    return [line for line in axes.lines if len(line.get_xdata()) > 1]


def test_a_line_a_seed_and_a_colour_a_run(folder, tmp_path):
    write(tmp_path / "stand", 5, "250000,7.0,pi,5", "500000,8.0,pi,5")
    figure = learning_curves(read_runs([folder, tmp_path / "stand"]))
    policy, planner = (lines_of(figure, TITLES[name]) for name in ("pi", "mppi"))
    drawn = [list(zip(*line.get_data(), strict=True)) for line in policy]
    assert drawn == [
        [(250_000, 3.0), (500_000, 50.0)],
        [(250_000, 1.0), (1_000_000, 300.0)],
        [(250_000, 7.0), (500_000, 8.0)],
    ]
    colors = [matplotlib.colors.to_hex(line.get_color()) for line in policy]
    assert colors[0] == colors[1] != colors[2]
    assert [list(line.get_ydata()) for line in planner] == [[10.5, 60.0]]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "hop (2 seeds)",
        "stand (1 seed)",
        "restart",
    ]


def test_a_restart_is_a_cross_on_its_seeds_line(folder):
    figure = learning_curves([read_run(folder, "hop")])
    crosses = [
        tuple(map(float, (*line.get_xdata(), *line.get_ydata())))
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "x" and len(line.get_xdata())
    ]
    assert crosses == [(500_000, 50.0), (500_000, 60.0)]


def test_published_quartiles_lie_behind_the_policy_alone_and_end_where_the_runs_do(folder):
    figure = learning_curves([read_run(folder, "hop")], published=HOPPER_HOP_POLICY)
    policy, planner = figure.axes
    [band] = policy.collections
    assert not planner.collections
    corners = band.get_paths()[0].vertices
    assert {(250_000, 24.0), (500_000, 1.0), (1_000_000, 10.0), (1_000_000, 307.0)} <= set(
        map(tuple, corners)
    )
    assert corners[:, 0].max() == 1_000_000
    assert band.get_zorder() < min(line.get_zorder() for line in lines_of(figure, TITLES["pi"])[:2])
    assert [text.get_text() for text in policy.get_legend().get_texts()] == [
        "381 published runs, policy: quartiles, median"
    ]


@pytest.mark.parametrize("last", [100_000, 250_112])
def test_published_quartiles_are_not_drawn_where_they_would_not_be_seen(tmp_path, last):
    write(tmp_path, 1, f"{last},1.0,pi,1")
    figure = learning_curves([read_run(tmp_path, "early")], published=HOPPER_HOP_POLICY)
    assert not figure.axes[0].collections and figure.axes[0].get_legend() is None


def test_the_published_quartiles_are_in_order():
    of = HOPPER_HOP_POLICY
    assert list(of.env_steps) == sorted(of.env_steps)
    table = np.array([of.p25, of.median, of.p75, of.best])
    assert table.shape == (4, len(of.env_steps))
    assert np.all(np.diff(table, axis=0) > 0)


def test_a_panel_without_evaluations_says_so(folder):
    run = Run("pi only", (Curve(1, "pi", (0,), (0.0,)),), {})
    figure = learning_curves([run])
    assert [text.get_text() for text in figure.axes[1].texts] == ["no evaluations"]


def test_many_runs_keep_apart_and_odd_names_stand_as_they_are(tmp_path):
    names = ["_first", "a$b$c", *(f"run {i}" for i in range(18))]
    runs = [Run(name, (Curve(1, "pi", (0, 10), (0.0, 1.0)),), {}) for name in names]
    figure = learning_curves(runs)
    save(figure, tmp_path / "many.svg")
    looks = [(line.get_color(), line.get_linestyle()) for line in lines_of(figure, TITLES["pi"])]
    assert len(set(looks)) == len(runs)
    text = (tmp_path / "many.svg").read_text()
    assert "_first (1 seed)" in text and "a$b$c (1 seed)" in text


@pytest.mark.parametrize(
    ("step", "text"), [(0.0, "0"), (500.0, "500"), (250e3, "250k"), (1.5e6, "1.5M")]
)
def test_steps_are_written_short(step, text):
    assert short(step) == text


def run(*arguments) -> tuple[int, str]:
    done = invoke("curves", *arguments, code=None)
    return done.exit_code, done.output


def test_the_command_draws_a_figure_of_column_width(folder, tmp_path):
    code, text = run(folder, "-o", tmp_path / "new" / "curves.png")
    assert (code, text) == (0, f"{tmp_path / 'new' / 'curves.png'}: 2 seeds of 1 runs\n")
    pixels = imread(tmp_path / "new" / "curves.png")
    assert pixels.shape[1] == 1003  # 85 mm at 300 dots
    assert np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0).shape[0] > 10
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_same_logs_give_the_same_file(folder, tmp_path, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        assert run(folder, "--out", path)[0] == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_fonts_are_embedded_in_a_pdf_as_truetype(folder, tmp_path):
    assert run(folder, "-o", tmp_path / "a.pdf")[0] == 0
    data = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in data and b"/Type3" not in data


def test_the_controller_option_chooses_the_panels(folder, tmp_path):
    for choice, absent in (("pi", "mppi"), ("mppi", "pi")):
        path = tmp_path / f"{choice}.svg"
        assert run(folder, "-o", path, "--controller", choice)[0] == 0
        assert TITLES[choice] in path.read_text() and TITLES[absent] not in path.read_text()
    assert run(folder, "-o", tmp_path / "bare.svg", "--no-published")[0] == 0
    assert "published" not in (tmp_path / "bare.svg").read_text()


def test_a_figure_is_not_overwritten_unless_asked(folder, tmp_path):
    path = tmp_path / "curves.svg"
    path.write_text("mine")
    code, text = run(folder, "-o", path)
    assert code == 1 and "--overwrite" in text and path.read_text() == "mine"
    assert run(folder, "-o", path, "--overwrite")[0] == 0
    assert path.read_text().startswith("<?xml")


def test_an_unknown_ending_is_refused_before_anything_is_read(tmp_path):
    code, text = run(tmp_path / "nowhere", "-o", "curves.docx")
    assert code == 2
    assert text == "error: curves.docx: expected a name that ends in .png, .pdf, .svg\n"


def test_a_broken_row_is_one_line_on_the_command_line(folder, tmp_path):
    with (folder / "seed_2.csv").open("a") as file:
        file.write("what\n")
    code, text = run(folder, "-o", tmp_path / "a.png")
    assert code == 1 and text.startswith(f"error: {folder / 'seed_2.csv'}, line 5: expected ")
    assert not (tmp_path / "a.png").exists()


def test_a_figure_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")

    figure = learning_curves([Run("run", (Curve(1, "pi", (0,), (0.0,)),), {})])
    figure.text(0.5, 0.5, r"$\unknown{x}$")
    with pytest.raises(ValueError, match="unknown"):
        save(figure, path, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
    assert path.read_text() == "old"


def test_save_refuses_by_itself(folder, tmp_path):
    with pytest.raises(UsageError, match="ends in"):
        save(learning_curves([read_run(folder, "hop")]), tmp_path / "a.bmp")
