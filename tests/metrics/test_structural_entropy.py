"""Structural entropy: known graphs, conventions for loops, invariants, and the training loss."""

import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tests.helpers.tiny as tiny
from glassviz.agents import glass as glass_ops
from glassviz.metrics.structural_entropy import (
    entropy_1d,
    entropy_2d,
    greedy_partition,
    structural_entropy,
    symmetrised,
)
from glassviz.metrics.transitions import markov_chain, soft_transition_counts
from glassviz.training.losses import glass_loss

TRIANGLES = nx.to_numpy_array(nx.barbell_graph(3, 0))
SPLIT = np.array([0, 0, 0, 1, 1, 1])
LOOPS = ("dropped", "once", "twice")
WEIGHTS = st.floats(0.01, 10)


@st.composite
def graphs(draw, nodes: int = 6) -> np.ndarray:
    """Undirected graphs with an edge from every node to the next, and loops."""
    weights = draw(hnp.arrays(float, (nodes, nodes), elements=st.just(0.0) | WEIGHTS))
    path = np.diag(np.ones(nodes - 1), 1)
    return symmetrised(np.abs(weights) + path)


PARTITIONS = hnp.arrays(np.int64, 6, elements=st.integers(0, 3))


def by_definition(graph: np.ndarray, s: np.ndarray) -> float:
    """−Σ g/2m log V/2m − Σ_k Σ_v S_vk d_v/2m log d_v/V_k, loop by loop; loops counted once."""
    degree = graph.sum(axis=1)
    total, volume = degree.sum(), s.T @ degree
    result = 0.0
    for k, v in itertools.product(range(s.shape[1]), range(len(s))):
        if s[v, k] * degree[v] == 0:
            continue
        cut = s[v, k] * sum(graph[v, u] * (1 - s[u, k]) for u in range(len(s)))
        result -= cut / total * np.log2(volume[k] / total)
        result -= s[v, k] * degree[v] / total * np.log2(degree[v] / volume[k])
    return result


# Known answers


def test_two_triangles_and_a_bridge_have_the_known_entropies(rng):
    found = structural_entropy(TRIANGLES, SPLIT, rng)
    assert found.h1_bits == pytest.approx(2.556657, abs=1e-6)
    assert found.h2_bits == pytest.approx(1.699514, abs=1e-6)
    assert found.gap == pytest.approx(0.335259, abs=1e-6)


def test_four_friends_in_pairs_and_two_edges_have_the_known_entropies():
    pairs, friends = np.array([0, 0, 1, 1]), np.ones((4, 4)) - np.eye(4)
    assert entropy_1d(friends) == pytest.approx(2.0)
    assert entropy_2d(friends, pairs) == pytest.approx(5 / 3)
    edges = np.kron(np.eye(2), np.ones((2, 2)) - np.eye(2))
    assert (entropy_1d(edges), entropy_2d(edges, pairs)) == pytest.approx((2.0, 1.0))


@pytest.mark.parametrize(("loops", "h2"), [("once", 0.25), ("twice", 1 / 7), ("dropped", 1.0)])
def test_loops_count_as_the_convention_says(loops, h2):
    graph = np.array([[3.0, 1.0], [1.0, 3.0]])
    assert entropy_2d(graph, np.arange(2), loops) == pytest.approx(h2)


def test_a_uniform_graph_in_balanced_clusters_has_the_known_entropy():
    found = entropy_2d(np.ones((16, 16)), np.arange(16) // 2, "once")
    assert found == pytest.approx(4 - np.log2(8) / 8) == pytest.approx(3.625)


# Against the definition, networkx and the training loss


@given(graphs(), hnp.arrays(float, (6, 3), elements=st.floats(0.0625, 1)))
def test_a_soft_partition_averages_outside_of_the_logarithm(graph, s):
    s /= s.sum(axis=1, keepdims=True)
    assert entropy_2d(graph, s, "once") == pytest.approx(by_definition(graph, s))


@given(graphs(), PARTITIONS)
def test_volumes_and_cuts_are_those_of_networkx(graph, partition):
    network = nx.from_numpy_array(graph)
    total = nx.volume(network, network, weight="weight")
    expected = 0.0
    for k in set(partition):
        own = set(np.flatnonzero(partition == k).tolist())
        volume = nx.volume(network, own, weight="weight")
        cut = nx.cut_size(network, own, weight="weight")
        expected -= cut / total * np.log2(volume / total)
        for _, d in network.degree(own, weight="weight"):
            expected -= d / total * np.log2(d / volume)
    assert entropy_2d(graph, partition, "twice") == pytest.approx(expected)


def test_the_train_convention_is_the_training_loss():
    glass = tiny.AGENT.glass
    with jax.enable_x64(True):
        draws = np.random.default_rng(3)
        tree = {
            "prototypes": jnp.asarray(draws.normal(size=(glass.prototypes, 16))),
            "assign_logits": jnp.asarray(draws.normal(size=(glass.prototypes, glass.clusters))),
        }
        latents = jnp.asarray(draws.random((4, 8, 16)))
        obs = jnp.zeros((4, 8, 15))
        _, terms = glass_loss(tiny.AGENT, tiny.TRAIN.glass, {"glass": tree}, latents, obs)
        c = np.asarray(glass_ops.soft_assignment(glass, tree, latents))
        s = np.asarray(glass_ops.partition(glass, tree))
        trained = float(terms["glass_entropy"])
    assert c.dtype == np.float64
    chain = markov_chain(soft_transition_counts(c.swapaxes(0, 1)), "soft-train")
    assert entropy_2d(chain.weights, s, "once") == pytest.approx(trained, abs=1e-6)
    assert entropy_2d(chain.weights, s, "dropped") != pytest.approx(trained, abs=0.01)


def test_the_undirected_entropy_of_a_flow_is_the_directed_one(rng):
    p = rng.dirichlet(np.ones(8), size=8)
    flow = markov_chain(p, "flow").weights
    partition, pi = np.arange(8) // 3, flow.sum(axis=1)
    directed = 0.0
    for k in range(3):
        own = partition == k
        volume = pi[own].sum()
        directed -= flow[np.ix_(own, ~own)].sum() * np.log2(volume)
        directed -= (pi[own] * np.log2(pi[own] / volume)).sum()
    assert entropy_2d(symmetrised(flow), partition, "once") == pytest.approx(directed)


# Invariants without loops


@given(graphs())
def test_singletons_and_one_block_explain_nothing(graph):
    h1 = entropy_1d(graph)
    assert entropy_2d(graph, np.arange(6)) == pytest.approx(h1)
    assert entropy_2d(graph, np.zeros(6, np.int64)) == pytest.approx(h1)


@given(graphs(), PARTITIONS, st.permutations(range(4)), st.permutations(range(6)), WEIGHTS)
def test_numbering_and_scale_do_not_matter(graph, partition, clusters, nodes, scale):
    for loops in LOOPS:
        expected = entropy_2d(graph, partition, loops)
        order = np.array(nodes)
        assert entropy_2d(graph, np.array(clusters)[partition], loops) == pytest.approx(expected)
        assert entropy_2d(graph * scale, partition, loops) == pytest.approx(expected)
        moved = entropy_2d(graph[np.ix_(order, order)], partition[order], loops)
        assert moved == pytest.approx(expected)
        assert -1e-9 <= expected <= entropy_1d(graph, loops) + 1e-9


def test_nothing_is_said_of_a_graph_without_edges(rng):
    found = structural_entropy(np.diag([1.0, 2.0]), np.array([0, 1]), rng)
    assert (found.h1_bits, found.h2_bits, found.gap, found.z, found.p) == (0, 0, None, None, 1.0)


# Against random partitions


def test_a_planted_partition_is_better_than_all_of_the_same_sizes():
    blocks = np.kron(np.eye(4), np.ones((4, 4))) + 0.05
    found = structural_entropy(blocks, np.arange(16) // 4, np.random.default_rng(0))
    assert found.z < -5 and found.p == 1 / 1000 and found.h2_bits < found.null_h2_bits
    trivial = structural_entropy(blocks, np.zeros(16, np.int64), np.random.default_rng(0))
    assert (trivial.z, trivial.p) == (None, 1.0)


def test_the_null_is_all_arrangements_of_the_same_sizes_and_leaves_unlinked_nodes_alone(rng):
    graph, partition = np.zeros((8, 8)), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    graph[:6, :6] = TRIANGLES
    null = [entropy_2d(TRIANGLES, np.array(each)) for each in itertools.permutations(SPLIT)]
    found = structural_entropy(graph, partition, rng, replicates=4_000)
    assert found.null_h2_bits == pytest.approx(np.mean(null), abs=0.005)
    expected = (found.h2_bits - np.mean(null)) / np.std(null)
    assert found.z == pytest.approx(expected, rel=0.05)


def test_random_partitions_are_significant_in_one_of_twenty_graphs():
    draws = np.random.default_rng(5)

    def p() -> float:
        graph = symmetrised(draws.random((10, 10)))
        return structural_entropy(graph, draws.permutation(10) % 3, draws, replicates=199).p

    found = np.array([p() for _ in range(600)])
    assert 0.03 <= (found <= 0.05).mean() <= 0.07


# The best partition


def test_the_greedy_partition_finds_triangles_and_blocks():
    assert greedy_partition(TRIANGLES).tolist() == SPLIT.tolist()
    blocks = np.kron(np.eye(4), np.ones((4, 4))) + 0.02 * np.random.default_rng(0).random((16, 16))
    order = np.random.default_rng(0).permutation(16)
    found = greedy_partition(symmetrised(blocks)[np.ix_(order, order)])
    assert len(set(zip(found, order // 4, strict=True))) == 4


@settings(max_examples=30)
@given(graphs(), st.sampled_from(LOOPS))
def test_no_move_of_a_node_improves_a_greedy_partition(graph, loops):
    found = greedy_partition(graph, self_loops=loops)
    best = entropy_2d(graph, found, loops)
    assert best <= entropy_2d(graph, np.arange(6), loops) + 1e-9
    for v, k in itertools.product(range(6), range(found.max() + 1)):
        moved = found.copy()
        moved[v] = k
        if (found == found[v]).sum() > 1:
            assert best <= entropy_2d(graph, moved, loops) + 1e-9


@settings(max_examples=20)
@given(graphs(), st.integers(1, 7))
def test_a_greedy_partition_has_as_many_clusters_as_asked_for_numbered_from_the_first(graph, k):
    found = greedy_partition(graph, k)
    firsts = [int(np.flatnonzero(found == i)[0]) for i in range(found.max() + 1)]
    assert len(firsts) == min(k, 6) and firsts == sorted(firsts)


def partitions(nodes: int) -> list[tuple[int, ...]]:
    """All of them, as cluster numbers that count up from the first node."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(nodes):
        found = [(*p, k) for p in found for k in range(max(p, default=-1) + 2)]
    return found


def test_the_greedy_partition_is_mostly_the_best_of_all_and_else_close():
    every = [np.array(p) for p in partitions(6)]
    assert len(every) == 203
    excess = []
    for seed in range(25):
        graph = symmetrised(np.random.default_rng(seed).exponential(size=(6, 6)) ** 2)
        h2 = [entropy_2d(graph, p) for p in every]
        excess.append(entropy_2d(graph, greedy_partition(graph)) - min(h2))
    assert min(excess) > -1e-9
    assert np.mean(np.array(excess) < 1e-9) > 0.8
    assert max(excess) < 0.05


def test_nodes_without_edges_stay_by_themselves():
    graph = np.zeros((8, 8))
    graph[1:7, 1:7] = TRIANGLES
    assert greedy_partition(graph).tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    assert greedy_partition(np.zeros((3, 3))).tolist() == [0, 1, 2]
