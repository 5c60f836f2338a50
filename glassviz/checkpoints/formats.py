"""Load a checkpoint of any supported format, and convert it to the native one."""

from pathlib import Path

from glassviz.checkpoints import native, published
from glassviz.checkpoints.native import Checkpoint, StorageDType, save
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target

SUFFIX = ".safetensors"
MAX_FILE_BYTES = 4 << 30
_SAFETENSORS_LENGTH_BYTES = 8
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"

# First opcode of a pickle: PROTO; MARK, GLOBAL, EMPTY_DICT, EMPTY_LIST, … in the old protocols.
_PICKLE_STARTS = b"\x80(c}])"
_ORBAX_MARKERS = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "checkpoint", "default")


def load(path: StrPath) -> Checkpoint:
    """Read a checkpoint in any supported format.

    Raises:
        GlassvizError: the file is missing, damaged or of an unsupported format.
    """
    path = Path(path)
    return read(_bytes(path), path)


def read(data: bytes, path: StrPath) -> Checkpoint:
    """Read a checkpoint from the bytes of its file; `path` is used for the name and messages."""
    path = Path(path)
    if data[_SAFETENSORS_LENGTH_BYTES : _SAFETENSORS_LENGTH_BYTES + 1] == b"{":
        return native.read(data, path)
    if data.startswith(b"PK\x03\x04"):
        if b"header.npy" in data and b"/data.pkl" not in data:
            raise GlassvizError(f"{path}: expected a checkpoint, found a trace")
        kind = "a PyTorch checkpoint (.pt)" if b"/data.pkl" in data else "a zip archive"
        raise _unsupported(path, kind)
    if data.startswith(_LEGACY_TORCH):
        raise _unsupported(path, "a PyTorch checkpoint in the legacy format")
    if data[0] in _PICKLE_STARTS:
        return published.read(data, path)
    raise GlassvizError(
        f"{path}: expected a checkpoint (native .safetensors, or a TD-MPC-Glass .pkl), found a "
        f"file that is neither"
    )


def convert(
    source: StrPath, target: StrPath, *, half: bool = False, overwrite: bool = False
) -> Checkpoint:
    """Convert a checkpoint to the native format, and return it as read back from `target`.

    Configuration, provenance and assumptions are kept; what is lost is listed in the provenance's
    `losses`. `half` stores parameters in half precision.

    Raises:
        UsageError: `target` does not end in `.safetensors`.
        GlassvizError: `target` exists and `overwrite` is false, `source` cannot be read, or
            `target` cannot be written.
    """
    target = Path(target)
    if target.suffix != SUFFIX:
        raise UsageError(f"{target}: expected a name that ends in {SUFFIX}, the native format")
    check_target(target, overwrite)
    checkpoint = load(source)
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
    try:
        if path.is_dir():
            if any((path / marker).exists() for marker in _ORBAX_MARKERS):
                raise _unsupported(path, "an orbax checkpoint folder")
            raise GlassvizError(
                f"{path}: expected a checkpoint file, found a folder: name a file in it, such as "
                f"best_mppi.pkl"
            )
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise GlassvizError(
                f"{path}: expected a checkpoint of at most {MAX_FILE_BYTES >> 30} GiB, found "
                f"{size / (1 << 30):.1f}: use the file without the replay buffer"
            )
        data = path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        raise GlassvizError(f"{path}: expected a checkpoint, found no such file") from None
    except (OSError, ValueError) as error:
        raise GlassvizError(f"{path}: expected a readable checkpoint, found {error}") from None
    if not data:
        raise GlassvizError(f"{path}: expected a checkpoint, found an empty file")
    return data


def _unsupported(path: Path, kind: str) -> GlassvizError:
    return GlassvizError(
        f"{path}: expected a native .safetensors or a TD-MPC-Glass .pkl, found {kind}: this "
        f"format is not supported yet"
    )
