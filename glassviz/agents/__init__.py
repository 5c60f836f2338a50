"""Agents: networks, Glass, world model and planner, as pure functions over a parameter tree."""
