"""A safe pickle reader: reads plain data and arrays and never executes code."""

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
    """An array that is refused; the message says what was found."""


@dataclass(slots=True, eq=False)
class PickledDType:
    """A dtype; the pickle sets its byte order afterwards."""

    dtype: np.dtype[Any]

    def set_state(self, state: Any) -> None:
        """`dtype.__setstate__`: (version, byte order, None, None, None, -1, -1, 0)."""
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ArrayError("a dtype without a byte order")
        self.dtype = self.dtype.newbyteorder(order)


@dataclass(slots=True, eq=False)
class PickledArray:
    """An array; `values` is None until its state has been read."""

    values: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        """`ndarray.__setstate__`: (version, shape, dtype, whether Fortran order, raw bytes)."""
        _, shape, dtype, fortran, raw = state
        self.values = _view(raw, dtype, shape, "F" if fortran else "C")


def make_dtype(name: Any, align: Any = False, copy: Any = False) -> PickledDType:
    """`numpy.dtype(name, align, copy)` for booleans, integers and floats."""
    if isinstance(name, str) and name.startswith("O"):
        raise ArrayError("an object array, which may contain any Python object")
    if not (isinstance(name, str) and _PLAIN_DTYPE.fullmatch(name)):
        raise ArrayError("an array whose elements are not booleans, integers or floats")
    return PickledDType(np.dtype(name))


def make_from_buffer(
    raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None
) -> PickledArray:
    """`_frombuffer(raw, dtype, shape, order)` (protocol 5)."""
    if order == "K" and axis_order is not None:
        return PickledArray(_view(raw, dtype, shape, "C").transpose(axis_order))
    return PickledArray(_view(raw, dtype, shape, "F" if order == "F" else "C"))


def make_jax_array(function: Any, args: Any, state: Any, aval_state: Any) -> PickledArray:
    """`jax._src.array._reconstruct_array`: the NumPy array inside."""
    array = PickledArray()
    array.set_state(state)
    return array


def _view(raw: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> np.ndarray:
    """A read-only view of `raw`, whose length must match `shape` and `dtype`."""
    if isinstance(raw, list):
        raise ArrayError("an object array, which may contain any Python object")
    if not (isinstance(raw, bytes | bytearray) and isinstance(dtype, PickledDType)):
        raise ArrayError("an array without its bytes")
    if not (
        isinstance(shape, tuple)
        and len(shape) <= _MAX_DIMENSIONS
        and all(type(n) is int and n >= 0 for n in shape)
    ):
        raise ArrayError("an array without a shape")
    size = math.prod(shape) * dtype.dtype.itemsize
    if size != len(raw):
        raise ArrayError(f"an array of {size:.4g} bytes with {len(raw)} bytes of data")
    array: np.ndarray = np.ndarray(shape, dtype.dtype, buffer=raw, order=order)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class Global:
    """A name referenced by the file."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Placeholder for an object whose class is not imported; its content is discarded."""

    path: str


def _frozen_dict(content: Any) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise TypeError("a FrozenDict whose content is not a dictionary")
    return content


RECONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": make_dtype,
    # The state of an array follows (protocols 0 to 4); scalars become Python numbers.
    "numpy._core.multiarray._reconstruct": lambda subtype, shape, typecode: PickledArray(),
    "numpy._core.multiarray.scalar": lambda dtype, raw: _view(raw, dtype, (), "C").item(),
    "numpy._core.numeric._frombuffer": make_from_buffer,
    "jax._src.array._reconstruct_array": make_jax_array,
    "flax.core.frozen_dict.FrozenDict": _frozen_dict,
    "collections.OrderedDict": lambda: {},
}
"""Functions called instead of the named ones, with the arguments in the file."""

BYTES_CONSTRUCTORS = frozenset({"builtins.bytes", "builtins.bytearray", "_codecs.encode"})
"""How protocols 0 to 2 encode bytes."""

# Optimiser and environment states, which are discarded, contain objects of these packages …
_STUBBED_PACKAGES = {"optax", "brax", "jax", "jaxlib", "flax", "mujoco", "mujoco_playground"}

# … and of these classes.
_BUILTINS = ("complex", "frozenset", "object", "range", "set", "slice", "tuple")
_PLAIN_CLASSES = {*map("builtins.{}".format, _BUILTINS), "copyreg._reconstructor", "numpy.ndarray"}
_KNOWN = RECONSTRUCTORS.keys() | BYTES_CONSTRUCTORS | _PLAIN_CLASSES

# Names of the same objects in Python 2 and NumPy 1.
_RENAMED = {"__builtin__.": "builtins.", "copy_reg.": "copyreg.", "numpy.core.": "numpy._core."}


def known_path(module: str, name: str) -> str | None:
    """The full current name of an object that a file may refer to; None for any other object."""
    path = f"{module}.{name}"
    for old, new in _RENAMED.items():
        if path.startswith(old):
            path = new + path.removeprefix(old)
    return path if path in _KNOWN or module.split(".")[0] in _STUBBED_PACKAGES else None


# A checkpoint has about 10⁴ opcodes; this limit costs at most one second and about 20 MB.
MAX_OPCODES = 200_000
_MAX_INT_BITS = 128
_MAX_KEY_BITS = 60  # integers below 2⁶¹ − 1 hash to themselves
_HIGHEST_PROTOCOL = 5
_FRAME_OPCODE_BYTES = 9
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: Opaque("builtins.set"),
}


def read_pickle(data: bytes, place: str) -> Any:
    """Read the plain data in a pickle: dicts, lists, tuples, numbers, strings, bytes and arrays.

    Arrays are returned as `PickledArray`s; `place` is the file's name in messages.

    Raises:
        GlassvizError: the stream is damaged or truncated, refers to a name that no checkpoint
            needs, or contains less data than it declares.
    """
    machine = _Machine(data, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in text opcodes
            return machine.run()
    except ArrayError as error:
        raise GlassvizError(
            f"{place}: expected arrays of numbers, found {error}: nothing was loaded"
        ) from None
    # Inconsistent opcodes raise one of these.
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        raise GlassvizError(
            f"{place}: expected a complete pickle, found one that is damaged or truncated near "
            f"byte {machine.position} of {len(data)}: copy the file again from where it was written"
        ) from None


class _Machine:
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
                    f"found more: if it contains a replay buffer, use the file without it"
                )
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, arg)
        raise ValueError("no STOP")

    def _step(self, op: str, arg: Any) -> None:
        match op:
            case _ if op in _LITERALS:
                if isinstance(arg, int) and arg.bit_length() > _MAX_INT_BITS:
                    raise ValueError("an integer too large for a checkpoint")
                self.stack.append(arg)
            case _ if op in _CONSTANTS:
                self.stack.append(_CONSTANTS[op]())
            case "MEMOIZE" | "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[len(self.memo) if arg is None else int(arg)] = self.stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[int(arg)])
            case "PROTO":
                if arg > _HIGHEST_PROTOCOL:
                    raise ValueError("an unknown protocol")
            case "FRAME":
                if arg > len(self.data) - self.position - _FRAME_OPCODE_BYTES:
                    raise ValueError("a frame longer than the file")
            case "MARK":
                self.marked.append(self.stack)
                self.stack = []
            case "POP" if self.stack:
                self.stack.pop()
            case "POP" | "POP_MARK":
                self._pop_mark()
            case "DUP":
                self.stack.append(self.stack[-1])
            case "LIST":
                items = self._pop_mark()
                self.stack.append(items)
            case "TUPLE":
                items = self._pop_mark()
                self.stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [self.stack.pop() for _ in range(int(op[-1]))]
                self.stack.append(tuple(reversed(items)))
            case "FROZENSET":
                self._pop_mark()
                self.stack.append(Opaque("builtins.frozenset"))
            case "DICT":
                items = self._pop_mark()
                self.stack.append({})
                self._set_items(items)
            case "APPEND":
                item = self.stack.pop()
                self._extend([item])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._pop_mark())
            case "SETITEM":
                value, key = self.stack.pop(), self.stack.pop()
                self._set_items([key, value])
            case "SETITEMS":
                self._set_items(self._pop_mark())
            case "GLOBAL":
                self.stack.append(self._find(*arg.split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = self.stack.pop(), self.stack.pop()
                if not (isinstance(name, str) and isinstance(module, str)):
                    raise TypeError("a name that is not a string")
                self.stack.append(self._find(module, name))
            case "REDUCE" | "NEWOBJ" | "NEWOBJ_EX":
                if op == "NEWOBJ_EX":
                    self.stack.pop()  # keyword arguments
                args, function = self.stack.pop(), self.stack.pop()
                self._call(function, args)
            case "INST":
                self._call(self._find(*arg.split(" ", 1)), tuple(self._pop_mark()))
            case "OBJ":
                function, *args = self._pop_mark()
                self._call(function, tuple(args))
            case "BUILD":
                state = self.stack.pop()
                target = self.stack[-1]
                if isinstance(target, PickledArray | PickledDType):
                    target.set_state(state)
                elif not isinstance(target, Opaque):
                    raise TypeError("a state for an object without one")
            case _:  # STRING (Python 2), PERSID, EXT1, NEXT_BUFFER and the like
                self._refuse(f"opcode {op}, which no checkpoint uses")

    def _refuse(self, content: str) -> NoReturn:
        raise GlassvizError(
            f"{self.place}: expected the plain data of a checkpoint, found a pickle with "
            f"{printable(content)}: nothing was executed; do not trust this file"
        )

    def _pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Opaque):
            raise TypeError("items added to an object that is not a list")

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque):
            return
        if not isinstance(target, dict):
            raise TypeError("entries added to an object that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a deeply nested tuple would overflow the C stack.
            if not (key is None or isinstance(key, str | bytes | int)):
                raise TypeError("a dictionary key that is not a plain value")
            # Larger integers can be chosen to collide, which makes insertion quadratic.
            if isinstance(key, int) and key.bit_length() > _MAX_KEY_BITS:
                raise TypeError("a dictionary key that is too large an integer")
            target[key] = value

    def _find(self, module: str, name: str) -> Global:
        path = known_path(module, name)
        if path is None:
            self._refuse(f"the name {module}.{name}")
        return Global(path)

    def _call(self, function: Any, args: Any) -> None:
        if not (isinstance(function, Global) and isinstance(args, tuple)):
            raise TypeError("a call of an object that is not a name")
        if function.path in BYTES_CONSTRUCTORS:
            self.stack.append(self._bytes(*args))
        elif make := RECONSTRUCTORS.get(function.path):
            self.stack.append(make(*args))
        else:
            self.stack.append(Opaque(function.path))

    def _bytes(self, text: Any = b"", encoding: Any = "latin1") -> bytes:
        """Bytes as encoded by protocols 0 to 2: a string and the name of its encoding."""
        if isinstance(text, bytes | bytearray):
            return bytes(text) if len(text) == 0 else self._counted(bytes(text))
        if not (isinstance(text, str) and encoding in ("latin1", "latin-1")):
            raise TypeError("bytes from an object that is neither a string nor bytes")
        return self._counted(text.encode("latin1"))

    def _counted(self, encoded: bytes) -> bytes:
        # A regular file contains one character per encoded byte; a memoised string could expand.
        self.encoded += len(encoded)
        if self.encoded > len(self.data):
            raise ValueError("more bytes than the file contains")
        return encoded
