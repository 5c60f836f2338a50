"""In a notebook: from a checkpoint to films, verdicts and figures, a line each.

    load: a checkpoint, or a trace.
    Run: a checkpoint; `rollout` makes a `Rollout`, or finds the one that was made before.
    Rollout: what it did: film, stability, graph, map, strip, raster, and the trace itself.
    Film, Stability: what comes of it, and shows itself.

Figures belong to pyplot: they appear below the cell, and what is returned are their axes.

    >>> import glassviz as gv
    >>> run = gv.load("checkpoints/refined-small-s1.safetensors")
    >>> rollout = run.rollout(episodes=3, controller="pi")
    >>> rollout.film()
"""

from glassviz.notebook.film import Film
from glassviz.notebook.load import load
from glassviz.notebook.rollout import Rollout
from glassviz.notebook.run import Run
from glassviz.notebook.stability import Stability

__all__ = ["Film", "Rollout", "Run", "Stability", "load"]
