"""Notebooks: `glassviz.load`, and results that show themselves."""
