"""What is exported: sources, products, captions."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np

from glassviz.compare.matching import MatchedBy, match_labels
from glassviz.errors import UsageError
from glassviz.files import StrPath, replacing
from glassviz.gait.cycles import Cycles
from glassviz.metrics.stability import RunStability, median_episode
from glassviz.palette import label_color, matched_colors
from glassviz.report.phrases import captions
from glassviz.rollout.batch import file_stem
from glassviz.rollout.run import Run
from glassviz.text import count_of, escaped, printable
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.clip import CONTROLLER_NAMES, ShownNames
from glassviz.video.encode import SPECS, Format
from glassviz.video.mosaic import Look
from glassviz.video.opengl import Backend, choose_backend
from glassviz.video.renderer import MujocoRenderer, OpenRenderer, Quality, StillMaker

FIGURES = (".pdf", ".svg", ".png")
FILMS = tuple(f".{name}" for name in SPECS)
WALL, USAGE = "wall", "usage"
TOGETHER = (WALL, USAGE)
"""Kinds that are of several runs together."""

ENDINGS = {
    **dict.fromkeys(("strip", "timeline", "raster", "poses", USAGE, "graph", "map"), FIGURES),
    **dict.fromkeys(("clip", "grid", WALL), FILMS),
    "gif": (".gif",),
}
"""Endings that a file of each kind may have; the first is the default."""

GIF_BYTES = 8_000_000
"""What mail, chats and README files take."""

Progress = Callable[[int, int], None]


@dataclass
class Studio:
    """Draws films and figures; opened when first needed. Close it, or use it in `with`.

    Attributes:
        quality: of films; None for what suits the machine.
        jobs: drawing processes; None for a number that suits the machine.
        backend: OpenGL backend; None to detect one.
        background: behind the body: see `backdrop.set_backdrop`.
        size: width and height of a picture of a film, pixels; None for what suits its kind.
        stills: draws single pictures.
    """

    quality: Quality | None = None
    jobs: int | None = None
    open_renderer: OpenRenderer = MujocoRenderer
    backend: Backend | None = None
    background: Background = "sky"
    size: tuple[int, int] | None = None
    stills: StillMaker = field(init=False)

    def __post_init__(self) -> None:
        self.stills = StillMaker(self.open_renderer, self.background)

    def light(self) -> Backend:
        """The OpenGL backend, detected if necessary.

        Raises:
            GlassvizError: none works here.
        """
        self.backend = self.backend or choose_backend()
        return self.backend

    def mosaic_quality(self) -> Quality:
        """Quality of mosaics: shadows in each of many cells would take minutes in software."""
        return self.quality or ("smooth" if self.light().software else "full")

    def look(self) -> Look:
        """How the cells of mosaics are drawn."""
        return Look(self.mosaic_quality(), self.background, self.size)

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.stills.close()


@dataclass(frozen=True)
class Product:
    """A film or a figure that can be made.

    Attributes:
        stem: default name of the file, without its ending.
        write: writes the file atomically, and returns notes on it.
    """

    kind: str
    stem: str
    caption: str
    write: Callable[[Path, bool, Progress], list[str]]

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings that the file may have; the first is the default."""
        return ENDINGS[self.kind]


def check_ending(kind: str, path: StrPath) -> None:
    """Raise UsageError if a file of this kind cannot have that name's ending."""
    if Path(path).suffix.lower() not in ENDINGS[kind]:
        endings = " or ".join(ENDINGS[kind])
        raise UsageError(f"{path}: expected a name that ends in {endings} for --{kind}")


def default_stem(kind: str, name: str, controller: str, fitted: bool, episode: int | None) -> str:
    """A name for the file, without its ending, of a run's product.

    Args:
        name: of the run.
        fitted: whether its labels were fitted.
        episode: that was asked for, from 0; None for the one with the median return.
    """
    if kind == WALL:
        return WALL
    words = [file_stem(name).strip("._") or "run", controller]
    words += ["fitted"] if fitted else []
    words += [] if episode is None else [f"episode{episode + 1}"]
    return file_stem(*words, kind)


def mosaic_rate(format: Format) -> Fraction:
    """Frames per second of mosaics: a GIF's frames last whole hundredths of a second."""
    return Fraction(25 if format == "gif" else 30)


@dataclass(frozen=True, eq=False)
class Source:
    """A run, and the episode of it that is shown.

    Attributes:
        episode: from 0.
        chosen: whether that episode was asked for; otherwise its return is the median.
    """

    run: Run
    episode: int
    chosen: bool

    @classmethod
    def of(cls, run: Run, episode: int | None = None) -> Self:
        """Choose an episode of a run, from 0; the one with the median return if None.

        Raises:
            UsageError: there is no such episode.
        """
        episodes = len(run.stability.episodes)
        if episode is not None and not 0 <= episode < episodes:
            raise UsageError(
                f"--episode: expected 1 to {episodes}, the episodes of {printable(run.name)}, "
                f"found {episode + 1}"
            )
        shown = median_episode(run.stability) if episode is None else episode
        return cls(run, shown, episode is not None)

    @property
    def name(self) -> str:
        """The run's name, made printable."""
        return printable(self.run.name)

    @property
    def trace(self) -> Trace:
        """The run's trace, with the labels that it was assessed by."""
        return self.run.trace

    @property
    def stability(self) -> RunStability:
        """Measurements of the run."""
        return self.run.stability

    @property
    def controller(self) -> str:
        """The controller's name in films."""
        return CONTROLLER_NAMES.get(self.run.controller, self.run.controller)

    @property
    def title(self) -> str:
        """Run and controller."""
        return f"{self.name}, {self.controller}"

    @property
    def labelled_title(self) -> str:
        """Run and controller, and that the labels were fitted, if they were."""
        return f"{self.title}, fitted labels" if self.fitted else self.title

    @property
    def fitted(self) -> bool:
        """Whether the labels were fitted to the latents rather than learned."""
        return self.stability.labels_from == "fitted"

    @property
    def episodes(self) -> Sequence[int]:
        """Episodes of products that show several."""
        return [self.episode] if self.chosen else range(self.trace.episodes)

    @property
    def colors(self) -> tuple[str, ...]:
        """Colours by label; empty without labels."""
        clusters = self.trace.clusters if self.trace.has_labels else 0
        return tuple(map(label_color, range(clusters)))

    def require_labels(self, what: str) -> None:
        """Raise UsageError if the agent has no labels, which `what` needs."""
        if not self.trace.has_labels:
            command = shlex.join(["glassviz", "fit", str(self.run.target)])
            raise UsageError(
                f"{self.name}: expected labels for {what}, found an agent without labels: fit some "
                f"with `{command}` and add --labels fitted"
            )

    def cycles(self, episode: int) -> Cycles:
        """Gait cycles of an episode."""
        return self.stability.episodes[episode].gait.cycles

    def label_names(self) -> dict[int, str]:
        """Name of each label that occurs in the run."""
        return {each.label: each.name for each in self.stability.label_names}

    @property
    def shown_names(self) -> ShownNames:
        """What films call the run, and labels that a user has named."""
        return ShownNames(self.name, self.run.given_labels)

    def period_s(self) -> float | None:
        """Median duration of the gait cycles of `episodes`; None without any."""
        periods = np.concatenate([self.cycles(e).periods_s for e in self.episodes])
        return float(np.median(periods)) if len(periods) else None


@dataclass(frozen=True)
class SharedColors:
    """Colours of the labels of some runs: labels that correspond have one colour.

    Attributes:
        colors: by label, of each run; empty for a run without labels.
        reference: the run whose labels keep their own colours; None where nothing is to match.
        by: how labels were matched with those of the reference.
    """

    colors: tuple[tuple[str, ...], ...]
    reference: str | None
    by: tuple[MatchedBy, ...]

    @property
    def note(self) -> str:
        """How the colours were found, in a sentence; empty where nothing is to match."""
        return captions.shared_colors(printable(self.reference), self.by) if self.reference else ""


def shared_colors(
    sources: Sequence[Source], tell: Callable[[str], None] = lambda line: None
) -> SharedColors:
    """Match the labels of runs, and give each the colour of its match; grey without one.

    `tell` is called with each line for the user.
    """
    if len({source.run.labelling for source in sources if source.colors}) < 2:
        return SharedColors(tuple(source.colors for source in sources), None, ())
    found = match_labels([source.run for source in sources], tell)
    pairs = [pair for pair in found.pairs if found.reference in (pair.one, pair.other)]
    return SharedColors(
        colors=tuple(
            matched_colors(found.of_reference(source.run)) if source.colors else ()
            for source in sources
        ),
        reference=found.reference,
        by=tuple(dict.fromkeys(pair.by for pair in pairs)),
    )


CAPTIONS = "captions.md"
NOT_MADE = "\n## Not made\n"

UNKNOWN = "It was there before, and nothing tells what it was made from."
"""Caption of a file that was kept and had none."""

_TRACE = re.compile(r"\btrace ([0-9a-f]{12})\b")
_LABELS = {"glass": "learned", "fitted": "fitted", "none": "none"}


def made_from(source: Source, *, whole: bool) -> str:
    """Run, controller, episodes, seeds, hashes and cycles, in a sentence.

    Of all of the source's episodes if `whole`, else of the one that is shown.
    """
    header, run = source.trace.header, source.stability
    episodes = list(source.episodes) if whole else [source.episode]
    cycles = sum(source.cycles(e).count for e in episodes)
    which = f"{len(episodes)} episodes"
    if len(episodes) == 1:
        seed = header["reset_seeds"][episodes[0]]
        which = f"episode {episodes[0] + 1} of {source.trace.episodes}, reset seed {seed}"
        if not source.chosen and source.trace.episodes > 1:
            which += ", the one of median return"
    labels = _LABELS.get(run.labels_from, run.labels_from)
    if run.labels_sha256:
        labels += f" ({run.labels_sha256[:12]})"
    return (
        f"{source.name} (checkpoint {run.checkpoint_sha256[:12]}, trace {run.trace_sha256[:12]}), "
        f"{source.controller}, seed {header['seed']}; {which}; {count_of(cycles, 'gait cycle')}; "
        f"labels: {labels}."
    )


def read_captions(folder: StrPath) -> dict[str, str]:
    """Captions of an earlier export by file, escaped, of files that still exist."""
    folder = Path(folder)
    path = folder / CAPTIONS
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace").split(NOT_MADE)[0]
    sections = (section.partition("\n") for section in text.split("\n## ")[1:])
    found = {name.strip(): caption.strip() for name, _, caption in sections}
    present = {escaped(file.name) for file in folder.iterdir()}
    return {name: caption for name, caption in found.items() if name in present}


def why_kept(old: str, new: str) -> str:
    """Why a file with the caption `old` is kept, if `new` is what would be made; both escaped."""
    if old == new:
        return "for it is there already"
    if old == UNKNOWN:
        return "though nothing tells what it was made from"
    if _TRACE.findall(old) != _TRACE.findall(new):
        return "made from another trace"
    return "made otherwise from the same trace"


def write_captions(
    folder: StrPath, captions: Mapping[str, str], left_out: Mapping[str, str]
) -> None:
    """Write the captions of a folder's files atomically.

    Args:
        captions: by file; both escaped.
        left_out: what was not made, and why.

    Raises:
        GlassvizError: they cannot be written.
    """
    parts = ["# Captions", *(f"## {name}\n\n{told}" for name, told in captions.items())]
    if left_out:
        reasons = [f"- {escaped(name)}: {escaped(why)}" for name, why in left_out.items()]
        parts.append(NOT_MADE.strip() + "\n\n" + "\n".join(reasons))
    with replacing(Path(folder) / CAPTIONS) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
