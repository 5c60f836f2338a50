"""Work on many runs: who is told how it goes, the runs that it fails on, names and their files."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glassviz.agents.policy import Controller


def _nothing(*told: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Listener:
    """Who is told how the work goes; by default nobody.

    Attributes:
        tell: called with each line that a user should see: what is assumed, reused, recorded.
        on_estimate: called before missing traces are recorded with their number and the seconds
            that they will take, by a trial of a few decisions; without it there is no trial.
        on_recording: called with decisions done and in all, while traces are recorded.
        on_run: called with runs (of maps and fits: checkpoints) done and in all.
    """

    tell: Callable[[str], None] = _nothing
    on_estimate: Callable[[int, float], None] | None = None
    on_recording: Callable[[int, int], None] = _nothing
    on_run: Callable[[int, int], None] = _nothing


NOBODY = Listener()


@dataclass(frozen=True)
class Failed:
    """A run that the work fails on; the others go on.

    Attributes:
        name: what tables call it.
        target: the trace, checkpoint or folder.
        controller: under which it failed; None for all, or unknown.
        error: what is wrong, in one sentence.
    """

    name: str
    target: Path
    controller: "Controller | None"
    error: str

    @property
    def reason(self) -> str:
        """The error without the path or name that stands beside it in tables anyway."""
        return self.error.removeprefix(f"{self.target}: ").removeprefix(f"{self.name}: ")


def each_once(failed: Iterable[Failed]) -> list[Failed]:
    """The same without repetition: what is wrong under both controllers is said once."""
    return list({(row.name, row.target, row.error): row for row in failed}.values())


def file_stem(*words: str) -> str:
    """A name for a file: what of the words may stand in one, joined by dashes."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in "-".join(words))


def told_apart(
    names: Sequence[str], targets: Sequence[Path], beside: Sequence[Sequence[str]] | None = None
) -> list[str]:
    """The names of runs; those that several have become the names of their files, or paths.

    Args:
        names: of runs.
        targets: the trace or checkpoint of each.
        beside: what else tells each apart, such as its controller; nothing by default.

    Returns:
        Names that lead to another `file_stem` each, with what stands beside them, also where upper
        and lower case are one.
    """
    own = list(names)
    others = beside or [()] * len(own)
    longer: tuple[Callable[[int], str], ...] = (
        lambda i: targets[i].stem,
        lambda i: str(targets[i]),
        lambda i: f"{targets[i]}, {i + 1}",
    )
    for name in longer:
        words = [(each, *other) for each, other in zip(own, others, strict=True)]
        stems = [file_stem(*each).casefold() for each in words]
        count = Counter(stems)
        own = [name(i) if count[stem] > 1 else own[i] for i, stem in enumerate(stems)]
    return own
