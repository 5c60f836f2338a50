"""Agents: networks, Glass, world model and planner as pure functions of a parameter tree."""
