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
from glassviz.figures.returns import (
    HOPPER_HOP_POLICY,
    TITLES,
    curves_caption,
    learning_curves,
    short,
)
from glassviz.figures.style import save
from glassviz.ledger.curves import Curve, Run, grouped, read_run, read_runs
from tests.helpers.commands import invoke
from tests.helpers.log_trees import log

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
        Curve(1, "pi", (250_000, 500_000), (3.0, 50.0), restarts=(500_000,)),
        Curve(1, "mppi", (250_000, 500_000), (10.5, 60.0), restarts=(500_000,)),
        Curve(2, "pi", (250_000, 1_000_000), (1.0, 300.0)),
    )
    assert run.seeds == 2


@given(st.dictionaries(st.integers(0, 10**7), st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_every_evaluation_comes_back(tmp_path_factory, points):
    folder = tmp_path_factory.mktemp("run")
    write(folder, 3, *(f"{step},{reward},pi,3" for step, reward in sorted(points.items())))
    [curve] = read_run(folder, "run").curves
    assert list(zip(curve.x, curve.y, strict=True)) == sorted(points.items())


def curves_of(folder: Path) -> tuple[list[tuple[tuple[int, ...], tuple[float, ...]]], list[str]]:
    """Steps and returns of each curve, and the remarks."""
    told: list[str] = []
    curves = read_run(folder, "run", told.append).curves
    return [(curve.x, curve.y) for curve in curves], told


def test_of_two_evaluations_at_a_step_the_later_line_counts(tmp_path):
    write(tmp_path, 1, "100,1.0,pi,1", "200,2.0,pi,1", "200,9.0,pi,1", "300,3.0,pi,1")
    assert curves_of(tmp_path) == ([((100, 200, 300), (1.0, 9.0, 3.0))], [])


def test_what_a_resumed_training_logs_again_replaces_what_was_lost(tmp_path):
    rows = [f"{step},{step}.0,{kind},1" for step in (100, 200, 300, 400) for kind in ("pi", "mppi")]
    again = [f"{step},1.0,{kind},1" for step in (300, 350) for kind in ("pi", "mppi")]
    path = write(tmp_path, 1, *rows, *again)
    curves, [remark] = curves_of(tmp_path)
    assert curves == [((100, 200, 300, 350), (100.0, 200.0, 1.0, 1.0))] * 2
    assert remark.startswith(f"{path}, line 10: steps go back from 400 to 300: ")


def test_two_trainings_in_one_file_are_two_curves_and_a_warning(tmp_path):
    path = write(
        tmp_path, 9, "250,1.0,pi,9", "250,2.0,mppi,9", "500,3.0,pi,9", "500,4.0,mppi,9",
        "400,,restart_1,9", "1000,5.0,pi,9", "1000,6.0,mppi,9", "250,0.1,pi,9", "250,0.2,mppi,9",
        "500,0.3,pi,9",
    )  # fmt: skip
    told: list[str] = []
    run = read_run(tmp_path, "run", told.append)
    assert [(c.training, c.controller, c.y) for c in run.curves] == [
        (1, "pi", (1.0, 5.0)),
        (1, "mppi", (2.0, 6.0)),
        (2, "pi", (0.1, 0.3)),
        (2, "mppi", (0.2,)),
    ]
    assert [curve.restarts for curve in run.curves] == [(400,)] * 2 + [()] * 2
    assert {curve.trainings for curve in run.curves} == {2} and run.seeds == 1
    assert told[-1].startswith(f"{path}, line 9: steps go back from 1000 to 250: training 2 ")
    [legend] = learning_curves([run]).legends
    assert [text.get_text() for text in legend.get_texts()][:2] == [
        "run (seed 9, training 1 of 2)",
        "run (seed 9, training 2 of 2)",
    ]


def test_two_trainings_that_wrote_at_the_same_time_are_told_apart(tmp_path):
    first = [f"{step},{step}.0,pi,1" for step in range(250, 2001, 250)]
    both = [
        f"{step + late},{(step + late) * sign}.0,pi,1"
        for step in range(250, 2001, 250)
        for late, sign in ((0, -1), (2000, 1))
    ]
    write(tmp_path, 1, *first, *both)
    curves, [_] = curves_of(tmp_path)
    for (steps, returns), last, sign in zip(curves, (4000, 2000), (1, -1), strict=True):
        assert steps == tuple(range(250, last + 1, 250))
        assert returns == tuple(float(sign * step) for step in steps)


def test_a_later_training_with_other_intervals_does_not_go_on_with_the_first(tmp_path):
    first = [f"{step},1.0,pi,1" for step in range(250, 2001, 250)]
    second = [f"{step},2.0,pi,1" for step in range(300, 3001, 300)]
    write(tmp_path, 1, *first, *second)
    curves, [_] = curves_of(tmp_path)
    assert [set(returns) for _, returns in curves] == [{1.0}, {2.0}]


VARIANTS = {
    "spaces": ("step, reward, eval_type, seed ", "250000, 5.0, pi, 9"),
    "quotes": ('"step","reward","eval_type","seed"', '"250000","5.0","pi","9"'),
    "a byte order mark": ("\ufeffstep,reward,eval_type,seed", "250000,5.0,pi,9"),
    "another order": ("seed,step,eval_type,reward", "9,250000,pi,5\n"),
    "more columns": ("step,reward,eval_type,seed,wall", "250000,5,pi,9,33.5"),
    "upper case": ("Step,Reward,EVAL_TYPE,seed", "250000,5,PI,9"),
    "semicolons": ("step;reward;eval_type;seed", "250000;5.0;pi;9"),
    "tabs": ("step\treward\teval_type\tseed", "250000\t5.0\tpi\t9"),
    "a step with a fraction of zero": (HEADER, "250000.0,5.0,pi,9"),
    "a step with an exponent": (HEADER, "2.5e5,5.0,pi,9"),
    "a line break of Windows": (f"{HEADER}\r", "250000,5.0,pi,9\r\n"),
    "blank lines": (HEADER, "\n250000,5.0,pi,9\n\n \n"),
    "other evaluations": (HEADER, "250000,5.0,pi,9\n10,,jumpy,9\n20,nan,arb,9\n"),
}


@pytest.mark.parametrize("lines", VARIANTS.values(), ids=VARIANTS)
def test_a_log_is_read_however_it_was_written(tmp_path, lines):
    (tmp_path / "seed_9.csv").write_text("\n".join(lines), newline="")
    assert curves_of(tmp_path) == ([((250_000,), (5.0,))], [])


@pytest.mark.parametrize("value", ["nan", "NaN", "", "inf", "-inf", "1e999", "1e308"])
def test_a_return_that_is_no_number_is_a_gap_with_a_note(tmp_path, value):
    path = write(
        tmp_path, 1, "100,1.0,pi,1", f"200,{value},pi,1", "300,3.0,pi,1", "300,9,restart_1,1"
    )
    [(steps, returns)], [remark] = curves_of(tmp_path)
    assert steps == (100, 200, 300) and np.isnan(returns[1])
    assert remark.startswith(f"{path}, line 3: the return is no finite number")
    axes = learning_curves([read_run(tmp_path, "x")]).axes[0]
    dots, crosses = (np.stack(line.get_data(), axis=1).tolist() for line in axes.lines[1:])
    assert dots == [[100.0, 1.0], [300.0, 3.0]]
    assert crosses == [[300.0, 3.0]]


def test_returns_below_zero_are_seen(tmp_path):
    write(tmp_path, 1, "100,-5.0,pi,1", "200,-7.0,pi,1")
    low, high = learning_curves([read_run(tmp_path, "x")]).axes[0].get_ylim()
    assert low < -7 and high > -5


def test_zeros_of_a_power_cut_at_the_end_are_left_out(tmp_path):
    write(tmp_path, 1, "100,1.0,pi,1", "\0" * 40, end="")
    curves, [remark] = curves_of(tmp_path)
    assert curves == [((100,), (1.0,))] and "seed_1.csv, line 3: incomplete" in remark


@pytest.mark.parametrize("cut", ["200", "200,2.", "200,2.5,p", "200,,pi,1"])
def test_a_last_line_that_is_still_being_written_is_left_out(tmp_path, cut):
    write(tmp_path, 1, "100,1.0,pi,1", cut, end="")
    [curve] = read_run(tmp_path, "run").curves
    assert curve.x == (100,)


@pytest.mark.parametrize(
    "row",
    [
        *(
            "200,2.5,pi",
            "200,high,pi,1",
            "2.5,1.0,pi,1",
            "nan,1.0,pi,1",
            "-1,1.0,pi,1",
            "200,1_0,pi,1",
        ),
        *(f"{10**23 - 1},1.0,pi,1", f"{2**63},1.0,pi,1", f"{'9' * 5000},1.0,pi,1", "1e99,1.0,pi,1"),
        *(
            "<<<<<<< HEAD",
            "\0" * 9,
            '200,"2.5,pi,1',
            "200,2.5,pi,1,7",
            "200,2.5,pi,2",
            "200,2.5,,1",
        ),
    ],
)
def test_a_broken_line_is_named_with_its_number(tmp_path, row):
    path = write(tmp_path, 1, "100,1.0,pi,1", row, "300,1.0,pi,1")
    with pytest.raises(GlassvizError, match=rf"{re.escape(str(path))}, line 3: expected step"):
        read_run(tmp_path, "run")


def test_folders_without_a_log_or_an_evaluation_are_named(tmp_path, folder):
    with pytest.raises(GlassvizError, match=r"no such folder: .*nowhere, expected a run folder"):
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
    with pytest.raises(GlassvizError, match=r"seed_1\.csv, line 1: expected a log in UTF-8"):
        read_run(tmp_path, "x")


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    folders = [tmp_path / name for name in ("a/hop", "b/hop", "b/stand")]
    for each in folders:
        write(each, 1, "100,1.0,pi,1")
    assert [run.name for run in read_runs(folders)] == ["a/hop", "b/hop", "stand"]


def test_a_folder_of_run_folders_stands_for_them(tmp_path):
    for name in ("runs/hop", "runs/stand", "alone"):
        write(tmp_path / name, 1, "100,1.0,pi,1")
    (tmp_path / "runs" / "notes").mkdir()
    found = read_runs([tmp_path / "runs", tmp_path / "alone"])
    assert [run.name for run in found] == ["hop", "stand", "alone"]


def lines_of(figure, title):
    """Data of the lines with more than one point in the panel with this title."""
    [axes] = [axes for axes in figure.axes if axes.get_title("left") == title]
    return [line for line in axes.lines if len(line.get_xdata()) > 1]


def test_a_line_a_seed_and_a_colour_a_run(folder, tmp_path):
    write(tmp_path / "stand", 5, "250000,7.0,pi,5", "500000,8.0,pi,5")
    figure = learning_curves(read_runs([folder, tmp_path / "stand"]), statistic=None)
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


def evaluated(seed: int, *returns: float, last: int = 300) -> Curve:
    steps = np.linspace(0, last, len(returns)).astype(int).tolist()
    return Curve(seed, "pi", tuple(steps), returns)


def test_the_mean_over_seeds_has_its_interval_and_the_seeds_are_thin_behind_it():
    run = Run("hop", (evaluated(1, 0.0, 10.0, 20.0, 30.0), evaluated(2, 0.0, 30.0, last=300)))
    axes = learning_curves([run], ["pi"]).axes[0]
    *seeds, mean = [line for line in axes.lines if len(line.get_xdata()) > 1]
    assert len(seeds) == 2 and all(line.get_linewidth() < mean.get_linewidth() for line in seeds)
    assert mean.get_xdata().tolist() == [0, 100, 200, 300]
    assert mean.get_ydata().tolist() == [0, 10, 20, 30]
    [band] = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(30)
    assert "95 % Student's t interval" in curves_caption([run])
    few = learning_curves([run], ["pi"], statistic="iqm").axes[0]
    assert not few.collections, "an interquartile mean needs four seeds"
    many = Run("hop", tuple(evaluated(seed, 0.0, float(seed)) for seed in range(8)))
    *_, middle = [each for each in learning_curves([many], ["pi"], statistic="iqm").axes[0].lines]
    assert middle.get_ydata().tolist() == [0, 3.5]


def test_smoothing_averages_neighbouring_evaluations_of_a_seed_and_keeps_gaps():
    run = Run("hop", (evaluated(1, 0.0, 3.0, float("nan"), 6.0, 9.0),))
    [line] = lines_of(learning_curves([run], ["pi"], smooth=3), TITLES["pi"])
    assert np.array_equal(line.get_ydata(), [1.5, 1.5, np.nan, 7.5, 7.5], equal_nan=True)


def test_runs_of_a_group_are_one_run_with_all_their_seeds():
    runs = [Run(name, (evaluated(1, 0.0, 1.0),), "hopper-hop") for name in ("a-1", "b", "a-2")]
    group, other = grouped(runs, ["a-*"])
    assert (group.name, group.seeds, group.task, other.name) == ("a-*", 2, "hopper-hop", "b")
    with pytest.raises(UsageError, match=r"'c\*', which fits none of a-1, b"):
        grouped(runs, ["c*"])


def test_a_run_that_started_from_another_agent_begins_where_that_one_stopped(tmp_path):
    write(tmp_path, 1, "100,1.0,pi,1", "150,,restart_1,1", "200,2.0,pi,1")
    (tmp_path / "seed_1").mkdir()
    record = tmp_path / "seed_1" / "run.json"
    record.write_text('{"starts": [{"init": {"name": "a", "sha256": "b", "env_steps": 1000}}]}')
    [curve] = read_run(tmp_path, "x").curves
    assert (curve.x, curve.restarts, curve.begins) == ((1100, 1200), (1150,), 1000)
    for text in ("{", '{"starts": []}', '{"starts": [{"init": {"env_steps": -5}}]}'):
        record.write_text(text)
        assert read_run(tmp_path, "x").curves[0].begins == 0


def test_the_command_shows_the_range_and_the_caption_that_are_asked_for(folder, tmp_path):
    out = tmp_path / "a.svg"
    code, _ = run(
        folder, "-o", out, "--xlim", ":5e5", "--ylim", "0:100", "--no-caption", "--no-legend"
    )
    assert code == 0 and "1M" not in out.read_text() and "hop (2" not in out.read_text()
    assert "over the seeds" in (tmp_path / "a.caption.txt").read_text()
    for option, value in (
        ("--xlim", "5"),
        ("--ylim", "7:3"),
        ("--xlim", "a:b"),
        ("--group", "none*"),
    ):
        code, text = run(folder, "-o", tmp_path / "b.svg", option, value)
        assert code == 2 and text.splitlines()[-1].startswith(f"error: {option}: expected a ")
    for option, value in (
        ("--width", "5"),
        ("--font", "No Such Font"),
        ("--font", "DejaVu Sans/x"),
    ):
        code, text = run(folder, "-o", tmp_path / "b.svg", option, value)
        assert code == 2 and text.startswith(f"error: {option}: expected a")
    assert not (tmp_path / "b.svg").exists()


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
    runs = [read_run(folder, "hop")]
    figure = learning_curves(runs, published=HOPPER_HOP_POLICY, statistic=None)
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
        "381 published hopper-hop runs: quartiles, median"
    ]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("HopperHop", "hopper-hop"),
        ("HopperHop_phased_v1_noise040", "hopper-hop"),
        ("hopper-hop_1b", "hopper-hop"),
        ("HopperStand_x", "hopper-stand"),
        ("CheetahRun", "cheetah-run"),
        ("Hopperhop", None),
        ("run", None),
        ("re-run", None),
    ],
)
def test_a_runs_task_is_in_the_name_of_its_folder(tmp_path, name, task):
    write(tmp_path / name, 1, "1000000,1.0,pi,1")
    run = read_run(tmp_path / name, "x")
    assert run.task == task
    figure = learning_curves([run], published=HOPPER_HOP_POLICY)
    assert bool(figure.axes[0].collections) == (task in (None, "hopper-hop"))


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ('{"agent": {"env": {"task": "hopper-stand"}}}', "hopper-stand"),
        ('{"agent": 7}', "hopper-hop"),
        ("[" * 5000, "hopper-hop"),
    ],
)
def test_a_runs_configuration_knows_its_task_best(tmp_path, text, task):
    folder = tmp_path / "HopperHop"
    write(folder, 1, "1000000,1.0,pi,1")
    (folder / "seed_1").mkdir()
    (folder / "seed_1" / "train.json").write_text(text)
    assert read_run(folder, "x").task == task


def test_published_returns_are_shown_beside_runs_of_their_task_alone(tmp_path):
    for name in ("HopperHop_a", "CheetahRun", "run"):
        write(tmp_path / name, 1, "1000000,1.0,pi,1")

    def shown(*names: str) -> tuple[bool, str]:
        out = tmp_path / "curves.svg"
        folders = [tmp_path / name for name in names if not name.startswith("-")]
        options = [name for name in names if name.startswith("-")]
        code, text = run(*folders, *options, "-o", out, "--overwrite")
        assert code == 0
        return "381 published hopper-hop runs" in out.read_text(), text

    assert shown("HopperHop_a")[0] and shown("run", "--published")[0]
    for names in (["CheetahRun"], ["HopperHop_a", "CheetahRun"], ["CheetahRun", "--published"]):
        there, text = shown(*names)
        assert not there and "left out beside CheetahRun (task cheetah-run)" in text
        assert "--published draws them" not in text
    there, text = shown("run")
    assert not there and "run (task unknown); --published draws them" in text


def test_folders_that_cannot_be_read_are_named_and_the_others_drawn(folder, tmp_path):
    write(tmp_path / "broken", 1, "what")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "curves.png"
    code, text = run(tmp_path / "broken", folder, tmp_path / "empty", "-o", out)
    assert code == 1 and out.exists() and f"{out}: 2 seeds of 1 run\n" in text
    assert f"error: {tmp_path / 'broken' / 'seed_1.csv'}, line 2: expected " in text
    assert f"error: {tmp_path / 'empty'}: expected a run folder" in text


@pytest.mark.parametrize("count", [1, 3, 12, 25, 69])
@pytest.mark.parametrize("length", [5, 90])
def test_a_legend_of_many_runs_fits_its_figure(count, length):
    stem = "remote_mirror/HopperHop_phase" + "x" * length
    runs = [
        Run(f"{stem}{i}_df9bfb1-dirty", (Curve(i, "pi", (0, 10), (0.0, 1.0)),))
        for i in range(count)
    ]
    figure = learning_curves(runs)
    figure.draw_without_rendering()
    [legend] = figure.legends
    inside = figure.bbox.padded(1)
    boxes = [text.get_window_extent() for text in legend.get_texts()]
    assert all(inside.contains(*corner) for box in boxes for corner in (box.min, box.max))
    texts = [text.get_text().replace("\n", "") for text in legend.get_texts()]
    title = legend.get_title().get_text().replace("\n", "").removesuffix(" …")
    for text, each in zip(texts, runs[:24], strict=False):
        assert title + text == f"{each.name} (1 seed)"
    assert count <= 24 or texts[-1].startswith(f"and {count - 24} more")
    assert all(axes.get_window_extent().height > 60 for axes in figure.axes)


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
    run = Run("pi only", (Curve(1, "pi", (0,), (0.0,)),))
    figure = learning_curves([run])
    assert [text.get_text() for text in figure.axes[1].texts] == ["no evaluations"]


def test_many_runs_keep_apart_and_odd_names_stand_as_they_are(tmp_path):
    names = ["_first", "a$b$c", *(f"run {i}" for i in range(18))]
    runs = [Run(name, (Curve(1, "pi", (0, 10), (0.0, 1.0)),)) for name in names]
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
    code, text = run(folder, "-o", tmp_path / "new" / "curves.png", "--no-published")
    assert (code, text) == (0, f"{tmp_path / 'new' / 'curves.png'}: 2 seeds of 1 run\n")
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

    figure = learning_curves([Run("run", (Curve(1, "pi", (0,), (0.0,)),))])
    figure.text(0.5, 0.5, r"$\unknown{x}$")
    with pytest.raises(ValueError, match="unknown"):
        save(figure, path, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
    assert path.read_text() == "old"


def test_save_refuses_by_itself(folder, tmp_path):
    with pytest.raises(UsageError, match="ends in"):
        save(learning_curves([read_run(folder, "hop")]), tmp_path / "a.bmp")


# Phases of the ledger -----------------------------------------------------------------------------


def test_a_stopped_seed_is_not_carried_forward_and_half_of_the_seeds_go_on():
    curves = [evaluated(seed, 0.0, 10.0, 20.0, 30.0) for seed in (1, 2)]
    stopped = [evaluated(3, 0.0, 100.0, last=100), evaluated(4, 0.0, 90.0, 80.0, last=200)]
    axes = learning_curves([Run("hop", (*curves, *stopped))], ["pi"]).axes[0]
    mean = max(axes.lines, key=lambda line: line.get_linewidth())
    assert mean.get_xdata().tolist() == [0, 100, 200, 300]
    assert mean.get_ydata().tolist() == [0, 52.5, 40, 30]
    assert "A seed that has stopped is not carried forward" in curves_caption(
        [Run("hop", (*curves, *stopped))]
    )
    assert "carried" not in curves_caption([Run("hop", tuple(curves))])
    many = Run("hop", (curves[0], *stopped, evaluated(5, 1.0, 2.0, last=200)))
    axes = learning_curves([many], ["pi"]).axes[0]
    mean = max(axes.lines, key=lambda line: line.get_linewidth())
    assert mean.get_xdata().tolist()[-1] == 200  # one of four goes on


def test_goals_are_lines_and_the_bootstrap_is_named():
    run = Run("hop", tuple(evaluated(seed, 0.0, float(seed)) for seed in range(4)))
    axes = learning_curves([run], ["pi"], interval="bootstrap", goals=[2.0]).axes[0]
    assert any(list(line.get_ydata()) == [2.0, 2.0] for line in axes.lines)
    told = curves_caption([run], interval="bootstrap", goals=[2.0])
    assert "percentile bootstrap interval" in told and "Dashed: 2." in told


def test_a_run_keeps_its_colour_and_another_of_that_colour_is_dashed():
    curve = evaluated(1, 0.0, 1.0)
    runs = [Run(name, (curve,), None, "#112233") for name in "ab"] + [Run("c", (curve,))]
    lines = [
        line for line in learning_curves(runs, ["pi"]).axes[0].lines if line.get_marker() == "None"
    ]
    assert [line.get_color() for line in lines[:2]] == ["#112233", "#112233"]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-"]


def test_the_command_draws_phases_of_a_tree_in_the_order_of_the_patterns(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for tag in ("phasez", "phase1b_remote", "phaseg"):
        for seed in (1, 2):
            log(tmp_path / "tree" / f"HopperHop_{tag}", seed, [1.0, len(tag) + seed, 3.0])
    out = tmp_path / "phases.svg"
    chosen = ["--phase", "1b", "--phase", "z", "--goal", "500", "-o", out]
    assert "4 seeds of 2 runs" in invoke("curves", tmp_path / "tree", *chosen).output
    drawn = out.read_text()
    assert drawn.index("1b (2 seeds)") < drawn.index("z (2 seeds)") and "g (2 seeds)" not in drawn
    refused = invoke(
        "curves", tmp_path / "tree", "--phase", "nothing", "-o", out, "--overwrite", code=2
    )
    assert "fits 'nothing', found 1b, g and z" in refused.output
    refused = invoke("curves", tmp_path / "tree", "--statistic", "iqm", "--interval", "t", code=2)
    assert "--interval t is of the mean" in refused.output
