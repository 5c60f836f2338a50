"""The ledger: what the trainings in trees of logs reported.

    ledger = glassviz.ledger.read(["runs", "mirror"])
    for phase in ledger.phases:
        for training in phase.trainings:
            steps, returns = training.series["mppi"].steps, training.series["mppi"].returns

- `read`: a `Ledger` of folders; `Ledger.where` filters it.
- `Ledger.phases`: `Phase`, the trainings with the same settings; `Ledger.trainings` are all.
- `Training.series`: `Series` of steps and returns by controller; `Training.reached` sums up.
- `summarise`: a phase as a row of the ledger; `against_published`: beside the published ledger.
- `load_rules`: the rules that name the phases.
"""

from glassviz.ledger.index import Index
from glassviz.ledger.ledger import (
    GOAL,
    Ledger,
    Phase,
    PhaseSummary,
    Reached,
    Training,
    summarise,
)
from glassviz.ledger.logs import Series
from glassviz.ledger.phases import Rules
from glassviz.ledger.phases import load as load_rules
from glassviz.ledger.published import Claim, against_published
from glassviz.ledger.reader import read
from glassviz.ledger.tree import Skipped

__all__ = [
    "GOAL",
    "Claim",
    "Index",
    "Ledger",
    "Phase",
    "PhaseSummary",
    "Reached",
    "Rules",
    "Series",
    "Skipped",
    "Training",
    "against_published",
    "load_rules",
    "read",
    "summarise",
]
