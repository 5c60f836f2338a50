"""Load a checkpoint of any supported format, and convert it to the native one."""

import os
import re
from dataclasses import replace
from pathlib import Path

from glassviz.agents.config import UNSAID, Unsaid
from glassviz.checkpoints import native, official, published, tdmpc2_jax
from glassviz.checkpoints.native import Checkpoint, StorageDType, save
from glassviz.checkpoints.official import Survey
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target, foreign, orbax_agent, read_bytes

SUFFIX = ".safetensors"
MAX_FILE_BYTES = 4 << 30
_SAFETENSORS_LENGTH_BYTES = 8
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"

# First opcode of a pickle: PROTO; MARK, GLOBAL, EMPTY_DICT, EMPTY_LIST, … in the old protocols.
_PICKLE_STARTS = b"\x80(c}])"

# Pickles in protocol 0 are text: MARK and its use, or a name.
_TEXT_PICKLE = re.compile(rb"\([dlt]p?[0-9]*\n|[(]+[VIFLNc]|c[\w.]+\n[\w.]+\n")
_UNSUPPORTED = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array (.npy)",
}
_EXPECTED = (
    "expected a checkpoint (native .safetensors, a TD-MPC-Glass .pkl, a TD-MPC2 .pt or a folder of "
    "tdmpc2-jax)"
)
_ORBAX_MARKERS = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "checkpoint", "default")


def load(path: StrPath, unsaid: Unsaid = UNSAID) -> Checkpoint:
    """Read a checkpoint in any supported format.

    Args:
        unsaid: what the file does not say, as the task of an agent of TD-MPC2.

    Raises:
        UsageError: the file needs a task, or was not trained on the one named.
        GlassvizError: the file is missing, damaged or of an unsupported format.
    """
    path = Path(path)
    if agent := orbax_agent(path):
        return tdmpc2_jax.read(path, agent, MAX_FILE_BYTES, unsaid)
    return read(_bytes(path), path, unsaid)


def read(data: bytes, path: StrPath, unsaid: Unsaid = UNSAID) -> Checkpoint:
    """Read a checkpoint from the bytes of its file; `path` is used for the name and messages."""
    path = Path(path)
    length, header = (
        data[:_SAFETENSORS_LENGTH_BYTES],
        data[_SAFETENSORS_LENGTH_BYTES : _SAFETENSORS_LENGTH_BYTES + 1],
    )
    if header == b"{" and not (length.isascii() and all(length)):  # or else it is text
        return _as_told(native.read(data, path), path, unsaid)
    if data.startswith(b"PK\x03\x04"):
        if b"header.npy" in data and official.FOUND_IN not in data:
            raise GlassvizError(f"{path}: expected a checkpoint, found a trace")
        if official.FOUND_IN in data:
            return official.read(data, path, unsaid)
        if b".npy" in data:
            raise _unsupported(path, "an archive of arrays (.npz)")
    if data.startswith(_LEGACY_TORCH):
        raise GlassvizError(
            f"{path}: {_EXPECTED}, found a PyTorch file in the format before version 1.6: load "
            f"it and save it again with torch.save"
        )
    for start, kind in _UNSUPPORTED.items():
        if data.startswith(start):
            raise _unsupported(path, kind)
    if not _TEXT_PICKLE.match(data) and (found := foreign(data)):
        raise GlassvizError(f"{path}: {_EXPECTED}, found {found.kind}: {found.remedy}")
    if data[0] in _PICKLE_STARTS:
        return _as_told(published.read(data, path, unsaid), path, unsaid)
    raise GlassvizError(f"{path}: {_EXPECTED}, found a file that is neither: name another file")


def _as_told(checkpoint: Checkpoint, path: Path, unsaid: Unsaid) -> Checkpoint:
    """The checkpoint, if its file says nothing else than what was told.

    Raises:
        UsageError: it does.
    """
    for name in ("task", "action_repeat", "episode_steps"):
        told, said = getattr(unsaid, name), getattr(checkpoint.config.env, name)
        if told not in (None, said):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{path}: expected {option} {said}, as the file itself says, found {told}: drop "
                f"{option}, or name another file"
            )
    return checkpoint


def survey(path: StrPath) -> Survey | None:
    """What an official file of TD-MPC2 holds, whatever its task; None for any other file.

    Raises:
        GlassvizError: the file is missing, damaged, or not an agent that can be read.
    """
    path = Path(path)
    if orbax_agent(path):
        return None
    data = _bytes(path)
    is_official = data.startswith(b"PK") and official.FOUND_IN in data
    return official.survey(data, path) if is_official else None


def convert_all(
    source: StrPath,
    folder: StrPath,
    *,
    unsaid: Unsaid = UNSAID,
    half: bool = False,
    overwrite: bool = False,
) -> list[Checkpoint]:
    """Convert every task of a multitask agent, each to a file of its own in `folder`.

    Raises:
        UsageError: `source` is not a multitask agent.
        GlassvizError: as for `convert`; nothing is written unless all files can be.
    """
    source, folder = Path(source), Path(folder)
    if folder.suffix == SUFFIX:
        raise UsageError(f"{folder}: expected a folder for the files of all tasks, found a file")
    found = survey(source)
    if found is None or not found.multitask:
        raise UsageError(
            f"{source}: expected a multitask agent with --task all, found an agent of one task: "
            f"drop --task all"
        )
    targets = {t.name: folder / f"{source.stem}_{t.name}{SUFFIX}" for t in found.tasks}
    for target in targets.values():
        check_target(target, overwrite)
    return [
        convert(
            source, target, unsaid=replace(unsaid, tasks=(task,)), half=half, overwrite=overwrite
        )
        for task, target in targets.items()
    ]


def convert(
    source: StrPath,
    target: StrPath,
    *,
    unsaid: Unsaid = UNSAID,
    half: bool = False,
    overwrite: bool = False,
) -> Checkpoint:
    """Convert a checkpoint to the native format, and return it as read back from `target`.

    Configuration, provenance and assumptions are kept; what is lost is listed in the provenance's
    `losses`. `half` stores parameters in half precision.

    Raises:
        UsageError: `target` does not end in `.safetensors`, or as for `load`.
        GlassvizError: `target` exists and `overwrite` is false, `source` cannot be read, or
            `target` cannot be written.
    """
    target = Path(target)
    if target.suffix != SUFFIX:
        raise UsageError(f"{target}: expected a name that ends in {SUFFIX}, the native format")
    check_target(target, overwrite)
    checkpoint = load(source, unsaid)
    provenance = dict(checkpoint.provenance)
    if half:
        losses = provenance.get("losses")
        losses = losses if isinstance(losses, list) else []
        provenance["losses"] = [*losses, "parameters were rounded to half precision"]
    dtype: StorageDType = "float16" if half else "float32"
    assumptions = checkpoint.assumptions
    save(
        target,
        checkpoint.config,
        checkpoint.params,
        provenance,
        assumptions=assumptions,
        dtype=dtype,
    )
    return load(target)


def _bytes(path: Path) -> bytes:
    if os.path.isdir(path):
        if any(os.path.exists(path / marker) for marker in _ORBAX_MARKERS):
            raise GlassvizError(
                f"{path}: expected an agent of tdmpc2-jax, found an orbax folder without one: name "
                f"the run folder, or one of its steps that holds `agent`"
            )
        raise GlassvizError(
            f"{path}: expected a checkpoint file, found a folder: name a file in it, such as "
            f"best_mppi.pkl"
        )
    return read_bytes(path, "a checkpoint", MAX_FILE_BYTES)


def _unsupported(path: Path, kind: str) -> GlassvizError:
    return GlassvizError(f"{path}: {_EXPECTED}, found {kind}: this format is not supported yet")
