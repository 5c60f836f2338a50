"""Checkpoints: trained parameters with the configuration needed to run them.

`load` reads the native format, published pickles and official files of TD-MPC2, distinguished by
content; `save` writes the native format. Reading a file never executes code from it.
"""

from glassviz.checkpoints.average import average
from glassviz.checkpoints.formats import convert, convert_all, load, survey
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.checkpoints.official import Survey
from glassviz.checkpoints.summary import Summary, summarise

__all__ = [
    "Checkpoint",
    "Summary",
    "Survey",
    "average",
    "convert",
    "convert_all",
    "load",
    "save",
    "summarise",
    "survey",
]
