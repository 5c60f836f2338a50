"""Atomic file writes, with one-sentence errors when the disk is full."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from glassviz.errors import GlassvizError

StrPath = str | os.PathLike[str]
"""A path, as public functions take it."""

PARTIAL_SUFFIX = ".partial"

_NO_SPACE = {
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "file size limit exceeded",
}


def as_paths(paths: StrPath | Sequence[StrPath]) -> list[Path]:
    """One path or several, as a list.

    >>> as_paths("runs/hop")
    [PosixPath('runs/hop')]
    """
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


class DiskFullError(GlassvizError):
    """A file did not fit on the disk.

    Attributes:
        path: the file; its previous content is intact.
        finding: the message without the remedy.
    """

    def __init__(self, path: Path, size: int | None, reason: str) -> None:
        needed = "" if size is None else f", {max(size / 1e6, 0.1):.1f} MB needed"
        self.path = path
        self.finding = f"{path}: {reason}{needed}"
        super().__init__(f"{self.finding}: free some space and try again")


@contextmanager
def replacing(path: StrPath, size: int | None = None) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, renamed to `path` when the block succeeds.

    Parent folders are created. When the block fails or is interrupted, the temporary file is
    removed and an older file at `path` stays as it was. The data is flushed to disk before the
    rename, so this holds after a power cut too.

    Args:
        path: the file to write.
        size: its size in bytes, if known; reported when it does not fit.

    Raises:
        DiskFullError: the file does not fit.
        GlassvizError: it cannot be written for another reason, such as missing permission.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with write_errors(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def refuse_existing(path: StrPath, overwrite: bool) -> None:
    """Raise GlassvizError if `path` exists and must not be overwritten."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise GlassvizError(
            f"{path}: already exists: pass --overwrite to replace it, or choose another name"
        )


def append(path: StrPath, data: bytes) -> None:
    """Append `data` to a file, all of it or nothing.

    Raises:
        DiskFullError: the data does not fit.
        GlassvizError: the file cannot be written for another reason.
    """
    path = Path(path)
    with write_errors(path, len(data)), path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            file.truncate(before)
            raise


@contextmanager
def write_errors(path: StrPath, size: int | None) -> Iterator[None]:
    """Turn an OSError raised while writing `path` into a GlassvizError.

    Raises:
        DiskFullError: the data does not fit.
        GlassvizError: the file cannot be written for another reason.
    """
    path = Path(path)
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(path, size, _NO_SPACE[error.errno]) from None
        raise GlassvizError(f"{path}: cannot be written: {error.strerror or error}") from None
