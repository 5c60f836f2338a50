"""Drawings of transition graphs: stable places, texts apart, files that read back, differences."""

import itertools
import json
import re
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path as Outline
from matplotlib.text import Text

from glassviz.compare.graphs import Graphed, RunGraph, flux_difference, flux_distance, run_graph
from glassviz.errors import GlassvizError, UsageError
from glassviz.figures import flux_difference as difference_plot
from glassviz.figures.flux_difference import difference_caption, difference_drawings
from glassviz.figures.graph_drawing import percent
from glassviz.figures.graph_layout import graph_layout
from glassviz.figures.style import FigureStyle, save, shortened, text_width, wrapped
from glassviz.figures.transition_graph import (
    ORDERS,
    best_letters,
    caption,
    drawing_of,
    hull_names,
    key_of,
    label_order,
    title_of,
    transition_graph,
)
from glassviz.gait.gait import describe
from glassviz.metrics.transitions import transition_counts
from glassviz.report.documents import FORMATS, graph_dict, save_graph, to_networkx
from glassviz.rollout.run import Run
from tests.helpers.planted_runs import HOP, planted
from tests.helpers.traces import PROTOTYPES, walked, wandering

COLUMN = 85 / 25.4
MODES = ("frame", "jump", "soft-train", "flow")
LOOKS = [(2, 5), (8, 5), (16, 8), (16, 16), (16, 1)]
MODES_OF_LOOKS = [
    (*look, mode) for look, mode in zip(LOOKS, (*MODES, "jump"), strict=True)
]  # One each: a figure takes a while under the checks of types.


@cache
def wandering_graph(visited: int, clusters: int = 5, mode: str = "jump", **how) -> RunGraph:
    """The graph of a trace that wanders; its null distributions are what takes time."""
    return run_graph(wandering(visited, clusters, **how), mode)


# Places -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_discs_and_hulls_stay_apart_and_within_the_box(cluster):
    found = graph_layout(np.array(cluster), 236.0, 178.0)
    for a, b in itertools.combinations(found.place, 2):
        assert np.linalg.norm(a - b) > found.unit * 0.999
    for i, j in itertools.combinations(range(len(found.clusters)), 2):
        gap = np.linalg.norm(found.centre[i] - found.centre[j])
        assert gap > found.radius[i] + found.radius[j]
    inside = np.linalg.norm(
        found.place - found.centre[np.searchsorted(found.clusters, cluster)], axis=1
    )
    assert (inside + found.unit / 2 < found.radius[np.searchsorted(found.clusters, cluster)]).all()
    low, high = found.centre - found.radius[:, None], found.centre + found.radius[:, None]
    assert (low > -1e-6).all() and (high < np.array([236, 178]) + 1e-6).all()


def places(graph: RunGraph):
    return [(node.key, node.x, node.y) for node in drawing_of(graph).nodes]


def test_a_checkpoint_has_the_same_places_whatever_the_mode():
    first = places(wandering_graph(8))
    for mode in MODES:
        assert places(wandering_graph(8, mode=mode)) == first
    assert places(wandering_graph(8, 4)) != first


def test_clusters_follow_each_other_clockwise_as_the_gait_visits_them():
    graph = run_graph(walked([[0, 2, 1, 3] * 40], [0, 1, 2, 3], clusters=5))
    order = label_order(graph)
    start = order.index(0)
    assert (order[:4] * 2)[start : start + 4] == [0, 2, 1, 3] and order[4] == 4
    nodes = drawing_of(graph).nodes
    middle = np.mean([(node.x, node.y) for node in nodes], axis=0)
    angle = [np.arctan2(node.y - middle[1], node.x - middle[0]) for node in nodes]
    turned = [(angle[i] - angle[0]) % (2 * np.pi) for i in (0, 2, 1, 3)]
    assert turned == sorted(turned), "y points downwards, so angles grow clockwise"


def test_labels_and_rows_are_sorted_by_share_or_number_on_request():
    graph = run_graph(walked([[0, 2, 2, 2, 1, 1, 3, 3, 3, 3] * 20], [0, 1, 2, 3], clusters=5))
    for order, wanted in (("share", [3, 2, 1, 0, 4]), ("number", [0, 1, 2, 3, 4])):
        ordered = replace(graph, order=order)
        assert label_order(ordered) == wanted
        assert places(ordered) != places(graph), "the clusters are placed in that order"
        [rows] = [axes.texts for axes in transition_graph(ordered, FigureStyle(panels=("P",),
                  legend=False)).axes if axes.images and axes.texts]  # fmt: skip
        assert [row.get_text() for row in rows] == [f"μ{i}" for i in wanted[:4]]
        assert ORDERS[order] in caption(ordered)


@pytest.mark.parametrize(("visited", "clusters"), LOOKS)
def test_hulls_contain_their_prototypes_with_their_rings(visited, clusters):
    drawing = drawing_of(wandering_graph(visited, clusters, mode="frame"))
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outlines = {hull.cluster: Outline([*hull.outline, hull.outline[0]]) for hull in drawing.hulls}
    for node in drawing.nodes:
        rim = np.array([node.x, node.y]) + (node.radius + (node.stays is not None) * 3) * circle
        assert outlines[node.cluster].contains_points(rim).all()


def test_nodes_grow_with_their_frames_and_those_never_visited_are_told_apart():
    graph = run_graph(walked([[0] * 200 + [1] * 50 + [0] * 50], [0, 0, 1]))
    first, second, third = drawing_of(graph).nodes
    assert first.share == pytest.approx(graph.stats.prototypes.occupancy[0])
    assert first.radius**2 / second.radius**2 == pytest.approx(first.share / second.share)
    assert third.share == 0 and third.radius < second.radius
    assert [hull.visited for hull in drawing_of(graph).hulls] == [True, False]


def test_arrows_have_the_width_and_direction_of_the_traffic_and_the_cycle_is_bold():
    walk = [[0, 1, 2] * 40 + [0, 2] * 5]
    drawing = drawing_of(run_graph(walked(walk, [0, 1, 2, 3])))
    arrows = {(arrow.source, arrow.target): arrow for arrow in drawing.arrows}
    assert {pair for pair, arrow in arrows.items() if arrow.main} == {(0, 1), (1, 2), (2, 0)}
    thick, thin = arrows[0, 1], arrows[0, 2]
    assert thick.width / thin.width == pytest.approx(max(thick.share / thin.share, 1), rel=0.5)
    nodes = {node.key: node for node in drawing.nodes}
    for arrow in arrows.values():
        tip, target = np.array(arrow.head[0]), nodes[arrow.target]
        assert np.hypot(*(tip - (target.x, target.y))) == pytest.approx(target.radius)
    assert arrows[0, 2].control != arrows[2, 0].control, "there and back are two lines"


def test_a_loop_completed_once_is_neither_bold_nor_named():
    walk = [[*[7] * 15, *range(PROTOTYPES), *[0] * 30]]
    graph = run_graph(walked(walk, range(PROTOTYPES), clusters=16))
    assert graph.stats.prototypes.cycles
    assert not any(arrow.main for arrow in drawing_of(graph).arrows)
    assert not any(sign == "main" for sign, _ in key_of(graph))
    assert "no cycle is dominant" in caption(graph)
    assert not any(dominant for *_, dominant in to_networkx(graph).edges(data="dominant"))


def test_the_trained_graph_has_lines_without_direction_and_rings_of_staying():
    graph = wandering_graph(8, mode="soft-train")
    drawing = drawing_of(graph)
    assert all(arrow.source < arrow.target and not arrow.head for arrow in drawing.arrows)
    assert len(drawing.arrows) == PROTOTYPES * (PROTOTYPES - 1) / 2
    stays = {node.key: node.stays for node in drawing.nodes if node.share}
    p = graph.stats.prototypes.chain.p
    assert stays == {i: pytest.approx(p[i, i]) for i in stays}
    assert all(node.stays is None for node in drawing_of(wandering_graph(8)).nodes)


# Texts --------------------------------------------------------------------------------------------


def boxes(figure) -> list[tuple[str, np.ndarray]]:
    """Every text that is seen, with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [each for each in figure.findobj(Text) if each.get_text() and each.get_visible()]
    # Axes that are switched off keep the texts of their ticks.
    texts = [each for each in texts if each.axes is None or each in each.axes.texts]
    return [(each.get_text(), Text.get_window_extent(each, renderer).extents) for each in texts]


def assert_texts_apart(figure, width: float) -> None:
    found = boxes(figure)
    assert len(found) > 5
    for (one, a), (other, b) in itertools.combinations(found, 2):
        overlap = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        assert overlap.min() <= 0.5, f"{one!r} lies on {other!r}"
    low = np.array([box[:2] for _, box in found]).min(axis=0)
    high = np.array([box[2:] for _, box in found]).max(axis=0)
    assert (low >= 0).all() and (high <= figure.bbox.size).all(), "texts are cut off"
    assert figure.get_figwidth() == pytest.approx(width)
    sizes = [each.get_fontsize() for each in figure.findobj(Text) if each.get_text().strip()]
    assert min(sizes) >= 6, "type is too small to print"


@pytest.mark.parametrize(("visited", "clusters", "mode"), MODES_OF_LOOKS)
def test_no_text_lies_on_another(visited, clusters, mode):
    graph = run_graph(
        wandering(visited, clusters, name="a name so long that it would not fit beside it"), mode
    )
    for width_mm in (85.0, 180.0):
        assert_texts_apart(transition_graph(graph, FigureStyle(width_mm=width_mm)), width_mm / 25.4)


@pytest.mark.parametrize("panels", [None, ("first", "second", "difference")])
def test_no_text_of_a_difference_lies_on_another(panels):
    one = wandering(16, 16) if panels else wandering(8, 8)
    other = wandering(4, 16 if panels else 8, 1, controller="mppi")
    found = flux_difference(source(one), source(other), 9)
    assert "shares of all switches" in difference_caption(found)
    width_mm = 180.0 if panels else 85.0
    plot = difference_plot.flux_difference(found, FigureStyle(panels=panels, width_mm=width_mm))
    assert_texts_apart(plot, width_mm / 25.4)
    assert len(plot.axes) == (5 if panels else 3), "graphs, and two signs of the key"


def test_a_share_lies_on_no_arrow():
    drawing = drawing_of(wandering_graph(8))
    told = [arrow for arrow in drawing.arrows if arrow.told]
    assert told
    t = np.linspace(0, 1, 60)[:, None]
    for arrow in told:
        half = text_width(arrow.told, 6.0) / 2, 3.0
        for other in drawing.arrows:
            a, c, b = (np.array(p) for p in (other.start, other.control, other.end))
            curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * c + t**2 * b
            gap = np.maximum(np.abs(curve - arrow.at) - half, 0)
            assert np.hypot(*gap.T).min() >= other.width / 2


def test_a_figure_has_what_was_asked_for_and_nothing_else():
    graph = wandering_graph(8)
    everything = " ".join(text for text, _ in boxes(transition_graph(graph)))
    for shown in ("mode jump", "Mode jump", "never visited", "P: next", "A: switches", "S: μ"):
        assert shown in everything
    bare = FigureStyle(title=False, caption=False, legend=False, panels=("S",))
    told = [text for text, _ in boxes(transition_graph(graph, bare))]
    assert "S: μ in label (row)" in told and not any("mode" in text.lower() for text in told)
    assert not any(text.startswith(("P:", "A:", "prototype")) for text in told)


def test_matrices_have_the_visited_prototypes_alone_and_the_soft_graph_all():
    for mode, rows in (("jump", 4), ("soft-train", PROTOTYPES)):
        figure = transition_graph(wandering_graph(4, mode=mode), FigureStyle(panels=("P",)))
        [heat] = [image for axes in figure.axes for image in axes.images][:1]
        assert heat.get_array().shape == (rows, rows)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_larger_font_enlarges_all_texts_and_keeps_the_width(tmp_path, ending):
    look = FigureStyle(font="DejaVu Serif", font_size=15.0, width_mm=170.0, dpi=100, caption=False)
    path = tmp_path / f"a.{ending}"
    figure = transition_graph(wandering_graph(4), look)
    save(figure, path, look=look)
    assert figure.get_figwidth() == pytest.approx(85 / 25.4)
    data = path.read_bytes()
    if ending == "png":
        assert int.from_bytes(data[16:20], "big") == round(170 / 25.4 * 100)
    elif ending == "svg":
        width = re.search(rb'width="([\d.]+)pt"', data)
        assert float(width[1]) == pytest.approx(170 / 25.4 * 72, rel=1e-3)
    else:
        width = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", data)
        assert float(width[1]) == pytest.approx(170 / 25.4 * 72, rel=1e-3)
        assert b"DejaVuSerif" in data


def test_the_figure_names_mode_convention_cycle_and_labels():
    graph = run_graph(wandering(8, fitted=True), "flow")
    for text in ("Mode flow", "self-transitions dropped", "all edges kept", "fitted", "H²", "best"):
        assert text in caption(graph)
    assert "fitted labels" in title_of(graph)
    assert "mode flow" in [text for text, _ in boxes(transition_graph(graph))]
    [cycle, *_] = wandering_graph(8, mode="flow").stats.prototypes.cycles
    [told] = [told for sign, told in key_of(graph) if sign == "main"]
    assert "dominant cycle" in told and told.endswith(f"switches, {cycle.count} times")
    train = caption(wandering_graph(8, mode="soft-train"))
    assert "self-transitions once" in train and "τ = 1" in train


def test_hulls_tell_how_often_their_label_is_given_and_not_their_prototypes_visited():
    trace = walked([[0, 1] * 50], [0, 1])
    label = np.where(np.arange(100) % 10 == 0, 0, 1).astype(np.int32)[None]
    soft = replace(trace, header=trace.header | {"label_rule": "soft"}, label=label)
    told = hull_names(run_graph(soft))
    seen = label[0, describe(soft, 0).opening_end :]
    assert (seen == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert [told[k][1] for k in (0, 1)] == [
        f"{percent(float((seen == k).mean()))} of frames" for k in (0, 1)
    ]


@pytest.mark.parametrize("mode", ["jump", "soft-train"])
def test_prototypes_of_one_letter_are_those_of_a_cluster_of_the_best_partition(mode):
    graph = wandering_graph(8, mode=mode)
    letters = best_letters(graph)
    best = (graph.stats.train if mode == "soft-train" else graph.stats.flow).best
    visited = graph.stats.prototypes.visited
    assert [i for i, letter in enumerate(letters) if letter] == list(visited)
    for i, j in itertools.combinations(visited, 2):
        assert (letters[i] == letters[j]) == (best[i] == best[j])
    assert len(set(best[list(visited)])) > 1
    assert letters[min(visited, key=lambda i: (graph.cluster[i], i))] == "a"


def test_a_graph_that_never_moves_has_no_letters_nor_one_with_too_many_prototypes_for_them():
    still = run_graph(walked([[3] * 60], range(PROTOTYPES), clusters=16))
    assert not any(best_letters(still)) and "best" not in dict(key_of(still))
    many = run_graph(walked([[*range(40)] * 3], np.arange(40) % 4, clusters=4))
    texts = [text for text, _ in boxes(transition_graph(many))]
    assert not {"a", "a, b"} & set(texts)


def test_texts_are_measured_broken_and_cut_as_they_are_drawn():
    assert text_width("mm", 10.0) == pytest.approx(2 * text_width("m", 10.0), rel=0.1)
    lines = wrapped("one two 3→4→5 6 % seven", 40.0, 8.0)
    assert "".join(lines).replace(" ", "") == "onetwo3→4→56%seven"
    assert all(text_width(line, 8.0) <= 40 for line in lines) and "6 %" in " ".join(lines)
    assert shortened("a long name", 30.0, 8.0) == "a…me"
    assert text_width(shortened("a long name", 30.0, 8.0), 8.0) <= 30


def test_shares_are_written_with_the_digits_that_they_have():
    told = [percent(each) for each in (0.0, 0.0004, 0.041, 0.0996, 0.41, 1.0)]
    assert told == ["0 %", "0.04 %", "4.1 %", "10 %", "41 %", "100 %"]


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_json_and_graphml_read_back_as_the_counts(tmp_path, mode):
    graph = wandering_graph(8, mode=mode)
    counts = graph.stats.prototypes.counts * (1 - np.eye(PROTOTYPES) if mode == "jump" else 1)
    save_graph(graph, tmp_path / "a.json")
    save_graph(graph, tmp_path / "a.graphml")
    read = json.loads((tmp_path / "a.json").read_text())
    for network in (
        nx.node_link_graph(read, edges="edges"),
        nx.read_graphml(tmp_path / "a.graphml", node_type=int),
    ):
        assert network.is_directed() and len(network) == PROTOTYPES
        found = nx.to_numpy_array(network, nodelist=range(PROTOTYPES), weight="count")
        assert np.array_equal(found, counts)
        weights = nx.to_numpy_array(network, nodelist=range(PROTOTYPES), weight="weight")
        assert weights == pytest.approx(graph.stats.prototypes.chain.weights)
        frames = nx.get_node_attributes(network, "frames")
        assert [frames[i] for i in range(PROTOTYPES)] == graph.stats.prototypes.frames.tolist()
    assert read["graph"]["mode"] == mode and read["graph"]["drawing"]["nodes"][3]["key"] == 3
    assert "all edges kept" in read["graph"]["stats"]["flow"]["told"]


@pytest.fixture(scope="module")
def twins() -> dict[str, RunGraph]:
    """Two graphs of equal traces, each made on its own."""
    return {name: run_graph(wandering(4)) for name in ("a", "b")}


@pytest.mark.parametrize("ending", FORMATS)
def test_equal_graphs_give_equal_files_and_none_is_replaced_unasked(tmp_path, twins, ending):
    for name, graph in twins.items():
        save_graph(graph, tmp_path / f"{name}{ending}")
    a, b = (tmp_path / f"{name}{ending}" for name in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()
    with pytest.raises(GlassvizError, match="--overwrite"):
        save_graph(wandering_graph(5), a)
    save_graph(wandering_graph(5), a, overwrite=True)
    assert a.read_bytes() != b.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [a.name, b.name]


def test_the_text_of_an_svg_is_drawn_and_that_of_a_pdf_embedded(tmp_path):
    save_graph(wandering_graph(4), tmp_path / "a.svg")
    save_graph(wandering_graph(4), tmp_path / "a.pdf")
    assert "<text" not in (tmp_path / "a.svg").read_text()
    assert b"/FontFile2" in (tmp_path / "a.pdf").read_bytes()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.png, \.svg, \.pdf, \.graphml, \.json"):
        save_graph(wandering_graph(4), tmp_path / "a.docx")


@pytest.mark.parametrize(
    "walk",
    [np.zeros((1, 60), int), np.zeros((2, 1), int), np.arange(12)[None]],
    ids=["one node", "no transition", "never back"],
)
@pytest.mark.parametrize("mode", ["frame", "soft-train"])
def test_degenerate_graphs_are_written_in_all_formats_without_nan(tmp_path, walk, mode):
    graph = run_graph(walked(walk, np.arange(12) % 3), mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ending in (".json", ".graphml", ".svg"):
            save_graph(graph, tmp_path / f"a{ending}")
    assert "NaN" not in (tmp_path / "a.json").read_text()
    assert ">nan<" not in (tmp_path / "a.graphml").read_text()
    assert "nan," not in (tmp_path / "a.svg").read_text()


# What there is no graph of ------------------------------------------------------------------------


def test_an_agent_without_labels_is_told_of_glassviz_fit():
    trace = wandering(4)
    bare = replace(trace, header=trace.header | {"labels_from": "none"})
    with pytest.raises(GlassvizError, match=r"walker: .* without Glass: .*`glassviz fit`"):
        run_graph(bare)


def test_a_trace_without_partition_or_soft_assignments_is_refused_where_they_are_needed():
    trace = wandering(4)
    old = replace(trace, header={k: v for k, v in trace.header.items() if k != "partition"})
    with pytest.raises(GlassvizError, match="record it again"):
        run_graph(old)
    with pytest.raises(GlassvizError, match="fitted labels, which have none: choose frame"):
        run_graph(wandering(4, fitted=True), "soft-train")


# Differences --------------------------------------------------------------------------------------


def source(trace, mode="jump") -> Graphed:
    return Graphed(Run.of(trace, Path("t.npz")), run_graph(trace, mode))


def test_the_same_runs_do_not_differ_and_opposite_clocks_differ_in_all():
    walk = np.tile([0, 1, 2, 3], (6, 30))
    forth, back = walked(walk, range(4)), walked(walk[:, ::-1], range(4), controller="mppi")
    same = flux_difference(source(forth), source(replace(forth)))
    assert same.distance == 0 and same.p == 1.0 and not same.difference.any()
    found = flux_difference(source(forth), source(back))
    assert found.level == "prototype" and found.matched_by == "checkpoint"
    assert found.distance == pytest.approx(1) and found.p < 0.01
    assert found.difference.sum() == pytest.approx(0)
    assert found.difference[0, 3] == pytest.approx(0.25, abs=0.01)


def test_a_difference_of_chance_is_significant_in_about_one_of_ten(rng):

    def counts():
        walks = rng.integers(0, 3, (5, 60))
        return np.stack([transition_counts(walk[None], 3) for walk in walks])

    p = [flux_distance(counts(), counts(), "jump", rng, 19)[2] for _ in range(100)]
    assert 0.04 <= np.mean(np.array(p) <= 0.1) <= 0.16


@cache
def hop(name: str, renamed: bool) -> Graphed:
    """A hop with planted labels, whose numbers may be others."""
    trace = planted(HOP, HOP, name=name)
    rename = np.array([3, 0, 1, 2, 4, 5, 6, 7] if renamed else range(8))
    label = rename[trace.label].astype(np.int32)
    header = trace.header | {"partition": np.eye(8).tolist()}
    soft = np.eye(8, dtype=np.float32)[label]
    return source(replace(trace, header=header, label=label, prototype=label, soft_assignment=soft))


def test_labels_of_two_agents_are_matched_by_phase_where_there_are_only_traces():
    one, other = hop("one", False), hop("other", True)
    found = flux_difference(one, other)
    assert found.level == "label" and found.matched_by == "phase"
    visited = set(np.unique(one.run.trace.label).tolist())
    rename = {0: 3, 1: 0, 2: 1, 3: 2}
    pairs = {state.one: state.other for state in found.states}
    assert pairs == {k: rename[k] for k in visited}
    assert found.distance < 0.1
    drawings = difference_drawings(found, 240.0, 200.0)
    between, first, second = (drawings[panel] for panel in difference_plot.PANELS)
    assert [node.number for node in second.nodes] == [str(rename[k]) for k in sorted(visited)]
    assert [hull.cluster for hull in first.hulls] == [hull.cluster for hull in between.hulls]
    assert [hull.color for hull in first.hulls] == [hull.color for hull in second.hulls]
    [name] = [hull.name for hull in between.hulls if hull.cluster == 0]
    assert name[0] == "0 ↔ 3" and name[1].endswith("% of frames") and "→" in name[1]


def test_labels_of_traces_whose_gaits_differ_are_not_matched():
    one, other = hop("one", False), hop("other", True)
    other = Graphed(replace(other.run), other.graph)
    other.run.gaits = tuple(replace(gait, rhythm=None) for gait in other.run.gaits)
    with pytest.raises(GlassvizError, match="same phases of one gait, found neither"):
        flux_difference(one, other)


def test_labels_without_counterpart_stand_alone():
    one, other = hop("one", False), hop("other", True)
    trace = other.run.trace
    # The other agent has one label more, in half of the frames of another.
    label = np.where((trace.label == 3) & (np.arange(trace.frames) % 2 == 0), 6, trace.label)
    alone = source(replace(trace, label=label.astype(np.int32)))
    found = flux_difference(one, alone)
    assert [state.other for state in found.states if state.one is None] in ([6], [3])
    network = to_networkx(found)
    assert network.nodes[len(found.states) - 1] == {"other": found.states[-1].other}
    caption = difference_caption(found)
    assert f"a ↔ b: label a of {found.one} matches label b of {found.other}." in caption
    assert f"1 label has no counterpart (grey: of {found.other} alone)." in caption
    json.dumps(graph_dict(found), allow_nan=False)


def test_runs_that_nothing_can_be_matched_by_are_refused():
    one, other = (
        source(replace(trace, contacts=np.zeros_like(trace.contacts)))
        for trace in (wandering(4), wandering(4, name="else"))
    )
    with pytest.raises(GlassvizError, match="give the checkpoints instead"):
        flux_difference(one, other)
    with pytest.raises(UsageError, match="expected mode frame, jump or flow"):
        flux_difference(source(wandering(4), "soft-train"), source(wandering(4), "soft-train"))


def test_a_difference_is_written_in_all_formats(tmp_path):
    found = flux_difference(source(wandering(5)), source(wandering(9, controller="mppi")), 9)
    for ending in FORMATS:
        save_graph(found, tmp_path / f"a{ending}")
    network = nx.read_graphml(tmp_path / "a.graphml", node_type=int)
    read = nx.to_numpy_array(network, nodelist=range(PROTOTYPES), weight="difference")
    assert read == pytest.approx(found.difference)


def test_a_run_that_never_moves_has_no_distance():
    still = walked(np.zeros((2, 30), int), range(4), controller="mppi")
    found = flux_difference(source(walked(np.tile([0, 1], (2, 30)), range(4))), source(still))
    assert found.distance is None and found.p is None
    assert "no traffic" in difference_caption(found)
