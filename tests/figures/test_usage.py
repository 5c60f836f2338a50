"""How often labels are used, by group of runs."""

import numpy as np
import pytest

from glassviz.errors import GlassvizError
from glassviz.figures.usage import caption, label_usage, usage_figure
from glassviz.report.phrases.captions import shared_colors
from glassviz.rollout.run import Run
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, planted


def written(folder, *names, **more):
    paths = []
    for name in names:
        paths.append(folder / f"{name}.npz")
        planted(HOP, HOP, name=name, **more).save(paths[-1])
    return paths


def runs_of(paths):
    from glassviz.trace import Trace

    return [Run.of(Trace.load(path), path) for path in paths]


def test_shares_are_those_of_the_frames_and_every_row_sums_to_one(tmp_path):
    runs = runs_of(written(tmp_path, "a"))
    usage = label_usage(runs)
    [rows] = usage.groups.values()
    [run] = runs
    after = np.arange(run.trace.frames) >= [[gait.opening_end] for gait in run.gaits]
    label = run.trace.label[after & (run.trace.label >= 0)]
    expected = [(label == k).mean() for k in usage.labels]
    assert np.allclose(rows, [expected]) and np.isclose(rows.sum(), 1)
    assert usage.reference is None


def test_both_controllers_of_a_checkpoint_are_two_groups_of_one(tmp_path):
    paths = written(tmp_path, "a") + written(tmp_path, "b", controller="pi")
    usage = label_usage(runs_of(paths))
    assert [len(rows) for rows in usage.groups.values()] == [1, 1]
    assert all("policy" in name or "planner" in name for name in usage.groups)


def test_labels_of_others_are_those_of_the_reference_that_they_correspond_to(tmp_path):
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    planted(HOP, HOP, name="one").save(one)
    planted(HOP, HOP, name="other", labels=range(7, -1, -1)).save(other)
    usage = label_usage(runs_of([one, other]))
    [rows] = usage.groups.values()
    assert usage.reference in ("one", "other") and len(rows) == 2
    assert np.allclose(rows[0], rows[1], atol=0.02)
    assert usage.reference in caption(usage, shared_colors)


def test_a_dot_per_checkpoint_is_drawn(tmp_path):
    usage = label_usage(runs_of(written(tmp_path, "a")))
    [axes] = usage_figure(usage).axes
    dots = [line for line in axes.lines if line.get_marker() not in ("None", None)]
    assert len(dots) == len(usage.labels)
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(k) for k in usage.labels]


def test_runs_without_labels_have_no_usage(tmp_path):
    with pytest.raises(GlassvizError, match="usage: expected runs with labels"):
        label_usage(runs_of(written(tmp_path, "plain", glass=False)))


def test_the_command_writes_one_figure_of_all_runs(tmp_path):
    paths = written(tmp_path, "a") + written(tmp_path, "b", controller="pi")
    target = tmp_path / "usage.pdf"
    done = invoke("export", *paths, "--usage", "-o", target)
    assert target.read_bytes().startswith(b"%PDF")
    assert "Share of the frames of each label" in done.stdout


def test_usage_counts_all_episodes_and_says_so(tmp_path):
    [path] = written(tmp_path, "a")
    done = invoke("export", path, "--usage", "--episode", 1, "-o", tmp_path / "a.pdf", code=2)
    assert "--usage: counts all episodes" in done.output
