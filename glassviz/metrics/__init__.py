"""Metrics of labels, transitions and runs: arrays in, frozen results out."""
