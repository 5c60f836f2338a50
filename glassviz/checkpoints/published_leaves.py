"""The parameters of a published pickle, brought into the tree of `agents.networks`.

`params[net]["params"]["NormMLP_0"]["Dense_0"]["kernel"]` becomes `net/Dense_0/kernel`; the Q heads
`NormMLP_0`, `NormMLP_1`, … are stacked on a leading axis; `params["glass"]` has no such levels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassviz.checkpoints.pickled_arrays import PickledArray
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError

NETS = ("enc", "dyn", "rew", "q", "pi")
GLASS_LEAVES = ("prototypes", "assign_logits", "super_assign_logits")
# A file may name the same dictionary over and over; nothing here walks more than this of each.
_MAX_ENTRIES = 64
_MAX_NAME = 64

Leaves = dict[str, np.ndarray]


@dataclass(frozen=True)
class PublishedLeaves:
    """What was found under `params`.

    Attributes:
        leaves: float32 arrays by name, those of Glass included.
        other_nets: networks that this package has no use for.
        other_leaves: leaves beside prototypes and assignment logits in `glass`.
        rounded: how many leaves were stored in double precision.
    """

    leaves: Leaves
    other_nets: tuple[str, ...]
    other_leaves: tuple[str, ...]
    rounded: int


def read_leaves(params: dict[Any, Any], place: str, budget: int) -> PublishedLeaves:
    """The leaves under `params`.

    Args:
        params: the file's parameters by network.
        place: what messages call the file.
        budget: bytes that the leaves may take together, the file's size; a file in which many
            leaves share their bytes would otherwise grow without bound.

    Raises:
        GlassvizError: a network is missing, or is not made of NormMLPs.
    """
    return _LeafReader(place, budget).read(params)


class _LeafReader:
    def __init__(self, place: str, budget: int) -> None:
        self.place = place
        self.budget = budget
        self.rounded = 0

    def read(self, params: dict[Any, Any]) -> PublishedLeaves:
        nets = self._entries(params, "params")
        leaves: Leaves = {}
        for net in NETS:
            heads = self._heads(net, nets.get(net))
            for name in heads[0]:
                stacked = np.stack([head[name] for head in heads])
                leaves[f"{net}/{name}"] = stacked if net == "q" else stacked[0]
        glass = self._entries(nets.get("glass", {}), "glass")
        for name in GLASS_LEAVES:
            if name in glass:
                leaves[f"glass/{name}"] = self._array(f"glass/{name}", glass[name])
        return PublishedLeaves(
            leaves=leaves,
            other_nets=tuple(name for name in nets if name not in (*NETS, "glass")),
            other_leaves=tuple(f"glass/{name}" for name in glass if name not in GLASS_LEAVES),
            rounded=self.rounded,
        )

    def _heads(self, net: str, branch: Any) -> list[Leaves]:
        """The NormMLPs of a network, in their order, with the same leaves in each."""
        modules = self._entries(branch, net).get("params") if isinstance(branch, dict) else None
        if not modules:
            raise self._error(
                f"network {net!r} is missing, expected {', '.join(NETS)} in 'params': is this a "
                f"checkpoint of TD-MPC-Glass?"
            )
        modules = self._entries(modules, net)
        wanted = [f"NormMLP_{index}" for index in range(len(modules) if net == "q" else 1)]
        for module in modules:
            if module not in wanted:
                raise self._error(
                    f"network {net!r} has a module {printable(module)}, expected "
                    f"{' and '.join(wanted)}: agents with residual, attention or other networks "
                    f"are not run by this version"
                )
        heads = [self._mlp(net, modules[module]) for module in wanted]
        for module, head in zip(wanted, heads, strict=True):
            if {k: v.shape for k, v in head.items()} != {k: v.shape for k, v in heads[0].items()}:
                raise self._error(f"network {net!r}: {module} has other shapes than NormMLP_0")
        return heads

    def _mlp(self, net: str, layers: Any) -> Leaves:
        return {
            f"{layer}/{name}": self._array(f"{net}/{layer}/{name}", leaf)
            for layer, leaves in self._entries(layers, net).items()
            for name, leaf in self._entries(leaves, f"{net}/{layer}").items()
        }

    def _entries(self, branch: Any, name: str) -> dict[str, Any]:
        """`branch`, if it is a dictionary with a few short names."""
        if not isinstance(branch, dict):
            raise self._error(f"{printable(name)} is no dictionary, expected parameters by name")
        if len(branch) > _MAX_ENTRIES:
            raise self._error(f"{printable(name)} has {len(branch)} entries, expected a few")
        for key in branch:
            if not (isinstance(key, str) and 0 < len(key) <= _MAX_NAME):
                raise self._error(f"{printable(name)} has an entry without a usable name")
        return branch

    def _array(self, name: str, leaf: Any) -> np.ndarray:
        """A float32 copy of a leaf."""
        values = leaf.values if isinstance(leaf, PickledArray) else None
        if values is None or values.dtype.kind != "f":
            raise self._error(f"leaf {printable(name)} is no array of floats, expected float32")
        self.budget -= values.nbytes
        if self.budget < 0:
            raise self._error("many leaves share the same bytes, expected each to have its own")
        self.rounded += values.dtype.itemsize > np.float32().itemsize
        with np.errstate(over="ignore"):  # what overflows is refused as not finite
            return values.astype(np.float32)

    def _error(self, problem: str) -> GlassvizError:
        return GlassvizError(f"{self.place}: {problem}")
