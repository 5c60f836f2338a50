"""Annotations of configuration fields, and validation against them by pydantic."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from annotated_types import Ge, Interval

from glassviz.errors import UsageError
from glassviz.text import printable

Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
NonNegative = Annotated[float, Interval(ge=0, lt=math.inf)]
Finite = Annotated[float, Interval(gt=-math.inf, lt=math.inf)]


@dataclass(frozen=True)
class Doc:
    """Marks a configuration field as a setting, inside its annotation.

    Recipes, the options of `glassviz train` and their help are derived from the field:

        warmup_steps: Annotated[Natural, Doc("Train Glass from this step on.", STEPS)] = 100_000

    Attributes:
        text: one line for `--help`.
        unit: of the value; empty for a pure number.
        name: of the setting, where it differs from the field's.
    """

    text: str
    unit: str = ""
    name: str = ""


def check_value(place: str, kind: Any, value: Any) -> Any:
    """`value` converted to the annotated type `kind`, its range checked.

    >>> check_value("--steps", Count, 3)
    3

    Args:
        place: what the error message calls the value.

    Raises:
        UsageError: the value does not fit the type.
    """
    # Imported late: the command line reads the ranges before any command runs.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise UsageError(
            f"{place} is not usable: {reason[0].lower()}{reason[1:]}, found "
            f"{printable(repr(value))}"
        ) from None


def check_fields(config: Any, place: str) -> None:
    """Check every field of a dataclass, nested ones included, against its annotation.

    Raises:
        UsageError: a field does not fit its annotation; names the first such field.
    """
    kinds = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{place}{field.name}.")
        else:
            check_value(f"{place}{field.name}", kinds[field.name], value)
