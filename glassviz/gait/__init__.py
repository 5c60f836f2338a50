"""Gait: what the body does, from physics alone."""
