"""The ledger as JSON, CSV, Markdown and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassviz import __version__
from glassviz.compare.early import Restarts
from glassviz.errors import UsageError
from glassviz.files import StrPath, check_target, replacing
from glassviz.ledger import GOAL, Claim, Ledger, Phase, Training, against_published, summarise
from glassviz.metrics.statistics import Share
from glassviz.report.html import environment
from glassviz.report.phrases import ledger as phrases
from glassviz.report.serialize import cell, flatten, plain
from glassviz.text import escaped

FORMATS = (".md", ".html")


def check_format(path: StrPath, overwrite: bool) -> None:
    """Check before the work that the ledger can be written to `path`.

    Raises:
        UsageError: the suffix is not in `FORMATS`.
        GlassvizError: the file exists, or cannot be written.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise UsageError(
            f"--out: expected a name that ends in {' or '.join(FORMATS)}, found {path}"
        )
    check_target(path, overwrite)


# JSON and CSV -------------------------------------------------------------------------------------


def ledger_dict(ledger: Ledger, goal: float = GOAL, controller: str = "mppi") -> dict[str, Any]:
    """The whole ledger in plain containers."""
    return {
        "trees": list(ledger.trees),
        "goal": goal,
        "controller": controller,
        "phases": [phase_dict(each, ledger, goal, controller) for each in ledger.phases],
        "published": [claim_dict(each) for each in against_published(ledger)],
        "skipped": [{"path": each.path, "reason": each.reason} for each in ledger.skipped],
        "other_files": dict(ledger.others),
        "files": ledger.files,
    }


def phase_dict(
    phase: Phase, ledger: Ledger, goal: float = GOAL, controller: str = "mppi"
) -> dict[str, Any]:
    """A phase with its trainings."""
    row = summarise(phase, goal, controller, ledger.rules)
    return {
        "task": phase.task,
        "phase": phase.name,
        "settings": phase.settings,
        "shaped": phase.shaped,
        "k_update": phase.k_update,
        "note": phase.about.note,
        "color": phase.color,
        "tags": dict(phase.tags),
        "n": row.n,
        "seeds": row.seeds,
        "best": row.best,
        "best_pi": row.best_pi,
        "hits": _share(row.hits),
        "hits_before_restarts": _share(row.first_hits),
        "goals": dict(row.goals),
        "restarts": row.restarts,
        "restarted": row.restarted,
        "attempts_set_aside": row.set_aside,
        "fewest_steps": row.steps[0],
        "most_steps": row.steps[1],
        "trainings": [training_dict(each) for each in phase.trainings],
        "set_aside": [training_dict(each) for each in phase.set_aside],
    }


def _share(share: Share | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {name: getattr(share, name) for name in ("hits", "count", "share", "low", "high")}


def training_dict(training: Training) -> dict[str, Any]:
    """A training: what it reached under each controller that its log has."""
    reached = {kind: training.reached(kind) for kind in training.series}
    return {
        "seed": training.seed,
        "tag": training.tag,
        "path": training.path,
        "format": training.format,
        "part": training.part,
        "parts": training.parts,
        "steps": training.steps,
        "planned_steps": training.planned_steps,
        "restarts": list(training.restarts),
        "marks": list(training.marks),
        "copies": list(training.copies),
        "modified_s": training.modified_s,
        "recipe": training.recipe,
        "reached": {
            kind: each
            and {
                "peak": each.peak,
                "peak_step": each.peak_step,
                "final": each.final,
                "last_three_mean": each.last,
                "evaluations": each.evaluations,
                "attempt_peaks": list(each.attempts),
            }
            for kind, each in reached.items()
        },
    }


def restarts_dict(restarts: Restarts) -> dict[str, Any]:
    """Rules for restarts, and what they say of the running trainings."""
    return {
        "goal": restarts.goal,
        "controller": restarts.controller,
        "rules": [plain(each) for each in restarts.rules],
        "running": [
            {
                "task": each.training.task,
                "phase": each.training.phase,
                "seed": each.training.seed,
                "path": each.training.path,
                "steps": each.training.steps,
                "rule_steps": each.rule and each.rule.steps,
                "return": each.value,
                "restart": each.restart,
            }
            for each in restarts.advice
        ],
    }


def claim_dict(claim: Claim) -> dict[str, Any]:
    """A phase of the published ledger beside the one found."""
    return {
        "phase": claim.phase.name,
        "state": claim.state,
        "reason": phrases.claim_reason(claim),
        "best": {
            "published": claim.published.best,
            "about": claim.published.about,
            "found": claim.found_best,
            "state": claim.best,
        },
        "hits": {
            "published": claim.published.hits,
            "published_n": claim.published.n,
            "found": claim.found_hits,
            "found_n": claim.n,
            "state": claim.hits,
        },
        "mean": {
            "published": claim.published.mean,
            "found": claim.found_mean,
            "state": claim.mean,
        },
    }


def phase_rows(
    ledger: Ledger, goal: float = GOAL, controller: str = "mppi"
) -> list[dict[str, Any]]:
    """One flat row per phase, for CSV."""
    rows = []
    for phase in ledger.phases:
        told = phase_dict(phase, ledger, goal, controller)
        trainings = told.pop("trainings")
        del told["set_aside"]
        for kind in ("mppi", "pi", "eval"):
            found = [each["reached"].get(kind) or {} for each in trainings]
            if any(found):
                for name in ("peak", "final", "last_three_mean"):
                    told[f"{kind}.{name}"] = [each.get(name) for each in found]
        told["seed"] = [each["seed"] for each in trainings]
        tags = told.pop("tags")
        rows.append({**flatten(told), "tags": cell(list(tags))})
    return rows


def training_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """One flat row per training, for CSV; attempts that were set aside are marked so."""
    rows = []
    for phase in ledger.phases:
        for each in (*phase.trainings, *phase.set_aside):
            told = training_dict(each)
            reached = {kind: found for kind, found in told.pop("reached").items() if found}
            lists = {name: cell(told.pop(name)) for name in ("restarts", "marks")}
            copies = cell([str(path) for path in told.pop("copies")])
            rows.append(
                {
                    "task": phase.task,
                    "phase": phase.name,
                    **{name: str(x) if isinstance(x, Path) else x for name, x in told.items()},
                    **lists,
                    "copies": copies,
                    **flatten(reached),
                }
            )
    return rows


# Pages --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageTable:
    """A table of the page: its first column names the row; `numbers` are columns of numbers."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[int] = (0,)


def page_tables(
    ledger: Ledger, goal: float = GOAL, controller: str = "mppi"
) -> tuple[PageTable, ...]:
    """The phases, the published ledger if there is one, and every training."""
    goals = tuple(ledger.rules.goals)
    titles = (*phrases.columns(goals), "remarks")
    phases = []
    for phase in ledger.phases:
        row = summarise(phase, goal, controller, ledger.rules)
        cells = phrases.phase_cells(phase, row, ledger, controller)
        phases.append((*cells, phrases.phase_remark(phase, row, goal)))
    found = [
        PageTable("Phases", phrases.NOTES, titles, phases, (0, 3, len(titles) - 1)),
    ]
    claims = against_published(ledger)
    if claims:
        titles = (*phrases.PUBLISHED_COLUMNS, "why")
        rows = [(*phrases.claim_cells(each), phrases.claim_reason(each)) for each in claims]
        found.append(PageTable("Beside the published ledger", "", titles, rows, (0, 5, 6)))
    titles = (*phrases.TRAINING_COLUMNS, "remarks")
    trainings = [
        (*phrases.training_cells(phase, each, ledger), phrases.training_remark(each))
        for phase in ledger.phases
        for each in (*phase.trainings, *phase.set_aside)
    ]
    note = phrases.TRAINING_NOTES
    found.append(PageTable("Trainings", note, titles, trainings, (0, len(titles) - 1)))
    return tuple(found)


def write_page(
    ledger: Ledger,
    path: StrPath,
    overwrite: bool = False,
    goal: float = GOAL,
    controller: str = "mppi",
    command: str = "",
) -> None:
    """Write the ledger as Markdown or HTML, by the name of the file, atomically.

    Raises:
        UsageError: the name ends otherwise.
        GlassvizError: the file exists, or cannot be written.
    """
    check_format(path, overwrite)
    html = Path(path).suffix.lower() == ".html"
    told = {
        "tables": page_tables(ledger, goal, controller),
        "totals": phrases.totals(ledger),
        "skipped": phrases.skipped_lines(ledger, every=True),
        "command": command,
        "goal": f"{goal:g}",
        "version": __version__,
    }
    if html:
        text = environment(autoescape=True).get_template("ledger.html.j2").render(told)
    else:
        text = environment(False, finalize=_escaped).get_template("ledger.md.j2").render(told)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _escaped(value: Any) -> Any:
    return escaped(value).replace("\n", " ") if isinstance(value, str) else value
