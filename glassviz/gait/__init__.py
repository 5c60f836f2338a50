"""Gait from physics alone: floor contacts, falls, cycles, rhythm, and the gait verdict."""
