"""The checkpoint, its native safetensors format, and the validation of its parameters."""

import dataclasses
import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params, init_params
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, replacing
from glassviz.text import LONGEST_NAME, parse_json, printable
from glassviz.trace import LARGEST
from glassviz.validation import check_fields

FORMAT = "glassviz-safetensors"
FORMAT_VERSION = 1
StorageDType = Literal["float32", "float16"]
Leaves = Mapping[str, np.ndarray]
_STORED = {"F32": np.float32, "F16": np.float16}
_MAX_RANK = 3

# Far beyond any real agent: a malicious configuration must not exhaust memory.
_MAX_SIZE = 1 << 20
_SMALLEST = 1e-9  # of what is divided by
_MAX_LAYERS = 16
_MAX_HEADS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A trained agent read from a file, its parameters validated against its configuration.

    Attributes:
        params: tree of float32 arrays, structured as by `agents.networks.init_params`.
        name: name in films and tables: the file name without its suffix.
        format, sha256: of the file.
        provenance: origin of the parameters. `save` stores it unchanged; an imported file has
            `algo`, `env_id`, `seed`, `env_steps` and `returns` if it contains them, `source`
            (file, format and hash), `ignored_leaves` (parameters that this package does not use)
            and `losses` (what else was not imported, one sentence per item).
        assumptions: what the file did not specify and the reader assumed, one sentence per item.
    """

    config: AgentConfig
    params: dict[str, Any]
    name: str
    format: str
    sha256: str
    provenance: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Checkpoint({self.name!r}, {self.config.family}, {self.sha256[:12]})"


def save(
    path: StrPath,
    config: AgentConfig,
    params: Params,
    provenance: Mapping[str, Any],
    *,
    assumptions: Sequence[str] = (),
    dtype: StorageDType = "float32",
) -> str:
    """Write a checkpoint in the native format, atomically, and return the sha256 of the file.

    Args:
        path: an existing file is replaced.
        params: float32, structured as by `init_params`.
        provenance: origin of the parameters, in JSON types: recipe, command, seed, env_steps,
            returns with their episode counts, versions, git commit.
        assumptions: what was assumed about the agent, one sentence per item.
        dtype: `float16` halves the file size; parameters are read back as float32.

    Raises:
        GlassvizError: the parameters do not match the configuration, are not finite, or overflow
            half precision; or the file cannot be written. An existing file is then left as it was.
    """
    path = Path(path)
    leaves = {name: np.asarray(leaf) for name, leaf in flatten_dict(params, sep="/").items()}
    check_config(str(path), config)
    check_leaves(str(path), config, leaves)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "config": json.dumps(config.to_dict()),
        "provenance": json.dumps(provenance),
        "assumptions": json.dumps(list(assumptions)),
    }
    stored = {name: _stored(path, name, leaf, dtype) for name, leaf in leaves.items()}
    data = safetensors.numpy.save(stored, metadata)
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _stored(path: Path, name: str, leaf: np.ndarray, dtype: StorageDType) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(leaf, dtype=dtype)
    if not np.isfinite(stored).all():
        raise GlassvizError(
            f"{path}: leaf {name} has values up to {np.abs(leaf).max():.3g}, expected at most "
            f"{np.finfo(dtype).max:.3g} for {dtype}: store it in full precision"
        )
    return stored


def read(data: bytes, path: StrPath) -> Checkpoint:
    """Read a checkpoint from the bytes of a native file.

    Raises:
        GlassvizError: the file is truncated, damaged or of another format version, or its leaves
            do not match its configuration.
    """
    path = Path(path)
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise GlassvizError(
            f"{path}: expected a complete safetensors file, found a damaged or truncated one "
            f"({printable(str(error))}): copy it again from where it was written"
        ) from None
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:
        raise GlassvizError(
            f"{path}: expected a glassviz checkpoint, found a safetensors file without its "
            f"header: it was written by another program"
        )
    version = metadata.get("format_version", "none")
    if version != str(FORMAT_VERSION):
        raise GlassvizError(
            f"{path}: expected format version {FORMAT_VERSION}, found {printable(version)}: "
            f"update glassviz to read it"
        )
    place = f"{path}: configuration"
    config = AgentConfig.from_dict(_json(path, metadata, "config", dict), place)
    check_config(place, config)
    leaves = {name: _leaf(path, name, tensor) for name, tensor in tensors}
    check_leaves(str(path), config, leaves)
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=printable(path.stem, LONGEST_NAME),
        format=FORMAT,
        sha256=hashlib.sha256(data).hexdigest(),
        provenance=_json(path, metadata, "provenance", dict),
        assumptions=tuple(str(item) for item in _json(path, metadata, "assumptions", list)),
    )


def _json(path: Path, metadata: dict[str, str], key: str, kind: type) -> Any:
    try:
        value = parse_json(metadata[key])
    except (KeyError, ValueError):
        value = None
    if not isinstance(value, kind):
        raise GlassvizError(
            f"{path}: header entry {key!r} is missing or damaged, expected a JSON "
            f"{'object' if kind is dict else 'list'}: copy the file again"
        )
    return value


def _leaf(path: Path, name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    stored = _STORED.get(tensor["dtype"])
    rank = len(tensor["shape"])
    if stored is None or rank > _MAX_RANK:
        raise GlassvizError(
            f"{path}: leaf {printable(name)} is stored as {tensor['dtype']} with {rank} "
            f"dimensions, expected F32 or F16 with at most {_MAX_RANK}"
        )
    array: np.ndarray = np.ndarray(tensor["shape"], stored, buffer=tensor["data"])
    return array.astype(np.float32)


def check_config(place: str, config: AgentConfig) -> None:
    """Raise GlassvizError if a number in `config` is out of range for any agent."""
    try:
        check_fields(config, "")
    except UsageError as error:
        raise GlassvizError(f"{place}: {error}") from None
    for name, value in _numbers(dataclasses.asdict(config)):
        if isinstance(value, float) and not math.isfinite(value):
            raise GlassvizError(f"{place}: {name} is {value}, expected a finite number")
        if isinstance(value, float) and abs(value) > _MAX_SIZE:
            raise GlassvizError(f"{place}: {name} is {value:g}, expected at most {_MAX_SIZE:g}")
        if isinstance(value, int) and not 0 <= value <= _MAX_SIZE:
            raise GlassvizError(f"{place}: {name} is {value}, expected 0 to {_MAX_SIZE}")
    layers = max(len(config.encoder_widths), len(config.hidden_widths))
    if layers > _MAX_LAYERS or config.num_q > _MAX_HEADS:
        raise GlassvizError(
            f"{place}: expected at most {_MAX_LAYERS} layers and {_MAX_HEADS} Q heads, found "
            f"{layers} and {config.num_q}"
        )
    names = ["obs_dim", "action_dim", "latent_dim", "simnorm_group", "num_q", "layer_norm_eps"]
    sizes = {
        **{name: getattr(config, name) for name in names},
        "num_bins": config.num_bins - 1,  # at least two bins span a range
        "bin_max - bin_min": config.bin_max - config.bin_min,
        "narrowest layer": min((*config.encoder_widths, *config.hidden_widths), default=1),
    }
    if config.glass:
        names = ["prototypes", "clusters", "proto_temperature", "assignment_temperature"]
        sizes |= {name: getattr(config.glass, name) for name in names}
    for name, size in sizes.items():
        if size < _SMALLEST:
            raise GlassvizError(f"{place}: {name} is too small for an agent: found {size}")


def _numbers(tree: Any, name: str = "configuration") -> Iterator[tuple[str, int | float]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(value, str(key))
    elif isinstance(tree, tuple):
        for value in tree:
            yield from _numbers(value, name)
    elif isinstance(tree, int | float):
        yield name, tree


@lru_cache(maxsize=16)
def expected_shapes(config: AgentConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of an agent by leaf name, such as `dyn/Dense_0/kernel`."""
    tree = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return {name: leaf.shape for name, leaf in flatten_dict(tree, sep="/").items()}


def check_leaves(place: str, config: AgentConfig, leaves: Leaves) -> None:
    """Raise GlassvizError unless `leaves` are finite float32 arrays that match `config`.

    The message names the first leaf that is missing, unexpected, not finite, or of another shape
    or dtype.
    """
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in leaves:
            raise GlassvizError(
                f"{place}: leaf {name} is missing, expected shape {shape}: was the file written "
                f"by another version or for another agent?"
            )
    for name, leaf in leaves.items():
        label = printable(name)
        if name not in expected:
            raise GlassvizError(
                f"{place}: leaf {label} of shape {leaf.shape} is unexpected: this agent's "
                f"configuration has no such parameter"
            )
        if leaf.shape != expected[name]:
            raise GlassvizError(
                f"{place}: leaf {label} has shape {leaf.shape}, expected {expected[name]}: the "
                f"networks in the file do not match each other"
            )
        if leaf.dtype != np.float32:
            raise GlassvizError(f"{place}: leaf {label} has dtype {leaf.dtype}, expected float32")
        # Not `>`, which NaN is not either.
        broken = leaf.size - int((np.abs(leaf) <= LARGEST).sum())
        if broken:
            raise GlassvizError(
                f"{place}: leaf {label} has {broken} of {leaf.size} values that are not finite, or "
                f"beyond {LARGEST:g}: training diverged, so use an earlier checkpoint"
            )
