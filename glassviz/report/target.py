"""Where a report may go."""

from pathlib import Path

from glassviz.errors import UsageError
from glassviz.files import refuse_existing

FORMATS = (".html", ".md")


def check_target(path: Path, overwrite: bool) -> None:
    """Say early that a report cannot go to `path`.

    Raises:
        UsageError: another ending than `FORMATS`.
        GlassvizError: there is a file already, or a folder where its pictures would go.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {' or '.join(FORMATS)}")
    refuse_existing(path, overwrite)
    if path.suffix.lower() == ".md":
        refuse_existing(pictures_beside(path), overwrite)


def pictures_beside(path: Path) -> Path:
    """The folder of a Markdown report's pictures."""
    return path.with_name(f"{path.stem}_pictures")
