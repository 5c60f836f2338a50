"""Comparison of runs: labels matched, returns, groups, graphs; n is the number of checkpoints."""
