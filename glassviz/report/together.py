"""Runs against each other, part by part."""

from collections.abc import Collection, Iterator

from glassviz.comparison import ControllerRuns, Together
from glassviz.comparison.basins import told_basins, told_returns
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
    if together.controllers:
        pairs = tuple(pair.told for pair in together.controllers.pairs)
        parts.append(Part("Planner and policy", (together.controllers.answer, *pairs)))
    for i, own in enumerate(together.by_controller, start=1):
        title = f"By the {CONTROLLER_NAMES.get(own.controller, own.controller)}"
        drawing = drawing_of(own, f"returns-{i}")
        drawings = (drawing,) if drawing else ()
        parts.append(
            Part(title, tuple(_of_controller(own, together.doubts)), drawings, tables_of(own))
        )
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


def _of_controller(own: ControllerRuns, told: Collection[str]) -> Iterator[str]:
    """What the runs of one controller say, without doubts that are told elsewhere."""
    found, groups = own.stability_and_return, own.groups
    yield f"Basins: {told_basins(own.basins)}"
    yield told_returns(own.returns)
    yield own.means.answer
    yield found.answer
    if found.others:
        yield found.others
    yield from (doubt for doubt in found.doubts if doubt not in told)
    if groups:
        yield groups.answer[0].upper() + groups.answer[1:]
        yield from (doubt for doubt in groups.doubts if doubt not in told)
    yield f"Planner calibration: {own.values.answer}"
