"""The metrics' reference: `python -m glassviz.cli.metrics_reference` writes docs/metrics.md."""

from pathlib import Path

from glassviz.metrics.glossary import METRICS, Metric

REFERENCE = Path(__file__).parents[2] / "docs" / "metrics.md"


_HEAD = """\
# Metrics

What `glassviz explain METRIC` says. Written by `python -m glassviz.cli.metrics_reference`; a test
fails when it is out of date, or when a metric has no entry.

Entropies and information are in bits (0 log 0 = 0). k: hard label, K clusters; p_k share of the
frames with label k; c: soft assignment over prototypes, s = c S over clusters, S the partition;
T frames of dt seconds; segment: run of one label, d frames long; B replicates of a null.

Of a run a metric is the mean over its episodes, `_low` and `_high` behind its name are the bounds
of its 95 % interval within this run (Student's t), and `_all_frames` is the same over all frames
after the openings, where the metric itself is over those in gait cycles.
"""


def reference() -> str:
    """All metrics by group, as Markdown."""
    sections, group = [_HEAD], None
    for metric in METRICS.values():
        if metric.group != group:
            group = metric.group
            sections.append(f"## {group}\n")
        sections.append(_section(metric))
    return "\n".join(sections)


def _section(metric: Metric) -> str:
    facts = {
        "Unit": metric.unit,
        "Range": metric.range,
        "Good": metric.good,
        "Null": metric.null,
        "Reading": metric.reading,
        "Trap": metric.trap,
        "Source": metric.source,
        "Fields": ", ".join(f"`{field}`" for field in metric.fields),
    }
    told = "\n".join(f"- {heading}: {text}" for heading, text in facts.items() if text)
    return f"### {metric.name}\n\n{metric.what}\n\n`{metric.formula}`\n\n{told}\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
