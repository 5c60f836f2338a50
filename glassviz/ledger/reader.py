"""Reads trees of logs into a ledger: files, trainings, copies, phases."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, get_args

import numpy as np

from glassviz.errors import GlassvizError
from glassviz.files import StrPath, as_paths
from glassviz.ledger.index import Entry, Index
from glassviz.ledger.ledger import Ledger, Mark, Phase, Training
from glassviz.ledger.logs import (
    EVALUATIONS,
    EVENTS,
    EXPORT,
    RESULTS,
    SETTINGS,
    Log,
    Logged,
    NotALogError,
    Series,
    read_log,
)
from glassviz.ledger.phases import RULES, Rules, taken_apart
from glassviz.ledger.rows import CONTROLLERS
from glassviz.ledger.tree import File, Skipped, walk

RUNNING_S = 3600.0
"""A log that changed within this time is of a training that is running."""

_SEED_FILE = re.compile(r"seed_(\d{1,18})(.*)\.(csv|tsv)", re.ASCII | re.DOTALL)
_SEED_FOLDER = re.compile(r"seed_?(\d{1,18})", re.ASCII)
_SEED_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_SEED_AT_END = re.compile(r"(.*?)(?:^|[_\-. ])(?:seed|s)[_-]?(\d{1,18})", re.ASCII | re.DOTALL)


def read(
    trees: StrPath | Sequence[StrPath],
    rules: Rules = RULES,
    index: Index | None = None,
    now_s: float | None = None,
) -> Ledger:
    """Read the logs in trees; nothing in them is altered.

    Args:
        trees: folders, or files.
        rules: that name the phases, see `phases.load`.
        index: of what files said before; by default in the user's cache.
        now_s: the time, in seconds since 1970, that tells which trainings are running.

    Raises:
        MissingFileError: a tree does not exist.
    """
    tree = walk(trees, rules.skip)
    index = Index() if index is None else index
    entries = index.known(tree.files)
    fresh: dict[File, Entry] = {}
    skipped = list(tree.skipped)
    known = len(entries)
    for file in tree.files:
        if file.path in entries:
            continue
        try:
            entry = Entry(read_log(file.path))
        except NotALogError as error:
            entry = Entry(None, error.reason)
        except GlassvizError as error:  # it may be readable the next time
            reason = str(error).removeprefix(f"{file.path}: ").removeprefix(f"{file.path}, ")
            skipped.append(Skipped(Path(file.path), reason))
            continue
        fresh[file] = entries[file.path] = entry
    present = {file.path for file in tree.files}
    roots = {file.root for file in tree.files}
    gone = [path for path in index.paths(roots) if path not in present] if known or fresh else []
    if fresh or gone:
        index.update(fresh, gone)
    logs = []
    for file in tree.files:
        entry = entries.get(file.path, Entry(None))
        if entry.log:
            logs.append((file, entry.log))
        elif entry.reason:
            skipped.append(Skipped(Path(file.path), entry.reason))
    now = time.time() if now_s is None else now_s
    trainings = _trainings(logs, rules, now, skipped)
    return Ledger(
        trees=tuple(as_paths(trees)),
        phases=_phases(trainings, rules),
        skipped=tuple(sorted(skipped, key=lambda each: (each.reason, str(each.path)))),
        others=dict(tree.others.most_common()),
        files=len(tree.files),
        known=known,
        rules=rules,
    )


# From files to trainings --------------------------------------------------------------------------


def _trainings(
    logs: Sequence[tuple[File, Log]], rules: Rules, now: float, skipped: list[Skipped]
) -> list[Training]:
    facts = _facts(logs)
    copied = _copied_at_once(logs)
    with_log = {
        (path.parent, match[1])
        for file, log in logs
        if log.format not in (SETTINGS, EVENTS)
        and (match := _SEED_FILE.fullmatch((path := PurePath(file.path)).name))
    }
    found: list[Training] = []
    for file, log in _events_joined(logs):
        if log.format == SETTINGS:
            continue
        path = PurePath(file.path)
        folder = _SEED_FOLDER.fullmatch(path.parent.name)
        if log.format == EVENTS and folder and (path.parent.parent, folder[1]) in with_log:
            reason = "the same evaluations as in the log beside it"
            skipped.append(Skipped(Path(file.path), reason))
            continue
        recent = file.mtime_ns / 1e9 > now - RUNNING_S and file.path not in copied
        found += [_training(file, log, each, facts, rules, recent) for each in log.trainings]
    return _marked(_without_copies(_apart_by_settings(found)))


_AT_ONCE_S = 2.5
_COPIED_FROM = 20


def _copied_at_once(logs: Sequence[tuple[File, Log]]) -> set[str]:
    """Logs that seem new because a tree was copied or unpacked: many changed at the same time.

    Seeds that are trained in one process are logged at the same time too, but at the same steps.
    """
    files = [(file, log) for file, log in logs if log.trainings]
    times = np.array([file.mtime_ns for file, _ in files], np.int64) / 1e9
    order = np.argsort(times, kind="stable")
    first = np.searchsorted(times[order], times[order] - _AT_ONCE_S)
    past = np.searchsorted(times[order], times[order] + _AT_ONCE_S, side="right")
    found = set()
    for place, start, end in zip(order, first, past, strict=True):
        count = int(end - start)
        if count > _COPIED_FROM or (
            count >= 3 and count >= 0.8 * len(files) and _ends(files, order[start:end]) >= 3
        ):
            found.add(files[place][0].path)
    return found


def _ends(files: Sequence[tuple[File, Log]], places: np.ndarray) -> int:
    """At how many different steps logs end."""
    return len(
        {
            max(int(each.steps[-1]) for each in files[place][1].trainings[-1].series.values())
            for place in places
        }
    )


def _facts(logs: Iterable[tuple[File, Log]]) -> dict[PurePath, dict[str, Any]]:
    """What is known of our own runs, by the folder of a seed."""
    found: dict[PurePath, dict[str, Any]] = {}
    for file, log in logs:
        if log.format == SETTINGS:
            found.setdefault(PurePath(file.path).parent, {}).update(log.facts)
    return found


def _events_joined(logs: Sequence[tuple[File, Log]]) -> list[tuple[File, Log]]:
    """The same, with the event files of one folder, which one training wrote, as one."""
    found: list[tuple[File, Log]] = []
    place: dict[PurePath, int] = {}
    for file, log in logs:
        folder = PurePath(file.path).parent
        if log.format != EVENTS:
            found.append((file, log))
        elif folder not in place:
            place[folder] = len(found)
            found.append((file, log))
        else:
            before, joined = found[place[folder]]
            newest = max(before, file, key=lambda each: each.mtime_ns)
            found[place[folder]] = (newest, _joined(joined, log))
    return found


def _joined(one: Log, other: Log) -> Log:
    first, then = one.trainings[0], other.trainings[0]
    series = dict(first.series)
    for kind, later in then.series.items():
        if kind in series:
            before = series[kind]
            kept = before.steps < later.steps[0]
            later = Series(
                np.concatenate([before.steps[kept], later.steps]),
                np.concatenate([before.returns[kept], later.returns]),
            )
        series[kind] = later
    restarts = tuple(sorted({*first.restarts, *then.restarts}))
    whole = replace(first, series=series, restarts=restarts)
    trainings = (whole, *one.trainings[1:], *other.trainings[1:])
    return replace(one, trainings=trainings, incomplete=other.incomplete)


@dataclass(frozen=True)
class _Identity:
    """Which training a file is of, by its name and the content."""

    name: str
    seed: int | None
    task: str | None = None
    set_aside: bool = False


def _identity(path: PurePath, log: Log, logged: Logged) -> _Identity:
    parent, above = path.parent.name, path.parent.parent.name
    if match := _SEED_FILE.fullmatch(path.name):
        seed = logged.seed if logged.seed is not None else int(match[1])
        return _Identity(parent, seed, set_aside=bool(match[2]))
    if log.format == RESULTS:
        return _Identity(parent, logged.seed, path.stem)
    if log.format == EXPORT:
        name = logged.name or path.stem
        ends = _SEED_AT_END.fullmatch(name)
        if ends and logged.seed is None:
            return _Identity(ends[1] or parent, int(ends[2]))
        return _Identity(name, logged.seed)
    if match := _SEED_FOLDER.fullmatch(parent):
        return _Identity(above, logged.seed if logged.seed is not None else int(match[1]))
    if log.format in (EVALUATIONS, EVENTS) and _SEED_NUMBER.fullmatch(above):
        # The official folders: logs/<task>/<seed>/<experiment>/eval.csv.
        seed = logged.seed if logged.seed is not None else int(above)
        return _Identity(parent, seed, path.parent.parent.parent.name or None)
    return _Identity(parent, logged.seed)


def _training(
    file: File,
    log: Log,
    logged: Logged,
    facts: Mapping[PurePath, Mapping[str, Any]],
    rules: Rules,
    recent: bool,
) -> Training:
    path = PurePath(file.path)
    found = _identity(path, log, logged)
    told = facts.get(path.parent / f"seed_{found.seed}") or facts.get(path.parent) or {}
    name = taken_apart(found.name, told.get("task") or found.task)
    begins, series, restarts = told.get("begins", 0), logged.series, logged.restarts
    if begins:
        series = {kind: Series(each.steps + begins, each.returns) for kind, each in series.items()}
        restarts = tuple(begins + step for step in restarts)
    planned = told.get("steps")
    last = max((int(each.steps[-1]) for each in series.values()), default=0)
    marks: dict[Mark, bool] = {
        "running": recent and not (planned and last >= planned + begins),
        "cut": log.incomplete,
        "damaged": bool(log.damaged),
        "resumed": logged.resumed > 0,
        "restarted": bool(restarts),
        "policy only": "pi" in series and "mppi" not in series,
        "planner only": "mppi" in series and "pi" not in series,
        "one of several in its file": logged.parts > 1,
        "set aside": found.set_aside,
    }
    return Training(
        task=name.task,
        phase=rules.canonical(name.tag, name.spelled),
        tag=name.tag,
        seed=found.seed,
        path=Path(file.path),
        format=log.format,
        series=series,
        restarts=restarts,
        part=logged.part,
        parts=logged.parts,
        marks=tuple(mark for mark, true in marks.items() if true),
        modified_s=file.mtime_ns / 1e9,
        planned_steps=planned + begins if planned else None,
        recipe=told.get("recipe"),
        settings=told.get("settings"),
        shaped=told.get("shaped"),
        k_update=told.get("k_update"),
    )


def _apart_by_settings(trainings: Sequence[Training]) -> list[Training]:
    """Phases of one name whose configurations differ become several."""
    found: dict[tuple[str | None, str], set[str]] = {}
    for each in trainings:
        if each.settings:
            found.setdefault((each.task, each.phase), set()).add(each.settings)
    return [
        replace(each, phase=f"{each.phase} [{each.settings}]")
        if each.settings and len(found[each.task, each.phase]) > 1
        else each
        for each in trainings
    ]


# Copies -------------------------------------------------------------------------------------------

_TELLING = 2
"""Distinct returns other than 0 that rows need to be known again."""


def _without_copies(trainings: Sequence[Training]) -> list[Training]:
    """Each training once: copies of a file, and copies that were made while it was running."""
    same: dict[tuple[str | None, str, int | None], list[Training]] = {}
    for each in trainings:
        same.setdefault(_seed_key(each), []).append(each)
    found: list[Training] = []
    for group in same.values():
        kept: list[Training] = []
        # The longest first; of equal ones the log that was not set aside, on the shortest path.
        for each in sorted(group, key=_place):
            place = next((i for i, one in enumerate(kept) if _begins_like(one, each)), None)
            if place is None:
                kept.append(each)
            elif kept[place].path != each.path:
                copies = (*kept[place].copies, each.path)
                kept[place] = replace(kept[place], copies=copies)
        found += kept
    return found


def _place(training: Training) -> tuple[int, bool, int, str, int]:
    size = sum(map(len, training.series.values()))
    path = str(training.path)
    return -size, "set aside" in training.marks, len(path), path, training.part


def _begins_like(whole: Training, other: Training) -> bool:
    """Whether all rows of a training are the first ones of another."""
    for kind, series in other.series.items():
        longer = whole.series.get(kind)
        count = len(series)
        if longer is None or len(longer) < count:
            return False
        if not np.array_equal(longer.steps[:count], series.steps):
            return False
        if not np.array_equal(longer.returns[:count], series.returns, equal_nan=True):
            return False
    if all(len(series) == len(whole.series[kind]) for kind, series in other.series.items()):
        return len(other.series) == len(whole.series)
    return _telling(other)


def _telling(training: Training) -> bool:
    """Whether its rows are so many that another training would not have the same by chance."""
    values = np.concatenate([series.returns for series in training.series.values()])
    return len(np.unique(values[np.isfinite(values) & (values != 0)])) >= _TELLING


def _marked(trainings: Sequence[Training]) -> list[Training]:
    """With the marks that come from comparing trainings."""
    seeds = Counter(
        _seed_key(each)
        for each in trainings
        if each.seed is not None and each.part == 1 and "set aside" not in each.marks
    )
    digests = [_digest(each) if _telling(each) else None for each in trainings]
    rows = Counter(digests)
    found = []
    for each, digest in zip(trainings, digests, strict=True):
        more: list[Mark] = []
        if seeds[_seed_key(each)] > 1 and "set aside" not in each.marks:
            more.append("same seed")
        if digest and rows[digest] > 1:
            more.append("same rows elsewhere")
        if each.copies:
            more.append("copied")
        marks = sorted((*each.marks, *more), key=get_args(Mark).index)
        found.append(replace(each, marks=tuple(marks)))
    return found


def _seed_key(training: Training) -> tuple[str | None, str, int | None]:
    return training.task, training.phase, training.seed


def _digest(training: Training) -> bytes:
    hashed = hashlib.blake2b(digest_size=16)
    for kind in CONTROLLERS if "eval" not in training.series else ("eval",):
        if series := training.series.get(kind):
            hashed.update(kind.encode())
            hashed.update(series.steps.tobytes())
            hashed.update(series.returns.tobytes())
    return hashed.digest()


# Phases -------------------------------------------------------------------------------------------


def _phases(trainings: Sequence[Training], rules: Rules) -> tuple[Phase, ...]:
    groups: dict[tuple[str, str], list[Training]] = {}
    for each in trainings:
        groups.setdefault((each.task or "", each.phase), []).append(each)
    return tuple(_phase(name, groups[task, name], rules) for task, name in sorted(groups))


def _phase(name: str, trainings: Sequence[Training], rules: Rules) -> Phase:
    ordered = sorted(trainings, key=_order)
    kept = {each.seed for each in ordered if "set aside" not in each.marks}
    aside = [each for each in ordered if "set aside" in each.marks and each.seed in kept]
    counted = [each for each in ordered if each not in aside]
    return Phase(
        task=ordered[0].task,
        name=name,
        about=rules.about(name.partition(" [")[0]),
        color=rules.color(name),
        tags=dict(sorted(Counter(each.tag for each in ordered).items())),
        trainings=tuple(counted),
        set_aside=tuple(aside),
    )


def _order(training: Training) -> tuple[bool, int, str, int]:
    return training.seed is None, training.seed or 0, str(training.path), training.part
