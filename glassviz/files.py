"""Files appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glassviz.errors import GlassvizError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write a file to; it becomes `path` when the block ends well.

    Folders on the way are made. When the block fails, or is interrupted, what it wrote is removed
    and an older file at `path` stays as it was.

    Raises:
        GlassvizError: the file cannot be written (a full disk, no permission).
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise GlassvizError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
