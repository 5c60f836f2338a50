"""Names that a user gives to runs and labels, for tables, figures and pages.

A TOML file has the shown name of a run by its own, as tables show it without the file, and the
shown names of a run's labels by their numbers:

    [runs]
    "refined-small-s1" = "Refined"

    [labels."refined-small-s1"]
    3 = "flight"
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from glassviz.errors import GlassvizError
from glassviz.files import StrPath, near, read_text
from glassviz.rollout.batch import distinct_names
from glassviz.rollout.run import Run
from glassviz.text import listed, printable

_FORM = '[runs] "run" = "shown name" and [labels."run"] 3 = "shown name"'
_LIMIT = 1 << 20

LONGEST_LABEL = 32
"""Characters of a label's name that legends have room for."""


@dataclass(frozen=True)
class Names:
    """Shown names of runs, and of labels by run.

    Attributes:
        path: of their file, for messages.
        runs: by the run's own name.
        labels: by the run's own name, then by the label.
    """

    path: Path | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: StrPath | None) -> Self:
        """Read a file of names; None gives no names.

        Raises:
            GlassvizError: the file cannot be read, is of another form, or gives two runs one name.
        """
        if path is None:
            return cls()
        path = Path(path)
        try:
            read = tomllib.loads(read_text(path, "a file of names", _LIMIT))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise GlassvizError(
                f"{path}: expected TOML of the form {_FORM}, found none: {printable(str(error))}"
            ) from None
        for key in read.keys() - {"runs", "labels"}:
            raise GlassvizError(
                f"{path}: expected the tables runs and labels, found {printable(key)!r}"
                f"{near(key, ['runs', 'labels'])}"
            )
        runs = _named(path, "runs", read.get("runs", {}))
        twice = [name for name, count in Counter(runs.values()).items() if count > 1]
        if twice:
            raise GlassvizError(
                f"{path}: expected a name of its own for each run, found {twice[0]!r} twice: "
                f"change one of them"
            )
        tables = read.get("labels", {})
        if not isinstance(tables, dict):
            raise GlassvizError(f"{path}, labels: expected tables by run, found {tables!r:.40}")
        labels = {}
        for run, table in tables.items():
            named = _named(path, f"labels.{printable(run)}", table)
            for label in named:
                if not label.isdecimal():
                    raise GlassvizError(
                        f"{path}, labels.{printable(run)}: expected numbers of labels, found "
                        f"{label!r}"
                    )
                if len(named[label]) > LONGEST_LABEL:
                    raise GlassvizError(
                        f"{path}, labels.{printable(run)}: expected at most {LONGEST_LABEL} "
                        f"characters for {label}, found {len(named[label])}: shorten the name"
                    )
            labels[run] = {int(label): name for label, name in named.items()}
        return cls(path, runs, labels)

    def apply(self, runs: Sequence[Run], tell: Callable[[str], None]) -> None:
        """Give runs and labels their shown names; names of what there is not are told."""
        if self.path is None:
            return
        controllers = [(run.controller,) for run in runs]
        own = distinct_names([run.name for run in runs], [run.target for run in runs], controllers)
        self.tell_unknown(own, tell)
        unknown = [self._unknown_labels(name, run) for name, run in zip(own, runs, strict=True)]
        for line in filter(None, dict.fromkeys(unknown)):  # once for both controllers
            tell(line)
        for run, name in zip(runs, own, strict=True):
            run.name = self.runs.get(name, run.name)
            run.given_labels = self.labels.get(name, {})

    def tell_unknown(self, own: Sequence[str], tell: Callable[[str], None]) -> None:
        """Tell which names of the file are those of no run among `own`."""
        unknown = [name for name in {**self.runs, **self.labels} if name not in own]
        for name in unknown:
            shown = near(name, own) or f", there are {listed(dict.fromkeys(own))}" if own else ""
            tell(f"{self.path}: no run is called {printable(name)}{shown}")

    def _unknown_labels(self, name: str, run: Run) -> str:
        """A sentence about numbers that are those of no label of a run; empty without any."""
        given = self.labels.get(name)
        if not given or (clusters := run.known_clusters) is None:
            return ""
        unknown = [str(label) for label in given if label >= clusters]
        if not unknown:
            return ""
        has = f"its labels are 0 to {clusters - 1}" if clusters else "it has none"
        return f"{self.path}: {printable(name)} has no label {listed(unknown)}, {has}"


def _named(path: Path, place: str, table: Any) -> dict[str, str]:
    """A table of names.

    Raises:
        GlassvizError: it is none, or a name is no text or empty.
    """
    if not isinstance(table, dict):
        raise GlassvizError(f"{path}, {place}: expected a table of names, found {table!r:.40}")
    for key, name in table.items():
        if not isinstance(name, str) or not name.strip():
            raise GlassvizError(
                f"{path}, {place}: expected a name in quotes for {printable(key)!r}, found "
                f"{name!r:.40}"
            )
    return {key: printable(name.strip()) for key, name in table.items()}
