"""A reader of PyTorch archives (.pt) without PyTorch: tensors as arrays, and no code executed."""

import math
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from glassviz.checkpoints.unpickler import BFLOAT16, ArrayError, Global, PickledArray, read_pickle
from glassviz.errors import GlassvizError
from glassviz.text import printable

_STORAGES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": BFLOAT16,
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "QInt8Storage": np.dtype(np.int8),
    "QUInt8Storage": np.dtype(np.uint8),
    "QInt32Storage": np.dtype(np.int32),
}

_MAX_MEMBERS = 10_000
_MAX_NAME = 512
_MAX_PICKLE = 16 << 20
_MAX_DIMENSIONS = 16
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, RuntimeError)
_LOCAL_HEADER = 30
"""Bytes of the header before each member, besides its name."""

_DIRECTORY_ENTRY = b"PK\x01\x02"
"""Before each entry of the directory, which is counted before it is read."""

_COPY_AGAIN = "copy the file again from where it was written"
_DISTRUST = "nothing was loaded; do not trust this file"


class _Storage(NamedTuple):
    """A block of numbers that tensors are views of."""

    values: np.ndarray


def read(data: bytes, place: str) -> tuple[Any, list[str]]:
    """Read the containers, numbers and tensors of an archive written by `torch.save`.

    Tensors are returned as `PickledArray`s with the values that they are stored in; quantised ones
    are float32. Devices do not matter. `place` is the file's name in messages. The second result
    names the classes of objects whose content is left out.

    Raises:
        GlassvizError: the archive is damaged, is not one of `torch.save`, or is not what it
            declares: members that are compressed, overlap or leave their folder, storages of
            another size, tensors beyond their storage, or references to code.
    """
    archive = _Archive(data, place)
    return read_pickle(archive.pickle, place, _RECONSTRUCTORS, archive.storage)


class _Archive:
    """The members of an archive, checked, and what its pickle refers to."""

    def __init__(self, data: bytes, place: str) -> None:
        self.data, self.place = data, place
        self.members = self._members()
        pickles = [name for name in self.members if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise self._error(
                f"expected one data.pkl, as torch.save writes, found {len(pickles)}", _COPY_AGAIN
            )
        self.folder = pickles[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in self.members:
            raise self._error(
                "found a TorchScript module, which contains code", "save its state_dict() instead"
            )
        order = bytes(self._bytes(f"{self.folder}byteorder", b"little")).strip()
        if order not in (b"little", b"big"):
            raise self._error("its byte order is neither little nor big", _COPY_AGAIN)
        self.order = "<" if order == b"little" else ">"
        raw = self._bytes(pickles[0])
        if len(raw) > _MAX_PICKLE:
            raise self._error(
                f"expected a data.pkl of at most {_MAX_PICKLE / 1e6:.0f} MB, found "
                f"{len(raw) / 1e6:.0f} MB",
                _DISTRUST,
            )
        self.pickle = bytes(raw)
        self.read_storages: dict[str, _Storage] = {}

    def storage(self, reference: Any) -> _Storage:
        """The numbers behind a persistent id ('storage', class, key, device, count)."""
        match reference:
            case ("storage", Global(path=path), str(key), str(), int(count)) if count >= 0:
                dtype = _STORAGES.get(path.removeprefix("torch."))
            case _:
                raise ArrayError("a storage without its type, name and size")
        if dtype is None:
            raise ArrayError(f"a storage of {printable(path, 80)}, which is not one of numbers")
        if key not in self.read_storages:
            raw = self._bytes(f"{self.folder}data/{key}")
            if len(raw) != count * dtype.itemsize:
                raise ArrayError(
                    f"a storage of {count} values, {count * dtype.itemsize} bytes, with "
                    f"{len(raw)} bytes of data"
                )
            # Not all types have a byte order, but integers of their size do.
            native = f"u{dtype.itemsize}"
            numbers = np.frombuffer(raw, f"{self.order}{native}").astype(native, copy=False)
            self.read_storages[key] = _Storage(numbers.view(dtype))
        known = self.read_storages[key]
        if known.values.dtype != dtype or len(known.values) != count:
            raise ArrayError(f"a storage that is declared twice, in different ways: {key}")
        return known

    def _members(self) -> dict[str, memoryview]:
        """The bytes of every member by name; none is copied."""
        if (count := self.data.count(_DIRECTORY_ENTRY)) > _MAX_MEMBERS:
            raise self._error(f"expected at most {_MAX_MEMBERS} members, found {count}", _DISTRUST)
        try:
            with zipfile.ZipFile(BytesIO(self.data)) as archive:
                infos, directory = archive.infolist(), archive.start_dir
        except _DAMAGED as error:
            raise self._error(
                f"expected a complete .pt file, found one that is damaged or truncated "
                f"({printable(str(error))})",
                _COPY_AGAIN,
            ) from None
        members: dict[str, memoryview] = {}
        end = 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            name = info.filename
            if problem := _problem(info) or (name in members and "occurs twice"):
                raise self._error(f"member {printable(name, 80)} {problem}", _DISTRUST)
            start = self._start(info)
            if info.header_offset < end or start + info.file_size > directory:
                raise self._error(
                    f"member {printable(name, 80)} overlaps another one, or what follows the last",
                    _DISTRUST,
                )
            end = start + info.file_size
            content = memoryview(self.data)[start:end]
            # A damaged weight would otherwise be an agent that falls over.
            if info.CRC and zlib.crc32(content) != info.CRC:
                raise self._error(
                    f"the content of member {printable(name, 80)} does not fit its checksum",
                    _COPY_AGAIN,
                )
            members[name] = content
        return members

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Where the bytes of a member begin: after its own header, name and padding."""
        header = self.data[info.header_offset : info.header_offset + _LOCAL_HEADER]
        if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
            raise self._error(f"member {printable(info.filename, 80)} has no header", _COPY_AGAIN)
        name, extra = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
        return info.header_offset + _LOCAL_HEADER + name + extra

    def _bytes(self, name: str, default: bytes | None = None) -> memoryview:
        if name in self.members:
            return self.members[name]
        if default is None:
            raise self._error(f"member {printable(name, 80)} is missing", _COPY_AGAIN)
        return memoryview(default)

    def _error(self, problem: str, remedy: str) -> GlassvizError:
        return GlassvizError(f"{self.place}: {problem}: {remedy}")


def _problem(info: zipfile.ZipInfo) -> str:
    """What is wrong with a member of an archive; empty if nothing is."""
    parts = info.filename.split("/")
    if len(info.filename) > _MAX_NAME or info.filename.startswith("/") or ".." in parts:
        return "has a name that leaves the archive"
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return "is compressed, expected stored members, as torch.save writes"
    if info.flag_bits & 1:
        return "is encrypted"
    return ""


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> PickledArray:
    """`_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`: a view."""
    return PickledArray(_view(storage, offset, size, stride))


def _quantised_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, quantiser: Any, *_: Any
) -> PickledArray:
    """`_rebuild_qtensor(storage, offset, size, stride, (scheme, scale, zero point), …)`."""
    match quantiser:
        case (Global(path="torch.per_tensor_affine"), float(scale), int(zero_point)) if (
            math.isfinite(scale) and abs(zero_point) < 1 << 31
        ):
            return PickledArray(_view(storage, offset, size, stride), (scale, zero_point))
    raise ArrayError("a tensor that is not quantised per tensor")


def _parameter(tensor: Any, *_: Any) -> Any:
    """`_rebuild_parameter(tensor, requires_grad, hooks)`: the tensor."""
    return tensor


def _of_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    """`_rebuild_from_type_v2(function, type, args, state)`: the tensor without its attributes."""
    if isinstance(function, Global) and function.path == "torch._utils._rebuild_tensor_v2":
        return _tensor(*args)
    raise ArrayError("a tensor of a class of its own")


def _view(storage: Any, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """A read-only view of a storage, checked to lie within it."""
    if not isinstance(storage, _Storage) or not isinstance(size, tuple):
        raise ArrayError("a tensor without its storage or shape")
    numbers = [offset, *size, *(stride if isinstance(stride, tuple) else (None,))]
    if not all(type(n) is int and 0 <= n < 1 << 48 for n in numbers) or len(stride) != len(size):
        raise ArrayError("a tensor without an offset, a shape and a stride")
    if len(size) > _MAX_DIMENSIONS:
        raise ArrayError(f"a tensor of {len(size)} dimensions")
    values, count = storage.values, math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # With a stride of 0, a few numbers could become any number of them.
    if count and (last >= len(values) or count > len(values)):
        raise ArrayError(
            f"a tensor of shape {size} that reaches beyond its storage of {len(values)} values"
        )
    step = values.dtype.itemsize
    start = values[offset:] if count else values[:0]
    return np.lib.stride_tricks.as_strided(start, size, [n * step for n in stride], writeable=False)


def _shape(dims: Any = ()) -> tuple[Any, ...]:
    """`torch.Size(dims)`: nothing is copied."""
    if not isinstance(dims, tuple):
        raise ArrayError("a shape that is not a tuple")
    return dims


def _nothing(*_: Any) -> None:
    """A device or a version, which do not matter."""


def _not_called(*_: Any) -> Any:
    raise ArrayError("a call of a type, which torch.save does not write")


_NAMED = (
    *(f"torch.{name}" for name in _STORAGES),
    *("torch.per_tensor_affine", "torch.per_channel_affine", "torch.Tensor"),
    *("torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
    *(f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int64")),
)
"""What tensors refer to by name alone."""

_RECONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_qtensor": _quantised_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": _shape,
    "torch.device": _nothing,
    "torch.torch_version.TorchVersion": _nothing,
    **dict.fromkeys(_NAMED, _not_called),
}
