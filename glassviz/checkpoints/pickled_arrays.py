"""numpy arrays out of a pickle, rebuilt from the recorded arguments and without numpy's own code.

numpy's reconstructors allocate what the file claims, and bring object arrays to life. These take
a buffer that is already in memory and a shape that must fill it exactly, so an array costs
nothing that the file has not paid for.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

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
