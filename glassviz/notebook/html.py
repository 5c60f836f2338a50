"""How results show themselves, by the report's templates: everything is escaped when printed."""

from collections.abc import Sequence
from typing import Any


def rendered(template: str, **values: Any) -> str:
    """A template, filled in."""
    from glassviz.report.templating import environment

    page = environment(autoescape=True).get_template(f"{template}.html.j2")
    return page.render(**values, glossary=False)


def fact_table(
    title: str, facts: Sequence[tuple[str, str]], everything: Sequence[tuple[str, str]] = ()
) -> str:
    """A card with a table of what is called what.

    Args:
        title: of the card.
        facts: name and text of each line.
        everything: more of them, folded away.
    """
    return rendered("notebook_facts", title=title, facts=facts, everything=everything)
