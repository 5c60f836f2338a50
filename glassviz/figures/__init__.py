"""Figures, one module per figure: its data, caption and drawing."""
