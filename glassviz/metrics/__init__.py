"""Metrics of labels, transitions and runs: arrays in, frozen results out.

- `information`: entropy, mutual information and divergence of labels and distributions.
- `segments`: switches, dwell, occupancy and periodicity of labels.
- `nulls`: rotation and shuffle nulls of phase locking.
- `locking`: labels against the gait phase; agreement and motifs of gait cycles.
- `labels`: all statistics of the hard and soft labels of an episode, and names of labels.
- `agreement`: agreement of labellings (ARI, AMI, VI), matching of labels, consensus of seeds.
- `fitted_labels`: labels for agents without Glass, by spherical k-means and structural entropy.
- `transitions`: transition counts and Markov chains; all statistics of a transition graph.
- `structural_entropy`: structural entropy, cut and modularity of partitions of a graph.
- `embedding`: neighbourhoods on a 2-D map against those in the latent space.
- `calibration`: predicted values against realised returns.
- `statistics`: intervals and tests for few seeds.
- `verdict`: are the labels locked or oscillating, and in which basin is the run?
- `stability`: all of the above for one run.
- `glossary`: definition, null, interpretation and pitfalls of every metric.
"""
