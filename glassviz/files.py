"""Files: regular ones read whole and within a limit, atomic writes, checks before long work."""

import difflib
import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from glassviz.errors import GlassvizError

StrPath = str | os.PathLike[str]
"""A path, as public functions take it."""

MAX_BYTES = 8 << 30
"""Largest file that is read: more than any checkpoint, trace or saved training run."""

PARTIAL_SUFFIX = ".partial"

_NO_SPACE = {
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "file size limit exceeded",
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def as_paths(paths: StrPath | Sequence[StrPath]) -> list[Path]:
    """One path or several, as a list.

    >>> as_paths("runs/hop")
    [PosixPath('runs/hop')]
    """
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


# Reading ------------------------------------------------------------------------------------------


@contextmanager
def opened(path: StrPath, expected: str, limit: int = MAX_BYTES) -> Iterator[BinaryIO]:
    """Open a regular file for reading: everything that glassviz reads is opened here.

    Opening a named pipe would wait for a writer, and a device such as /dev/zero has no end.

    Args:
        expected: what the file should be, with its article, for messages: "a trace".
        limit: its largest size in bytes.

    Raises:
        MissingFileError: there is no such file.
        GlassvizError: it is not a regular file, larger than `limit`, or cannot be opened.
    """
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(path, expected) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if found := _kind(path):  # a socket cannot be opened at all
            raise GlassvizError(
                f"{path}: expected {expected}, found {found}: name a regular file"
            ) from None
        raise GlassvizError(
            f"{path}: expected {expected}, found a file that cannot be read ({_reason(error)}): "
            f"change its permissions, or name another"
        ) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        found = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise GlassvizError(f"{path}: expected {expected}, found {found}: name a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit:
            raise GlassvizError(
                f"{path}: expected {expected} of at most {shown_size(limit)}, found "
                f"{shown_size(status.st_size)}: is it another file?"
            )
        yield file


def read_bytes(path: StrPath, expected: str, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file; see `opened`.

    Raises:
        MissingFileError: there is no such file.
        GlassvizError: it is not a regular file, larger than `limit`, or cannot be read.
    """
    with opened(path, expected, limit) as file:
        try:
            # A file may grow while it is read.
            data = file.read(limit + 1)
        except OSError as error:
            raise GlassvizError(
                f"{path}: expected {expected}, found that it cannot be read: {_reason(error)}"
            ) from None
    if len(data) > limit:
        raise GlassvizError(
            f"{path}: expected {expected} of at most {shown_size(limit)}, found more"
        )
    return data


def read_text(path: StrPath, expected: str, limit: int = 64 << 20) -> str:
    """The content of a text file in UTF-8, with or without a byte order mark; see `opened`.

    Raises:
        MissingFileError: there is no such file.
        GlassvizError: as for `read_bytes`, or it is not text.
    """
    data = read_bytes(path, expected, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise GlassvizError(
            f"{path}, line {line}: expected {expected} in UTF-8, found bytes that are not: save "
            f"it as UTF-8"
        ) from None


def orbax_agent(folder: StrPath) -> Path | None:
    """Where orbax wrote the agent of the last step of a run of tdmpc2-jax; None if it did not.

    `folder` is that of the run, of its steps, of a step, or of the agent itself.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            return None
        for steps in (folder, folder / "checkpoint", folder / "checkpoints"):
            numbered = [each for each in steps.glob("*/agent/_METADATA") if _step_of(each) >= 0]
            if numbered:
                return max(numbered, key=_step_of).parent
        found = (folder / "agent" / "_METADATA", folder / "_METADATA")
        return next((each.parent for each in found if each.is_file()), None)
    except OSError:  # its reader says so
        return None


def _step_of(metadata: Path) -> int:
    """The step whose agent is described in a file; −1 if its folder is not a step's."""
    name = metadata.parent.parent.name
    return int(name) if re.fullmatch("[0-9]{1,18}", name) else -1


class MissingFileError(GlassvizError):
    """There is no such file.

    Args:
        expected: what the file should be, with its article.
        remedy: what to do; not said where the folder has a file that may be meant.
        what: `file` or `folder`.
    """

    def __init__(self, path: StrPath, expected: str, remedy: str = "", what: str = "file") -> None:
        self.path, self.expected = Path(path), expected
        meant = _meant(self.path)
        ending = near(self.path.name, *meant, beside=self.path.parent)
        if not ending:
            ending = f", expected {expected}" + (f": {remedy}" if remedy else "")
        super().__init__(f"no such {what}: {path}{ending}")

    def with_remedy(self, remedy: str) -> "MissingFileError":
        """The same, with what to do."""
        return MissingFileError(self.path, self.expected, remedy)


_MEANT_SUFFIXES = (".safetensors", ".pkl", ".npz", ".toml")
_MOST_NAMES = 10_000
"""Names of a folder that are looked through for near ones."""


def _meant(path: Path) -> tuple[list[str], bool]:
    """Names that may be meant by that of a missing file, and whether the first surely is."""
    names: list[str] = []
    with suppress(OSError, ValueError), os.scandir(path.parent) as entries:
        names = sorted(entry.name for entry in islice(entries, _MOST_NAMES))
    # Whoever forgot the suffix, or took another, means the file with the same stem.
    stems = {path.name, path.stem}
    of_stem = [each for each in names if Path(each).stem in stems and each != path.name]
    data = [each for each in of_stem if each.endswith(_MEANT_SUFFIXES)]
    return (data, True) if data else (names, False)


def near(
    name: str, known: Iterable[str], sure: bool = False, *, beside: StrPath | None = None
) -> str:
    """` (did you mean X?)` for the name among `known` that is nearest; empty if none is near.

    Args:
        sure: whether the first of `known` is meant, however near it is.
        beside: the folder of the names, which the answer then begins with.

    >>> near("kapa", ["kappa", "lambda"])
    ' (did you mean kappa?)'
    """
    names = list(known)
    found = names[:1] if sure else difflib.get_close_matches(name, names, 1, _NEAR)
    return f" (did you mean {Path(beside) / found[0] if beside else found[0]}?)" if found else ""


_NEAR = 0.75


class Foreign(NamedTuple):
    """A file that lies in place of another.

    Attributes:
        kind: what it is, with its article.
        remedy: what to do, as the end of a message.
    """

    kind: str
    remedy: str


def foreign(data: bytes) -> Foreign | None:
    """What commonly lies where a file of data should: failed downloads, packed files, text.

    None for other files, such as damaged ones. What the file should be is to be tried first where
    that is one of these: an archive of arrays is a zip archive, and some pickles are text.

    Args:
        data: of the file, or its first `FOREIGN_BYTES`.
    """
    if not data:
        return Foreign("an empty file", "copy or download it again")
    for start, kind in _PACKED.items():
        if data.startswith(start):
            return Foreign(kind, "unpack it, and name the file in it")
    if data[_TAR_PLACE:].startswith(b"ustar"):
        return Foreign("a tar archive", "unpack it, and name the file in it")
    if not data[:FOREIGN_BYTES].strip(b"\0"):
        return Foreign("a file of zeros", "copy or download it again")
    text = _as_text(data[:FOREIGN_BYTES])
    if text is None:
        return None
    if text.startswith("version https://git-lfs"):
        return Foreign("a Git LFS pointer to it", "run `git lfs pull` in its repository")
    for pattern, kind in _ANSWERS.items():
        if re.match(pattern, text, re.IGNORECASE):
            return Foreign(
                kind, "the download did not give the file: download it again, from its own address"
            )
    return Foreign("a text file", "name the file that holds the data")


FOREIGN_BYTES = 4096
"""How much of a file tells what it is."""

_PACKED = {
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ\0": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
}
_TAR_PLACE = 257
_ANSWERS = {
    r"(<\?xml.*?>)?\s*(<!--.*?-->)?\s*<(!doctype html|html|head|body)\b": "a web page",
    r"<\?xml|<[a-z]": "an answer of a server in XML",
    r"[\[{]": "an answer of a server in JSON",
}


def _as_text(data: bytes) -> str | None:
    """The text that a file begins with, without spaces in front; None if it is none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A character may be cut.
        if error.start < len(data) - 3 or len(data) < FOREIGN_BYTES:
            return None
        text = data[: error.start].decode("utf-8-sig")
    return text.lstrip() if all(c.isprintable() or c.isspace() for c in text) else None


def _kind(path: Path) -> str | None:
    """What is there, if it is no regular file."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def shown_size(size: int | float) -> str:
    """`3 MB`, as file managers show it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


# Writing ------------------------------------------------------------------------------------------


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
    rename, so this holds after a power cut too. Temporary files in the folder whose process was
    killed are removed.

    Args:
        path: the file to write.
        size: its size in bytes, if known; reported when it does not fit.

    Raises:
        DiskFullError: the file does not fit.
        GlassvizError: it cannot be written for another reason, such as missing permission.
    """
    path = Path(path)
    partial = partial_path(path)
    try:
        with write_errors(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def partial_path(path: StrPath) -> Path:
    """Where a file or folder is written before it gets its name: beside it, by this process.

    The name says whose it is, for `sweep`, and is legal wherever the name of `path` is.
    """
    path = Path(path)
    owner = f".{_host()}-{os.getpid()}{PARTIAL_SUFFIX}"
    name = os.fsencode(f".{path.name}")
    if len(name) + len(owner) > _MAX_NAME_BYTES:
        name = f".{hashlib.sha256(name).hexdigest()[:16]}".encode()
    return path.with_name(os.fsdecode(name) + owner)


_MAX_NAME_BYTES = 255


def _host() -> str:
    """A short name of this machine: processes of others cannot be looked up."""
    return hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:6]


def sweep(folder: StrPath, locked: bool = False) -> None:
    """Remove partial files and folders that killed processes left in a folder.

    Args:
        locked: whether this process alone writes there. Otherwise only what processes of this
            machine left is removed, for those of others cannot be looked up.
    """
    mine = f".{_host()}-"
    with suppress(OSError):
        for path in Path(folder).iterdir():
            if not path.name.startswith(".") or not path.name.endswith(PARTIAL_SUFFIX):
                continue
            stem, _, number = path.name.removesuffix(PARTIAL_SUFFIX).rpartition(mine)
            left = stem and number.isdecimal() and not _runs(int(number))
            if not (left or locked):
                continue
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


def check_target(path: StrPath, overwrite: bool = True, room: int = 0) -> None:
    """Check that a file can be written, before the work that makes it: nothing is left behind.

    Args:
        path: the file; its folder may be missing.
        overwrite: whether it may exist.
        room: bytes that have to be free.

    Raises:
        GlassvizError: it exists and must not be overwritten, is a folder, or cannot be written.
        DiskFullError: there is not enough room.
    """
    path = Path(path)
    _check_name(path)
    with write_errors(path, None):
        refuse_existing(path, overwrite)
        is_folder = path.is_dir()
    if is_folder:
        raise GlassvizError(f"{path}: expected a file to write, found a folder: name a file in it")
    check_folder(path.parent, room, wanted=path)


def check_subfolder(folder: StrPath, overwrite: bool = True) -> None:
    """Check that a folder can be made or replaced, as `check_target` does for a file.

    Raises:
        GlassvizError: it exists and must not be replaced, is a file, or cannot be made.
    """
    folder = Path(folder)
    _check_name(folder)
    with write_errors(folder, None):
        refuse_existing(folder, overwrite)
    check_folder(folder)


def check_folder(folder: StrPath, room: int = 0, wanted: StrPath | None = None) -> None:
    """Check that files can be written in a folder, which may be missing.

    Args:
        room: bytes that have to be free.
        wanted: what messages name; the folder by default.

    Raises:
        GlassvizError: nothing can be written there.
        DiskFullError: there is not enough room.
    """
    folder = Path(folder)
    wanted = Path(wanted or folder)
    there = folder
    with write_errors(wanted, None):
        # A broken link or a file in the way is found here too.
        while not there.is_dir() and there != there.parent:
            if there.is_symlink() or there.exists():
                raise NotADirectoryError(errno.ENOTDIR, f"{there} is not a folder")
            there = there.parent
        # Permissions tell too little: file systems are read-only, and users are root.
        with tempfile.TemporaryFile(dir=there, prefix=".glassviz-"):
            pass
        free = shutil.disk_usage(there).free
    if free < room:
        raise DiskFullError(wanted, room, f"{shown_size(free)} left on device")


def _check_name(path: Path) -> None:
    """Refuse a path with a part that no file system can hold."""
    for part in path.parts:
        length = len(os.fsencode(part))
        if length > _MAX_NAME_BYTES:
            raise GlassvizError(
                f"{path}: expected a name of at most {_MAX_NAME_BYTES} bytes, found {length}: "
                f"choose a shorter one"
            )
    if "\0" in str(path):
        raise GlassvizError(f"{str(path)!r}: expected a name, found a null byte: leave it out")


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
            with suppress(OSError):
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
        raise GlassvizError(f"{path}: cannot be written: {_reason(error)}") from None
