"""Checkpoints: trained parameters with the configuration needed to run them.

`load` reads the native format and the published pickle layout, distinguished by content; `save`
writes the native format. Reading a file never executes code from it.
"""

from glassviz.checkpoints.formats import convert, load
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.checkpoints.summary import Summary, remarks_of, rows_of, summarise

__all__ = ["Checkpoint", "Summary", "convert", "load", "remarks_of", "rows_of", "save", "summarise"]
