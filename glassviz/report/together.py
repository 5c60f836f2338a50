"""Runs against each other, part by part."""

from collections.abc import Iterator

from glassviz.comparison import ControllerRuns, Together
from glassviz.report.correspondence import table_of
from glassviz.report.page import Part
from glassviz.report.returns import drawing_of, tables_of
from glassviz.video.clip import CONTROLLER_NAMES


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
    parts = [Part(f"What differs between {n} checkpoint{'s' if n > 1 else ''}", asked)]
    for i, own in enumerate(together.by_controller, start=1):
        title = f"By the {CONTROLLER_NAMES.get(own.controller, own.controller)}"
        drawing = drawing_of(own, f"returns-{i}")
        drawings = (drawing,) if drawing else ()
        parts.append(Part(title, tuple(_of_controller(own)), drawings, tables_of(own)))
    if together.controllers:
        pairs = tuple(pair.told for pair in together.controllers.pairs)
        parts.append(Part("Planner and policy", (together.controllers.answer, *pairs)))
    if together.correspondence:
        found = together.correspondence
        told = (
            found.answer,
            *(f"{each.run} ({each.controller}): {each.reason}." for each in found.left_out),
        )
        parts.append(Part("Which label is which", told, tables=(table_of(found),)))
    elif together.no_correspondence:
        reason = f"Labels were not compared: {together.no_correspondence}."
        parts.append(Part("Which label is which", (reason,)))
    left_out = [f"{each.run} ({each.controller}): {each.reason}." for each in together.left_out]
    if together.doubts or left_out:
        parts.append(Part("Doubts", (*together.doubts, *left_out)))
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
    if own.stability_and_return.others:
        yield own.stability_and_return.others
    yield from own.stability_and_return.doubts
    if own.groups:
        yield own.groups.answer[0].upper() + own.groups.answer[1:]
    yield f"Planner calibration: {own.values.answer}"
