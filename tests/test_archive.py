"""Files of a header and arrays: what is written is read, and nothing else is."""

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz import archive
from glassviz.errors import GlassvizError
from glassviz.files import MissingFileError

HEADER = {"schema_version": 1, "name": "hop"}
ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "on": np.array([True, False])}


def written(folder, header=HEADER, arrays=ARRAYS, compress=False) -> bytes:
    archive.save(folder / "a.npz", header, arrays, compress)
    return (folder / "a.npz").read_bytes()


def load(path):
    return archive.load(path, "a trace", "record it again")


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_written_is_read(tmp_path, compress):
    written(tmp_path, compress=compress)
    header, arrays = load(tmp_path / "a.npz")
    assert header == HEADER and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array)
    assert archive.load_header(tmp_path / "a.npz", "a trace", "") == HEADER


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_or_is_found(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("flipped")
    data = bytearray(written(folder, compress=bool(place % 2)))
    data[place % len(data)] ^= 1 << bit
    (folder / "a.npz").write_bytes(data)
    try:
        header, arrays = load(folder / "a.npz")
    except GlassvizError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
    else:  # a date, an attribute
        assert header == HEADER
        assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())


def test_other_content_does_not_fit_the_checksum(tmp_path):
    written(tmp_path)
    with np.load(tmp_path / "a.npz") as file:
        members = dict(file)
    members["x"] = members["x"] + 1
    np.savez(tmp_path / "b.npz", **members)
    with pytest.raises(GlassvizError, match="does not fit its checksum"):
        load(tmp_path / "b.npz")
    del members[archive.CHECKSUM]
    np.savez(tmp_path / "old.npz", **members)
    assert load(tmp_path / "old.npz")[0] == HEADER


def raw(**members) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **members)
    return file.getvalue()


def header_of(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found an empty file: copy"),
        (b"version https://git-lfs.github.com/spec/v1\noid 0\n", "LFS pointer.*git lfs pull"),
        (b"<!doctype html>", "found a web page: the download did not give the file"),
        (b'{"error": 404}', "a server in JSON"),
        (gzip.compress(b"x", mtime=0), "found a gzip archive: unpack it"),
        (b"a,b\n", "found a text file"),
        (b"\x93NUMPY garbage", "cannot be read as one"),
        (raw(x=np.zeros(3)), "not a file in the archive|no header"),
        (raw(header=header_of(b"[]")), "header is not an object"),
        (raw(header=header_of(b"null")), "header is not an object"),
        (raw(header=header_of(b"{" * 10_000)), "JSON"),
        (raw(header=header_of(b'{"a":' * 200 + b"1" + b"}" * 200)), "nested deeper"),
        (raw(header=np.array([object()], object)), "it is no archive of arrays"),
        (raw(header=header_of(b"{}"), x=np.zeros(100 << 20, np.uint8)), "that unpack to 10"),
    ],
)  # fmt: skip
def test_everything_else_is_a_sentence(tmp_path, data, message):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(GlassvizError, match=message) as found:
        load(path)
    assert "allow_pickle" not in str(found.value) and "\n" not in str(found.value)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        header = io.BytesIO()
        np.save(header, header_of(json.dumps(HEADER).encode()))
        file.writestr("header.npy", header.getvalue())
        file.writestr("notes.txt", "no array")
    with pytest.raises(GlassvizError, match="not arrays"):
        load(tmp_path / "a.npz")


def test_strings_of_the_header_are_printable(tmp_path):
    written(tmp_path, {"name": "red\x1b[31m", "deep": [{"\udcff": "\u202eexe"}]})
    header, _ = load(tmp_path / "a.npz")
    assert header == {"name": "red?[31m", "deep": [{"?": "?exe"}]}


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(MissingFileError, match=r"no such file: .*, expected a trace: record it"):
        load(tmp_path / "a.npz")


def test_a_header_alone_is_no_bomb_either(tmp_path):
    (tmp_path / "a.npz").write_bytes(raw(header=np.zeros(200 << 20, np.uint8)))
    with pytest.raises(GlassvizError, match="that unpack to"):
        archive.load_header(tmp_path / "a.npz", "a trace", "record it again")


@pytest.mark.parametrize("shape", [b"((((((", b"'''", b"(1L,)", b"(9" + b"9" * 90 + b",)"])
def test_a_damaged_head_of_an_array_is_one_sentence(tmp_path, shape):
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + b"}\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("header.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(GlassvizError, match="found a file that cannot be read as one") as raised:
        load(tmp_path / "a.npz")
    assert "\n" not in str(raised.value)
