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


def make_empty(subtype: Any, shape: Any, typecode: Any) -> PickledArray:
    """`_reconstruct(ndarray, (0,), b'b')`: an array whose state follows (protocols 0 to 4)."""
    return PickledArray()


def make_from_buffer(
    raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None
) -> PickledArray:
    """`_frombuffer(raw, dtype, shape, order)` (protocol 5)."""
    if order == "K" and axis_order is not None:
        return PickledArray(_view(raw, dtype, shape, "C").transpose(axis_order))
    return PickledArray(_view(raw, dtype, shape, "F" if order == "F" else "C"))


def make_scalar(dtype: Any, raw: Any) -> bool | int | float:
    """`scalar(dtype, raw)`: a NumPy scalar, as a Python number."""
    number: bool | int | float = _view(raw, dtype, (), "C").item()
    return number


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
    if not (isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS):
        raise ArrayError("an array without a shape")
    if not all(type(n) is int and n >= 0 for n in shape):
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
"""Functions called instead of the named ones, with the arguments in the file."""

BYTES_CONSTRUCTORS = frozenset({"builtins.bytes", "builtins.bytearray", "_codecs.encode"})
"""How protocols 0 to 2 encode bytes."""

# Optimiser and environment states, which are discarded, contain objects of these packages …
_STUBBED_PACKAGES = frozenset(
    {"optax", "brax", "jax", "jaxlib", "flax", "mujoco", "mujoco_playground"}
)

# … and of these classes.
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

_KNOWN = RECONSTRUCTORS.keys() | BYTES_CONSTRUCTORS | _PLAIN_CLASSES

# Names of the same objects in Python 2 and NumPy 1.
_RENAMED = (
    ("__builtin__.", "builtins."),
    ("copy_reg.", "copyreg."),
    ("numpy.core.", "numpy._core."),
)


def known_path(module: str, name: str) -> str | None:
    """The full current name of an object that a file may refer to; None for any other object."""
    path = f"{module}.{name}"
    for old, new in _RENAMED:
        if path.startswith(old):
            path = new + path.removeprefix(old)
    return path if path in _KNOWN or module.split(".")[0] in _STUBBED_PACKAGES else None


# A checkpoint has about 10⁴ opcodes; this limit costs at most one second and about 20 MB.
MAX_OPCODES = 200_000
_MAX_INT_BITS = 128
_MAX_KEY_BITS = 60  # integers below 2⁶¹ − 1 hash to themselves
_HIGHEST_PROTOCOL = 5
_FRAME_OPCODE_BYTES = 9
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_LITERALS = _NUMBERS | _TEXTS | _BYTES
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def read_pickle(data: bytes, place: str) -> Any:
    """Read the plain data in a pickle: dicts, lists, tuples, numbers, strings, bytes and arrays.

    Arrays are returned as `PickledArray`s.

    Args:
        data: content of the file.
        place: the file's name in messages.

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
    """The stack machine: one method per kind of opcode."""

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
        else:  # STRING (Python 2), PERSID, EXT1, NEXT_BUFFER and the like
            self._refuse(f"opcode {op}, which no checkpoint uses")

    def _push_literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            raise ValueError("an integer too large for a checkpoint")
        self.stack.append(value)

    def _refuse(self, content: str) -> NoReturn:
        raise GlassvizError(
            f"{self.place}: expected the plain data of a checkpoint, found a pickle with "
            f"{printable(content)}: nothing was executed; do not trust this file"
        )

    # -- the stream

    def _op_proto(self, version: int) -> None:
        if version > _HIGHEST_PROTOCOL:
            raise ValueError("an unknown protocol")

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
            raise TypeError("items added to an object that is not a list")

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
            raise TypeError("entries added to an object that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a deeply nested tuple would overflow the C stack.
            if not (key is None or isinstance(key, str | bytes | int)):
                raise TypeError("a dictionary key that is not a plain value")
            # Larger integers can be chosen to collide, which makes insertion quadratic.
            if isinstance(key, int) and key.bit_length() > _MAX_KEY_BITS:
                raise TypeError("a dictionary key that is too large an integer")
            target[key] = value

    # -- names and calls

    def _op_global(self, arg: str) -> None:
        self.stack.append(self._find(*arg.split(" ", 1)))

    def _op_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a name that is not a string")
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
            raise TypeError("a call of an object that is not a name")
        if function.path in BYTES_CONSTRUCTORS:
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
            raise TypeError("a state for an object without one")

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
