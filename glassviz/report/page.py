"""What the page shows: texts, figures and pictures, in the order in which they stand there.

Every text is as it came, unescaped; the templates escape what they print.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Tone = Literal["good", "bad", "mixed"]
"""How a basin is coloured; its name stands there as well."""


@dataclass(frozen=True)
class Chip:
    """A label: its number, on its colour.

    Attributes:
        label: −1: none.
        color: #RRGGBB.
        ink: colour of what is written on it.
    """

    label: int
    color: str
    ink: str


@dataclass(frozen=True)
class Picture:
    """One frame of a film strip.

    Attributes:
        jpeg: the file.
        width, height: in pixels.
        alt: the picture in words, for those who cannot see it.
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
        pictures: in the order of time; empty where none could be drawn.
        caption: what they show, or why there are none.
    """

    pictures: tuple[Picture, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure.

    Attributes:
        name: no other of the page has it.
        title: over it.
        alt: what is in it, in words.
        caption: how to read it.
        figure: None where there is nothing to draw; `alt` then says why.
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
        title: over it.
        head: of the columns.
        rows: their cells; the first heads its row, the others are numbers.
        note: how to read it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


@dataclass(frozen=True, eq=False)
class Part:
    """Something that runs say together.

    Attributes:
        title: over it.
        told: sentences.
        drawings, tables: below them.
    """

    title: str
    told: tuple[str, ...]
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """One criterion over the episodes of a run.

    Attributes:
        name: of the metric.
        threshold: as text, with ≥ or ≤.
        value: median over the episodes in which it could be measured, as text.
        margin: of that median, as text; positive where it is met.
        met, episodes: in how many of how many episodes it is met.
        dots: a place for every episode in which it was measured, in [0, 1]; in the right half it
            is met, and the threshold is in the middle.
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

    Attributes:
        title: what they decide.
        criteria: all of them.
        folded: whether they are of no gait that was found, and may be folded away.
    """

    title: str
    criteria: tuple[Evidence, ...]
    folded: bool = False


@dataclass(frozen=True)
class Answer:
    """A question of who watches a film, and its answer in a sentence."""

    code: str
    question: str
    text: str


@dataclass(frozen=True)
class Missed:
    """What keeps an episode out of the stable hop.

    Attributes:
        name: of the criterion's metric; empty where labels are missing altogether.
        told: its value, threshold and margin, or what else is the matter.
    """

    name: str
    told: str


@dataclass(frozen=True)
class EpisodeRow:
    """One episode: cells of the table, all text.

    Attributes:
        missed: the first criterion of a stable hop that it misses; None if it is one.
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
        basin, tone: the verdict, and how it is coloured.
        reasons: what decided, in a few words each.
        summary: in a sentence or two.
        chips: labels that occur, each with its name and share, the commonest first.
        drawings: raster, dwell, occupancy, audit.
        evidence: criteria of gait and labels.
        answers: to the questions of who watches a film.
        episodes: a row each.
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
    """One checkpoint.

    Attributes:
        anchor: its id on the page.
        name: of the run.
        facts: in a line.
        strip: of the controller that earns more.
        sides: one a controller.
    """

    anchor: str
    name: str
    facts: tuple[str, ...]
    strip: Strip
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table of all runs: cells, all text.

    Attributes:
        anchor: of the run's card; None for a run that failed.
        error: what went wrong; None for a run that was assessed.
    """

    name: str
    controller: str
    anchor: str | None = None
    returns: str = ""
    gait: str = ""
    labels: str = ""
    locking: str = ""
    kappa: str = ""
    switches: str = ""
    basin: str = ""
    tone: Tone = "mixed"
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Term:
    """A metric in the glossary; the texts are those of `glassviz explain`."""

    name: str
    what: str
    formula: str
    unit: str
    range: str
    good: str
    null: str
    reading: str
    trap: str
    source: str


@dataclass(frozen=True)
class Source:
    """Where one trace came from, for the appendix; all text."""

    name: str
    controller: str
    checkpoint_sha256: str
    trace_sha256: str
    facts: str


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        title: its heading.
        command: the command line that asked for it.
        verdict: a paragraph, sentence by sentence.
        rows: the table of all runs.
        labels: which ones the verdicts are of, a line each.
        together: runs against each other; empty where there is nothing to compare.
        cards: one a checkpoint.
        terms: the glossary, by name.
        thresholds: of the verdicts, by title: name and value.
        sources: one a trace.
        versions: of this program and what it runs on.
    """

    title: str
    command: str
    verdict: tuple[str, ...]
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    together: tuple[Part, ...]
    cards: tuple[Card, ...]
    terms: Mapping[str, Term]
    thresholds: Mapping[str, Sequence[tuple[str, str]]]
    sources: tuple[Source, ...]
    versions: Mapping[str, str]
