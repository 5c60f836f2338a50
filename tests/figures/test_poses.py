"""Mean poses of labels: what is planted comes out, in the order of the gait, as a picture."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from glassviz.envs.hopper import load_model, side_view
from glassviz.errors import GlassvizError
from glassviz.figures.poses import SAMPLES, caption, mean_poses, pose_figure
from glassviz.figures.style import FigureStyle
from glassviz.gait.gait import describe
from glassviz.metrics.labels import LabelName
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, planted

NAMES = (
    LabelName(0, "stance", "stance", 1.0, 1),
    LabelName(1, "push-off", "push-off", 1.0, 1),
    LabelName(2, "flight", "flight", 1.0, 1),
    LabelName(3, "landing", "landing", 1.0, 1),
)


def posed(pitch: float = 0.0) -> Trace:
    """A hop in which each label has one pose: its knee is bent by 0.3 rad more than the last's.

    The pitch of the frames of a label alternates by 0.2 rad around `pitch`.
    """
    trace = planted(dataclasses.replace(HOP, frames=200), name="posed")
    qpos = np.zeros_like(trace.qpos)
    qpos[..., 0] = np.linspace(0, 50, trace.frames)
    qpos[..., 1] = 0.01 * trace.label
    qpos[..., 5] = 0.3 * trace.label
    for label in range(4):
        of_label = trace.label[0] == label
        turns = np.where(np.arange(of_label.sum()) % 2, 0.2, -0.2)
        qpos[0, of_label, 2] = np.angle(np.exp(1j * (pitch + turns)))
    height = 0.5 + 0.1 * trace.label
    speed = 1.0 * trace.label
    return dataclasses.replace(trace, qpos=qpos, height=height, speed=speed)


def poses_of(trace: Trace, names=NAMES):
    gaits = [describe(planted(dataclasses.replace(HOP, frames=200), name="posed"), 0)]
    return mean_poses(trace, gaits, names, [0]), gaits[0].opening_end


def test_the_pose_of_each_label_is_the_mean_of_its_frames():
    trace = posed()
    poses, begin = poses_of(trace)
    counts = np.bincount(trace.label[0, begin:])
    for pose in poses:
        assert pose.frames == counts[pose.label]
        assert pose.share == pytest.approx(counts[pose.label] / counts.sum())
        assert pose.mean[[0, 1, 5]] == pytest.approx([0, 0.01 * pose.label, 0.3 * pose.label])
        assert pose.height_m == pytest.approx((0.5 + 0.1 * pose.label, 0.0))
        assert pose.speed_mps == pytest.approx((pose.label, 0.0))
        assert len(pose.samples) == min(SAMPLES, pose.frames)
        assert pose.samples[:, 5] == pytest.approx(0.3 * pose.label)
    assert sum(pose.share for pose in poses) == pytest.approx(1)


def test_angles_are_averaged_on_the_circle():
    for pitch in (np.pi, 3 * np.pi):
        for pose in poses_of(posed(pitch))[0]:
            assert np.cos(pose.mean[2]) < -0.99, "near upside down, not upright"


def test_poses_come_in_the_order_of_the_gait_whatever_names_are_given():
    shown = tuple(dataclasses.replace(n, name="a name") for n in NAMES)
    assert [pose.label for pose in poses_of(posed())[0]] == [0, 1, 2, 3]
    poses, _ = poses_of(posed(), shown)
    assert [(pose.label, pose.name) for pose in poses] == [(k, "a name") for k in range(4)]


def test_the_side_view_has_the_lengths_and_places_of_the_model():
    model = load_model("dm_control")
    view = side_view("dm_control", np.zeros((2, model.nq)))
    lengths = np.linalg.norm(view.end - view.start, axis=-1)
    wanted = {"torso": 0.25, "pelvis": 0.15, "thigh": 0.33, "calf": 0.32, "foot": 0.25}
    for name, length in wanted.items():
        assert lengths[:, view.names.index(name)] == pytest.approx(length)
    foot = view.names.index("foot")
    assert view.start[0, foot, 1] == pytest.approx(1 - 0.05 - 0.2 - 0.33 - 0.32)
    turned = np.zeros((1, model.nq))
    turned[0, :3] = 3.0, 0.5, np.pi / 2
    view = side_view("dm_control", turned)
    torso = view.names.index("torso")
    assert view.start[0, torso, 1] == pytest.approx(1.5) == view.end[0, torso, 1]


def test_the_figure_names_each_label_with_its_numbers():
    poses, _ = poses_of(posed())
    for width_mm in (60.0, 85.0, 180.0):
        figure = pose_figure(poses, "dm_control", FigureStyle(width_mm=width_mm))
        assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
        words = [text.get_text() for text in figure.findobj(Text)]
        for pose in poses:
            assert str(pose.label) in words and f"n = {pose.frames:,}" in words
        assert "0.70 ± 0.00 m" in words and "2.0 ± 0.0 m/s" in words
    assert "mean ± standard deviation" in caption(poses, 1)


def test_without_labelled_frames_there_are_no_poses():
    trace = posed()
    with pytest.raises(GlassvizError, match="expected labelled frames"):
        mean_poses(trace, [describe(trace, 0)], NAMES, [])


def test_export_writes_poses_with_the_options_of_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    posed().save("agent.npz")
    planted(dataclasses.replace(HOP, frames=150), name="plain", glass=False).save("plain.npz")
    done = invoke("export", "agent.npz", "--poses", "-o", "p.pdf", "--width", "85mm",
                  "--caption-file")  # fmt: skip
    assert "Mean pose of each label" in done.stdout
    assert Path("p.pdf").exists() and "Mean pose" in Path("p.caption.txt").read_text()
    done = invoke("export", "plain.npz", "--poses", code=2)
    assert "expected labels for poses" in done.stderr
