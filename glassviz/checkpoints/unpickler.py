"""Reads a pickle without running it.

A pickle is a program for a stack machine whose calls can run anything. This module walks that
program (opcodes as `pickletools` decodes them) and keeps plain data only: no class is looked up,
no function of the file's choice is called, no attribute is set. `pickled_names` says which names a
file may refer to and what a call of each becomes; any other is refused when it is met.

What a file may cost is bounded by its own length: every length that it declares must fit into
what is left of it, arrays are views of bytes in the file, and the number of opcodes is limited.
"""

import pickletools
import warnings
from io import BytesIO
from typing import Any, NoReturn

from glassviz.checkpoints import pickled_arrays as arrays
from glassviz.checkpoints.pickled_names import (
    BYTES_MAKERS,
    RECONSTRUCTORS,
    Global,
    Opaque,
    known_path,
)
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError

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
    except arrays.ArrayError as error:
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
        if isinstance(target, arrays.PickledArray | arrays.PickledDType):
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
