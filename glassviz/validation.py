"""Types of numbers with a range, and pydantic's check of them where a configuration is made."""

import dataclasses
import math
from typing import Annotated, Any, get_type_hints

from annotated_types import Ge, Interval

from glassviz.errors import UsageError

Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
NonNegative = Annotated[float, Interval(ge=0, lt=math.inf)]
Finite = Annotated[float, Interval(gt=-math.inf, lt=math.inf)]


def valid(place: str, kind: Any, value: Any) -> Any:
    """`value` as what an annotation asks for, its range included.

    Raises:
        UsageError: it is something else.
    """
    # Here, because the command line reads the ranges before any command runs.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise UsageError(
            f"{place} is not usable: {reason[0].lower()}{reason[1:]}, found {value!r}"
        ) from None


def check_fields(config: Any, place: str) -> None:
    """Check every field of a dataclass, and of those in it, against its annotation.

    Raises:
        UsageError: naming the first field that is something else.
    """
    kinds = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{place}{field.name}.")
        else:
            valid(f"{place}{field.name}", kinds[field.name], value)
