"""Only regular files are read, writes are checked before, and killed writers leave nothing."""

import os
import socket
import subprocess
import sys

import pytest

from glassviz import files
from glassviz.errors import GlassvizError
from glassviz.files import (
    MissingFileError,
    check_folder,
    check_target,
    partial_path,
    read_bytes,
    read_text,
    replacing,
)


def test_a_regular_file_is_read_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfh\xc3\xb6he")
    assert read_bytes(path, "a text").endswith(b"he")
    assert read_text(path, "a text") == "höhe"


def test_what_is_no_regular_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, found in (
            ("pipe", "a named pipe"), ("folder", "a folder"), ("socket", "a socket"),
            ("/dev/zero", "a device"),
        ):  # fmt: skip
            with pytest.raises(GlassvizError, match=f"expected a trace, found {found}"):
                read_bytes(tmp_path / name, "a trace")
    for name in ("nothing", "pipe/below"):
        with pytest.raises(MissingFileError, match=r"no such file: .*, expected a trace"):
            read_bytes(tmp_path / name, "a trace")
    with pytest.raises(GlassvizError, match="null"):
        read_bytes("a\0b", "a trace")


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"x" * 11)
    with pytest.raises(GlassvizError, match="a trace of at most 10 B, found 11 B"):
        read_bytes(path, "a trace", limit=10)


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"a\nb\n\xff")
    with pytest.raises(GlassvizError, match=r"log\.csv, line 3: expected a log in UTF-8"):
        read_text(path, "a log")


@pytest.mark.parametrize("name", ["x", "x" * 255, "中" * 85, os.fsdecode(b"\xff" * 255)])
def test_every_legal_name_can_be_written(tmp_path, name):
    path = tmp_path / name
    check_target(path)
    with replacing(path) as partial:
        partial.write_bytes(b"done")
    assert path.read_bytes() == b"done"
    assert os.listdir(os.fsencode(tmp_path)) == [os.fsencode(name)]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("x" * 256, "at most 255 bytes, found 256"),
        ("file/below.png", "is not a folder"),
        ("folder", "found a folder"),
        ("/proc/nothing/a.png", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before(tmp_path, target, message):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(GlassvizError, match=message):
        check_target(tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_check_leaves_no_trace_and_makes_no_folder(tmp_path):
    check_target(tmp_path / "new" / "deep" / "a.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(files.DiskFullError, match="left on device"):
        check_folder(tmp_path, room=1 << 60)


def test_partial_files_of_dead_processes_are_swept_by_the_next_writer(tmp_path):
    writer = (
        "import os, sys; from pathlib import Path; from glassviz.files import partial_path\n"
        "for name in ('a.png', 'x' * 255): partial_path(Path(sys.argv[1]) / name).touch()\n"
        "partial_path(Path(sys.argv[1]) / 'pictures').mkdir()"
    )
    subprocess.run([sys.executable, "-c", writer, str(tmp_path)], check=True)
    assert len(list(tmp_path.iterdir())) == 3
    mine, strange = partial_path(tmp_path / "b.png"), tmp_path / ".c.png.ffffff-1.partial"
    mine.touch()
    strange.touch()
    (tmp_path / "notes.partial").touch()
    with replacing(tmp_path / "a.png") as partial:
        partial.touch()
    left = {mine.name, strange.name, "notes.partial", "a.png"}
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.parametrize(
    "missing, meant",
    [
        ("agent", "agent.safetensors"),
        ("agent.pkl", "agent.safetensors"),
        ("agnet.safetensors", "agent.safetensors"),
        ("hop-mppi-0a.npz", "hop-mppi-0b.npz"),
    ],
)
def test_a_missing_file_is_told_with_the_name_that_may_be_meant(tmp_path, missing, meant):
    for name in ("agent.safetensors", "agent.md", "agent.png", "hop-mppi-0b.npz"):
        (tmp_path / name).touch()
    with pytest.raises(MissingFileError) as raised:
        read_bytes(tmp_path / missing, "a checkpoint")
    told = f"no such file: {tmp_path / missing} (did you mean {tmp_path / meant}?)"
    assert str(raised.value) == told == str(raised.value.with_remedy("record it"))


def test_a_missing_file_without_a_similar_one_is_told_with_what_it_should_be(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(MissingFileError, match=r"no such file: .*x\.npz, expected a trace$"):
        read_bytes(tmp_path / "x.npz", "a trace")
