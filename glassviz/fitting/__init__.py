"""Labels fitted to runs: made, measured, and held against those that the agent learned.

    fit_all: one set of labels a checkpoint, from its traces; broken runs are named.
    compare: fitted and learned labels of the same frames.

Loads neither JAX nor MuJoCo until `fit_all` is called.
"""

from glassviz.fitting.comparison import Comparison, PhaseReading, compare
from glassviz.fitting.runs import FitOptions, Fitted, fit_all

__all__ = [
    "Comparison",
    "FitOptions",
    "Fitted",
    "PhaseReading",
    "compare",
    "fit_all",
]
