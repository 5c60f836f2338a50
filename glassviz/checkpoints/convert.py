"""Brings any checkpoint that can be read into the native format."""

from pathlib import Path

from glassviz.checkpoints.checkpoint import Checkpoint
from glassviz.checkpoints.detect import load
from glassviz.checkpoints.native import save
from glassviz.errors import UsageError
from glassviz.files import refuse_existing

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
