"""The names that a pickled checkpoint may refer to, and what stands for a call of each.

None is ever looked up: numpy's reconstructors are played by functions of this package, and
objects of the libraries that training used become `Opaque` placeholders.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from glassviz.checkpoints import pickled_arrays as arrays


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the file refers to."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Where an object of a class that was not imported would be; holds nothing of it."""

    path: str


def _frozen_dict(content: Any) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise TypeError("a FrozenDict of something that is no dictionary")
    return content


def _ordered_dict() -> dict[Any, Any]:
    return {}


RECONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": arrays.make_dtype,
    "numpy._core.multiarray._reconstruct": arrays.make_empty,
    "numpy._core.multiarray.scalar": arrays.make_scalar,
    "numpy._core.numeric._frombuffer": arrays.make_from_buffer,
    "jax._src.array._reconstruct_array": arrays.make_jax_array,
    "flax.core.frozen_dict.FrozenDict": _frozen_dict,
    "collections.OrderedDict": _ordered_dict,
}
"""What is called in place of a name, with the arguments that the file gives."""

BYTES_MAKERS = frozenset({"builtins.bytes", "builtins.bytearray", "_codecs.encode"})
"""How protocols 0 to 2 write bytes."""

# Objects of these packages stand in optimiser states and environment states, which nobody needs.
_STUBBED_PACKAGES = frozenset(
    {"optax", "brax", "jax", "jaxlib", "flax", "mujoco", "mujoco_playground"}
)
# Classes whose objects such states hold.
_PLAIN_CLASSES = frozenset(
    {
        "builtins.complex",
        "builtins.frozenset",
        "builtins.object",
        "builtins.range",
        "builtins.set",
        "builtins.slice",
        "builtins.tuple",
        "copyreg._reconstructor",
        "numpy.ndarray",
    }
)
_KNOWN = RECONSTRUCTORS.keys() | BYTES_MAKERS | _PLAIN_CLASSES
# Names that Python 2 and numpy 1 have for the same things.
_RENAMED = (
    ("__builtin__.", "builtins."),
    ("copy_reg.", "copyreg."),
    ("numpy.core.", "numpy._core."),
)


def known_path(module: str, name: str) -> str | None:
    """The full name, in today's spelling, of something that a file may refer to; else None."""
    path = f"{module}.{name}"
    for old, new in _RENAMED:
        if path.startswith(old):
            path = new + path.removeprefix(old)
    return path if path in _KNOWN or module.split(".")[0] in _STUBBED_PACKAGES else None
