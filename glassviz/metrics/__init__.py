"""Metrics of labels, transitions and runs: arrays in, frozen results out.

information
    Entropy, mutual information and divergence of labels and distributions.
segments
    How often do labels switch, how long do they dwell, how are frames distributed over them, and
    with what period do they repeat?
nulls
    What phase locking would be by chance: rotation and shuffle nulls.
locking
    Are labels locked to the gait phase? Do gait cycles agree, and which motifs do they repeat?
labels
    All statistics of the hard and soft labels of an episode, and names of labels by gait phase.
agreement
    Do two labellings agree (ARI, AMI, VI), which labels correspond, and do seeds reach consensus?
fitted_labels
    Labels for agents without Glass: spherical k-means on latents, clustered by structural entropy.
transitions
    Transition counts and Markov chains: entropy rate, irreversibility, cycles, timescales.
structural_entropy
    How much of a transition graph does a partition explain? Structural entropy, cut, modularity.
graph_stats
    All statistics of one transition graph.
embedding
    Does a 2-D map preserve the neighbourhoods of the latent space?
calibration
    Are predicted values calibrated against realised returns?
statistics
    Intervals and tests for few seeds: Student's t, bootstrap, permutation, multiple testing.
verdict
    Are the labels locked or oscillating, and in which basin is the run?
stability
    All of the above for one run.
glossary
    Definition, null, interpretation and pitfalls of every metric.
"""
