"""Colours for the labels of several runs: labels that correspond have one colour."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from glassviz.compare.compare import match_labels
from glassviz.compare.matching import gaits_correspond, profiles
from glassviz.export.product import Source
from glassviz.metrics.agreement import match_by_phase
from glassviz.palette import label_color

GREYS = ("#808080", "#B8B8B8", "#5C5C5C", "#9C9C9C", "#D0D0D0")
"""Of labels that correspond to none: one beside the other is told apart."""


@dataclass(frozen=True)
class SharedColors:
    """Colours of the labels of some runs.

    Attributes:
        colors: by label, of each run; empty for a run without labels.
        told: how they were found, in a sentence; empty where there is nothing to match.
    """

    colors: tuple[tuple[str, ...], ...]
    told: str


def shared_colors(
    sources: Sequence[Source], tell: Callable[[str], None] = lambda line: None
) -> SharedColors:
    """Match the labels of runs, and give each the colour of its match; grey without one.

    By the observations that all agents are asked about where their checkpoints are at hand; else
    by the phase of the gait that labels live in, for runs with the commonest gait.

    Args:
        sources: the runs.
        tell: called with each line that a user should see.
    """
    labelled = [source for source in sources if source.colors]
    checkpoints = {source.run.checkpoint_sha256 for source in labelled}
    if len(checkpoints) < 2:
        return SharedColors(tuple(source.colors for source in sources), "")
    found = match_labels([source.run for source in labelled], tell)
    if found and all(found.names[sha] in found.correspondence.colours for sha in checkpoints):
        partners = {sha: found.correspondence.colours[found.names[sha]] for sha in checkpoints}
        reference = found.correspondence.reference
        how = "by what the agents call the same observations"
    else:
        partners, reference = _by_phase(labelled)
        how = "by the phase of the gait that they live in"
    return SharedColors(
        tuple(_colors(source, partners) for source in sources),
        f"Labels have the colours of those of {reference} that they correspond to, {how}; grey: "
        f"none.",
    )


def _by_phase(labelled: Sequence[Source]) -> tuple[dict[str, tuple[int, ...]], str]:
    alike = [[gaits_correspond(a.stability, b.stability) for b in labelled] for a in labelled]
    reference = labelled[max(range(len(labelled)), key=lambda i: sum(alike[i]))]
    partners = {reference.run.checkpoint_sha256: tuple(range(len(reference.colors)))}
    for other in labelled:
        if gaits_correspond(other.stability, reference.stability):
            found = match_by_phase(profiles(other.stability), profiles(reference.stability))
            partners.setdefault(other.run.checkpoint_sha256, tuple(found.partner.tolist()))
    return partners, reference.name


def _colors(source: Source, partners: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    own = partners.get(source.run.checkpoint_sha256, ())
    padded = (*own, *[-1] * len(source.colors))[: len(source.colors)]
    greys = cycle(GREYS)
    return tuple(label_color(k) if k >= 0 else next(greys) for k in padded)
