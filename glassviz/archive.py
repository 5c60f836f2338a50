"""A header and arrays in one .npz file, with a checksum: traces, maps, demonstrations, saves."""

import hashlib
import json
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from glassviz.errors import GlassvizError
from glassviz.files import (
    FOREIGN_BYTES,
    MAX_BYTES,
    MissingFileError,
    StrPath,
    foreign,
    opened,
    replacing,
)
from glassviz.text import parse_json, printable

HEADER = "header"
CHECKSUM = "sha256"

_MAX_HEADER = 16 << 20
_MAX_MEMBERS = 10_000
_MAX_GROWTH = 200
"""How many times its size a compressed file may unpack to; flags of long episodes reach 100."""

_FREE_BYTES = 64 << 20
"""What any file may unpack to."""

_DAMAGED = (
    # Members that are cut short, missing, too large, encrypted, or not what they say.
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, OverflowError),
    # An array where an archive belongs, and members without the attributes of arrays.
    *(TypeError, AttributeError),
    # Methods of compression that this Python lacks.
    NotImplementedError,
    # NumPy evaluates the header of each array as a Python literal, and warns of odd ones.
    *(SyntaxError, RecursionError, tokenize.TokenError, Warning),
    *(zipfile.BadZipFile, zlib.error),
)
"""Exceptions of NumPy and zipfile for damaged files and files of another kind."""


def save(
    path: StrPath,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    compress: bool = False,
) -> int:
    """Write a header of JSON values and arrays by name, atomically; return their size in bytes.

    Raises:
        DiskFullError: the file does not fit; an older one is intact.
        GlassvizError: it cannot be written for another reason.
    """
    text = json.dumps(header, sort_keys=True).encode()
    members = {HEADER: np.frombuffer(text, np.uint8), **arrays}
    checksum = np.frombuffer(_checksum(members), np.uint8)
    write: Any = np.savez_compressed if compress else np.savez
    size = sum(array.nbytes for array in members.values())
    with replacing(path, None if compress else size) as partial, partial.open("wb") as file:
        write(file, **members, **{CHECKSUM: checksum})
    return size


def load(
    path: StrPath, expected: str, remedy: str, limit: int = MAX_BYTES
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a header and arrays; strings in the header are printable.

    Files without a checksum, of older versions, are read too.

    Args:
        expected: what the file should be, with its article: "a trace".
        remedy: what to do if it is not, as the end of the message.
        limit: the largest size in bytes, of the file and of what it unpacks to.

    Raises:
        MissingFileError: there is no such file.
        GlassvizError: it is not such a file, damaged, or unpacks to too much.
    """
    path = Path(path)
    try:
        with _strict(), opened(path, expected, limit) as file, zipfile.ZipFile(file) as members:
            size = _check_size(members, file.seek(0, 2), limit)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                header = _header(archive[HEADER], size)
                arrays = {name: archive[name] for name in archive.files if name != HEADER}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("members that are not arrays")
        found = arrays.pop(CHECKSUM, None)
        text = np.frombuffer(header, np.uint8)
        if found is not None and found.tobytes() != _checksum({HEADER: text, **arrays}):
            raise ValueError("its content does not fit its checksum")
        parsed = parse_json(header)
        if not isinstance(parsed, dict):
            raise ValueError("its header is not an object")
    except GlassvizError as error:
        if isinstance(error, MissingFileError):
            raise error.with_remedy(remedy) from None
        raise
    except _DAMAGED as error:
        raise _damaged(path, expected, remedy, error) from None
    return parsed, arrays


def load_header(path: StrPath, expected: str, remedy: str) -> dict[str, Any]:
    """Read the header alone, without looking at the arrays or the checksum; as `load`."""
    path = Path(path)
    try:
        with _strict(), opened(path, expected) as file, zipfile.ZipFile(file) as members:
            size = _check_size(members, file.seek(0, 2), MAX_BYTES)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                parsed = parse_json(_header(archive[HEADER], size))
        if not isinstance(parsed, dict):
            raise ValueError("its header is not an object")
    except _DAMAGED as error:
        raise _damaged(path, expected, remedy, error) from None
    return parsed


def _damaged(path: Path, expected: str, remedy: str, error: BaseException) -> GlassvizError:
    """Says what lies in place of the archive, or else why it cannot be read."""
    with opened(path, expected) as file:
        start = file.read(FOREIGN_BYTES)
    if (found := foreign(start)) and not zipfile.is_zipfile(path):
        return GlassvizError(
            f"{path}: expected {expected} (.npz), found {found.kind}: {found.remedy}"
        )
    return GlassvizError(
        f"{path}: expected {expected} (.npz), found a file that cannot be read as one "
        f"({_reason(error)}): {remedy}"
    )


@contextmanager
def _strict() -> Iterator[None]:
    """NumPy warns of headers that it has never written."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _header(array: Any, size: int) -> bytes:
    if not isinstance(array, np.ndarray) or array.nbytes > min(_MAX_HEADER, size):
        raise ValueError("no header")
    if array.dtype == np.uint8:
        return array.tobytes()
    # Of older versions: a string.
    if array.dtype.kind == "U" and array.ndim == 0:
        return str(array).encode()
    raise ValueError("no header")


def _check_size(members: zipfile.ZipFile, size: int, limit: int) -> int:
    """The size of all members when unpacked.

    Raises:
        ValueError: it is more than real files of this size unpack to.
    """
    infos = members.infolist()
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > _MAX_MEMBERS:
        raise ValueError(f"{len(infos)} members")
    if len({info.filename for info in infos}) < len(infos):
        raise ValueError("two members of one name")
    if unpacked > min(limit, max(_FREE_BYTES, size * _MAX_GROWTH)):
        raise ValueError(f"{size / 1e6:.1f} MB that unpack to {unpacked / 1e6:.4g} MB")
    return unpacked


def _checksum(members: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(members):
        array = members[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.digest()


def _reason(error: BaseException) -> str:
    """At most a line; NumPy advises to load files of another kind unsafely."""
    text = str(error.args[0] if isinstance(error, tokenize.TokenError) else error)
    if "allow_pickle" in text or "pickle" in text.lower():
        return "it is no archive of arrays"
    return printable(text.splitlines()[0] if text else type(error).__name__)
