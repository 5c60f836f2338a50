"""The type checker that every function of glassviz is called through in the tests."""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

# jaxtyping decorates methods one by one, where beartype cannot know what `Self` is.
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any})))
