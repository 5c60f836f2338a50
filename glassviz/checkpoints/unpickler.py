"""A safe pickle reader: reads plain data and arrays and never executes code."""

import math
import pickletools
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import ml_dtypes
import numpy as np

from glassviz.errors import GlassvizError
from glassviz.text import printable

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# Texts are short: a scalar copies its own, and may do so over and over.
_PLAIN_DTYPE = re.compile(r"[biuf][1248]|c8|c16|[SU][0-9]{1,2}|[SU]1[0-9]{2}")
_MAX_DIMENSIONS = 16


class ArrayError(Exception):
    """An array that is refused; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name referenced by the file.

    Attributes:
        known: whether this reader knows what it is; of other names only enum members are read.
    """

    path: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class Opaque:
    """Placeholder for an object whose class is not imported; its content is discarded."""

    path: str


@dataclass(slots=True, eq=False)
class PickledDType:
    """A dtype; the pickle sets its byte order afterwards.

    It is None where this reader does not read the values, as those of dates and records.
    """

    dtype: np.dtype[Any] | None

    def set_state(self, state: Any) -> None:
        """`dtype.__setstate__`: (version, byte order, None, None, None, -1, -1, 0)."""
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ArrayError("a dtype without a byte order")
        if self.dtype is not None:
            self.dtype = self.dtype.newbyteorder(order)


@dataclass(slots=True, eq=False)
class PickledArray:
    """An array; `values` is None until its state has been read, and where it is not read at all.

    `quantiser`: scale and zero point of values that are stored as integers.
    """

    values: np.ndarray | None = None
    quantiser: tuple[float, int] | None = None

    def floats(self) -> np.ndarray:
        """The values in single precision; (q − zero point)·scale where they are quantised."""
        assert self.values is not None
        if self.quantiser is None:
            return self.values.astype(np.float32)
        scale, zero_point = self.quantiser
        return ((self.values.astype(np.int64) - zero_point) * scale).astype(np.float32)

    def set_state(self, state: Any) -> None:
        """`ndarray.__setstate__`: (version, shape, dtype, whether Fortran order, raw bytes)."""
        _, shape, dtype, fortran, raw = state
        self.values = _view(raw, dtype, shape, "F" if fortran else "C")


def make_dtype(name: Any, align: Any = False, copy: Any = False) -> PickledDType:
    """`numpy.dtype(name, align, copy)` for booleans, numbers, text and bfloat16."""
    if isinstance(name, Global) and name.path == "ml_dtypes.bfloat16":
        return PickledDType(BFLOAT16)
    if isinstance(name, str) and name.startswith("O"):
        raise ArrayError("an object array, which may contain any Python object")
    plain = isinstance(name, str) and _PLAIN_DTYPE.fullmatch(name)
    return PickledDType(np.dtype(name) if plain else None)


def make_scalar(dtype: Any, raw: Any) -> Any:
    """`scalar(dtype, raw)`: a Python number or string."""
    values = _view(raw, dtype, (), "C")
    if values is None:
        return Opaque("numpy.generic")
    return float(values) if values.dtype == BFLOAT16 else values.item()


def make_from_buffer(
    raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None
) -> PickledArray:
    """`_frombuffer(raw, dtype, shape, order)` (protocol 5)."""
    if order == "K" and axis_order is not None:
        values = _view(raw, dtype, shape, "C")
        return PickledArray(None if values is None else values.transpose(axis_order))
    return PickledArray(_view(raw, dtype, shape, "F" if order == "F" else "C"))


def make_jax_array(function: Any, args: Any, state: Any, aval_state: Any) -> PickledArray:
    """`jax._src.array._reconstruct_array`: the NumPy array inside."""
    array = PickledArray()
    array.set_state(state)
    return array


def _view(raw: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> np.ndarray | None:
    """A read-only view of `raw`, whose length must match `shape` and `dtype`.

    None for values that are not read.
    """
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
    if dtype.dtype is None:
        return None
    size = math.prod(shape) * dtype.dtype.itemsize
    if size != len(raw):
        raise ArrayError(f"an array of {size:.4g} bytes with {len(raw)} bytes of data")
    array: np.ndarray = np.ndarray(shape, dtype.dtype, buffer=raw, order=order)
    array.flags.writeable = False
    return array


def _frozen_dict(content: Any) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise TypeError("a FrozenDict whose content is not a dictionary")
    return content


def _counter(content: Any = None) -> dict[Any, Any]:
    return content if isinstance(content, dict) else {}


def _deque(items: Any = (), most: Any = None) -> list[Any]:
    return items if isinstance(items, list) else []


RECONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": make_dtype,
    # The state of an array follows (protocols 0 to 4); scalars become Python numbers.
    "numpy._core.multiarray._reconstruct": lambda subtype, shape, typecode: PickledArray(),
    "numpy._core.multiarray.scalar": make_scalar,
    "numpy._core.numeric._frombuffer": make_from_buffer,
    "jax._src.array._reconstruct_array": make_jax_array,
    "flax.core.frozen_dict.FrozenDict": _frozen_dict,
    # Their entries follow, but for a Counter.
    "collections.OrderedDict": lambda: {},
    "collections.defaultdict": lambda factory=None: {},
    "collections.Counter": _counter,
    "collections.deque": _deque,
}
"""Functions called instead of the named ones, with the arguments in the file."""

BYTES_CONSTRUCTORS = frozenset({"builtins.bytes", "builtins.bytearray", "_codecs.encode"})
"""How protocols 0 to 2 encode bytes."""

_RECONSTRUCTOR = "copyreg._reconstructor"
_GETATTR = "builtins.getattr"

# Optimiser, environment and random states, which are discarded, contain objects of these packages …
_STUBBED_PACKAGES = {"optax", "brax", "jax", "jaxlib", "flax", "mujoco", "mujoco_playground"}
_RANDOM = "numpy.random."

# … and settings and notes contain objects of these classes.
_CLASSES = {
    "builtins": "bool complex dict float frozenset int list object range set slice str tuple",
    "argparse": "Namespace",
    "collections": "UserDict UserList",
    "copyreg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "ml_dtypes": "bfloat16",
    "numpy": "ndarray",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "types": "SimpleNamespace",
    "uuid": "SafeUUID UUID",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
}
_PLAIN_CLASSES = {
    f"{module}.{name}" for module, names in _CLASSES.items() for name in names.split()
}
_KNOWN = RECONSTRUCTORS.keys() | BYTES_CONSTRUCTORS | _PLAIN_CLASSES

# Names of the same objects in other versions of Python and NumPy.
_RENAMED = {
    "__builtin__.xrange": "builtins.range",
    "__builtin__.": "builtins.",
    "UserDict.IterableUserDict": "collections.UserDict",
    "UserList.UserList": "collections.UserList",
    "copy_reg.": "copyreg.",
    "numpy.core.": "numpy._core.",
    "pathlib._local.": "pathlib.",
}

# Modules and functions that run code, read or write files, or lead to what does.
_RUNNERS = set(
    [
        "__builtin__",
        "_io",
        "_pickle",
        "_posixsubprocess",
        "_thread",
        "asyncio",
        "bdb",
        "builtins",
        "cProfile",
        "cloudpickle",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "dill",
        "distutils",
        "doctest",
        "ftplib",
        "functools",
        "http",
        "importlib",
        "inspect",
        "io",
        "joblib",
        "linecache",
        "marshal",
        "multiprocessing",
        "nt",
        "ntpath",
        "operator",
        "os",
        "pdb",
        "pickle",
        "pip",
        "pkgutil",
        "platform",
        "popen2",
        "posix",
        "posixpath",
        "profile",
        "pty",
        "pydoc",
        "requests",
        "runpy",
        "setuptools",
        "shelve",
        "shutil",
        "signal",
        "site",
        "smtplib",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "timeit",
        "trace",
        "urllib",
        "venv",
        "webbrowser",
        "winreg",
        "zipimport",
    ]
)
_RUNNING = _RUNNERS | set(
    [
        "__builtins__",
        "__globals__",
        "__import__",
        "__subclasses__",
        "breakpoint",
        "compile",
        "eval",
        "exec",
        "execfile",
        "getattr",
        "open",
        "popen",
        "runstring",
        "setattr",
        "system",
    ]
)

_MAX_NAME = 200
"""Of a module or a name: memoised long names could be joined over and over."""


def _current_path(module: str, name: str) -> str:
    """The full name of an object in today's versions of Python and NumPy."""
    path = f"{module}.{name}"
    for old, new in _RENAMED.items():
        if path.startswith(old):
            path = new + path.removeprefix(old)
    return path


def _is_stubbed(path: str) -> bool:
    return path.partition(".")[0] in _STUBBED_PACKAGES or path.startswith(_RANDOM)


# A checkpoint has about 10⁴ opcodes; this limit costs at most one second and about 20 MB.
MAX_OPCODES = 200_000
_MAX_INT_BITS = 128
_MAX_KEY_BITS = 60  # integers below 2⁶¹ − 1 hash to themselves
_MAX_KEY_LENGTH = 1000  # comparing long equal keys over and over takes long
_MAX_MEMO_INDEX = (1 << 32) - 1
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


def read_pickle(
    data: bytes,
    place: str,
    reconstructors: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    storage: Callable[[Any], Any] | None = None,
) -> tuple[Any, list[str]]:
    """Read the plain data in a pickle: dicts, lists, tuples, numbers, strings, bytes and arrays.

    Arrays are returned as `PickledArray`s; `place` is the file's name in messages. The second
    result names the classes of objects whose content is left out, other than optimiser states.

    Args:
        reconstructors: what is called instead of further functions that the file names.
        storage: finds what the file refers to outside the pickle; by default nothing may be.

    Raises:
        GlassvizError: the stream is damaged or truncated, refers to a name that no checkpoint
            needs, or contains less data than it declares.
    """
    machine = _Machine(data, place, RECONSTRUCTORS | dict(reconstructors), storage)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in text opcodes
            return machine.run(), sorted(machine.left_out)
    except ArrayError as error:
        raise GlassvizError(
            f"{place}: expected arrays of numbers, found {error}: nothing was loaded"
        ) from None
    # Inconsistent opcodes raise one of these.
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError):
        raise GlassvizError(
            f"{place}: expected a complete pickle, found one that is damaged or truncated near "
            f"byte {machine.position} of {len(data)}: copy the file again from where it was written"
        ) from None


_DISTRUST = "do not trust this file"
_SAVE_PLAIN = "save the parameters alone, as dictionaries of arrays"


def _is_key(key: Any) -> bool:
    """Whether an entry is kept; those with other keys are left out.

    Hashing a deeply nested tuple would overflow the C stack, and larger integers can be chosen to
    collide, which makes insertion quadratic.
    """
    if isinstance(key, str | bytes):
        return len(key) <= _MAX_KEY_LENGTH
    return key is None or (isinstance(key, int) and key.bit_length() <= _MAX_KEY_BITS)


class _Machine:
    def __init__(
        self,
        data: bytes,
        place: str,
        reconstructors: dict[str, Callable[..., Any]],
        storage: Callable[[Any], Any] | None,
    ) -> None:
        self.data = data
        self.place = place
        self.reconstructors = reconstructors
        self.storage = storage
        self.position = 0
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.left_out: set[str] = set()
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
                index = len(self.memo) if arg is None else int(arg)
                # Large integers can be chosen to collide.
                if not 0 <= index <= _MAX_MEMO_INDEX:
                    raise ValueError("an index beyond any memo")
                self.memo[index] = self.stack[-1]
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
                self._call(function, args, op == "REDUCE")
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
                elif not isinstance(target, Opaque | dict):  # attributes of an OrderedDict
                    raise TypeError("a state for an object without one")
            case "BINPERSID" if self.storage:
                self.stack.append(self.storage(self.stack.pop()))
            case _:  # STRING (Python 2), PERSID, EXT1, NEXT_BUFFER and the like
                self._refuse(f"opcode {op}, which no checkpoint uses", _SAVE_PLAIN)

    def _refuse(self, content: str, advice: str) -> NoReturn:
        raise GlassvizError(
            f"{self.place}: expected the plain data of a checkpoint, found a pickle with "
            f"{printable(content)}: nothing was executed; {advice}"
        )

    def _refuse_unknown(self, path: str) -> NoReturn:
        self._refuse(f"{printable(path, 80)}, which this reader does not know", _SAVE_PLAIN)

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
            if _is_key(key):
                target[key] = value

    def _find(self, module: str, name: str) -> Global:
        longest = max(len(module), len(name))
        if longest > _MAX_NAME:
            self._refuse(f"a name of {longest} characters", _DISTRUST)
        path = _current_path(module, name)
        if path in _KNOWN or path in self.reconstructors or _is_stubbed(path):
            return Global(path)
        path = f"{module}.{name}"
        if path in (_GETATTR, "__builtin__.getattr"):
            return Global(_GETATTR)
        is_class = path.rpartition(".")[2][:1].isupper()
        if module.partition(".")[0] in _RUNNERS or not _RUNNING.isdisjoint(name.split(".")):
            self._refuse(f"the name {path}", _DISTRUST)
        if not is_class:
            self._refuse_unknown(path)
        return Global(path, known=False)

    def _call(self, function: Any, args: Any, reduced: bool = False) -> None:
        if not (isinstance(function, Global) and isinstance(args, tuple)):
            raise TypeError("a call of an object that is not a name")
        path = function.path
        if path == _GETATTR:
            self.stack.append(self._attribute(args))
        elif not function.known:
            # An enum member is written as a call of its class with its value.
            if not (reduced and len(args) == 1 and isinstance(args[0], str | int | float)):
                self._refuse_unknown(f"an object of {path}")
            self._leave_out(path)
        elif path == _RECONSTRUCTOR:
            self._call(args[0], ())
        elif path in BYTES_CONSTRUCTORS:
            self.stack.append(self._bytes(*args))
        elif make := self.reconstructors.get(path):
            self.stack.append(make(*args))
        else:
            self._leave_out(path)

    def _leave_out(self, path: str) -> None:
        """Push a placeholder for an object that is not needed."""
        self.stack.append(Opaque(path))
        if not (_is_stubbed(path) or path.startswith(("builtins.", "numpy."))):
            self.left_out.add(path)

    def _attribute(self, args: tuple[Any, ...]) -> Global | Opaque:
        """A class within a class or an enum member, as older versions of Python write them."""
        match args:
            case (Global(path=path, known=known), str(name)) if (
                len(path) + len(name) <= 2 * _MAX_NAME
                and path.rpartition(".")[2][:1].isupper()
                and name.isidentifier()
                and not name.startswith("__")
                and name not in _RUNNING
            ):
                self.left_out.add(f"{path}.{name}")
                return Global(f"{path}.{name}", known)
        self._refuse(f"the name {_GETATTR}", _DISTRUST)

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
