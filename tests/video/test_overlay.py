"""The overlay says what the trace says, at every size, and covers nothing it should not."""

import dataclasses

import cv2
import numpy as np
import pytest

from glassviz.errors import UsageError
from glassviz.palette import NO_CLUSTER_COLOR, label_color, to_rgb
from glassviz.video.clip import Clip
from glassviz.video.overlay import (
    FOOT_COLORS,
    LANE_COLOR,
    MIN_HEIGHT,
    MIN_WIDTH,
    OTHER_COLOR,
    PROTOTYPE,
    ROOMY,
    WINDOW_S,
    Layout,
    Overlay,
    Timeline,
    greek_font,
    line_height,
    text_width,
)
from tests.helpers.traces import clock_trace

SIZES = [(MIN_WIDTH, MIN_HEIGHT), (320, 240), (640, 480), (1280, 720), (360, 800)]
GROUND = 120


def drawn(clip, width, height, t):
    frame = np.full((height, width, 3), GROUND, np.uint8)
    Overlay(clip, width, height).draw(frame, t)
    return frame


def chip_color(frame):
    """A pixel of the chip's upper left, beside its text."""
    height, width, _ = frame.shape
    layout = Layout.of(width, height)
    at = layout.margin + layout.padding + round(layout.radius)
    return tuple(int(value) for value in frame[at, at])


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_chip_has_the_colour_of_the_frames_own_label(width, height):
    trace = clock_trace(frames=24, dwell=3)
    clip = Clip.of(trace, 0)
    overlay = Overlay(clip, width, height)
    for t in range(clip.frames):
        frame = np.full((height, width, 3), GROUND, np.uint8)
        overlay.draw(frame, t)
        assert chip_color(frame) == to_rgb(label_color(int(trace.label[0, t])))


def test_without_glass_the_chip_is_grey_and_no_cluster_colour_appears():
    frame = drawn(Clip.of(clock_trace(labels=False), 0), 640, 480, 5)
    assert chip_color(frame) == to_rgb(NO_CLUSTER_COLOR)
    for k in range(8):
        assert not (frame == to_rgb(label_color(k))).all(axis=2).any()


def extreme_clip():
    trace = clock_trace(frames=30, clusters=30, prototypes=200, dwell=1)
    clip = Clip.of(trace, 0)
    return dataclasses.replace(
        clip,
        episode=100,
        episodes=100,
        prototype=clip.prototype + 100,
        time=clip.time + 9999,
        total=clip.total - 1999.99,
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("which", ["plain", "no clusters", "extreme"])
def test_three_panels_inside_the_margins_and_apart(width, height, which):
    clip = {
        "plain": Clip.of(clock_trace(), 0),
        "no clusters": Clip.of(clock_trace(labels=False), 0),
        "extreme": extreme_clip(),
    }[which]
    frame = np.full((height, width, 3), GROUND, np.uint8)
    overlay = Overlay(clip, width, height)
    for t in (0, clip.frames // 2, clip.frames - 1):
        overlay.draw(frame, t)
    touched = (frame != GROUND).any(axis=2)
    count, _, stats, _ = cv2.connectedComponentsWithStats(touched.astype(np.uint8))
    boxes = stats[1:, :4]
    assert count - 1 == 3
    margin = Layout.of(width, height).margin
    assert (boxes[:, :2] >= margin).all()
    assert (boxes[:, 0] + boxes[:, 2] <= width - margin).all()
    assert (boxes[:, 1] + boxes[:, 3] <= height - margin).all()
    assert touched.mean() < 0.4


def test_all_frames_of_an_episode_keep_the_panels_where_they_are():
    clip = Clip.of(clock_trace(frames=60, dwell=2), 0)
    touched = [(drawn(clip, 320, 240, t) != GROUND).any(axis=2) for t in (0, 13, 37, 59)]
    assert all(np.array_equal(mask, touched[0]) for mask in touched[1:])


def bars(frame):
    """The rows of the timeline: label, foot, other; without the panel around them."""
    height, width, _ = frame.shape
    layout = Layout.of(width, height)
    inner = frame[:, layout.margin + layout.padding : width - layout.margin - layout.padding]
    seconds = line_height(layout.small_text) + 3 if height >= ROOMY else 0
    bottom = height - layout.margin - layout.padding - seconds
    lane = max(3, round(layout.text * 0.32))
    gap = max(1, round(layout.text * 0.1))
    other = bottom - 1 - lane // 2
    foot = other - lane - gap
    label = foot - lane - gap
    return [inner[row] for row in (label, foot, other)]


def test_the_timeline_shows_label_and_contacts_of_every_frame():
    frames = 40
    trace = clock_trace(frames=frames)
    clip = Clip.of(trace, 0)
    label, foot, other = bars(drawn(clip, 640, 480, frames - 1))
    for t in range(frames - 1):
        column = round((t + 0.5) / frames * label.shape[0])
        assert tuple(label[column].tolist()) == to_rgb(label_color(int(trace.label[0, t])))
        for row, touching, color in (
            (foot, clip.contacts[:, 0], FOOT_COLORS[0]),
            (other, clip.contacts[:, 1], OTHER_COLOR),
        ):
            expected = to_rgb(color if touching[t] else LANE_COLOR)
            assert tuple(row[column].tolist()) == expected


def test_what_lies_ahead_is_dimmed_and_the_playhead_moves_with_the_frame():
    clip = Clip.of(clock_trace(frames=40), 0)
    overlay = Overlay(clip, 640, 480)
    whole, _, _ = bars(drawn(clip, 640, 480, 39))
    for t in range(39):
        frame = np.full((480, 640, 3), GROUND, np.uint8)
        overlay.draw(frame, t)
        label, _, _ = bars(frame)
        reached = (label == whole).all(axis=1).mean()
        assert reached == pytest.approx((t + 1) / 40, abs=0.02)


def test_a_long_clip_has_a_window_of_some_seconds_under_the_whole():
    frames, step_s = 600, 0.02
    clip = Clip.of(clock_trace(frames=frames, dwell=3), 0)
    clip = dataclasses.replace(clip, time=np.arange(frames) * step_s)
    inner = bars(drawn(clip, 640, 480, 0))[0].shape[0]
    per_frame = inner / (WINDOW_S / step_s)
    for t, first in ((10, 0), (300, 301 - 100), (599, 600 - 200)):
        label, _, _ = bars(drawn(clip, 640, 480, t))
        column = round((t - 4 - first + 0.5) * per_frame)
        color = np.array(to_rgb(label_color(int(clip.label[t - 4]))))
        near = label[column - 1 : column + 2]
        assert (near == color).all(axis=1).any()
    short = Clip.of(clock_trace(frames=40), 0)
    layout = Layout.of(640, 480)
    assert Timeline(clip, layout).height > 1.3 * Timeline(short, layout).height


def test_the_agents_name_and_seed_are_in_the_film_and_change_it():
    clip = Clip.of(clock_trace(), 0)
    pictures = [drawn(clip, 640, 480, 5)]
    for change in ({"name": "another"}, {"seed": clip.seed + 1}):
        pictures.append(drawn(dataclasses.replace(clip, **change), 640, 480, 5))
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    long = dataclasses.replace(clip, name="n" * 300)
    assert (drawn(long, 400, ROOMY, 5)[:, 397:] == GROUND).all(), "a long name is cut"


def test_prototypes_are_numbered_with_a_greek_letter_that_is_drawn():
    glyph, missing = (bytes(greek_font(20).getmask(each)) for each in (PROTOTYPE, "\U0010ffff"))
    assert glyph != missing


def test_a_knee_walk_shows_although_the_foot_touches_too():
    trace = clock_trace(frames=40)
    both = dataclasses.replace(trace, contacts=np.ones_like(trace.contacts))
    foot_only = np.zeros_like(trace.contacts)
    foot_only[..., trace.header["geoms"].index("foot")] = True
    alone = dataclasses.replace(trace, contacts=foot_only)
    _, foot, other = bars(drawn(Clip.of(both, 0), 320, 240, 39))
    _, foot_alone, other_alone = bars(drawn(Clip.of(alone, 0), 320, 240, 39))
    assert np.array_equal(foot[:-3], foot_alone[:-3])
    assert (other[:-3] != other_alone[:-3]).any(axis=1).all()


def test_the_floor_itself_is_no_part_of_the_body():
    trace = clock_trace()
    contacts = np.zeros_like(trace.contacts)
    contacts[..., trace.header["geoms"].index("floor")] = True
    clip = Clip.of(dataclasses.replace(trace, contacts=contacts), 0)
    assert not clip.contacts[:, 0].any() and not clip.contacts[:, 1].any()


def test_the_return_includes_the_frames_own_reward_and_ends_at_the_episodes_return():
    trace = clock_trace(episodes=2)
    for episode in range(2):
        clip = Clip.of(trace, episode)
        assert clip.total[0] == trace.reward[episode, 0]
        assert clip.total[-1] == pytest.approx(trace.returns[episode], abs=1e-9)


def test_a_reward_shows_from_its_own_frame_on_and_not_before():
    trace = clock_trace(frames=20)
    reward = trace.reward.copy()
    reward[0, 7] += 0.5
    ours = Overlay(Clip.of(trace, 0), 640, 480)
    theirs = Overlay(Clip.of(dataclasses.replace(trace, reward=reward), 0), 640, 480)
    for t in range(20):
        one, other = (np.full((480, 640, 3), GROUND, np.uint8) for _ in range(2))
        ours.draw(one, t)
        theirs.draw(other, t)
        assert np.array_equal(one, other) == (t < 7)


def test_controller_and_episode_are_part_of_the_picture():
    mppi, pi = (Clip.of(clock_trace(2, controller=name), 0) for name in ("mppi", "pi"))
    assert (mppi.controller, pi.controller) == ("planner (mppi)", "policy (pi)")
    assert (drawn(mppi, 320, 240, 3) != drawn(pi, 320, 240, 3)).any()
    second = dataclasses.replace(mppi, episode=2)
    assert (drawn(mppi, 320, 240, 3) != drawn(second, 320, 240, 3)).any()


def test_a_timeline_of_more_frames_than_pixels_shows_the_most_frequent_label():
    trace = clock_trace(frames=4000, dwell=1)
    label = np.where(np.arange(4000) % 10 == 9, 1, 3)[None].astype(np.int32)
    clip = Clip.of(dataclasses.replace(trace, label=label), 0)
    row, _, _ = bars(drawn(clip, 320, 240, 3999))
    assert (row[:-3] == to_rgb(label_color(3))).all()


def test_the_overlay_draws_into_one_half_of_a_wider_frame_only():
    canvas = np.full((240, 640, 3), GROUND, np.uint8)
    Overlay(Clip.of(clock_trace(), 0), 320, 240).draw(canvas[:, 320:], 3)
    assert (canvas[:, :320] == GROUND).all()
    assert np.array_equal(canvas[:, 320:], drawn(Clip.of(clock_trace(), 0), 320, 240, 3))


def test_too_small_a_picture_is_refused_with_the_size_it_needs():
    with pytest.raises(UsageError, match=r"at least 280x200 per picture .* found 240x180"):
        Overlay(Clip.of(clock_trace(), 0), 240, 180)


def test_the_panel_of_the_timeline_is_as_high_as_it_says():
    clip = Clip.of(clock_trace(), 0)
    layout = Layout.of(640, 480)
    touched = (drawn(clip, 640, 480, 3)[240:] != GROUND).any(axis=(1, 2)).sum()
    assert touched == Timeline(clip, layout).height


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_given_name_widens_the_chip_and_leaves_the_status_uncovered(width, height):
    clip = Clip.of(clock_trace(frames=24, dwell=3), 0)
    label = int(clip.label[0])
    plain = drawn(clip, width, height, 0)
    named = dataclasses.replace(clip, given_labels={label: "a name of thirty-two characters!"})
    frame = drawn(named, width, height, 0)
    color = to_rgb(label_color(label))
    head = Layout.of(width, height).header_height
    wide, narrow = ((each[:head] == color).all(axis=2).sum() for each in (frame, plain))
    assert wide > narrow
    right = slice(width * 2 // 3, None)
    assert (frame[:, right] == plain[:, right]).all()


def seconds_row(clip, width, height, t):
    """What is below the bars of the timeline, without ticks: brightness over the panel's own."""
    layout = Layout.of(width, height)
    frame = np.zeros((height, width, 3), np.uint8)
    timeline = Timeline(clip, layout)
    timeline.draw(frame, t)
    bottom = height - layout.margin - layout.padding
    return frame[bottom - line_height(layout.small_text) : bottom].max(axis=-1)


@pytest.mark.parametrize(("width", "height"), [(400, 300), (640, 480), (480, 480), (1280, 720)])
def test_no_label_of_the_seconds_is_cut_wherever_the_window_is(width, height):
    clip = Clip.of(clock_trace(frames=600, dwell=10), 0)
    layout = Layout.of(width, height)
    left, right = layout.margin + layout.padding, width - layout.margin - layout.padding
    # Of a label that is cut, its "s" or its digits are alone.
    shown = [seconds_row(clip, width, height, t) > 120 for t in range(0, 600, 7)]
    narrowest = text_width("1 s", layout.small_text)
    for row in shown:
        columns = np.flatnonzero(row[:, left:right].any(axis=0))
        apart = np.flatnonzero(np.diff(columns) > layout.small_text)
        starts, ends = columns[[0, *(apart + 1)]], columns[[*apart, -1]]
        assert (ends - starts).min() > 0.7 * narrowest


@pytest.mark.parametrize(("width", "height"), [(400, 300), (360, 800), (640, 480), (1920, 1080)])
def test_labels_of_the_seconds_do_not_run_into_each_other(width, height):
    layout = Layout.of(width, height)
    for frames in (12, 100, 299, 301, 1000):
        clip = Clip.of(clock_trace(frames=frames, dwell=10), 0)
        row = seconds_row(clip, width, height, 0) > 120
        columns = np.flatnonzero(row.any(axis=0))
        widest = text_width("10.5 s", layout.small_text)
        apart = np.flatnonzero(np.diff(columns) > layout.small_text)
        starts, ends = columns[[0, *(apart + 1)]], columns[[*apart, -1]]
        assert (ends - starts).max() < 1.2 * widest
