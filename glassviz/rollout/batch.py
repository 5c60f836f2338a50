"""Work on many runs, where one that fails does not stop the others."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from glassviz.errors import GlassvizError
from glassviz.text import LONGEST_NAME, LONGEST_PATH, printable

if TYPE_CHECKING:
    from glassviz.agents.planner import Controller
    from glassviz.metrics.stability import RunStability
    from glassviz.rollout.run import Run


Item = TypeVar("Item")
Result = TypeVar("Result")


def _nothing(*args: object) -> None:
    """No-op."""


@dataclass(frozen=True)
class Listener:
    """Progress callbacks; silent by default.

    Attributes:
        tell: called with each line for the user: what is assumed, reused, recorded.
        on_found: called with the runs before any trace is recorded; may raise to stop, as where
            what is to be made of them cannot be written.
        on_estimate: called before missing traces are recorded, with their number and the estimated
            seconds, from a trial of a few decisions; without it there is no trial.
        on_recording: called with decisions done and in total, while traces are recorded.
        on_row: called with a run whose trace is being recorded, what its episodes so far show, and
            whether these are all; with it, the first episode of every trace is recorded before the
            others.
        on_run: called with runs (of maps and fits: checkpoints) done and in total.
        on_remaining: called with the estimated seconds left, before each of the last two.
    """

    tell: Callable[[str], None] = _nothing
    on_found: Callable[[Sequence["Run"]], object] = _nothing
    on_estimate: Callable[[int, float], None] | None = None
    on_recording: Callable[[int, int], None] = _nothing
    on_row: Callable[["Run", "RunStability", bool], None] | None = None
    on_run: Callable[[int, int], None] = _nothing
    on_remaining: Callable[[float], None] = _nothing


NOBODY = Listener()


def counting_from(
    before: int, total: int, on_progress: Callable[[int, int], None]
) -> Callable[[int], None]:
    """Reports the progress of a part that begins after `before` of `total` steps."""
    return lambda done: on_progress(before + done, total)


@dataclass(frozen=True)
class Failed:
    """A run that could not be processed.

    Attributes:
        controller: under which it failed; None for all, or unknown.
    """

    name: str
    target: Path
    controller: "Controller | None"
    error: str

    @property
    def reason(self) -> str:
        """The error without the leading path or name, which tables show beside it."""
        return self.error.removeprefix(f"{self.target}: ").removeprefix(f"{self.name}: ")


def for_each(
    items: Iterable[Item | Failed],
    work: Callable[[Item], Result],
    failed: Callable[[Item, GlassvizError], Failed],
    on_done: Callable[[int, int], None] = _nothing,
) -> list[Result | Failed]:
    """Process every item; an item that fails does not stop the others.

    Args:
        items: what to process; those that failed earlier are passed through.
        work: processes one item. Only a `GlassvizError` counts as a failure.
        failed: describes an item that failed; may raise to stop instead.
        on_done: called with items done and in total, without those that failed earlier.

    Returns:
        A result or a failure per item, in the order of `items`.
    """
    rows: list[Result | Failed] = []
    items, done = list(items), 0
    total = sum(not isinstance(item, Failed) for item in items)
    for item in items:
        if isinstance(item, Failed):
            rows.append(item)
            continue
        try:
            rows.append(work(item))
        except GlassvizError as error:
            rows.append(failed(item, error))
        done += 1
        on_done(done, total)
    return rows


def each_once(rows: Iterable[Result | Failed]) -> list[Result | Failed]:
    """The same rows, with one failure where a run fails in the same way under both controllers."""
    kept: dict[object, Result | Failed] = {}
    for row in rows:
        key = (row.name, row.target, row.error) if isinstance(row, Failed) else id(row)
        kept.setdefault(key, row)
    return list(kept.values())


def file_stem(*words: str) -> str:
    """A file name made of words, joined by dashes; characters unfit for one become dashes."""
    return cut_stem("".join(c if c.isalnum() or c in "-_." else "-" for c in "-".join(words)))


LONGEST_STEM = 120
"""Bytes of the stem of a file's name: what is derived from it stays below 255."""


def cut_stem(stem: str, longest: int = LONGEST_STEM) -> str:
    """`stem`, cut in its middle to that many bytes; a hash of all of it keeps it distinct.

    >>> cut_stem("a" * 20 + "b" * 20, longest=24)
    'aaaaaaaa-9aee317c-bbbbbb'
    """
    whole = os.fsencode(stem)
    if len(whole) <= longest:
        return stem
    digest = hashlib.sha256(whole).hexdigest()[:8]
    room = longest - len(digest) - 2
    start = whole[: (room + 1) // 2 + 1]
    end = whole[-(room // 2 - 1) :]
    return f"{_decoded(start)}-{digest}-{_decoded(end)}"


def _decoded(part: bytes) -> str:
    """The text of a part of a name, without characters that were cut through."""
    return part.decode(errors="ignore")


def distinct_names(
    names: Sequence[str], targets: Sequence[Path], beside: Sequence[Sequence[str]] | None = None
) -> list[str]:
    """Distinct names of runs: a name that several share is replaced by the file name, or the path.

    `targets` are their traces or checkpoints; `beside` is what else distinguishes each, such as its
    controller. With it, the `file_stem` of a name is unique, on file systems that ignore case too.
    """
    own = list(names)
    others = beside or [()] * len(own)
    longer = (
        [printable(target.stem, LONGEST_NAME) for target in targets],
        [printable(str(target), LONGEST_PATH) for target in targets],
        [printable(f"{target}, {i}", 2 * LONGEST_PATH) for i, target in enumerate(targets, 1)],
    )
    for replacements in longer:
        words = zip(own, others, strict=True)
        stems = [file_stem(name, *other).casefold() for name, other in words]
        count = Counter(stems)
        own = [replacements[i] if count[stem] > 1 else own[i] for i, stem in enumerate(stems)]
    return own
