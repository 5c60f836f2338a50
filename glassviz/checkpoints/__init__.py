"""Checkpoints: trained parameters with the configuration that is needed to run them.

`load` reads the native format and the published pickle layout, and tells them apart by content;
`save` writes the native format. Nothing that is read can run code.
"""

from glassviz.checkpoints.formats import convert, load
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.checkpoints.summary import Summary, remarks_of, rows_of, summarise

__all__ = ["Checkpoint", "Summary", "convert", "load", "remarks_of", "rows_of", "save", "summarise"]
