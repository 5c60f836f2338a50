"""The basin: gait and labels together.

Stable-hop is a hop whose labels are locked to it. Any other gait is unstable, and so are labels
that oscillate, whatever the gait. The rest is undetermined: an agent that hops without labels, or
one of whose gait or labels too little can be said. The basin describes; it explains no return.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from glassviz.analysis.label_verdict import LabelVerdict, Verdict
from glassviz.gait.thresholds import DEFAULT_THRESHOLDS, GaitThresholds
from glassviz.gait.verdict import GaitName, GaitVerdict

BasinName = Literal["stable-hop", "unstable", "undetermined"]
RunBasinName = Literal["stable-hop", "unstable", "undetermined", "split"]


@dataclass(frozen=True)
class Basin:
    """The basin of one episode.

    Attributes:
        name: which.
        cause: what decided, in a few words: `knee-walk`, `hop, labels oscillate`.
        gait, labels: the two verdicts that it joins, with all their criteria.
    """

    name: BasinName
    cause: str
    gait: GaitVerdict
    labels: LabelVerdict

    @property
    def reason(self) -> str:
        """The reasons of both verdicts, a sentence each."""
        return f"{self.gait.reason} {self.labels.reason}"


@dataclass(frozen=True)
class RunBasin:
    """The basin of a run.

    Attributes:
        name: of the commonest basin; `split` if none has more than three quarters of the
            episodes.
        split: number of episodes by basin, the commonest first.
        causes: number of episodes by cause: those of the commonest basin first, and of them the
            commonest.
    """

    name: RunBasinName
    split: dict[BasinName, int]
    causes: dict[str, int]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The causes in a few words, with their shares of the episodes: `knee-walk 8/10`."""
        episodes = sum(self.split.values())
        return tuple(
            cause if count == episodes else f"{cause} {count}/{episodes}"
            for cause, count in self.causes.items()
        )


def basin(gait: GaitVerdict, labels: LabelVerdict) -> Basin:
    """Join the verdicts on an episode's gait and labels."""
    name, causes = join(gait.name, labels.verdict)
    return Basin(name, ", ".join(causes), gait, labels)


def run_basin(basins: Sequence[Basin], thresholds: GaitThresholds = DEFAULT_THRESHOLDS) -> RunBasin:
    """Name the basin of a run by the majority of its episodes, as `run_gait` does its gait.

    Episodes that leave the basin for different reasons are still outside: a run that walks on its
    knee in one half and lies still in the other is split in its gait, and unstable.

    Raises:
        ValueError: there are no basins.
    """
    if not basins:
        raise ValueError("run_basin: expected the basins of at least one episode, found none")
    split = dict(Counter(each.name for each in basins).most_common())
    commonest, count = next(iter(split.items()))
    found = Counter((each.name != commonest, each.cause) for each in basins).most_common()
    causes = {cause: n for (_, cause), n in sorted(found, key=lambda item: item[0][0])}
    name = commonest if count > thresholds.split * len(basins) else "split"
    return RunBasin(name, split, causes)


_LABELS: dict[Verdict, str] = {
    "locked": "labels locked",
    "oscillating": "labels oscillate",
    "none": "no labels",
    "undetermined": "labels undetermined",
}


def join(gait: GaitName, labels: Verdict) -> tuple[BasinName, tuple[str, ...]]:
    """The basin that two verdicts put an episode in, and what decided."""
    told = _LABELS[labels]
    oscillate = labels == "oscillating"
    if gait == "hop":
        names: dict[Verdict, BasinName] = {"locked": "stable-hop", "oscillating": "unstable"}
        return names.get(labels, "undetermined"), ("hop", told)
    also = (told,) if oscillate else ()
    if gait == "undetermined":
        return "unstable" if oscillate else "undetermined", ("gait undetermined", *also)
    return "unstable", (gait, *also)
