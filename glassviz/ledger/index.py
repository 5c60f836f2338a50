"""What the files of trees said when they were last read, in the user's cache.

The index is an SQLite database that processes share. It may be deleted at any time: what it held is
read again. It is never a reason to fail: without it, every file is read.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from glassviz import __version__
from glassviz.environment import cache_dir
from glassviz.files import StrPath
from glassviz.ledger.logs import Log, packed, unpacked
from glassviz.ledger.tree import File

VERSION = 1
"""Of what is kept, besides that of the package."""

_BUSY_S = 10.0
_TABLE = """
    CREATE TABLE IF NOT EXISTS files (
        path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER,
        log BLOB, reason TEXT
    ) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Entry:
    """What a file said.

    Attributes:
        log: None if it is none.
        reason: why it is none.
    """

    log: Log | None
    reason: str = ""


def default_path() -> Path:
    """Where the index lies."""
    return cache_dir() / "ledger" / f"index-{__version__}-{VERSION}.sqlite"


class Index:
    """The index of files.

    Args:
        path: of the database; by default in the user's cache.
    """

    def __init__(self, path: StrPath | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()

    def known(self, files: Sequence[File]) -> dict[str, Entry]:
        """What unchanged files said, by path."""
        found: dict[str, Entry] = {}
        wanted = {os.fsencode(file.path): file for file in files}
        with suppress(sqlite3.Error, OSError), self._opened() as database:
            for root in sorted({file.root for file in files}):
                start = os.path.join(os.fsencode(root), b"")
                rows = database.execute(
                    "SELECT path, size, mtime_ns, inode, log, reason FROM files "
                    "WHERE path >= ? AND path < ?",
                    (start, start[:-1] + bytes([start[-1] + 1])),
                )
                for path, size, mtime_ns, inode, log, reason in rows:
                    file = wanted.get(path)
                    if file and (size, mtime_ns, inode) == (file.size, file.mtime_ns, file.inode):
                        with suppress(ValueError):
                            found[file.path] = Entry(unpacked(log) if log else None, reason)
        return found

    def update(self, read: Mapping[File, Entry], gone: Iterable[str] = ()) -> bool:
        """Keep what files said, and forget those that are gone; whether that was possible."""
        rows = [
            (
                os.fsencode(file.path),
                file.size,
                file.mtime_ns,
                file.inode,
                packed(entry.log) if entry.log else None,
                entry.reason,
            )
            for file, entry in read.items()
        ]
        try:
            with self._opened() as database, database:
                database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)
                paths = ((os.fsencode(path),) for path in gone)
                database.executemany("DELETE FROM files WHERE path = ?", paths)
        except (sqlite3.Error, OSError):
            return False
        return True

    def paths(self, roots: Iterable[str]) -> list[str]:
        """The files in folders that the index knows, whether or not they are still there."""
        found: list[str] = []
        with suppress(sqlite3.Error, OSError), self._opened() as database:
            for root in roots:
                start = os.path.join(os.fsencode(root), b"")
                rows = database.execute(
                    "SELECT path FROM files WHERE path >= ? AND path < ?",
                    (start, start[:-1] + bytes([start[-1] + 1])),
                )
                found += [os.fsdecode(path) for (path,) in rows]
        return found

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database; a damaged one is replaced by an empty one, now or for the next time."""
        try:
            database = self._connected()
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                raise
            self.delete()
            database = self._connected()
        with closing(database):
            try:
                yield database
            except sqlite3.DatabaseError as error:
                if self._is_damage(error):
                    self.delete()
                raise

    @staticmethod
    def _is_damage(error: sqlite3.DatabaseError) -> bool:
        """Whether the file is damaged, rather than locked or not writable."""
        return not isinstance(error, sqlite3.OperationalError)

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=_BUSY_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            database.execute("SELECT path, size, mtime_ns, inode, log, reason FROM files LIMIT 1")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def delete(self) -> None:
        """Remove the database."""
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{end}")
