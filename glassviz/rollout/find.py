"""What a RUN argument means: a trace, a checkpoint, a run folder, a folder of these, a pattern."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.agents.config import UNSAID, Unsaid
from glassviz.errors import GlassvizError
from glassviz.files import StrPath, as_paths, orbax_agent
from glassviz.rollout.batch import Failed
from glassviz.text import LONGEST_PATH, printable

if TYPE_CHECKING:
    from glassviz.agents.planner import Controller


TRACE_SUFFIX = ".npz"
CHECKPOINT_SUFFIXES = (".safetensors", ".pkl", ".pt")

LABELS_SUFFIX = ".labels.safetensors"
"""Of fitted labels, which lie beside the traces and lead to none."""

MAP_SUFFIX = ".map.npz"
"""Of coordinates of latent maps, which lie there too."""

PREFERRED = ("best_mppi", "last", "latest_eval", "final")
"""Of a seed's checkpoints the first that there is: the trainer's two, then published ones."""


@dataclass(frozen=True)
class Target:
    """A file that leads to traces.

    Attributes:
        name: what tables call it; None for a trace, which knows its checkpoint's name.
        unsaid: what the checkpoint is to be read with.
    """

    path: Path
    name: str | None
    unsaid: Unsaid = UNSAID

    def named(self, name: str) -> str:
        """What the run of its checkpoint is called, which may call itself more than its file."""
        return name if self.name in (None, _named(self.path.stem)) else str(self.name)

    def failed(self, error: GlassvizError, controller: "Controller | None" = None) -> Failed:
        """This file as one that cannot be processed."""
        return Failed(self.name or _named(str(self.path)), self.path, controller, str(error))


def find_targets(
    arguments: StrPath | Sequence[StrPath],
    tell: Callable[[str], None] = lambda line: None,
    unsaid: Unsaid = UNSAID,
) -> list[Target | Failed]:
    """The traces and checkpoints that arguments lead to, in their order, each once.

    A run folder stands for the best checkpoint by the planner of each of its seeds, or the last
    where there is none; another folder for the traces and checkpoints in it, or for the run folders
    where it has none. Files of other kinds
    and folders of such files, like the cards, pictures and logs that lie beside checkpoints, are
    passed over if there is something else; what begins like a checkpoint is none of them, whatever
    its name. A file that is named but does not exist is a target: its reader says so.

    Args:
        arguments: paths, or patterns that the shell has not expanded.
        tell: called with each choice that a user should know of.
        unsaid: what the checkpoints' files do not say; with several tasks, a checkpoint is a target
            for each of them.
    """
    arguments = as_paths(arguments)
    paths = [path for argument in arguments for path in _expanded(argument)]
    other = [path for path in paths if _is_of_another_kind(path)]
    if other and len(other) < len(paths):
        paths = [path for path in paths if path not in other]
        tell(_skipped(other))
    found: dict[tuple[Path, Unsaid], Target | Failed] = {}
    for path in paths:
        for each in _targets(path, tell):
            if isinstance(each, Failed):
                found[each.target, UNSAID] = each
            elif each.path.suffix == TRACE_SUFFIX:
                found[each.path, UNSAID] = each
            else:
                for own in unsaid.each():
                    found[each.path, own] = replace(each, unsaid=own)
    return list(found.values())


def _skipped(paths: Sequence[Path]) -> str:
    """What was left out: the names of a few, the number of many."""
    if len(paths) > _MOST_SKIPPED:
        return f"skipped {len(paths)} files that are not checkpoints or traces"
    names = ", ".join(path.name for path in paths)
    what = "a checkpoint or trace" if len(paths) == 1 else "checkpoints or traces"
    return f"skipped {names}: not {what}"


_MOST_SKIPPED = 3


def _named(text: str) -> str:
    """A name of a run, as tables, figures and files can hold it."""
    return printable(text, limit=LONGEST_PATH)


def _leads_nowhere(path: Path, error: str) -> Failed:
    return Failed(_named(str(path)), path, None, f"{path}: {error}")


def _expanded(argument: Path) -> list[Path]:
    if argument.exists() or not set("*?[") & set(str(argument)):
        return [argument]
    root = Path(argument.anchor)
    try:
        return sorted(root.glob(str(argument.relative_to(root)))) or [argument]
    except ValueError:  # no pattern that this Python knows
        return [argument]


def _is_of_another_kind(path: Path) -> bool:
    try:
        if path.is_dir():
            if orbax_agent(path):
                return False
            # A run that has saved nothing yet is a run all the same.
            inside = list(path.iterdir())
            leads = any(_leads_to_a_trace(each) or _is_of_a_run(each) for each in inside)
            return not (leads or _run_folders(path))
        return path.is_file() and not (_leads_to_a_trace(path) or _begins_like_a_checkpoint(path))
    except OSError:  # its reader says so
        return False


def _begins_like_a_checkpoint(path: Path) -> bool:
    """Whether this may be a pickle, an archive (.pt), or arrays behind the length of a header."""
    if path.name.endswith((LABELS_SUFFIX, MAP_SUFFIX)):
        return False
    with path.open("rb") as file:
        start = file.read(9)
    header_bytes = int.from_bytes(start[:8], "little")
    is_native = start[8:] == b"{" and header_bytes <= path.stat().st_size
    return is_native or start.startswith((b"\x80", b"PK"))


def _is_of_a_run(path: Path) -> bool:
    return path.is_dir() and (path.name == "checkpoints" or path.name.startswith("seed_"))


def _targets(path: Path, tell: Callable[[str], None]) -> Iterator[Target | Failed]:
    try:
        yield from _found_at(path, tell)
    except OSError as error:
        yield _leads_nowhere(
            path,
            f"expected a file or folder that can be read, found that it cannot ({error.strerror}): "
            f"change its permissions, or leave it out",
        )


def _found_at(path: Path, tell: Callable[[str], None]) -> Iterator[Target | Failed]:
    if not path.is_dir() or orbax_agent(path):
        yield Target(path, None if path.suffix == TRACE_SUFFIX else _named(path.stem))
    elif seeds := [path] if (path / "checkpoints").is_dir() else _seeds(path):
        yield from (_best_of(seed, tell) for seed in seeds)
    elif files := sorted(file for file in path.iterdir() if _leads_to_a_trace(file)):
        for file in files:
            yield from _targets(file, tell)
    elif runs := _run_folders(path):
        for run in runs:
            yield from _targets(run, tell)
    else:
        yield _leads_nowhere(
            path,
            "expected a run folder, traces or checkpoints, found none of them: name a file or a "
            "folder that holds some",
        )


def with_history(arguments: StrPath | Sequence[StrPath]) -> list[Path]:
    """The same arguments, with the checkpoints of all evaluations in place of each run folder.

    A run that kept none is left as it is.
    """
    found: list[Path] = []
    for path in (path for argument in as_paths(arguments) for path in _expanded(argument)):
        seeds = [path] if (path / "checkpoints").is_dir() else _seeds(path)
        steps = [
            file
            for seed in seeds
            for file in sorted((seed / "checkpoints").glob("step_*"))
            if _leads_to_a_trace(file)
        ]
        found += steps or [path]
    return found


def _seeds(folder: Path) -> list[Path]:
    """The seeds' folders of a run folder, by seed."""
    found = [path for path in folder.glob("seed_*") if (path / "checkpoints").is_dir()]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _run_folders(folder: Path) -> list[Path]:
    """The run folders in a folder, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and ((path / "checkpoints").is_dir() or _seeds(path) or orbax_agent(path))
    )


def _best_of(seed: Path, tell: Callable[[str], None]) -> Target | Failed:
    for stem, suffix in product(PREFERRED, CHECKPOINT_SUFFIXES):
        path = seed / "checkpoints" / f"{stem}{suffix}"
        if path.is_file():
            tell(f"{seed}: taking {path.name}")
            return Target(path, _named("/".join(seed.resolve().parts[-2:])))
    names = ", ".join(PREFERRED)
    error = f"expected a checkpoint ({names}), found none: let the training save one first"
    return _leads_nowhere(seed, error)


def _leads_to_a_trace(path: Path) -> bool:
    known = path.suffix in (TRACE_SUFFIX, *CHECKPOINT_SUFFIXES)
    return known and not path.name.endswith((LABELS_SUFFIX, MAP_SUFFIX)) and path.is_file()
