"""Checkpoints: trained parameters with the configuration that is needed to run them.

`load` reads the native format and the published pickle layout, and tells them apart by content;
`save` writes the native format. Nothing that is read can run code.
"""

from glassviz.checkpoints.checkpoint import Checkpoint
from glassviz.checkpoints.convert import convert
from glassviz.checkpoints.detect import load
from glassviz.checkpoints.native import save
from glassviz.checkpoints.rows import remarks_of, rows_of
from glassviz.checkpoints.summary import Summary, summarise

__all__ = ["Checkpoint", "Summary", "convert", "load", "remarks_of", "rows_of", "save", "summarise"]
