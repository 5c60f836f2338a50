"""Export: films and figures of runs for papers and talks, each with its caption.

    Source: a run that was assessed, with its trace.
    Studio: what draws.
    kinds: strip, timeline, raster, clip, gif, grid, wall; each makes a `Product`.
    export_all: all of them, with captions.md.

Their parts:
    alignment: common clocks; grid, wall: films made of many; matching: their colours.
    figures: for a column of a paper; captions: what stands under a file.
"""

from glassviz.export.everything import Made, export_all
from glassviz.export.product import Product, Studio
from glassviz.export.source import Source

__all__ = ["Made", "Product", "Source", "Studio", "export_all"]
