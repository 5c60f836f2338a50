"""Checkpoints: trained parameters with the configuration needed to run them.

`load` reads the native format and the published pickle layout, distinguished by content; `save`
writes the native format. Reading a file never executes code from it.
"""

from glassviz.checkpoints.formats import convert, load
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.checkpoints.summary import Summary, summarise

__all__ = ["Checkpoint", "Summary", "convert", "load", "save", "summarise"]
