"""Files change whole or not at all, and a full disk is told in one sentence."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glassviz.errors import GlassvizError

PARTIAL_SUFFIX = ".partial"

_NO_ROOM = {
    errno.ENOSPC: "a full disk",
    errno.EDQUOT: "a full disk quota",
    errno.EFBIG: "a limit on the size of a file",
}


class DiskFullError(GlassvizError):
    """There was no room for a file.

    Attributes:
        path: the file; what stood there before stands there still.
        finding: what was expected of the place and what was found, without the remedy.
    """

    def __init__(self, path: Path, size: int | None, found: str) -> None:
        room = "room" if size is None else f"room for {max(size / 1e6, 0.1):.1f} MB"
        self.path = path
        self.finding = f"{path}: expected {room}, found {found}"
        super().__init__(f"{self.finding}: free some room and try again")


@contextmanager
def replacing(path: Path, size: int | None = None) -> Iterator[Path]:
    """A place beside `path` to write a file to; it becomes `path` when the block ends well.

    Folders on the way are made. When the block fails, or is interrupted, what it wrote is removed
    and an older file at `path` stays as it was. The file reaches the disk before its name does,
    so that this holds for a power cut as well.

    Args:
        path: the file.
        size: how many bytes it will have, where that is known; said when they do not fit.

    Raises:
        DiskFullError: there is no room for the file.
        GlassvizError: it cannot be written for another reason (no permission).
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with telling_no_room(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise GlassvizError when there is a file at `path` and it may not be overwritten."""
    if path.exists() and not overwrite:
        raise GlassvizError(
            f"{path}: there is a file already: pass --overwrite to replace it, or choose another "
            f"name"
        )


def append(path: Path, data: bytes) -> None:
    """Add `data` at the end of a file; when there is no room for all of it, nothing is added.

    Raises:
        DiskFullError: there is no room.
        GlassvizError: the file cannot be written for another reason.
    """
    with telling_no_room(path, len(data)), path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            file.truncate(before)
            raise


@contextmanager
def telling_no_room(path: Path, size: int | None) -> Iterator[None]:
    """Turn the system's errors in writing `path` into the user's.

    Raises:
        DiskFullError: there is no room.
        GlassvizError: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFullError(path, size, _NO_ROOM[error.errno]) from None
        raise GlassvizError(f"{path}: cannot be written: {error.strerror or error}") from None
