"""A film file is what was asked for, plays everywhere, and is either whole or not there."""

import dataclasses
import errno
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.errors import GlassvizError, UsageError
from glassviz.palette import CLUSTER_COLORS, to_rgb
from glassviz.video import encode
from glassviz.video.encode import Encoder, FilmFacts, frame_rate, pack, packed_size, probe
from tests.helpers.commands import python_process

FORMATS = ["mp4", "webm", "gif"]
WIDTH, HEIGHT, FRAMES = 96, 64, 25


def pictures(frames=FRAMES):
    """A bar that moves over a plain ground."""
    for t in range(frames):
        picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        picture[:, 2 * t : 2 * t + 8] = 220
        yield picture


def write(path, format, *, fps=50, frames=None, **options):
    with Encoder(path, WIDTH, HEIGHT, Fraction(fps), format, **options) as encoder:
        for picture in frames or pictures():
            encoder.write(pack(picture, format))
    return encoder.facts


def decode(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return frames, fps


@pytest.mark.parametrize("name", ["hop at 30 fps.mp4", "run:1.mp4", "100%d.mp4", "100%d.gif"])
def test_a_films_name_may_look_like_something_else(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert write(Path(name), name[-3:]).fps == 50
    assert probe(Path(name)).frames == FRAMES


def test_an_encoder_that_cannot_be_started_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(GlassvizError, match=r"does not run .* unset IMAGEIO_FFMPEG_EXE"):
        write(tmp_path / "film.mp4", "mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_reads_back_as_it_was_asked_for(tmp_path, format):
    path = tmp_path / f"film.{format}"
    facts = write(path, format)
    frames, fps = decode(path)
    assert (facts.frames, facts.fps, facts.width, facts.height) == (FRAMES, 50, WIDTH, HEIGHT)
    assert (len(frames), fps) == (FRAMES, pytest.approx(50, abs=0.1))
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    for t, frame in enumerate(frames):
        bright = frame[..., 1].mean(axis=0) > 130
        assert bright.nonzero()[0].mean() == pytest.approx(2 * t + 3.5, abs=1)
    assert list(tmp_path.iterdir()) == [path]


def test_an_mp4_plays_in_browsers_and_slides(tmp_path):
    path = tmp_path / "film.mp4"
    facts = write(path, "mp4", comment="glassviz, trace 0123")
    assert facts == FilmFacts(
        frames=FRAMES,
        fps=50.0,
        width=WIDTH,
        height=HEIGHT,
        codec="h264",
        pixel_format="yuv420p",
        tv_range=True,
        faststart=True,
        comment="glassviz, trace 0123",
    )
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_index_at_the_end_of_the_file_is_noticed(tmp_path):
    path = tmp_path / "film.mp4"
    write(path, "mp4")
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    size = int.from_bytes(data[moov : moov + 4], "big")
    path.write_bytes(data[:moov] + data[moov + size :] + data[moov : moov + size])
    assert not encode.probe(path).faststart


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("color", [*CLUSTER_COLORS, "#808080", "#000000", "#FFFFFF"])
def test_colours_survive_the_trip(tmp_path, format, color):
    path = tmp_path / f"film.{format}"
    plain = np.full((HEIGHT, WIDTH, 3), to_rgb(color), np.uint8)
    write(path, format, frames=[plain] * 3)
    frames, _ = decode(path)
    assert np.abs(frames[1].astype(int) - plain).max() <= 8


@pytest.mark.parametrize("format", FORMATS)
def test_equal_frames_are_not_merged(tmp_path, format):
    path = tmp_path / f"film.{format}"
    plain = np.full((HEIGHT, WIDTH, 3), 77, np.uint8)
    assert write(path, format, frames=[plain] * 40).frames == 40


def test_a_rate_that_is_no_whole_number_is_kept(tmp_path):
    facts = write(tmp_path / "film.mp4", "mp4", fps=Fraction(25, 2))
    assert facts.fps == 12.5


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, GlassvizError])
@pytest.mark.parametrize("format", FORMATS)
def test_an_error_while_filming_leaves_nothing(tmp_path, format, error):
    def interrupted():
        yield from pictures(10)
        raise error

    with pytest.raises(error):
        write(tmp_path / f"film.{format}", format, frames=interrupted())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_film_is_kept_unless_overwriting_is_asked_for(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("precious")
    with pytest.raises(GlassvizError, match=r"already exists.*--overwrite"):
        write(path, "mp4")
    assert path.read_text() == "precious"
    write(path, "mp4", overwrite=True)
    assert probe(path).frames == FRAMES


def test_an_existing_film_is_kept_when_its_replacement_fails(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("precious")

    def interrupted():
        yield from pictures(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, "mp4", frames=interrupted(), overwrite=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "film.mp4"

    def slow():
        yield from pictures()
        path.write_text("somebody else's")

    with pytest.raises(GlassvizError, match="already exists"):
        write(path, "mp4", frames=slow())
    assert path.read_text() == "somebody else's"


def test_folders_are_made_and_a_place_that_cannot_hold_a_film_is_named(tmp_path):
    path = tmp_path / "new" / "folder" / "film.mp4"
    write(path, "mp4")
    assert path.exists()
    with pytest.raises(GlassvizError, match=r"film\.mp4/film\.mp4: cannot be written"):
        write(path / "film.mp4", "mp4")


KILLED = """
from fractions import Fraction
from pathlib import Path
import numpy as np
from glassviz.video.encode import Encoder
with Encoder(Path({path!r}), 64, 64, Fraction(50), {format!r}) as encoder:
    frame = np.zeros(64 * 64 * 3, np.uint8)
    for _ in range(200):
        encoder.write(frame)
    print("writing", flush=True)
    input()
"""


@pytest.mark.parametrize("format", ["mp4", "gif"])
def test_the_next_film_sweeps_what_a_killed_process_left(tmp_path, format):
    path = tmp_path / f"film.{format}"
    with python_process("-c", KILLED.format(path=str(path), format=format)) as process:
        assert process.stdout.readline() == "writing\n"
        process.kill()
        process.wait()
    # Its ffmpeg ends, and may write until then.
    assert list(tmp_path.glob(".*.partial"))
    write(path, format)
    assert list(tmp_path.iterdir()) == [path]


def test_a_clean_up_that_fails_does_not_hide_what_went_wrong(tmp_path, monkeypatch):
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with (
        pytest.raises(GlassvizError, match="the film itself"),
        Encoder(tmp_path / "film.mp4", WIDTH, HEIGHT, Fraction(50), "mp4"),
    ):
        monkeypatch.setattr(Path, "unlink", refuse)
        raise GlassvizError("the film itself")


def test_what_the_encoder_complains_about_is_passed_on(tmp_path):
    with (
        pytest.raises(GlassvizError, match=r"the encoder failed: .*0x64"),
        Encoder(tmp_path / "film.mp4", 0, 64, Fraction(50), "mp4") as encoder,
    ):
        for _ in range(50):
            encoder.write(np.zeros(100_000, np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 24},
        {"fps": 25.0},
        {"width": 98},
        {"pixel_format": "yuv444p"},
        {"codec": "mpeg4"},
        {"tv_range": False},
        {"faststart": False},
    ],
)
def test_a_file_that_is_not_what_was_asked_for_does_not_take_the_name(tmp_path, monkeypatch, wrong):
    real = encode.probe
    monkeypatch.setattr(encode, "probe", lambda path: dataclasses.replace(real(path), **wrong))
    with pytest.raises(GlassvizError, match="expected a film with"):
        write(tmp_path / "film.mp4", "mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no film", bytes(1000), b"\0\0\0\0moov"])
def test_a_file_that_is_no_film_is_refused(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(GlassvizError, match=r"film\.mp4: expected a film"):
        probe(path)


def test_a_truncated_film_is_refused(tmp_path):
    path = tmp_path / "film.mp4"
    write(path, "mp4")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(GlassvizError, match="expected a film"):
        probe(path)


@pytest.mark.parametrize(
    ("dt", "speed", "format", "fps"),
    [
        (0.02, 1.0, "mp4", 50),
        (0.04, 1.0, "mp4", 25),
        (0.02, 0.5, "mp4", 25),
        (0.02, 0.25, "webm", 12.5),
        (0.02, 2.0, "mp4", 100),
        (0.02, 1.0, "gif", 50),
        (0.02, 0.5, "gif", 25),
    ],
)
def test_the_rate_follows_control_step_and_speed(dt, speed, format, fps):
    assert frame_rate(dt, speed, format) == (fps, "")


@given(st.floats(0.1, 2.4))
def test_a_gifs_frames_last_whole_hundredths_and_any_rounding_is_said(speed):
    fps, note = frame_rate(0.02, speed, "gif")
    delay = 100 / fps
    assert delay.denominator == 1 and delay >= 2
    assert bool(note) == (fps != 50 * Fraction(speed).limit_denominator(1000))


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.05, 3.0, float("nan"), float("inf")])
def test_a_speed_that_no_player_shows_is_refused(speed):
    with pytest.raises(UsageError, match=r"speed: expected 0.1 to 2.4"):
        frame_rate(0.02, speed, "mp4")


@pytest.mark.parametrize("format", FORMATS)
def test_a_packed_picture_has_the_size_that_is_foretold(format):
    packed = pack(next(pictures()), format)
    assert packed.nbytes == packed_size(WIDTH, HEIGHT, format)
