"""The verdict on all runs, in a paragraph."""

from collections.abc import Sequence

from glassviz.comparison import Together
from glassviz.many import Failed
from glassviz.stability import Assessed
from glassviz.stability.wording import named

CONTROLLERS = {"mppi": "planner", "pi": "policy"}

DOUBT = (
    "The verdict describes these episodes; it says nothing about other seeds, and not that "
    "stable labels cause return."
)


def verdict_of(
    rows: Sequence[Assessed | Failed], together: Together | None = None
) -> tuple[str, ...]:
    """Sentences: who hops and who is in which basin, by controller, then what went wrong.

    What the runs say together adds those that differ between controllers.
    """
    assessed = [row for row in rows if isinstance(row, Assessed)]
    told = [
        _of_controller(controller, [row for row in assessed if row.controller == controller])
        for controller in dict.fromkeys(row.controller for row in assessed)
    ]
    told += _differing(together)
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


def _differing(together: Together | None) -> list[str]:
    """Runs whose commonest gait or basin is another under their other controller."""
    pairs = together.controllers.pairs if together and together.controllers else ()
    names = [pair.run for pair in pairs if pair.gait_differs or pair.basin_differs]
    if not names:
        return []
    return [f"Planner and policy differ in gait or basin in {len(names)}: {_listed(names)}."]


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
