"""The verdict on all runs, in a paragraph."""

from collections.abc import Sequence

from glassviz.stability import Assessed, Unassessed
from glassviz.stability.wording import named

CONTROLLERS = {"mppi": "planner", "pi": "policy"}

DOUBT = (
    "The verdict describes these episodes; it says nothing about other seeds, and not that "
    "stable labels cause return."
)


def verdict_of(rows: Sequence[Assessed | Unassessed]) -> tuple[str, ...]:
    """Sentences: who hops and who is in which basin, by controller, then what went wrong."""
    assessed = [row for row in rows if isinstance(row, Assessed)]
    told = [
        _of_controller(controller, [row for row in assessed if row.controller == controller])
        for controller in dict.fromkeys(row.controller for row in assessed)
    ]
    told += _differing(assessed)
    failed = len(rows) - len(assessed)
    if failed:
        told.append(f"{failed} of {len(rows)} rows could not be assessed; the table says why.")
    return (*told, *([DOUBT] if assessed else []))


def _of_controller(controller: str, rows: Sequence[Assessed]) -> str:
    who = CONTROLLERS.get(controller, controller)
    hops = [row for row in rows if row.stability.gait.name == "hop"]
    if len(rows) == 1:
        [row] = rows
        gait, basin = row.stability.gait, row.stability.basin
        return (
            f"Under the {who} the run's gait is {named(gait.name, gait.split)} and its basin "
            f"{named(basin.name, basin.split)} ({', '.join(basin.reasons)})."
        )
    basins: dict[str, list[str]] = {}
    for row in rows:
        basins.setdefault(row.stability.basin.name, []).append(row.name)
    # The stable first, if there are any.
    order = sorted(basins, key=lambda basin: (basin != "stable-hop", -len(basins[basin])))
    told = "; ".join(f"{basin} {len(basins[basin])} ({_listed(basins[basin])})" for basin in order)
    count = {0: "None", len(rows): "All"}.get(len(hops), str(len(hops)))
    verb = "hops" if len(hops) < 2 else "hop"
    return f"{count} of {len(rows)} runs {verb} under the {who}. Basins: {told}."


def _differing(rows: Sequence[Assessed]) -> list[str]:
    """Runs that end in another basin or gait under their other controller."""
    by_run: dict[tuple[str, str], list[Assessed]] = {}
    for row in rows:
        by_run.setdefault((row.stability.checkpoint_sha256, row.name), []).append(row)
    names = [
        own[0].name
        for own in by_run.values()
        if len({(row.stability.gait.name, row.stability.basin.name) for row in own}) > 1
    ]
    if not names:
        return []
    return [f"Planner and policy differ in gait or basin in {len(names)}: {_listed(names)}."]


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
