"""Figures: dataclasses in, axes out; one palette for all of them."""
