"""What stands under every exported file: what it shows, and what it was made from."""

import re
from collections.abc import Mapping
from pathlib import Path

from glassviz.export.source import Source
from glassviz.export.wording import counted
from glassviz.files import replacing
from glassviz.markdown import escaped

CAPTIONS = "captions.md"
NOT_MADE = "\n## Not made\n"

UNKNOWN = "It was there before, and nothing tells what it was made from."
"""Caption of a file that was kept and had none."""

_TRACE = re.compile(r"\btrace ([0-9a-f]{12})\b")
_LABELS = {"glass": "learned", "fitted": "fitted", "none": "none"}


def made_from(source: Source, *, whole: bool) -> str:
    """Run, controller, episodes, seeds, hashes and cycles, in a sentence.

    Args:
        source: the run.
        whole: whether all episodes that are shown count, or only the one.
    """
    header, run = source.trace.header, source.run
    episodes = list(source.episodes) if whole else [source.episode]
    cycles = sum(source.cycles(e).count for e in episodes)
    which = (
        f"episode {episodes[0] + 1} of {source.trace.episodes}, reset seed "
        f"{header['reset_seeds'][episodes[0]]}"
        if len(episodes) == 1
        else f"{len(episodes)} episodes"
    )
    if len(episodes) == 1 and not source.chosen and source.trace.episodes > 1:
        which += ", the one of median return"
    labels = _LABELS.get(run.labels_from, run.labels_from)
    if run.labels_sha256:
        labels += f" ({run.labels_sha256[:12]})"
    return (
        f"{source.name} (checkpoint {run.checkpoint_sha256[:12]}, trace {run.trace_sha256[:12]}), "
        f"{source.controller}, seed {header['seed']}; {which}; {counted(cycles, 'gait cycle')}; "
        f"labels: {labels}."
    )


def read_captions(folder: Path) -> dict[str, str]:
    """Captions that an earlier export left, by file, as they stand there; of files still there."""
    path = folder / CAPTIONS
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace").split(NOT_MADE)[0]
    found = {}
    for section in text.split("\n## ")[1:]:
        name, _, told = section.partition("\n")
        found[name.strip()] = told.strip()
    present = {escaped(file.name) for file in folder.iterdir()}
    return {name: told for name, told in found.items() if name in present}


def why_kept(old: str, new: str) -> str:
    """Why a file is kept, and whether it is what would be made now.

    Args:
        old: its caption.
        new: the caption of what would be made; both as they stand in the file.
    """
    if old == new:
        return "for it is there already"
    if old == UNKNOWN:
        return "though nothing tells what it was made from"
    if _TRACE.findall(old) != _TRACE.findall(new):
        return "made from another trace"
    return "made otherwise from the same trace"


def write_captions(folder: Path, captions: Mapping[str, str], left_out: Mapping[str, str]) -> None:
    """Write the captions of a folder's files, whole or not at all.

    Args:
        folder: of the files.
        captions: by file; both as they are to stand there (see `markdown.escaped`).
        left_out: what was not made, and why.

    Raises:
        GlassvizError: they cannot be written.
    """
    parts = ["# Captions"]
    parts += [f"## {name}\n\n{told}" for name, told in captions.items()]
    if left_out:
        reasons = [f"- {escaped(name)}: {escaped(why)}" for name, why in left_out.items()]
        parts.append(NOT_MADE.strip() + "\n\n" + "\n".join(reasons))
    with replacing(folder / CAPTIONS) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
