"""Arguments of which there are only a few."""

from collections.abc import Collection

from glassviz.errors import UsageError


def check_choice(what: str, found: object, choices: Collection[object]) -> None:
    """Refuse what is not among the choices.

    Raises:
        UsageError: it is not.
    """
    if found not in choices:
        told = ", ".join(str(choice) for choice in choices)
        raise UsageError(f"{what}: expected one of {told}, found {found!r}")
