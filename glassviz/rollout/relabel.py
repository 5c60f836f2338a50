"""Which labels a trace goes by: those that it was recorded with, or fitted ones in their place.

Every command that uses labels takes the same choice: `learned`, `fitted` (the file that
`glassviz fit` left beside the trace), or the path of a file of fitted labels.
"""

import dataclasses
from pathlib import Path

import numpy as np

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.metrics.fitted_labels import FittedLabels
from glassviz.rollout.find import LABELS_SUFFIX
from glassviz.trace import Trace

LEARNED = "learned"
FITTED = "fitted"


def labels_path(folder: StrPath, checkpoint_sha256: str) -> Path:
    """Where the fitted labels of a checkpoint lie, in the folder of its traces."""
    folder = Path(folder)
    return folder / f"{checkpoint_sha256[:16]}{LABELS_SUFFIX}"


def check_labels(labels: str) -> None:
    """Refuse a choice that no trace can be labelled by, before anything else is done.

    Raises:
        GlassvizError: it is none, or the path of a file that cannot be read as fitted labels.
    """
    if labels in (LEARNED, FITTED):
        return
    if not Path(labels).exists():
        raise GlassvizError(
            f"--labels: expected {LEARNED}, {FITTED} or a file of fitted labels, found "
            f"{labels!r}, and no such file: make one with `glassviz fit`"
        )
    FittedLabels.load(Path(labels))


def labelled(
    trace: Trace, path: StrPath, labels: str = LEARNED, target: StrPath | None = None
) -> Trace:
    """Give a trace the labels that are asked for.

    Args:
        trace: as it was recorded.
        path: of its file.
        labels: `learned`: as it was recorded, with or without labels; `fitted`: those beside it;
            or a file.
        target: what the trace was asked for by, to be named in errors; its file by default.

    Raises:
        GlassvizError: the labels cannot be read, there are no fitted labels yet, or they are
            another checkpoint's.
    """
    path = Path(path)
    if labels == LEARNED:
        return trace
    checkpoint = trace.header["checkpoint"]
    file = Path(labels)
    if labels == FITTED:
        file = labels_path(path.parent, checkpoint["sha256"])
        if not file.exists():
            raise GlassvizError(
                f"{file}: expected labels fitted to {checkpoint['name']}, found no such file: make "
                f"it with `glassviz fit {target or path}` and the options of its roll-out"
            )
    return relabelled(trace, FittedLabels.load(file, checkpoint["sha256"]))


def relabelled(trace: Trace, fitted: FittedLabels) -> Trace:
    """The same roll-out, labelled by fitted prototypes and clusters.

    Its header says so (`labels_from`, and `fitted_labels` with the hash of the labels and of the
    recorded trace), so that its own hash is another one. It has a partition of zeros and ones,
    and no soft assignments, which fitted labels have no temperature for.

    Raises:
        GlassvizError: the labels are another checkpoint's, or latents are not finite.
    """
    checkpoint = trace.header["checkpoint"]
    if fitted.checkpoint_sha256 != checkpoint["sha256"]:
        raise GlassvizError(
            f"trace of {checkpoint['name']}: expected labels fitted to checkpoint "
            f"{checkpoint['sha256'][:12]!r}, found those of {fitted.checkpoint_sha256[:12]!r}: fit "
            f"labels to this checkpoint with `glassviz fit`"
        )
    broken = int((~np.isfinite(trace.latent).all(axis=-1)).sum())
    if broken:
        raise GlassvizError(
            f"trace of {checkpoint['name']}: expected finite latents to label, found others in "
            f"{broken} of {trace.label.size} frames: record it again with `glassviz rollout`"
        )
    prototype, label = fitted.labels(trace.latent)
    described = {
        "labels_from": FITTED,
        "label_rule": "nearest-prototype",
        "tau": None,
        "partition": np.eye(fitted.clusters)[fitted.partition].tolist(),
        "fitted_labels": {
            "sha256": fitted.sha256,
            "prototypes": len(fitted.prototypes),
            "clusters": fitted.clusters,
            "seed": fitted.seed,
            "recorded_trace_sha256": trace.sha256,
        },
    }
    return dataclasses.replace(
        trace,
        header=trace.header | described,
        soft_assignment=trace.soft_assignment[..., :0],
        prototype=prototype,
        label=label,
    )
