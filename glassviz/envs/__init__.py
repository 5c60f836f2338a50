"""Environments on raw MuJoCo, in batches."""
