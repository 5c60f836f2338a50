"""No file, however made, runs code, grows without end, or ends in anything but one sentence."""

import bz2
import gzip
import lzma
import pickle
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.helpers.hostile_files as hostile_files
from glassviz.agents.config import GlassConfig
from glassviz.checkpoints import formats, load
from glassviz.errors import GlassvizError
from tests.helpers.commands import run_python
from tests.helpers.published_files import SMALL, own_params, payload

MEGABYTE = 1 << 20
CANARY_NAMES = sorted(hostile_files.running(Path("canary")))


@pytest.mark.parametrize("case", CANARY_NAMES)
def test_nothing_that_plain_pickle_would_run_is_run(tmp_path: Path, case: str) -> None:
    canary = tmp_path / "canary"
    data = hostile_files.running(canary)[case]
    path = tmp_path / "hostile.pkl"
    path.write_bytes(data)
    with pytest.raises(GlassvizError):
        load(path)
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "this file is harmless, so its refusal shows nothing"


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("os.system through reduce", "posix.system"),
        ("builtins.eval by STACK_GLOBAL", "builtins.eval"),
        ("getattr on a module", "builtins.__import__"),
        ("a pickle in a pickle", "_pickle.loads"),
        ("a nested global out of numpy", "numpy.lib._npyio_impl.os.system"),
    ],
)
def test_a_refused_name_is_named(tmp_path: Path, case: str, named: str) -> None:
    data = hostile_files.running(tmp_path / "canary")[case]
    with pytest.raises(GlassvizError, match=f"the name {named}"):
        formats.read(data, Path("x.pkl"))


def test_a_call_on_a_stubbed_librarys_name_is_a_placeholder_that_runs_nothing(
    tmp_path: Path,
) -> None:
    canary = tmp_path / "canary"
    call = hostile_files.running(canary)["a nested global out of a stubbed package"]
    content = pickle.dumps(payload(opt_state=0), 4)
    with_call = content.replace(
        b"opt_state\x94K\x00", b"opt_state\x94" + call.removeprefix(b"\x80\x04").removesuffix(b".")
    )
    assert with_call != content
    # One frame no longer fits what follows: write the opcodes without frames.
    unframed = with_call[:2] + with_call[11:]
    with pytest.raises(GlassvizError):
        formats.read(call, Path("x.pkl"))
    loaded = formats.read(unframed, Path("x.pkl"))
    jax.tree.map(np.testing.assert_array_equal, loaded.params, own_params())
    assert not canary.exists()


BOMB_SQUAD = """
import os, resource, sys, time
from pathlib import Path
import tests.helpers.hostile_files as hostile_files
from glassviz.checkpoints import formats
from glassviz.errors import GlassvizError

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

bombs = hostile_files.bombs()
pages = int(Path("/proc/self/statm").read_text().split()[0])
room = pages * os.sysconf("SC_PAGE_SIZE") + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
resource.setrlimit(resource.RLIMIT_CPU, (200, 200))
for name, data in bombs.items():
    before, start = peak_kib(), time.process_time()
    try:
        formats.read(data, Path(name))
    except GlassvizError:
        seconds = time.process_time() - start
        print(peak_kib() - before, seconds, name, sep=chr(9), flush=True)
    else:
        sys.exit(f"{name} was read")
"""


def test_no_file_costs_much_more_than_it_holds() -> None:
    """In a process of its own, where a crash of the interpreter would show."""
    done = run_python("-c", BOMB_SQUAD, code=None)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    cost = {name: (int(kib), float(seconds)) for kib, seconds, name in rows}
    assert done.returncode == 0, f"after {list(cost)[-1:]}: {done.stderr}"
    assert cost.keys() == hostile_files.bombs().keys()
    assert {name: kib for name, (kib, _) in cost.items() if kib > 200 * 1024} == {}
    assert {name: seconds for name, (_, seconds) in cost.items() if seconds > 5} == {}


@pytest.mark.parametrize("case", sorted(hostile_files.broken()))
def test_broken_and_foreign_files_end_in_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "file.pkl"
    path.write_bytes(hostile_files.broken()[case])
    with pytest.raises(GlassvizError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 500 + len(str(path))


def test_folders_and_absent_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(GlassvizError, match="no such file"):
        load(tmp_path / "absent.pkl")
    with pytest.raises(GlassvizError, match="found a folder: name a file in it"):
        load(tmp_path)
    (tmp_path / "_CHECKPOINT_METADATA").touch()
    with pytest.raises(GlassvizError, match="found an orbax folder without one"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("a PyTorch file", "expected a complete .pt file, found one that is damaged"),
        ("an old PyTorch file", "found a PyTorch file in the format before version 1.6"),
        ("an object array", "found an object array"),
        ("an object array in protocol 2", "found an object array"),
        ("text", "found a text file"),
    ],
)
def test_what_was_found_is_said(case: str, message: str) -> None:
    with pytest.raises(GlassvizError, match=message):
        formats.read(hostile_files.broken()[case], Path("file"))


GOOD_PICKLE = pickle.dumps(payload())


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1060142\n",
         "found a Git LFS pointer to it: run `git lfs pull`"),
        (b"<!DOCTYPE html><html><head>", "found a web page: the download did not give the file"),
        (b"\xef\xbb\xbf\n <HTML>\n", "found a web page"),
        (b'<?xml version="1.0"?>\n<html xmlns="x">', "found a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
         "found an answer of a server in XML: the download did not"),
        (b'{"message": "Not Found"}', "found an answer of a server in JSON: the download did not"),
        (b'{"err": {"code": 404}}', "found an answer of a server in JSON"),
        (b"", "found an empty file: copy or download it again"),
        (bytes(5000), "found a file of zeros: copy or download it again"),
        (gzip.compress(GOOD_PICKLE, mtime=0), "found a gzip archive: unpack it"),
        (lzma.compress(GOOD_PICKLE), "found an xz archive: unpack it"),
        (bz2.compress(GOOD_PICKLE), "found a bzip2 archive: unpack it"),
        ("höhe,1\n".encode() * 1000, "found a text file: name the file that holds the data"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "found an HDF5 file: this format is not supported"),
        (b"\x93NUMPY\x01\0", r"found a NumPy array \(.npy\): this format is not supported"),
        (GOOD_PICKLE[:-9], "damaged or truncated"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["best.pkl", "best.safetensors"])
def test_what_lies_in_place_of_a_checkpoint_is_named(
    tmp_path: Path, name: str, data: bytes, found: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(GlassvizError, match=found):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda file: zipfile.ZipFile(file, "w").writestr("best.pkl", "x"), "a zip archive: unp"),
        (lambda file: np.savez(file, x=np.zeros(3)), r"an archive of arrays \(.npz\): this format"),
        (lambda file: np.savez(file, header=np.zeros(3)), "expected a checkpoint, found a trace"),
    ],
)
def test_zip_archives_are_told_apart(tmp_path: Path, write: Any, found: str) -> None:
    with (tmp_path / "best.pkl").open("wb") as file:
        write(file)
    with pytest.raises(GlassvizError, match=found):
        load(tmp_path / "best.pkl")


@pytest.mark.parametrize("case", ["os.system through reduce", "getattr on a module", "INST"])
def test_distrust_is_for_names_that_run_code(tmp_path: Path, case: str) -> None:
    with pytest.raises(GlassvizError, match="nothing was executed; do not trust this file"):
        formats.read(hostile_files.running(tmp_path / "canary")[case], Path("x.pkl"))


@pytest.mark.parametrize(
    "data",
    [
        b"c__builtin__\ngetattr\n(cjax\nArray\nV__globals__\ntR.",
        b"cbuiltins\ngetattr\n(cpathlib\nPath\nV__subclasses__\ntR.",
        b"cbuiltins\ngetattr\n(cpathlib\nPath\nVa.b\ntR.",
        b"cbuiltins\ngetattr\n(cjax\njit\nVcalls\ntR.",
        b"ccode\nInteractiveInterpreter\n.",
        b"cmine\nos.system\n.",
    ],
)
def test_ways_round_to_what_runs_code_are_refused(data: bytes) -> None:
    with pytest.raises(GlassvizError, match="do not trust this file"):
        formats.read(data, Path("x.pkl"))


@pytest.mark.parametrize("data", [b"\x80\x04\x82\x01.", b"ctorch._utils\n_rebuild_tensor_v2\n."])
def test_what_is_only_unknown_is_not_accused(data: bytes) -> None:
    with pytest.raises(GlassvizError, match="save the parameters alone, as dictionaries of arr"):
        formats.read(data, Path("x.pkl"))


TINY = SMALL.replace(
    obs_dim=3,
    action_dim=1,
    latent_dim=8,
    simnorm_group=1,
    encoder_widths=(2,),
    hidden_widths=(2,),
    num_bins=3,
    glass=GlassConfig(prototypes=2, clusters=2),
)
GOOD = {protocol: pickle.dumps(payload(TINY), protocol) for protocol in (0, 2, 4, 5)}


@given(
    protocol=st.sampled_from(sorted(GOOD)),
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
    cut=st.none() | st.tuples(st.integers(0, 1 << 20), st.integers(0, 40)),
)
def test_random_damage_gives_an_agent_or_one_sentence(
    protocol: int, edits: list[tuple[int, int]], cut: tuple[int, int] | None
) -> None:
    data = bytearray(GOOD[protocol])
    for place, byte in edits:
        data[place % len(data)] = byte
    if cut:
        place = cut[0] % len(data)
        del data[place : place + cut[1]]
    try:
        checkpoint = formats.read(bytes(data), Path("damaged.pkl"))
    except GlassvizError as error:
        assert str(error).isprintable()
    else:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(checkpoint.params))
