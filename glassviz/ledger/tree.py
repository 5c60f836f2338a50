"""The files of a tree that may be logs; nothing is opened here."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from glassviz.files import MissingFileError, StrPath, as_paths, shown_size
from glassviz.ledger.logs import EVENTS_NAME, SETTINGS_NAMES
from glassviz.ledger.rows import MAX_LOG_BYTES

SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class File:
    """A file that may be a log, as it was when it was found.

    Attributes:
        root: the tree that it was found in.
    """

    path: str
    root: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was not read, and why; the reason does not name it."""

    path: Path
    reason: str


@dataclass
class Tree:
    """What was found in trees.

    Attributes:
        others: how many files of other kinds there are, by suffix.
    """

    files: list[File] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def walk(trees: StrPath | Sequence[StrPath], skip: Mapping[str, str] | None = None) -> Tree:
    """Find the files of trees that may be logs, each once, in the order of their paths.

    Links are followed; a folder that was visited already, as in a loop of links, is skipped.

    Args:
        trees: folders, or files.
        skip: reasons by shell pattern of names of files and folders.

    Raises:
        MissingFileError: there is no such tree.
    """
    found = Tree()
    visited: set[tuple[int, int]] = set()
    for tree in as_paths(trees):
        root = os.path.abspath(tree)
        try:
            status = os.stat(root)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise MissingFileError(tree, "a folder with logs of trainings", what="folder") from None
        except OSError as error:
            found.skipped.append(Skipped(Path(root), _unreadable(error)))
            continue
        if stat.S_ISDIR(status.st_mode):
            _walk(root, status, found, visited, skip or {})
        elif (status.st_dev, status.st_ino) not in visited:
            visited.add((status.st_dev, status.st_ino))
            _add(root, os.path.dirname(root), status, found)
    return found


def _walk(
    root: str,
    status: os.stat_result,
    found: Tree,
    visited: set[tuple[int, int]],
    skip: Mapping[str, str],
) -> None:
    waiting = [(root, status)]
    while waiting:
        folder, status = waiting.pop()
        if (status.st_dev, status.st_ino) in visited:
            found.skipped.append(Skipped(Path(folder), "a folder that was read already"))
            continue
        visited.add((status.st_dev, status.st_ino))
        folders = []
        for entry in _entries(folder, found):
            reason = _reason(entry.name, skip)
            if reason:
                found.skipped.append(Skipped(Path(entry.path), reason))
                continue
            # Most of a tree are other files, which need no status.
            if not entry.is_dir() and not _may_be_log(entry.name):
                found.others[Path(entry.name).suffix.lower() or "no suffix"] += 1
                continue
            try:
                status = entry.stat()
            except OSError as error:
                found.skipped.append(Skipped(Path(entry.path), _unreadable(error)))
                continue
            if not stat.S_ISDIR(status.st_mode):
                _add(entry.path, root, status, found)
            elif entry.name.startswith("."):
                found.skipped.append(Skipped(Path(entry.path), "a hidden folder"))
            else:
                folders.append((entry.path, status))
        waiting += reversed(folders)


def _entries(folder: str, found: Tree) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.skipped.append(Skipped(Path(folder), _unreadable(error)))


def _reason(name: str, skip: Mapping[str, str]) -> str | None:
    return next((why for pattern, why in skip.items() if fnmatchcase(name, pattern)), None)


def _may_be_log(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) or EVENTS_NAME in name or name in SETTINGS_NAMES


def _add(path: str, root: str, status: os.stat_result, found: Tree) -> None:
    if not stat.S_ISREG(status.st_mode):
        found.skipped.append(Skipped(Path(path), "no regular file"))
    elif status.st_size > MAX_LOG_BYTES:
        most = shown_size(MAX_LOG_BYTES)
        found.skipped.append(Skipped(Path(path), f"larger than a log of at most {most}"))
    else:
        found.files.append(File(path, root, status.st_size, status.st_mtime_ns, status.st_ino))


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"
