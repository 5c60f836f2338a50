"""Gait from physics only: contacts, events, cycles, and the verdict on what the body does.

Needs traces and nothing else: neither JAX nor MuJoCo.
"""
