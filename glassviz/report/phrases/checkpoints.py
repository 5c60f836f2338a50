"""What is in a checkpoint, line by line."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassviz.checkpoints.summary import Summary


def rows_of(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Rows of the summary table: name and value."""
    yield "checkpoint", f"{summary.name} ({summary.format})"
    yield "sha256", summary.sha256
    yield "family", summary.family
    yield "parameters", f"{summary.parameters:,}"
    for network, sizes in summary.networks.items():
        yield f"  {network}", sizes
    if summary.glass is None:
        yield "Glass", "none: no labels unless they are fitted"
    else:
        glass = summary.glass
        yield (
            "Glass",
            (
                f"N={glass.prototypes} prototypes, K={glass.clusters} clusters, τ={glass.tau:g}, "
                f"{glass.similarity} similarity"
            ),
        )
        if glass.super_clusters:
            yield "  super-clusters", str(glass.super_clusters)
        if glass.cluster_obs:
            yield "  cluster row", "input of policy and Q"
        yield (
            "  clusters active in S",
            (
                f"{glass.clusters_active_in_partition} of {glass.clusters} "
                f"(a property of the parameters, not of behaviour)"
            ),
        )
    yield "planner", summary.no_planner or _pairs(summary.planner)
    yield "environment", _pairs(summary.env)
    for name, value in summary.provenance.items():
        yield name, _pairs(value) if isinstance(value, dict) else str(value)
    yield from remarks_of(summary)


def remarks_of(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Table rows about what was assumed, ignored and lost in the import."""
    yield from (("assumed", item) for item in summary.assumptions)
    yield from (("ignored", item) for item in summary.ignored_leaves)
    yield from (("not kept", item) for item in summary.losses)


def _pairs(items: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} ({_pairs(value)})" if isinstance(value, dict) else f"{key} {value}"
        for key, value in items.items()
    )
