"""Which format a checkpoint file has: load any, convert any into the native one."""

from pathlib import Path

from glassviz.checkpoints import native, published
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import refuse_existing

MAX_FILE_BYTES = 4 << 30
_SAFETENSORS_LENGTH_BYTES = 8
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"

# First bytes of a pickle: PROTO; MARK, GLOBAL, EMPTY_DICT, EMPTY_LIST, … of the old protocols.
_PICKLE_STARTS = b"\x80(c}])"
_ORBAX_MARKERS = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "checkpoint", "default")


def load(path: Path) -> Checkpoint:
    """Read a checkpoint of any layout that is known.

    Raises:
        GlassvizError: there is no such file, its layout is not read, or it is damaged; the
            message says which.
    """
    return read(_bytes(path), path)


def read(data: bytes, path: Path) -> Checkpoint:
    """The same, of a file that is in memory already; `path` names it."""
    if data[_SAFETENSORS_LENGTH_BYTES : _SAFETENSORS_LENGTH_BYTES + 1] == b"{":
        return native.read(data, path)
    if data.startswith(b"PK\x03\x04"):
        raise _unread_zip(data, path)
    if data.startswith(_LEGACY_TORCH):
        raise _unread(path, "a PyTorch checkpoint of the old layout")
    if data[0] in _PICKLE_STARTS:
        return published.read(data, path)
    raise GlassvizError(
        f"{path}: expected a checkpoint (native .safetensors, or a TD-MPC-Glass .pkl), found a "
        f"file that is neither"
    )


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise _unread_folder(path)
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


def _unread(path: Path, what: str) -> GlassvizError:
    return GlassvizError(
        f"{path}: expected a native .safetensors or a TD-MPC-Glass .pkl, found {what}: this "
        f"layout is not read yet"
    )


def _unread_zip(data: bytes, path: Path) -> GlassvizError:
    if b"/data.pkl" in data:
        return _unread(path, "a PyTorch checkpoint (.pt)")
    if b"header.npy" in data:
        return GlassvizError(f"{path}: expected a checkpoint, found a trace")
    return _unread(path, "a zip archive")


def _unread_folder(path: Path) -> GlassvizError:
    if any((path / marker).exists() for marker in _ORBAX_MARKERS):
        return _unread(path, "an orbax checkpoint folder")
    return GlassvizError(
        f"{path}: expected a checkpoint file, found a folder: name the file in it, such as "
        f"best_mppi.pkl"
    )


SUFFIX = ".safetensors"


def convert(
    source: Path, target: Path, *, half: bool = False, overwrite: bool = False
) -> Checkpoint:
    """Read `source`, write it to `target` in the native format, and return what was written.

    Configuration, provenance and assumptions go along; what does not is listed in the
    provenance's `losses`.

    Args:
        source: a checkpoint of any layout that `load` reads.
        target: a `.safetensors` path.
        half: store half precision.
        overwrite: replace `target` if it exists.

    Raises:
        UsageError: `target` has another suffix.
        GlassvizError: `target` exists and is not to be replaced, `source` cannot be read, or
            `target` not be written.
    """
    if target.suffix != SUFFIX:
        raise UsageError(f"{target}: expected a name that ends in {SUFFIX}, the native format")
    refuse_existing(target, overwrite)
    checkpoint = load(source)
    provenance = dict(checkpoint.provenance)
    if half:
        earlier = provenance.get("losses")
        provenance["losses"] = [
            *(earlier if isinstance(earlier, list) else []),
            "parameters were rounded to half precision",
        ]
    save(
        target,
        checkpoint.config,
        checkpoint.params,
        provenance,
        assumptions=checkpoint.assumptions,
        dtype="float16" if half else "float32",
    )
    return load(target)
