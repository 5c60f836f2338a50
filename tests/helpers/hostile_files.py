"""Files that no reader must trust: pickles that run code, lie about lengths, or grow without end.

`running` really run under plain `pickle`, which a test shows, so that their refusal means
something. `bombs` claim or build far more than they hold. `broken` are damaged or of another kind.
"""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.published_files import payload

PROTO4 = b"\x80\x04"
STOP = b"."


class Call:
    """Pickles as a call of `function`, which the reader of the pickle is to make."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.reduced


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """STACK_GLOBAL."""
    return text(module) + text(attribute) + b"\x93"


def raw_bytes(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def running(canary: Path) -> dict[str, bytes]:
    """Pickles that touch `canary` when they are loaded by `pickle.loads`."""
    shell = f"touch {canary}"
    python = f"open({str(canary)!r}, 'w').close()"
    system = Call(os.system, shell)
    deep = payload()
    deep["params"]["dyn"]["params"]["NormMLP_0"]["Dense_1"]["kernel"] = system
    line = shell.encode()
    return {
        "os.system through reduce": pickle.dumps(payload(scale=system)),
        "a call among the parameters": pickle.dumps(deep),
        "builtins.eval by STACK_GLOBAL": PROTO4 + name("builtins", "eval")
        + text(f"__import__('os').system({shell!r})") + b"\x85R" + STOP,
        "builtins.exec in protocol 2": pickle.dumps(Call(exec, python), 2),
        "getattr on a module": PROTO4 + name("builtins", "getattr")
        + name("builtins", "__import__") + text("os") + b"\x85R" + text("system") + b"\x86R"
        + text(shell) + b"\x85R" + STOP,
        "posix.system by GLOBAL in protocol 0": b"cposix\nsystem\n(V" + line + b"\ntR" + STOP,
        "INST": b"(V" + line + b"\niposix\nsystem\n" + STOP,
        "OBJ": b"(cposix\nsystem\nV" + line + b"\no" + STOP,
        "a pickle in a pickle": pickle.dumps(Call(pickle.loads, pickle.dumps(system))),
        "a nested global out of the standard library": PROTO4 + name("pathlib", "os.system")
        + text(shell) + b"\x85R" + STOP,
        "a nested global out of numpy": PROTO4 + name("numpy.lib._npyio_impl", "os.system")
        + text(shell) + b"\x85R" + STOP,
        "a nested global out of a stubbed package": PROTO4
        + name("jax._src.config", "os.system") + text(shell) + b"\x85R" + STOP,
        "numpy's own way to run text": PROTO4 + name("numpy.testing._private.utils", "runstring")
        + text(python) + b"}\x86R" + STOP,
        "a call after the payload": pickle.dumps(payload())[:-1] + b"0"
        + pickle.dumps(system)[2:],
    }  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Files that would take memory, time or stack far beyond their size."""
    huge = struct.pack("<Q", 1 << 60)
    array = name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray")
    float32 = name("numpy", "dtype") + text("f4") + b"\x89\x88\x87R"
    million = struct.pack("<i", 1_000_000)
    prime = 2**61 - 1
    get = b"h\x00"
    twins = b"k" * 900_000
    return {
        "BINBYTES8 of 2^60 bytes": PROTO4 + b"\x8e" + huge + b"x" + STOP,
        "BYTEARRAY8 of 2^60 bytes": b"\x80\x05\x96" + huge + b"x" + STOP,
        "BINUNICODE8 of 2^60 bytes": PROTO4 + b"\x8d" + huge + b"x" + STOP,
        "BINBYTES of 4 GB": PROTO4 + b"B" + struct.pack("<I", 0xFFFFFFFF) + b"x" + STOP,
        "LONG4 of 2 GB": PROTO4 + b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"\x01" + STOP,
        "LONG4 of a megabyte": PROTO4 + b"\x8b" + million + b"\x01" * 1_000_000 + STOP,
        "a decimal number of a megabyte": b"(L" + b"9" * 1_000_000 + b"L\n" + STOP,
        "FRAME of 2^60 bytes": PROTO4 + b"\x95" + huge + b"}" + STOP,
        "a memo index of 2^31": PROTO4 + b"}r" + struct.pack("<I", 0x7FFFFFFF) + STOP,
        "an array that claims 4 TB": PROTO4 + array + b"K\x00\x85" + raw_bytes(b"b") + b"\x87R"
        + b"(K\x01J" + million + b"J" + million + b"\x86" + float32 + b"\x89"
        + raw_bytes(b"abcd") + b"tb" + STOP,
        "an array made with 4 TB": PROTO4 + array + b"J" + million + b"J" + million + b"\x86"
        + raw_bytes(b"f4") + b"\x87R" + STOP,
        "a buffer that claims 4 TB": PROTO4 + name("numpy._core.numeric", "_frombuffer")
        + b"(" + raw_bytes(b"abcd") + float32 + b"J" + million + b"J" + million + b"\x86"
        + text("C") + b"tR" + STOP,
        "an array of 100,000 dimensions": PROTO4 + name("numpy._core.numeric", "_frombuffer")
        + b"(" + raw_bytes(b"abcd") + float32 + b"(" + b"J\xff\xff\xff\x7f" * 100_000 + b"t"
        + text("C") + b"tR" + STOP,
        "keys of a dictionary that all collide": PROTO4 + b"}("
        + b"".join(
            b"\x8a\x10" + ((2**61 - 1) * n).to_bytes(16, "little") + b"N" for n in range(1, 50_000)
        ) + b"u" + STOP,
        "bytearray of a terabyte": PROTO4 + name("builtins", "bytearray")
        + b"\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"\x85R" + STOP,
        "one text encoded over and over": PROTO4 + text("x" * 1_000_000) + b"\x94"
        + (name("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R") * 2_000 + STOP,
        "more empty sets than a checkpoint has opcodes": PROTO4 + b"\x8f" * 400_000 + STOP,
        "nothing but marks": PROTO4 + b"(" * 190_000 + STOP,
        "tuples in tuples": PROTO4 + b")" + b"\x85" * 190_000 + STOP,
        "tuples in tuples as a key": PROTO4 + b"})" + b"\x85" * 190_000 + b"Ns" + STOP,
        "lists in lists": PROTO4 + b"]" * 95_000 + b"a" * 94_999 + STOP,
        "dictionaries in dictionaries": PROTO4 + b"}" + text("params") + (b"}" + text("p")) * 60_000
        + b"N" + b"s" * 60_001 + STOP,
        "pairs of pairs": PROTO4 + b"]" + b"2\x86" * 95_000 + STOP,
        "parameters that contain themselves": PROTO4 + b"}\x94" + text("params") + b"h\x00s"
        + text("enc") + b"h\x00s" + STOP,
        "one name of dots over and over": PROTO4 + text("jax" + "." * 400_000) + b"\x940"
        + (get + text("x") + b"\x930") * 40_000 + STOP,
        "long names joined over and over": PROTO4 + text("jax." + "x" * 400_000) + b"\x94"
        + (get + get + b"\x93") * 60_000 + STOP,
        "a name of dots in text": b"cjax" + b"." * 900_000 + b"\n" + b"." * 900_000 + b"\n" + STOP,
        "an instance of a name of dots": b"(ijax" + b"." * 900_000 + b"\n" + b"." * 900_000 + b"\n"
        + STOP,
        "attributes of attributes": PROTO4 + name("builtins", "getattr") + b"\x940"
        + name("jax", "A") + b"\x940" + text("A" * 150) + b"\x940"
        + (get + b"h\x01h\x02\x86R" + b"h\x02\x860") * 20_000 + get + get
        + b"h\x01h\x02\x86Rh\x02\x86Rh\x02\x86R" * 3 + STOP,
        "memo indices that all collide": b"}" + b"".join(
            f"p{prime * n}\n".encode() for n in range(80_000)
        ) + STOP,
        "two equal keys compared over and over": PROTO4 + text(twins.decode()) + b"\x940"
        + text(twins.decode()) + b"\x940}" + (get + b"Ns" + b"h\x01Ns") * 30_000 + STOP,
        "one list in many deques": PROTO4 + b"](" + b"N" * 50_000 + b"e\x940"
        + name("collections", "deque") + b"\x940" + (b"h\x01" + get + b"\x85R") * 35_000 + STOP,
        "one call with many arguments": PROTO4 + b"(" + b"N" * 50_000 + b"t\x940"
        + name("argparse", "Namespace") + b"\x940" + (b"h\x01" + get + b"R") * 45_000 + STOP,
        "one text in many scalars": PROTO4 + raw_bytes(b"a\0\0\0" * 200_000) + b"\x940"
        + name("numpy", "dtype") + text("U200000") + b"\x89\x88\x87R\x940"
        + name("numpy._core.multiarray", "scalar") + b"\x940"
        + (b"h\x02h\x01" + get + b"\x86R") * 35_000 + STOP,
        "one buffer in many arrays": PROTO4 + raw_bytes(bytes(1_000_000)) + b"\x940"
        + name("ml_dtypes", "bfloat16") + b"\x940" + name("numpy", "dtype")
        + b"h\x01\x89\x88\x87R\x940" + name("numpy._core.numeric", "_frombuffer") + b"\x940"
        + (b"h\x03(" + get + b"h\x02J" + struct.pack("<i", 500_000) + b"\x85" + text("C") + b"tR")
        * 20_000 + STOP,
        "networks made of one dictionary": _shared_dictionaries(),
        "many leaves of the same bytes": _shared_leaves(),
    }  # fmt: skip


def _shared_dictionaries() -> bytes:
    """Six levels of 60 names each, every level the same dictionary: 5·10^10 leaves."""
    level: Any = np.zeros(3, np.float32)
    for _ in range(6):
        level = {f"NormMLP_{i}": level for i in range(60)}
    content = payload()
    content["params"]["q"]["params"] = level
    return pickle.dumps(content)


def _shared_leaves() -> bytes:
    """Sixty Q heads of 60 leaves that are all one array of a megabyte."""
    one = np.zeros(250_000, np.float32)
    layer = {f"leaf{i}": one for i in range(60)}
    content = payload()
    content["params"]["q"]["params"] = {
        f"NormMLP_{i}": {f"Dense_{j}": layer for j in range(60)} for i in range(60)
    }
    return pickle.dumps(content)


def broken() -> dict[str, bytes]:
    """Files that are damaged, or are something else."""
    good = pickle.dumps(payload())
    text_array = payload()
    text_array["params"]["enc"]["params"]["NormMLP_0"]["Dense_0"]["bias"] = np.array(["a"])
    objects = payload()
    objects["params"]["enc"]["params"]["NormMLP_0"]["Dense_0"]["bias"] = np.array(
        [1, "two"], object
    )
    return {
        "cut short in an array": good[: len(good) // 2],
        "cut short by one byte": good[:-1],
        "only the first byte": good[:1],
        "text": b"step,reward\n1,2\n",
        "text that looks like a pickle": b"(these are notes)\n",
        "an empty file": b"",
        "zeros": bytes(1000),
        "an object array": pickle.dumps(objects),
        "an object array in protocol 2": pickle.dumps(objects, 2),
        "an array of text": pickle.dumps(text_array),
        "a persistent id": b"P1234\n" + STOP,
        "a persistent id from the stack": PROTO4 + text("id") + b"Q" + STOP,
        "EXT1": PROTO4 + b"\x82\x01" + STOP,
        "EXT4": PROTO4 + b"\x84\x01\x00\x00\x00" + STOP,
        "a buffer out of band": b"\x80\x05\x97" + STOP,
        "text of Python 2": b"S'\\x80'\n" + STOP,
        "a protocol of the future": b"\x80\x09}" + STOP,
        "a list": pickle.dumps([1, 2, 3]),
        "a number": pickle.dumps(7),
        "a dictionary of something else": pickle.dumps({"weights": 1}),
        "params that are a list": pickle.dumps({"params": []}),
        "a class of an unknown library": pickle.dumps({"params": {}, "p": Path("x")}),
        "a state for a plain number": PROTO4 + b"K\x01}b" + STOP,
        "attributes set on a class": PROTO4 + name("optax", "adam") + b"}" + text("__call__")
        + b"Nsb" + STOP,
        "a call of a number": PROTO4 + b"K\x01)R" + STOP,
        "a memo entry that is not there": PROTO4 + b"h\x07" + STOP,
        "an empty stack": PROTO4 + STOP,
        "an odd number of items": PROTO4 + b"}(K\x01u" + STOP,
        "a name that cannot be printed": PROTO4
        + name("\x1b[2J\u202eos", "system\n") + STOP,
        "a zip archive": b"PK\x03\x04" + bytes(100),
        "a PyTorch file": b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(100),
        "an old PyTorch file": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + good,
    }  # fmt: skip
