"""What somebody who watches a film notes down about the labels, as data.

How many are there, do they change in step with the gait, which phase of it is each, and is one of
them on nearly all the time?
"""

from dataclasses import dataclass

from glassviz.analysis.consistency import Word
from glassviz.analysis.label_verdict import LabelVerdict
from glassviz.analysis.labels import LabelStats
from glassviz.analysis.naming import LabelName


@dataclass(frozen=True)
class LabelAnswers:
    """One episode, after its opening.

    Attributes:
        visited: labels with more than 1 % of the frames.
        in_step: whether they change in step with the gait; None where they do not change, or it
            cannot be told.
        word: the labels of most gait cycles, in order from touchdown on; None without cycles.
        word_share: share of the cycles that are spelled so.
        names: the phase of the gait that each label lives in.
        dominant: the label with most frames; None without frames.
        dominant_share: share of the frames that it has.
        stuck: whether that is four fifths or more.
    """

    visited: tuple[int, ...]
    in_step: bool | None
    word: Word | None
    word_share: float | None
    names: tuple[LabelName, ...]
    dominant: int | None
    dominant_share: float | None
    stuck: bool


def label_answers(
    stats: LabelStats, verdict: LabelVerdict, names: tuple[LabelName, ...]
) -> LabelAnswers:
    """Answer the questions about one episode.

    Args:
        stats: of all frames after the opening.
        verdict: on its labels.
        names: of its labels.
    """
    occupancy, words = stats.occupancy, stats.clear_words
    in_step = {"locked": True, "oscillating": False}.get(verdict.verdict)
    return LabelAnswers(
        visited=occupancy.visited,
        in_step=None if verdict.of_one_label or len(occupancy.visited) < 2 else in_step,
        word=words.modal if words else None,
        word_share=words.modal_share if words else None,
        names=names,
        dominant=occupancy.dominant,
        dominant_share=occupancy.dominant_share,
        stuck=occupancy.stuck,
    )
