"""Runs against each other, in titled paragraphs."""

from collections.abc import Iterator

from glassviz.comparison import ControllerRuns, Together
from glassviz.video.clip import CONTROLLER_NAMES

Part = tuple[str, tuple[str, ...]]


def parts_of(together: Together | None) -> tuple[Part, ...]:
    """What several runs say together; empty if there is nothing to compare."""
    if together is None:
        return ()
    answers = together.answers
    n = len(together.checkpoints)
    asked = (
        f"Do the gaits differ? {answers.gaits}",
        f"Do labels of one phase correspond? {answers.labels}",
        f"Does a run lack a phase? {answers.lacking}",
        f"Do two phases share a label? {answers.merged}",
    )
    parts: list[Part] = [(f"What differs between {n} checkpoint{'s' if n > 1 else ''}", asked)]
    for own in together.by_controller:
        title = f"By the {CONTROLLER_NAMES.get(own.controller, own.controller)}"
        parts.append((title, tuple(_of_controller(own))))
    if together.controllers:
        pairs = tuple(pair.told for pair in together.controllers.pairs)
        parts.append(("Planner and policy", (together.controllers.answer, *pairs)))
    if together.correspondence:
        parts.append(("Which label is which", (together.correspondence.answer,)))
    elif together.no_correspondence:
        told = f"Labels were not compared: {together.no_correspondence}."
        parts.append(("Which label is which", (told,)))
    left_out = [f"{each.run} ({each.controller}): {each.reason}." for each in together.left_out]
    if together.doubts or left_out:
        parts.append(("Doubts", (*together.doubts, *left_out)))
    return tuple(parts)


def _of_controller(own: ControllerRuns) -> Iterator[str]:
    told = [
        f"{each.basin} {each.share.hits} of {each.share.count} (95 % {each.share.low:.0%} to "
        f"{each.share.high:.0%})"
        for each in own.basins
        if each.share.hits
    ]
    if told:
        yield f"Basins: {'; '.join(told)}."
    yield own.stability_and_return.answer
    yield from own.stability_and_return.doubts
    if own.groups:
        yield own.groups.answer[0].upper() + own.groups.answer[1:]
    yield f"Planner calibration: {own.values.answer}"
