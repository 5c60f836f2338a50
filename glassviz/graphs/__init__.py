"""Transition graphs of runs, as numbers, plain data, figures and files.

    run_graph: the graph of one trace, as `RunGraph`, whose `stats` hold all numbers.
    graph_all: the same for many runs at once; missing traces are made, broken runs named.
    flux_difference: how the traffic of two runs differs, once their labels are matched.
    drawing_of, difference_drawings: nodes, arrows and hulls with their places, as plain data.
    save, as_json, to_dict, to_networkx: a graph for other programs.

Loads neither JAX nor MuJoCo until traces are to be made, or labels of checkpoints to be matched.
"""

from glassviz.graphs.difference import FluxDifference, MatchedState, flux_difference
from glassviz.graphs.difference_drawing import difference_drawings
from glassviz.graphs.drawing import drawing_of, figure_of
from glassviz.graphs.many import Graphed, graph_all
from glassviz.graphs.record import FORMATS, as_json, check_format, save, to_dict, to_networkx
from glassviz.graphs.run_graph import RunGraph, run_graph

__all__ = [
    "FORMATS",
    "FluxDifference",
    "Graphed",
    "MatchedState",
    "RunGraph",
    "as_json",
    "check_format",
    "difference_drawings",
    "drawing_of",
    "figure_of",
    "flux_difference",
    "graph_all",
    "run_graph",
    "save",
    "to_dict",
    "to_networkx",
]
