"""Summary of a checkpoint: sizes, parameters and provenance."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax

from glassviz.agents.glass import active_in_partition
from glassviz.agents.networks import input_dims, modules
from glassviz.checkpoints.native import Checkpoint
from glassviz.environment import reward_shaping


@dataclass(frozen=True)
class GlassSummary:
    """Prototypes and clusters of a checkpoint.

    Attributes:
        prototypes, clusters, super_clusters: N, K and the size of the second level (0: none).
        tau: temperature of the soft assignment.
        cluster_obs: whether the cluster row is an input of policy and Q.
        clusters_active_in_partition: #{k : mean_n S_nk > 0.05/K}, a property of the parameters,
            not of behaviour.
    """

    prototypes: int
    clusters: int
    super_clusters: int
    tau: float
    assignment_temperature: float
    similarity: str
    cluster_obs: bool
    clusters_active_in_partition: int


@dataclass(frozen=True)
class Summary:
    """Contents of a checkpoint.

    Attributes:
        networks: layer sizes from input to output, by network.
        no_planner: why the planner cannot run this agent; empty if it can.
        losses: what else of the file was not imported.
    """

    name: str
    format: str
    sha256: str
    family: str
    networks: dict[str, str]
    parameters: int
    parameters_by_network: dict[str, int]
    glass: GlassSummary | None
    planner: dict[str, Any]
    env: dict[str, Any]
    no_planner: str
    provenance: dict[str, Any]
    assumptions: tuple[str, ...]
    ignored_leaves: tuple[str, ...]
    losses: tuple[str, ...]


def summarise(checkpoint: Checkpoint) -> Summary:
    """Summarise a checkpoint.

    >>> from pathlib import Path
    >>> from glassviz import checkpoints
    >>> summary = summarise(checkpoints.load(Path("checkpoints/glass-small-s1.safetensors")))
    >>> summary.glass.clusters
    8
    """
    config, glass, dims = checkpoint.config, None, input_dims(checkpoint.config)
    sizes = {
        name: " → ".join(str(size) for size in (dims[name], *net.hidden, net.out))
        for name, net in modules(config).items()
    }
    sizes["q"] += f", {config.num_q} heads"
    if config.glass:
        glass = GlassSummary(
            prototypes=config.glass.prototypes,
            clusters=config.glass.clusters,
            super_clusters=config.glass.super_clusters,
            tau=config.glass.proto_temperature,
            assignment_temperature=config.glass.assignment_temperature,
            similarity=config.glass.similarity,
            cluster_obs=config.glass.cluster_obs,
            clusters_active_in_partition=int(
                active_in_partition(config.glass, checkpoint.params["glass"])
            ),
        )
    counts = {
        net: sum(leaf.size for leaf in jax.tree.leaves(branch))
        for net, branch in sorted(checkpoint.params.items())
    }
    provenance = dict(checkpoint.provenance)
    if "shaped" in provenance:
        provenance["shaped"] = reward_shaping(provenance)
    return Summary(
        name=checkpoint.name,
        format=checkpoint.format,
        sha256=checkpoint.sha256,
        family=config.family,
        networks=sizes,
        parameters=sum(counts.values()),
        parameters_by_network=counts,
        glass=glass,
        planner=dataclasses.asdict(config.planner),
        env=dataclasses.asdict(config.env),
        no_planner=config.no_planner,
        ignored_leaves=_texts(provenance.pop("ignored_leaves", ())),
        losses=_texts(provenance.pop("losses", ())),
        provenance=provenance,
        assumptions=checkpoint.assumptions,
    )


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in items) if isinstance(items, list | tuple) else ()
