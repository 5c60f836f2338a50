"""Recorded traces in a folder: what is there, and what of it is wanted no longer."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.rollout.find import MAP_SUFFIX, TRACE_SUFFIX
from glassviz.trace import Trace


@dataclass(frozen=True)
class StoredTrace:
    """A file of a recorded roll-out.

    Attributes:
        size: in bytes.
        written: when the file was last written, as ISO 8601.
        checkpoint, controller: what was rolled out; None for a file that cannot be used.
        episodes, frames: of each episode; 0 for a file that cannot be used.
        error: why it cannot be used; None if it can.
    """

    path: Path
    size: int
    written: str
    checkpoint: str | None
    controller: str | None
    episodes: int
    frames: int
    error: str | None

    @property
    def usable(self) -> bool:
        """Whether commands can read it."""
        return self.error is None


def stored_traces(
    folder: StrPath, on_read: Callable[[int, int], None] = lambda done, total: None
) -> list[StoredTrace]:
    """The traces in a folder, by name; latent maps and fitted labels beside them are left out.

    Args:
        on_read: called with files read and in total.

    Raises:
        GlassvizError: there is no such folder, or it cannot be read.
    """
    folder = Path(folder)
    try:
        paths = sorted(path for path in folder.iterdir() if _is_a_trace(path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise GlassvizError(
            f"{folder}: expected a folder of traces, found none that can be read ({reason}): name "
            f"the folder that --traces named"
        ) from None
    found: list[StoredTrace] = []
    for done, path in enumerate(paths, 1):
        found.extend(_stored(path))
        on_read(done, len(paths))
    return found


def chosen(
    traces: list[StoredTrace], pattern: str | None, unusable: bool, older_than_days: float | None
) -> list[StoredTrace]:
    """Those of the traces that meet every condition that is given.

    Args:
        pattern: of the file's name, as in a shell.
        unusable: whether to choose only what cannot be used.
    """
    now = datetime.now(UTC)
    return [
        each
        for each in traces
        if (pattern is None or fnmatch(each.path.name, pattern))
        and not (unusable and each.usable)
        and (
            older_than_days is None
            or (now - datetime.fromisoformat(each.written)).total_seconds()
            > older_than_days * 86_400
        )
    ]


def remove(traces: list[StoredTrace]) -> int:
    """Remove the files; returns how many bytes that frees.

    Raises:
        GlassvizError: one cannot be removed; those before it are.
    """
    freed = 0
    for each in traces:
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise GlassvizError(
                f"{each.path}: cannot be removed: {error.strerror or error}"
            ) from None
        freed += each.size
    return freed


def _is_a_trace(path: Path) -> bool:
    return path.suffix == TRACE_SUFFIX and not path.name.endswith(MAP_SUFFIX) and path.is_file()


def _stored(path: Path) -> Iterator[StoredTrace]:
    """The trace of a file; nothing if the file has gone meanwhile."""
    with suppress(FileNotFoundError):
        status = path.stat()
        written = (
            datetime.fromtimestamp(status.st_mtime, UTC).astimezone().isoformat("T", "seconds")
        )
        try:
            trace = Trace.load(path)
        except GlassvizError as error:
            reason = str(error).removeprefix(f"{path}: ")
            yield StoredTrace(path, status.st_size, written, None, None, 0, 0, reason)
            return
        yield StoredTrace(
            path,
            status.st_size,
            written,
            trace.header["checkpoint"]["name"],
            trace.header["controller"],
            trace.episodes,
            trace.frames,
            None,
        )
