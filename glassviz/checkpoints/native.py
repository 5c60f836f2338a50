"""The native format: one `.safetensors` file.

Its leaves are named by their path in the parameter tree (`dyn/Dense_0/kernel`); the header's
metadata holds `format`, `format_version`, `config` (`AgentConfig.to_dict`), `provenance` and
`assumptions`, the last three as JSON. Loading runs no code.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params
from glassviz.checkpoints.check import check_config, check_leaves
from glassviz.checkpoints.checkpoint import Checkpoint
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError
from glassviz.files import replacing

FORMAT = "glassviz-safetensors"
FORMAT_VERSION = 1
StorageDType = Literal["float32", "float16"]

_MAX_RANK = 3
_MAX_JSON_DEPTH = 32
_STORED = {"F32": np.float32, "F16": np.float16}


def save(
    path: Path,
    config: AgentConfig,
    params: Params,
    provenance: Mapping[str, Any],
    *,
    assumptions: Sequence[str] = (),
    dtype: StorageDType = "float32",
) -> str:
    """Write a checkpoint: beside `path` first, then renamed into place.

    Args:
        path: where to; an existing file is replaced.
        config: configuration of the agent.
        params: its parameters, float32, as `init_params` lays them out.
        provenance: where they came from, in JSON's types: recipe, command, seed, env_steps,
            returns with their episode counts, versions, git commit.
        assumptions: what had to be assumed about them, a sentence each.
        dtype: `float16` halves the file; the leaves come back as the nearest float32.

    Returns:
        The sha256 of the file.

    Raises:
        GlassvizError: the parameters do not fit the configuration, are not finite, or do not fit
            into half precision. Nothing is written then.
    """
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


def read(data: bytes, path: Path) -> Checkpoint:
    """The checkpoint in the bytes of a native file.

    Raises:
        GlassvizError: the file is truncated, damaged, of another format version, or its leaves
            are not those that its configuration implies.
    """
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise GlassvizError(
            f"{path}: expected a whole safetensors file, found one that is damaged or cut short "
            f"({printable(str(error))}): copy it again from where it was written"
        ) from None
    metadata = _metadata(data)
    if metadata.get("format") != FORMAT:
        raise GlassvizError(
            f"{path}: expected a checkpoint of glassviz, found a safetensors file without its "
            f"header: it was written by another program"
        )
    version = metadata.get("format_version", "none")
    if version != str(FORMAT_VERSION):
        raise GlassvizError(
            f"{path}: expected format version {FORMAT_VERSION}, found {printable(version)}: "
            f"update glassviz to read it"
        )
    config = _config(path, _json(path, metadata, "config", dict))
    leaves = {name: _leaf(path, name, tensor) for name, tensor in tensors}
    check_leaves(str(path), config, leaves)
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=path.stem,
        format=FORMAT,
        sha256=hashlib.sha256(data).hexdigest(),
        provenance=_json(path, metadata, "provenance", dict),
        assumptions=tuple(str(item) for item in _json(path, metadata, "assumptions", list)),
    )


def _metadata(data: bytes) -> dict[str, str]:
    """The header's text entries, of a file that the library found to be whole."""
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]).get("__metadata__") or {}


def _json(path: Path, metadata: dict[str, str], key: str, kind: type) -> Any:
    try:
        value = json.loads(metadata[key])
    except (KeyError, ValueError, RecursionError):
        value = None
    if not isinstance(value, kind) or _deeper_than(_MAX_JSON_DEPTH, value):
        raise GlassvizError(
            f"{path}: header entry {key!r} is missing or damaged, expected a JSON "
            f"{'object' if kind is dict else 'list'}: copy the file again"
        )
    return value


def _deeper_than(limit: int, value: Any) -> bool:
    """Whether containers are nested deeper than `limit`: what walks them would not come back."""
    level = [value]
    for _ in range(limit):
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [x for c in containers for x in (c.values() if isinstance(c, dict) else c)]
    return bool(level)


def _config(path: Path, data: dict[str, Any]) -> AgentConfig:
    place = f"{path}: configuration"
    config = AgentConfig.from_dict(data, place)
    check_config(place, config)
    return config


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
