"""The interactive report: one page in which films, labels, maps and graphs move together.

compose: what the page shows, from assessed runs; draws their films.
write: the page as one file, or with its films beside it.
check_target: whether it may go there, before any work.
"""

from glassviz.report.interactive.compose import compose
from glassviz.report.interactive.html import check_target, write
from glassviz.report.interactive.page import InteractivePage

__all__ = ["InteractivePage", "check_target", "compose", "write"]
