"""The interactive page: film, map, graph and labels on one clock."""
