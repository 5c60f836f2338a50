"""PyTorch archives (.pt) that no reader must trust, and what is said of each.

`running` would run code under `torch.load`; `lying` are zips or tensors that claim what they do not
hold; `bombs` would take memory far beyond their size.
"""

import io
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

import tests.helpers.torch_files as torch_files
from tests.helpers.torch_files import Call, Name, Storage, Tensor, archive, tensor, zipped

AGENT = torch_files.networks()
GOOD = torch_files.torch_file(AGENT)
KEY = "_pi.0.weight"


def _members(data: bytes = GOOD) -> dict[str, bytes]:
    """The members of an archive without their folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {info.filename.removeprefix("agent/"): file.read(info) for info in file.infolist()}


def _state(**changed: Any) -> bytes:
    """The file of an agent in which some entries are others."""
    state = {n: tensor(v) if isinstance(v, np.ndarray | np.generic) else v for n, v in
             torch_files.state_of(AGENT).items()}  # fmt: skip
    return archive({"model": OrderedDict(state | changed)})


def _tensor(size: Any, stride: Any, offset: Any = 0, values: int = 8) -> bytes:
    """The file of an agent with one tensor of such a view."""
    storage = Storage(np.zeros(values, np.float32))
    return _state(**{KEY: Tensor(storage, size, stride, offset)})


def _directory(data: bytes, name: bytes, at: int, value: bytes) -> bytes:
    """An archive whose directory says something else of a member: `value` at an offset."""
    place = data.rindex(name) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    return data[: place + at] + value + data[place + at + len(value) :]


def running(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Archives that would touch `canary`."""
    shell = f"touch {canary}"
    system = Call(Name("posix", "system"), (shell,))
    python = f"open({str(canary)!r}, 'w').close()"
    hooks = OrderedDict({"hook": system})
    view = Call(
        Name("torch._utils", "_rebuild_tensor_v2"),
        (Storage(np.zeros(4, np.float32)), 0, (4,), (1,), False, hooks),
    )
    load = Call(Name("torch.serialization", "load"), ("/etc/passwd",))
    return {
        "os.system among the parameters": (_state(**{KEY: system}), "name posix.system"),
        "os.system in place of the payload": (archive(system), "name posix.system"),
        "builtins.eval": (_state(x=Call(Name("builtins", "eval"), (python,))), "builtins.eval"),
        "builtins.exec": (_state(x=Call(Name("__builtin__", "exec"), (python,))), "exec"),
        "a backward hook": (_state(**{KEY: view}), "posix.system"),
        "torch.load within": (_state(x=load), "torch.serialization.load"),
        "a function of torch that is not known": (
            _state(x=Call(Name("torch._utils", "_import_dotted_name"), ("os.system",))),
            "torch._utils._import_dotted_name",
        ),
        "torch.hub": (_state(x=Call(Name("torch.hub", "load"), ("a/b", "c"))), "torch.hub.load"),
        "a call of a storage": (
            _state(x=Call(Name("torch", "FloatStorage"), (1 << 40,))), "a call of a type"
        ),
        "a name in a storage's place": (
            archive({"model": {KEY: Tensor(Storage(np.zeros(4, np.float32), kind="os.system"),
                                           (4,), (1,))}}), "os.system"
        ),
    }  # fmt: skip


def lying() -> dict[str, tuple[bytes, str]]:
    """Archives that are not what they declare."""
    members = _members()
    plain = zipped(members)
    flipped = bytearray(plain)
    flipped[plain.index(members["data/0"])] ^= 1
    short = members | {"data/0": members["data/0"][:-4]}
    long = members | {"data/0": members["data/0"] + bytes(4)}
    without = {name: raw for name, raw in members.items() if name != "data/0"}
    offset_of_0 = struct.pack("<I", plain.index(b"agent/data.pkl") - 30)
    one_storage = Storage(np.zeros(4, np.float32))
    renamed = Storage(one_storage.values, kind="IntStorage", same_as=one_storage)
    with_script = members | {"constants.pkl": b"\x80\x02)."}
    return {
        "a name with ..": (zipped(members | {"../../etc/cron": b"x"}), "leaves the archive"),
        "an absolute name": (zipped({"/etc/x": b"x", **{f"agent/{n}": v for n, v in
                             members.items()}}, folder=""), "leaves the archive"),
        "compressed members": (
            zipped(members, compression=zipfile.ZIP_DEFLATED), "is compressed, expected stored"
        ),
        "a member twice": (_twice(members), "occurs twice"),
        "overlapping members": (
            _directory(plain, b"agent/data/1", 42, offset_of_0), "overlaps another one"
        ),
        "a member longer than the file": (
            _directory(plain, b"agent/data/1", 20, b"\xff\xff\xff\x7f" * 2), "overlaps|damaged"
        ),
        "a member that is a header of nothing": (
            _directory(plain, b"agent/data/1", 42, struct.pack("<I", 7)), "has no header"
        ),
        "an encrypted member": (_directory(plain, b"agent/data/1", 8, b"\x01\x00"), "is encrypted"),
        "a truncated file": (plain[: len(plain) // 2], "damaged or truncated"),
        "without its directory": (plain[: plain.index(b"PK\x01\x02")], "damaged or truncated"),
        "a flipped bit": (bytes(flipped), "does not fit its checksum"),
        "two pickles": (zipped(members | {"b/data.pkl": b"\x80\x02}."}), "one data.pkl"),
        "no pickle but its name": (
            zipped({n: v for n, v in members.items() if n != "data.pkl"} | {"x/data.pkl.txt": b""}),
            "one data.pkl",
        ),
        "a byte order of its own": (zipped(members | {"byteorder": b"middle"}), "byte order"),
        "TorchScript": (zipped(with_script), "TorchScript module, which contains code"),
        "a storage that is too short": (zipped(short), "bytes of data"),
        "a storage that is too long": (zipped(long), "bytes of data"),
        "a storage that is missing": (zipped(without), "data/0 is missing"),
        "a storage of a negative size": (
            _state(**{KEY: Tensor(Storage(np.zeros(4, np.float32), count=-4), (4,), (1,))}),
            "a storage without its type",
        ),
        "a storage of objects": (
            _state(**{KEY: Tensor(Storage(np.zeros(4, np.float32), kind="ObjectStorage"), (4,),
                                  (1,))}), "torch.ObjectStorage",
        ),
        "one storage of two types": (
            archive({"a": Tensor(one_storage, (4,), (1,)), "b": Tensor(renamed, (4,), (1,))}),
            "declared twice",
        ),
        "a tensor beyond its storage": (_tensor((3, 3), (3, 1)), "beyond its storage"),
        "a tensor that begins beyond its storage": (_tensor((4,), (1,), 6), "beyond its storage"),
        "a stride of zero": (_tensor((1000, 1000), (0, 0)), "beyond its storage"),
        "a huge stride": (_tensor((2,), (1 << 60,)), "without an offset, a shape and a stride"),
        "a negative stride": (_tensor((4,), (-1,)), "without an offset, a shape and a stride"),
        "a negative size": (_tensor((-4,), (1,)), "without an offset, a shape and a stride"),
        "a negative offset": (_tensor((4,), (1,), -2), "without an offset, a shape and a stride"),
        "more strides than sizes": (_tensor((4,), (1, 1)), "without an offset, a shape"),
        "a shape of text": (_tensor(("a",), (1,)), "without an offset, a shape and a stride"),
        "a thousand dimensions": (_tensor((1,) * 1000, (1,) * 1000), "1000 dimensions"),
        "an array of a yottabyte": (_tensor((1 << 40, 1 << 40), (1, 1)), "beyond its storage"),
        "a scale that is not a number": (
            _state(**{KEY: tensor(np.zeros(4, np.int8), quantiser=(float("nan"), 0))}),
            "not quantised per tensor",
        ),
        "quantised per channel": (
            _state(x=Call(Name("torch._utils", "_rebuild_qtensor"),
                          (Storage(np.zeros(4, np.int8)), 0, (4,), (1,),
                           (Name("torch", "per_channel_affine"), 1.0, 0), False, OrderedDict()))),
            "not quantised per tensor",
        ),
        "a whole module": (
            archive(Call(Name("copy_reg", "_reconstructor"),
                         (Name("tdmpc2.tdmpc2", "TDMPC2"), Name("__builtin__", "object"), None))),
            "",
        ),
        "numbers in place of an agent": (archive({"model": [1, 2, 3]}), "expected the state_dict"),
        "nothing": (archive(None), "expected the state_dict"),
    }  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Archives that would take memory or time far beyond their size."""
    storage = Storage(np.zeros(500_000, np.float32))
    views = {f"_pi.{i}.weight": Tensor(storage, (500, 1000), (1000, 1)) for i in range(500)}
    integers = Storage(np.zeros(500_000, np.int8))
    quantised = {
        f"_pi.{i}.weight": Tensor(integers, (500, 1000), (1000, 1), quantiser=(1.0, 0))
        for i in range(2000)
    }
    shape = [0] * 50_000
    sizes = [Call(Name("torch", "Size"), (shape,)) for _ in range(20_000)]
    members = _members()
    large = b"\x80\x02B" + struct.pack("<I", 20 << 20) + bytes(20 << 20) + b"."
    many = {f"data/x{i}": b"" for i in range(60_000)}
    zeros = {**members, "data/0": bytes(200_000_000)}
    return {
        "one storage in many tensors": archive({"_encoder.state.0.weight": tensor(np.ones((2, 2))),
                                                **views}),
        "one quantised storage in many tensors": archive(
            {"_encoder.state.0.weight": tensor(np.ones((2, 2))), **quantised}
        ),
        "one list in many shapes": archive({"model": {"a": sizes, KEY: tensor(np.ones(2))}}),
        "a pickle of marks": zipped(members | {"data.pkl": b"\x80\x02" + b"(" * 10_000_000}),
        "a pickle of a megabyte of lists": zipped(members | {"data.pkl": b"\x80\x02" + b"]" * 10**6
                                                             + b"a" * 999_999 + b"."}),
        "a pickle of 20 MB": zipped(members | {"data.pkl": large}),
        "60,000 members": zipped(many | members),
        "zeros, compressed": zipped(zeros, compression=zipfile.ZIP_DEFLATED),
    }  # fmt: skip


def _twice(members: dict[str, bytes]) -> bytes:
    """An archive in which two members have one name."""
    data = zipped(members | {"data/X": members["data/0"]})
    return data.replace(b"agent/data/X", b"agent/data/0")
