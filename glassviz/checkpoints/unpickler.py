"""A pickle reader that runs no code: opcodes, allowed names, arrays."""

import math
import pickletools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, NoReturn

import numpy as np

from glassviz.errors import GlassvizError
from glassviz.text import printable

_PLAIN_DTYPE = re.compile(r"[biuf][1248]")
_MAX_DIMENSIONS = 16


class ArrayError(Exception):
    """An array that is not rebuilt; the message says what was found."""


@dataclass(slots=True, eq=False)
class PickledDType:
    """A dtype; its byte order comes with the state that follows."""

    dtype: np.dtype[Any]

    def set_state(self, state: Any) -> None:
        """`dtype.__setstate__`: (version, byte order, None, None, None, -1, -1, 0)."""
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ArrayError("a dtype without a byte order")
        self.dtype = self.dtype.newbyteorder(order)


@dataclass(slots=True, eq=False)
class PickledArray:
    """An array; `values` is None until its state was read."""

    values: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        """`ndarray.__setstate__`: (version, shape, dtype, whether Fortran order, raw bytes)."""
        _, shape, dtype, fortran, raw = state
        self.values = _view(raw, dtype, shape, "F" if fortran else "C")


def make_dtype(name: Any, align: Any = False, copy: Any = False) -> PickledDType:
    """`numpy.dtype(name, align, copy)` for booleans, integers and floats."""
    if isinstance(name, str) and name.startswith("O"):
        raise ArrayError("an object array, which can hold anything")
    if not (isinstance(name, str) and _PLAIN_DTYPE.fullmatch(name)):
        raise ArrayError("an array of something else than booleans, integers and floats")
    return PickledDType(np.dtype(name))


def make_empty(subtype: Any, shape: Any, typecode: Any) -> PickledArray:
    """`_reconstruct(ndarray, (0,), b'b')`: the array whose state follows (protocols 0 to 4)."""
    return PickledArray()


def make_from_buffer(
    raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None
) -> PickledArray:
    """`_frombuffer(raw, dtype, shape, order)` (protocol 5)."""
    if order == "K" and axis_order is not None:
        return PickledArray(_view(raw, dtype, shape, "C").transpose(axis_order))
    return PickledArray(_view(raw, dtype, shape, "F" if order == "F" else "C"))


def make_scalar(dtype: Any, raw: Any) -> bool | int | float:
    """`scalar(dtype, raw)`: a numpy scalar, as the Python number."""
    number: bool | int | float = _view(raw, dtype, (), "C").item()
    return number


def make_jax_array(function: Any, args: Any, state: Any, aval_state: Any) -> PickledArray:
    """`jax._src.array._reconstruct_array`: the numpy array inside."""
    array = PickledArray()
    array.set_state(state)
    return array


def _view(raw: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> np.ndarray:
    """A read-only view of `raw`, which must be exactly as long as `shape` and `dtype` say."""
    if isinstance(raw, list):
        raise ArrayError("an object array, which can hold anything")
    if not (isinstance(raw, bytes | bytearray) and isinstance(dtype, PickledDType)):
        raise ArrayError("an array without its bytes")
    if not (isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS):
        raise ArrayError("an array without a shape")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ArrayError("an array without a shape")
    wanted = math.prod(shape) * dtype.dtype.itemsize
    if wanted != len(raw):
        raise ArrayError(f"an array that claims {wanted:.4g} bytes and holds {len(raw)}")
    array: np.ndarray = np.ndarray(shape, dtype.dtype, buffer=raw, order=order)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the file refers to."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Where an object of a class that was not imported would be; holds nothing of it."""

    path: str


def _frozen_dict(content: Any) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise TypeError("a FrozenDict of something that is no dictionary")
    return content


def _ordered_dict() -> dict[Any, Any]:
    return {}


RECONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": make_dtype,
    "numpy._core.multiarray._reconstruct": make_empty,
    "numpy._core.multiarray.scalar": make_scalar,
    "numpy._core.numeric._frombuffer": make_from_buffer,
    "jax._src.array._reconstruct_array": make_jax_array,
    "flax.core.frozen_dict.FrozenDict": _frozen_dict,
    "collections.OrderedDict": _ordered_dict,
}
"""What is called in place of a name, with the arguments that the file gives."""

BYTES_MAKERS = frozenset({"builtins.bytes", "builtins.bytearray", "_codecs.encode"})
"""How protocols 0 to 2 write bytes."""

# Objects of these packages stand in optimiser states and environment states, which nobody needs.
_STUBBED_PACKAGES = frozenset(
    {"optax", "brax", "jax", "jaxlib", "flax", "mujoco", "mujoco_playground"}
)

# Classes whose objects such states hold.
_PLAIN_CLASSES = frozenset(
    {
        "builtins.complex",
        "builtins.frozenset",
        "builtins.object",
        "builtins.range",
        "builtins.set",
        "builtins.slice",
        "builtins.tuple",
        "copyreg._reconstructor",
        "numpy.ndarray",
    }
)

_KNOWN = RECONSTRUCTORS.keys() | BYTES_MAKERS | _PLAIN_CLASSES

# Names that Python 2 and numpy 1 have for the same things.
_RENAMED = (
    ("__builtin__.", "builtins."),
    ("copy_reg.", "copyreg."),
    ("numpy.core.", "numpy._core."),
)


def known_path(module: str, name: str) -> str | None:
    """The full name, in today's spelling, of something that a file may refer to; else None."""
    path = f"{module}.{name}"
    for old, new in _RENAMED:
        if path.startswith(old):
            path = new + path.removeprefix(old)
    return path if path in _KNOWN or module.split(".")[0] in _STUBBED_PACKAGES else None


# A checkpoint has about 10⁴ opcodes; these many cost a second and some 20 MB at the worst.
MAX_OPCODES = 200_000
_MAX_INT_BITS = 128
_MAX_KEY_BITS = 60  # numbers below 2⁶¹ − 1 are their own hash
_HIGHEST_PROTOCOL = 5
_FRAME_OPCODE_BYTES = 9
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_LITERALS = _NUMBERS | _TEXTS | _BYTES
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def read_pickle(data: bytes, place: str) -> Any:
    """The plain data in a pickle: dicts, lists, tuples, numbers, text, bytes, `PickledArray`s.

    Args:
        data: the whole file.
        place: what messages call it.

    Raises:
        GlassvizError: the stream is damaged or cut short, refers to a name that a checkpoint has
            no need of, or claims more than it holds.
    """
    machine = _Machine(data, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in text opcodes
            return machine.run()
    except ArrayError as error:
        raise GlassvizError(
            f"{place}: expected arrays of numbers, found {error}: nothing was loaded"
        ) from None
    # Opcodes that do not fit together end in one of these, wherever they meet.
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        raise GlassvizError(
            f"{place}: expected a whole pickle, found one that is damaged or cut short near byte "
            f"{machine.position} of {len(data)}: copy the file again from where it was written"
        ) from None


class _Machine:
    """The stack machine: one method a kind of opcode."""

    def __init__(self, data: bytes, place: str) -> None:
        self.data = data
        self.place = place
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def run(self) -> Any:
        for count, (opcode, arg, position) in enumerate(pickletools.genops(BytesIO(self.data))):
            self.position = position or 0
            if count >= MAX_OPCODES:
                raise GlassvizError(
                    f"{self.place}: expected a checkpoint of at most {MAX_OPCODES} pickle opcodes, "
                    f"found more: if it holds a replay buffer, use the file without it"
                )
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, arg)
        raise ValueError("no STOP")

    def _step(self, op: str, arg: Any) -> None:
        if op in _LITERALS:
            self._push_literal(arg)
        elif op in _CONSTANTS:
            self.stack.append(_CONSTANTS[op])
        elif "PUT" in op or op == "MEMOIZE":
            self.memo[len(self.memo) if arg is None else int(arg)] = self.stack[-1]
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(arg)])
        elif handler := getattr(self, f"_op_{op.lower()}", None):
            handler(arg) if arg is not None else handler()
        else:  # STRING (Python 2), PERSID, EXT1, NEXT_BUFFER and their like
            self._refuse(f"opcode {op}, which no checkpoint has")

    def _push_literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            raise ValueError("an integer that no checkpoint holds")
        self.stack.append(value)

    def _refuse(self, what: str) -> NoReturn:
        raise GlassvizError(
            f"{self.place}: expected the plain data of a checkpoint, found a pickle with "
            f"{printable(what)}: it was not run, and the file should not be trusted"
        )

    # -- the stream

    def _op_proto(self, version: int) -> None:
        if version > _HIGHEST_PROTOCOL:
            raise ValueError("a protocol of the future")

    def _op_frame(self, length: int) -> None:
        if length > len(self.data) - self.position - _FRAME_OPCODE_BYTES:
            raise ValueError("a frame longer than the file")

    def _op_mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def _pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _op_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self) -> None:
        self._pop_mark()

    def _op_dup(self) -> None:
        self.stack.append(self.stack[-1])

    # -- containers

    def _op_empty_list(self) -> None:
        self.stack.append([])

    def _op_empty_dict(self) -> None:
        self.stack.append({})

    def _op_empty_tuple(self) -> None:
        self.stack.append(())

    def _op_empty_set(self) -> None:
        self.stack.append(Opaque("builtins.set"))

    def _op_list(self) -> None:
        items = self._pop_mark()
        self.stack.append(items)

    def _op_tuple(self) -> None:
        items = self._pop_mark()
        self.stack.append(tuple(items))

    def _op_tuple1(self) -> None:
        self._tuple(1)

    def _op_tuple2(self) -> None:
        self._tuple(2)

    def _op_tuple3(self) -> None:
        self._tuple(3)

    def _tuple(self, size: int) -> None:
        items = [self.stack.pop() for _ in range(size)]
        self.stack.append(tuple(reversed(items)))

    def _op_dict(self) -> None:
        items = self._pop_mark()
        self.stack.append({})
        self._set_items(items)

    def _op_frozenset(self) -> None:
        self._pop_mark()
        self.stack.append(Opaque("builtins.frozenset"))

    def _op_append(self) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _op_appends(self) -> None:
        self._extend(self._pop_mark())

    def _op_additems(self) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Opaque):
            raise TypeError("items for something that is no list")

    def _op_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _op_setitems(self) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque):
            return
        if not isinstance(target, dict):
            raise TypeError("entries for something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a deeply nested tuple would overflow the C stack.
            if not (key is None or isinstance(key, str | bytes | int)):
                raise TypeError("a dictionary key that is no plain value")
            # Larger numbers can be chosen so that they all collide, and each costs all before it.
            if isinstance(key, int) and key.bit_length() > _MAX_KEY_BITS:
                raise TypeError("a dictionary key that is too large a number")
            target[key] = value

    # -- names and calls

    def _op_global(self, arg: str) -> None:
        self.stack.append(self._find(*arg.split(" ", 1)))

    def _op_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a name that is no text")
        self.stack.append(self._find(module, name))

    def _find(self, module: str, name: str) -> Global:
        path = known_path(module, name)
        if path is None:
            self._refuse(f"the name {module}.{name}")
        return Global(path)

    def _op_reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self._call(function, args)

    _op_newobj = _op_reduce

    def _op_newobj_ex(self) -> None:
        self.stack.pop()  # keyword arguments
        self._op_reduce()

    def _op_inst(self, arg: str) -> None:
        self._call(self._find(*arg.split(" ", 1)), tuple(self._pop_mark()))

    def _op_obj(self) -> None:
        function, *args = self._pop_mark()
        self._call(function, tuple(args))

    def _call(self, function: Any, args: Any) -> None:
        if not (isinstance(function, Global) and isinstance(args, tuple)):
            raise TypeError("a call of something that is no name")
        if function.path in BYTES_MAKERS:
            self.stack.append(self._bytes(*args))
        elif make := RECONSTRUCTORS.get(function.path):
            self.stack.append(make(*args))
        else:
            self.stack.append(Opaque(function.path))

    def _op_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, PickledArray | PickledDType):
            target.set_state(state)
        elif not isinstance(target, Opaque):
            raise TypeError("a state for something that has none")

    def _bytes(self, text: Any = b"", encoding: Any = "latin1") -> bytes:
        """Bytes as protocols 0 to 2 write them: text and the name of its encoding."""
        if isinstance(text, bytes | bytearray):
            return bytes(text) if len(text) == 0 else self._counted(bytes(text))
        if not (isinstance(text, str) and encoding in ("latin1", "latin-1")):
            raise TypeError("bytes that are neither text nor bytes")
        return self._counted(text.encode("latin1"))

    def _counted(self, made: bytes) -> bytes:
        # Every byte made honestly has its character in the file; a memoised text does not pay.
        self.encoded += len(made)
        if self.encoded > len(self.data):
            raise ValueError("more bytes than the file holds")
        return made
