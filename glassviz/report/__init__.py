"""The basin classification report: one page that tells of runs what `stability` found.

    compose: what the page shows, from assessed runs.
    check_target: whether it may go there, before any work.
    write_html, write_markdown: the page as one file, or as text with its pictures beside it.

Pictures of the body need OpenGL; without it the page is made without them, and says why.
"""

from glassviz.report.compose import compose
from glassviz.report.html import write_html
from glassviz.report.markdown import write_markdown
from glassviz.report.page import Page
from glassviz.report.target import check_target

__all__ = ["Page", "check_target", "compose", "write_html", "write_markdown"]
