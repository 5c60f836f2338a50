"""Batched environments on raw MuJoCo."""
