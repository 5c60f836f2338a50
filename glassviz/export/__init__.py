"""Exports for write-ups: films, figures, captions, recordings for the Rerun viewer."""
