"""Every frame of a film shows its own frame of the trace, in order, whoever draws it."""

import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from glassviz.errors import GlassvizError, UsageError
from glassviz.palette import label_color, to_rgb
from glassviz.video.encode import probe
from glassviz.video.film import FilmOptions, film
from glassviz.video.overlay import Layout
from tests.helpers.commands import python_process, run_python
from tests.helpers.fake_renderer import (
    BACKEND,
    DyingRenderer,
    FailingRenderer,
    FakeRenderer,
    read_number,
)
from tests.helpers.traces import clock_trace

ROOT = str(Path(__file__).parents[2])
SMALL = (128, 96)
OVERLAY = (320, 240)


def make(out, traces, open_renderer=FakeRenderer, progress=None, **options):
    options = {"size": SMALL, "jobs": 1} | options
    return film(
        traces,
        out,
        FilmOptions(**options),
        progress=progress,
        backend=BACKEND,
        open_renderer=open_renderer,
    )


def decode(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    capture.release()
    return frames


def numbers(path):
    return [read_number(frame) for frame in decode(path)]


def chip_label(frame):
    """The cluster whose colour the chip has."""
    height, width, _ = frame.shape
    layout = Layout.of(width, height)
    inset = layout.margin + layout.padding + 3
    chip = frame[inset : inset + 3, inset : inset + 6].reshape(-1, 3).mean(axis=0)
    return int(np.argmin([np.abs(chip - to_rgb(label_color(k))).sum() for k in range(8)]))


@pytest.mark.parametrize("format", ["mp4", "webm", "gif"])
def test_chip_and_picture_of_frame_t_are_those_of_the_traces_frame_t(tmp_path, format):
    trace = clock_trace(frames=60, dwell=3)
    report = make(tmp_path / f"film.{format}", [trace], size=OVERLAY, overlay_k=True, format=format)
    frames = decode(report.path)
    assert len(frames) == 60
    assert [read_number(frame) for frame in frames] == list(range(60))
    assert [chip_label(frame) for frame in frames] == trace.label[0].tolist()


def test_the_report_tells_what_is_in_the_file(tmp_path):
    trace = clock_trace(frames=30)
    report = make(tmp_path / "film.mp4", [trace])
    assert (report.frames, report.fps, report.size) == (30, 50, SMALL)
    assert (report.codec, report.pixel_format) == ("h264", "yuv420p")
    assert (report.renderer, report.quality) == (BACKEND.renderer, "full")
    assert report.notes == ()
    assert probe(report.path).comment == f"glassviz, background sky, trace {trace.sha256}"


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes_make_the_same_film_as_one(tmp_path, jobs):
    # Three shots of 13 frames: no number of processes divides them evenly.
    trace = clock_trace(episodes=3, frames=13, dwell=2)
    options = {"size": OVERLAY, "overlay_k": True}
    alone = make(tmp_path / "alone.mp4", [trace], **options)
    together = make(tmp_path / "together.mp4", [trace], jobs=jobs, **options)
    assert numbers(together.path) == [1000 * e + t for e in range(3) for t in range(13)]
    assert together.path.read_bytes() == alone.path.read_bytes()


def test_more_processes_than_frames_do_no_harm(tmp_path):
    assert numbers(make(tmp_path / "film.mp4", [clock_trace(frames=2)], jobs=3).path) == [0, 1]


def test_episodes_are_shown_in_the_order_asked_for_and_cut_at_steps(tmp_path):
    trace = clock_trace(episodes=3, frames=20)
    report = make(tmp_path / "film.mp4", [trace], episodes=(2, 0), steps=4)
    assert numbers(report.path) == [2000, 2001, 2002, 2003, 0, 1, 2, 3]


def test_several_traces_follow_each_other(tmp_path):
    traces = [clock_trace(frames=3), clock_trace(episodes=2, frames=2, controller="pi")]
    report = make(tmp_path / "film.mp4", traces)
    assert numbers(report.path) == [0, 1, 2, 0, 1, 1000, 1001]


def test_side_by_side_shows_both_traces_at_the_same_time_each_with_its_own_label(tmp_path):
    left = clock_trace(episodes=2, frames=12, dwell=2)
    right = dataclasses.replace(
        clock_trace(episodes=2, frames=12, controller="pi"), label=(left.label + 3) % 8
    )
    report = make(
        tmp_path / "film.mp4", [left, right], size=OVERLAY, overlay_k=True, side_by_side=True
    )
    assert report.size == (640, 240)
    frames = decode(report.path)
    for side, trace in ((slice(0, 320), left), (slice(320, 640), right)):
        halves = [frame[:, side] for frame in frames]
        assert [read_number(half) for half in halves] == [
            1000 * e + t for e in range(2) for t in range(12)
        ]
        assert [chip_label(half) for half in halves] == trace.label.ravel().tolist()


def test_side_by_side_needs_two_traces_with_the_same_resets(tmp_path):
    trace = clock_trace()
    moved = dataclasses.replace(trace, qpos=trace.qpos + 0.1)
    with pytest.raises(UsageError, match="same resets, found different qpos"):
        make(tmp_path / "film.mp4", [trace, moved], side_by_side=True)
    with pytest.raises(UsageError, match="expected two traces, found 1"):
        make(tmp_path / "film.mp4", [trace], side_by_side=True)
    with pytest.raises(UsageError, match="same resets"):
        make(tmp_path / "film.mp4", [trace, clock_trace(episodes=2)], side_by_side=True)


def test_slow_motion_shows_every_frame_once_at_a_lower_rate(tmp_path):
    report = make(tmp_path / "film.mp4", [clock_trace(frames=20)], speed=0.5)
    assert report.fps == 25
    assert numbers(report.path) == list(range(20))


def test_a_robot_that_acts_every_other_step_is_filmed_at_its_own_rate(tmp_path):
    assert make(tmp_path / "film.mp4", [clock_trace(action_repeat=2)]).fps == 25


def test_a_gif_says_that_its_rate_is_rounded(tmp_path):
    report = make(tmp_path / "film.gif", [clock_trace(frames=9)], speed=0.7, format="gif")
    assert report.fps == pytest.approx(100 / 3, abs=0.01)
    assert "35 frames per second are not possible in a GIF" in report.notes[0]


def test_a_gif_may_have_an_odd_size(tmp_path):
    report = make(tmp_path / "film.gif", [clock_trace(frames=5)], size=(321, 241), format="gif")
    assert report.size == (321, 241)
    with pytest.raises(UsageError, match=r"size: expected numbers of at least 64, found 63x64"):
        FilmOptions(size=(63, 64), format="gif")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (321, 240)}, "even numbers of at least 64 .*, found 321x240"),
        ({"size": (32, 32)}, "even numbers of at least 64 .*, found 32x32"),
        ({"size": (240, 180), "overlay_k": True}, "at least 280x200"),
        ({"episodes": (0, 5)}, "expected numbers below 1, .* found 5"),
        ({"steps": 41}, "expected 1 to 40, .* found 41"),
        ({"steps": 0}, "expected 1 to 40, .* found 0"),
        ({"speed": 99.0}, "speed: expected 0.1 to 2.4"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_drawn(tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        make(tmp_path / "film.mp4", [clock_trace()], **wrong)
    assert list(tmp_path.iterdir()) == []


def test_traces_of_different_kinds_do_not_go_into_one_film(tmp_path):
    with pytest.raises(UsageError, match="one body, physics profile and frame rate"):
        make(tmp_path / "film.mp4", [clock_trace(), clock_trace(physics="playground")])
    with pytest.raises(UsageError, match="at least one trace"):
        make(tmp_path / "film.mp4", [])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_renderers_error_reaches_the_user_and_leaves_nothing(tmp_path, jobs):
    with pytest.raises(GlassvizError, match="has had enough"):
        make(tmp_path / "film.mp4", [clock_trace()], FailingRenderer, jobs=jobs)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_is_noticed_and_leaves_nothing(tmp_path):
    with pytest.raises(GlassvizError, match="ended with exit code 3"):
        make(tmp_path / "film.mp4", [clock_trace()], DyingRenderer, jobs=2)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_frame(tmp_path):
    seen = []
    make(
        tmp_path / "film.mp4",
        [clock_trace(frames=7)],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 7) for i in range(1, 8)]


def test_software_draws_fast_and_says_so_unless_told_otherwise(tmp_path):
    software = dataclasses.replace(BACKEND, software=True, note="slow today")
    options = FilmOptions(size=SMALL, jobs=1, overwrite=True)
    common = {"backend": software, "open_renderer": FakeRenderer}
    out = tmp_path / "film.mp4"
    report = film([clock_trace(frames=2)], out, options, **common)
    assert report.quality == "fast"
    assert report.notes[0] == "slow today"
    assert "without shadows and reflections: --quality full" in report.notes[1]
    full = dataclasses.replace(options, quality="full")
    assert film([clock_trace(frames=2)], out, full, **common).notes == ("slow today",)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_real_film_shows_the_hopper_and_its_labels(tmp_path, jobs):
    trace = clock_trace(frames=6, dwell=2)
    options = FilmOptions(size=OVERLAY, overlay_k=True, jobs=jobs)
    report = film([trace], tmp_path / "film.mp4", options)
    frames = decode(report.path)
    assert len(frames) == 6
    assert [chip_label(frame) for frame in frames] == trace.label[0].tolist()
    body = frames[0][80:180, 140:180].reshape(-1, 3).astype(int)
    assert (body[:, 0] - body[:, 2] > 60).mean() > 0.1, "no orange hopper in the middle"


def test_quality_and_camera_change_the_picture(tmp_path):
    def first_frame(**options):
        path = tmp_path / "film.mp4"
        film([clock_trace(frames=1)], path, FilmOptions(size=OVERLAY, overwrite=True, **options))
        return decode(path)[0].astype(int)

    fast = first_frame(quality="fast")
    assert np.abs(first_frame(quality="full") - fast).mean() > 0.5
    assert np.abs(first_frame(quality="fast", camera="back") - fast).mean() > 5
    assert np.abs(first_frame(quality="fast") - fast).max() == 0


def test_an_unknown_camera_is_refused_with_the_names_of_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="one of cam0, back, found 'front'"):
        film(
            [clock_trace(frames=2)], tmp_path / "film.mp4", FilmOptions(camera="front", size=SMALL)
        )
    assert list(tmp_path.iterdir()) == []


PEAK_MEMORY = """
import resource, sys
from pathlib import Path
from tests.helpers.fake_renderer import BACKEND, FakeRenderer
from tests.helpers.traces import clock_trace
from glassviz.video.film import FilmOptions, film
if __name__ == "__main__":
    options = FilmOptions(size=(320, 240), overlay_k=True, jobs={jobs}, overwrite=True)
    for frames in {frames}:
        trace = clock_trace(frames=frames, latent=1, prototypes=16)
        film([trace], Path({out!r}), options, backend=BACKEND, open_renderer=FakeRenderer)
        usage = [resource.getrusage(who).ru_maxrss for who in
                 (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        print(*usage)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_does_not_grow_with_the_length_of_the_film(tmp_path, jobs):
    source = tmp_path / "script.py"
    out = str(tmp_path / "film.mp4")
    source.write_text(PEAK_MEMORY.format(jobs=jobs, frames=(500, 5000), out=out))
    printed = run_python(source).stdout.splitlines()
    short_mb, long_mb = (np.array(line.split(), float) / 1024 for line in printed)
    # 4,500 more frames are 1 GB of pictures, and 2 MB of trace, kept a few times over.
    assert (long_mb - short_mb).max() < 8


INTERRUPTED = """
import sys
from pathlib import Path
from tests.helpers.fake_renderer import BACKEND, FakeRenderer
from tests.helpers.traces import clock_trace
from glassviz.video.film import FilmOptions, film
if __name__ == "__main__":
    out = Path({out!r})
    options = FilmOptions(size=(320, 240), overlay_k=True, jobs={jobs}, format={format!r})
    trace = clock_trace(frames=100_000, latent=1)
    tell = lambda done, total: print(done, flush=True) if done == 20 else None
    try:
        film([trace], out, options, progress=tell, backend=BACKEND, open_renderer=FakeRenderer)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
"""


@pytest.mark.parametrize(("jobs", "format"), [(1, "mp4"), (2, "mp4"), (2, "gif")])
def test_ctrl_c_ends_all_processes_and_leaves_nothing(tmp_path, jobs, format):
    source = tmp_path / "script.py"
    out = tmp_path / "films" / f"film.{format}"
    source.write_text(INTERRUPTED.format(out=str(out), jobs=jobs, format=format))
    with python_process(source, start_new_session=True) as process:
        assert process.stdout.readline() == "20\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of the group
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == "interrupted\n"
    assert list(out.parent.iterdir()) == []
    deadline = time.monotonic() + 10
    while living_in_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living_in_group(process.pid) == []


def living_in_group(group):
    """Command lines of the processes of a group, those aside that only wait to be reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, their_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(their_group) == group and state != "Z":
                    found.append((entry / "cmdline").read_text())
    return found
