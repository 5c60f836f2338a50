"""A verdict with its evidence, in a notebook."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassviz.notebook.html import rendered

if TYPE_CHECKING:
    from glassviz.stability import Assessed, RunStability


@dataclass(frozen=True, eq=False, repr=False)
class Stability:
    """What a run does and which basin it is in. As the last line of a cell it shows why.

    Attributes:
        row: the run, as tables of many have it.
    """

    row: "Assessed"

    @property
    def result(self) -> "RunStability":
        """Everything that was found, episode by episode."""
        return self.row.stability

    @property
    def gait(self) -> str:
        """The commonest verdict on the gait; `split` where none is."""
        return self.result.gait.name

    @property
    def basin(self) -> str:
        """The commonest basin; `split` where none is."""
        return self.result.basin.name

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain containers, as `glassviz stability --json` prints it."""
        from glassviz.stability.record import to_dict

        return to_dict(self.row)

    def __repr__(self) -> str:
        from glassviz.stability.wording import named, shown_return

        run = self.result
        return (
            f"Stability({self.row.name!r}, {run.controller}, gait "
            f"{named(run.gait.name, run.gait.split)}, basin "
            f"{named(run.basin.name, run.basin.split)}, return {shown_return(run.returns)})"
        )

    def _repr_html_(self) -> str:
        from glassviz.report.compose import side_of, terms_of

        side = side_of(self.row)
        return rendered("notebook_stability", name=self.row.name, side=side, terms=terms_of([side]))
