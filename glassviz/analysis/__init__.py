"""What labels, transitions and runs look like: arrays in, frozen dataclasses out.

Nothing in here loads JAX, MuJoCo, umap or matplotlib. Entropies and information are in bits,
shares in [0, 1], times in seconds or frames as the name says; what is undefined is None or NaN.

Labels of an episode (`label`, and the `phase` and `cycle` of its gait, are all they know):
    labels: `describe`, everything about hard labels at once.
    segments: segments, switches, flicker, dwell, occupancy.
    persistence: agreement and information against lag, label period, label resolution.
    locking: phase information and its test; nulls: what it would be by chance.
    onsets: where in the cycle labels begin.
    consistency: raster, Fleiss' kappa, cycle words; map_agreement: agreement of episodes.
    naming: names for labels from the phase they live in.
    soft: soft assignments and their temperature.
    label_verdict: locked, oscillating, none or undetermined; answers: what viewers note down.
    basin: stable-hop, unstable or undetermined, with its evidence.
    information: entropies, windows and groups; phase_counts: frames by cycle, phase and label.

Runs against each other:
    statistics: intervals for means, shares and nested samples; p-values of many tests.
    permutation: exact tests of groups, pairs and rank correlations, with their smallest p.
    correspondence: labels matched by frames or by phase.
    agreement: ARI, AMI, variation of information, their null, consensus of several runs.

Values:
    calibration: predicted value against the return-to-go that followed.

Transitions:
    transitions: counts, chains and their modes, entropy rate, irreversibility, dominant cycles.
    structural_entropy: H¹, H², gap, and random partitions of the same sizes.
    partition_search: a partition with low H².
    cut: traffic between clusters against chance, modularity; timescales: how fast chains forget.
    graph_stats: all of these for prototypes and labels at once.

Labels for agents without Glass:
    fit: prototypes and clusters from latents, and how much refits agree.
    fitted_labels: the labels and their file; spherical_kmeans: prototypes.

Of all:
    embedding: how much of the neighbourhoods of a space a map of it keeps.
    metrics: what every metric means, from `metrics.toml`.
"""
