"""Contents of the report's page: texts, figures and pictures, in their order on the page.

Texts are unescaped; the templates escape what they print.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from glassviz.metrics.glossary import Metric

Tone = Literal["good", "bad", "mixed"]
"""Colour of a basin, which is also named."""


@dataclass(frozen=True)
class Chip:
    """A label's number, −1 for none, on its colour; `ink` is that of text on it, both #RRGGBB."""

    label: int
    color: str
    ink: str


@dataclass(frozen=True)
class Picture:
    """One frame of a film strip.

    Attributes:
        width, height: in pixels.
        chip: its label; None for an agent without labels.
        time_s: since the reset.
        phase: of the gait cycle, in [0, 1); None outside of cycles.
    """

    jpeg: bytes
    width: int
    height: int
    alt: str
    chip: Chip | None
    time_s: float
    phase: float | None


@dataclass(frozen=True)
class Strip:
    """A film strip.

    Attributes:
        pictures: in temporal order; empty if none could be drawn.
        caption: what they show, or why there are none.
    """

    pictures: tuple[Picture, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure.

    Attributes:
        name: unique on the page.
        caption: what is particular to it; empty where `captions.READING` says all.
        figure: None if there is nothing to draw; `alt` then says why.
        terms: metrics that it shows.
    """

    name: str
    title: str
    alt: str
    caption: str
    figure: "Figure | None"
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table; all text.

    Attributes:
        rows: cells; the first is the row heading, the others are numbers.
        note: how to read it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


@dataclass(frozen=True, eq=False)
class Part:
    """One part of the comparison of runs: sentences, then drawings and tables."""

    title: str
    told: tuple[str, ...]
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """One criterion over the episodes of a run.

    Attributes:
        threshold: text with ≥ or ≤.
        value: text; median over the episodes where it was measured.
        margin: text; margin of that median, positive if it is met.
        met, episodes: number of episodes where it is met, and of all episodes.
        dots: one position in [0, 1] per episode where it was measured; the threshold is at 0.5,
            and larger values are met.
    """

    name: str
    threshold: str
    value: str
    margin: str
    met: int
    episodes: int
    dots: tuple[float, ...]


@dataclass(frozen=True)
class EvidenceGroup:
    """Criteria that belong together.

    `folded` ones belong to a gait that the run does not show, and may be collapsed.
    """

    title: str
    criteria: tuple[Evidence, ...]
    folded: bool = False


@dataclass(frozen=True)
class Answer:
    """A question about a run, and its answer."""

    question: str
    text: str


@dataclass(frozen=True)
class Missed:
    """What keeps an episode out of the stable hop.

    Attributes:
        name: metric of the criterion; empty for an agent without labels.
        told: its value, threshold and margin, or why there are none.
    """

    name: str
    told: str


@dataclass(frozen=True)
class EpisodeRow:
    """Row of one episode; cells are text.

    Attributes:
        missed: first criterion of a stable hop that it misses; None for a stable hop.
    """

    episode: int
    reset_seed: int
    episode_return: str
    gait: str
    labels: str
    basin: str
    tone: Tone
    cycles: str
    falls: str
    kappa: str
    missed: Missed | None
    reason: str


@dataclass(frozen=True)
class Side:
    """One checkpoint under one controller.

    Attributes:
        controller: in words.
        reasons: causes of the verdict, in a few words each.
        chips: labels that occur, with gait phase and share, most common first.
        drawings: raster, dwell, occupancy, audit.
        answers: to questions about gait, labels, return and value.
    """

    controller: str
    basin: str
    tone: Tone
    reasons: tuple[str, ...]
    summary: str
    chips: tuple[tuple[Chip, str], ...]
    drawings: tuple[Drawing, ...]
    evidence: tuple[EvidenceGroup, ...]
    answers: tuple[Answer, ...]
    episodes: tuple[EpisodeRow, ...]


@dataclass(frozen=True)
class Card:
    """One checkpoint, with a film strip of the controller with the higher return.

    Attributes:
        facts: what is not the same for all checkpoints of the page.
    """

    anchor: str
    name: str
    facts: tuple[str, ...]
    strip: Strip
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Row:
    """Row of the table of all runs; cells are text.

    Attributes:
        anchor: id of the run's card; None for a failed run.
        error: why the run failed; None for an assessed run.
    """

    name: str
    controller: str
    anchor: str | None = None
    episodes: str = ""
    returns: str = ""
    gait: str = ""
    labels: str = ""
    seen: str = ""
    locking: str = ""
    kappa: str = ""
    switches: str = ""
    basin: str = ""
    tone: Tone = "mixed"
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """Origin of one trace, for the appendix."""

    name: str
    controller: str
    checkpoint_sha256: str
    trace_sha256: str
    facts: str


@dataclass(frozen=True, repr=False)
class Page:
    """The whole page.

    Attributes:
        verdict: sentences of the lead.
        labels: labels that the verdicts are based on, one line each.
        together: comparison of the runs; empty if there is nothing to compare.
        shared: facts that are the same for all checkpoints.
        terms: glossary by name.
        thresholds: names and values of the verdicts' thresholds, by title.
        versions: versions of glassviz and its platform.
    """

    title: str
    command: str
    verdict: tuple[str, ...]
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    together: tuple[Part, ...]
    shared: tuple[str, ...]
    cards: tuple[Card, ...]
    terms: "Mapping[str, Metric]"
    thresholds: Mapping[str, Sequence[tuple[str, str]]]
    sources: tuple[Source, ...]
    versions: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Page({self.title!r}, {len(self.rows)} rows, {len(self.cards)} cards)"
