"""Known answers and invariants of prototypes, partition, labels and structural entropy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.agents import glass
from glassviz.agents.config import GlassConfig

TWO_TRIANGLES = np.zeros((6, 6), np.float32)
for a, b in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]:
    TWO_TRIANGLES[a, b] = TWO_TRIANGLES[b, a] = 1.0
K4 = np.ones((4, 4), np.float32) - np.eye(4, dtype=np.float32)
TWO_EDGES = np.kron(np.eye(2), [[0, 1], [1, 0]]).astype(np.float32)
TWO_LOOPS = np.array([[3, 1], [1, 3]], np.float32)


def blocks(*members):
    """One-hot membership: the cluster of each node."""
    return jnp.eye(max(members) + 1, dtype=jnp.float32)[jnp.array(members)]


def random_graph(seed, nodes=7):
    weights = np.random.default_rng(seed).random((nodes, nodes)).astype(np.float32)
    return weights + weights.T


@pytest.mark.parametrize(
    ("graph", "members", "h1", "h2"),
    [
        (TWO_TRIANGLES, (0, 0, 0, 1, 1, 1), 2.556657, 1.699514),
        (K4, (0, 0, 1, 1), 2.0, 1.666667),
        (TWO_EDGES, (0, 0, 1, 1), 2.0, 1.0),
    ],
    ids=["two triangles", "K4 in pairs", "two edges"],
)
@pytest.mark.parametrize("self_loops", ["once", "dropped"])
def test_structural_entropy_of_known_graphs(graph, members, h1, h2, self_loops):
    np.testing.assert_allclose(glass.entropy_1d(jnp.array(graph), self_loops), h1, atol=2e-6)
    found = glass.entropy_2d(jnp.array(graph), blocks(*members), self_loops)
    np.testing.assert_allclose(found, h2, atol=2e-6)


@pytest.mark.parametrize(("self_loops", "h2"), [("once", 0.25), ("dropped", 1.0)])
def test_self_loops_count_by_the_convention_named(self_loops, h2):
    found = glass.entropy_2d(jnp.array(TWO_LOOPS), blocks(0, 1), self_loops)
    np.testing.assert_allclose(found, h2, atol=1e-6)


def test_uniform_graph_in_balanced_clusters():
    graph, members = jnp.ones((16, 16)), blocks(*np.repeat(np.arange(8), 2))
    np.testing.assert_allclose(glass.entropy_1d(graph), 4.0, atol=1e-6)
    np.testing.assert_allclose(glass.entropy_2d(graph, members), 3.625, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1))
def test_singletons_and_one_block_say_no_more_than_the_degrees(seed):
    graph = jnp.array(random_graph(seed))
    h1 = glass.entropy_1d(graph, "dropped")
    for members in (range(7), [0] * 7):
        h2 = glass.entropy_2d(graph, blocks(*members), "dropped")
        np.testing.assert_allclose(h2, h1, rtol=1e-5)


@settings(max_examples=25)
@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.integers(0, 3), min_size=7, max_size=7),
    st.permutations(range(7)),
    st.permutations(range(4)),
    st.floats(0.01, 100.0),
)
def test_entropy_ignores_names_order_and_scale(seed, members, nodes, names, scale):
    graph, membership = random_graph(seed), np.eye(4, dtype=np.float32)[members]
    h2 = glass.entropy_2d(jnp.array(graph), jnp.array(membership), "dropped")
    nodes, names = np.array(nodes), np.array(names)
    changed = glass.entropy_2d(
        jnp.array(np.float32(scale) * graph[nodes][:, nodes]),
        jnp.array(membership[nodes][:, names]),
        "dropped",
    )
    np.testing.assert_allclose(changed, h2, rtol=1e-4)


def test_a_soft_partition_takes_its_logarithms_outside_the_mixture(rng):
    graph, soft = random_graph(0), rng.dirichlet(np.ones(3), size=7).astype(np.float32)
    degree, total = graph.sum(axis=1), graph.sum()
    volume = soft.T @ degree
    expected = 0.0
    for k in range(3):
        cut = sum(soft[n, k] * (degree[n] - graph[n] @ soft[:, k]) for n in range(7))
        expected -= cut / total * np.log2(volume[k] / total)
        for n in range(7):
            expected -= soft[n, k] * degree[n] / total * np.log2(degree[n] / volume[k])
    np.testing.assert_allclose(
        glass.entropy_2d(jnp.array(graph), jnp.array(soft)), expected, rtol=1e-5
    )


def test_empty_clusters_leave_value_and_gradient_finite():
    members = jnp.pad(blocks(0, 0, 0, 1, 1, 1), ((0, 0), (0, 2)))
    value, gradient = jax.value_and_grad(glass.entropy_2d)(jnp.array(TWO_TRIANGLES), members)
    np.testing.assert_allclose(value, 1.699514, atol=2e-6)
    assert jnp.isfinite(gradient).all()


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1))
def test_transition_matrix_rows_sum_to_one_and_follow_the_order_of_time(seed):
    c = jax.nn.softmax(jax.random.normal(jax.random.key(seed), (9, 5)))
    p = glass.transition_matrix(c[:-1], c[1:])
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-5)
    graph = glass.transition_graph(p)
    np.testing.assert_allclose(graph, graph.T, rtol=1e-6)
    clock = jnp.eye(3)[jnp.array([0, 1, 2, 0, 1, 2, 0])]
    assert (glass.transition_matrix(clock[:-1], clock[1:])[[0, 1, 2], [1, 2, 0]] > 0.999).all()


CONFIG = GlassConfig(prototypes=3, clusters=3, proto_temperature=0.7, assignment_temperature=0.5)
# The two rules part ways here: prototype 0 is nearest and leans to cluster 0, prototypes 1 and 2
# are nearly as near and both belong to cluster 1.
PARAMS = {
    "prototypes": jnp.array([[1.0, 0.0], [0.9, 0.4], [0.9, -0.4]]),
    "assign_logits": jnp.array([[0.5, 0.4, 0.0], [-2.0, 2.0, 0.0], [-2.0, 2.0, 0.0]]),
}
Z = jnp.array([[2.0, 0.1], [0.1, 2.0]])


def test_soft_assignment_is_the_softmax_of_cosines_over_tau():
    cosines = np.array(
        [
            [z @ m / np.linalg.norm(z) / np.linalg.norm(m) for m in np.array(PARAMS["prototypes"])]
            for z in np.array(Z)
        ]
    )
    expected = np.exp(cosines / 0.7) / np.exp(cosines / 0.7).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(glass.soft_assignment(CONFIG, PARAMS, Z), expected, rtol=1e-5)


def test_partition_is_the_row_softmax_at_its_own_temperature():
    logits = np.array(PARAMS["assign_logits"]) / 0.5
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(glass.partition(CONFIG, PARAMS), expected, rtol=1e-5)


def test_the_label_is_the_nearest_prototypes_cluster_and_the_soft_rule_may_differ():
    np.testing.assert_array_equal(glass.nearest_prototype(CONFIG, PARAMS, Z), [0, 1])
    np.testing.assert_array_equal(glass.label(CONFIG, PARAMS, Z), [0, 1])
    np.testing.assert_array_equal(glass.label(CONFIG, PARAMS, Z, rule="soft"), [1, 1])


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1))
def test_the_soft_rule_becomes_the_nearest_prototypes_as_tau_falls(seed):
    proto_key, logit_key, z_key = jax.random.split(jax.random.key(seed), 3)
    params = {
        "prototypes": jax.random.normal(proto_key, (5, 4)),
        "assign_logits": 5.0 * jax.random.normal(logit_key, (5, 3)),
    }
    config = GlassConfig(prototypes=5, clusters=3, proto_temperature=1e-5)
    z = jax.random.normal(z_key, (20, 4))
    hard, soft = (glass.label(config, params, z, rule) for rule in ("nearest-prototype", "soft"))
    assert np.mean(hard == soft) >= 0.95


def test_l2_similarity_heeds_length_where_cosine_does_not():
    params = {"prototypes": jnp.array([[1.0, 0.0], [3.0, 1.0]]), "assign_logits": jnp.eye(2)}
    z = jnp.array([3.0, 0.3])
    assert glass.nearest_prototype(GlassConfig(similarity="cosine"), params, z) == 0
    assert glass.nearest_prototype(GlassConfig(similarity="l2"), params, z) == 1


def test_prototypes_belong_to_the_super_clusters_of_their_clusters():
    params = PARAMS | {"super_assign_logits": jnp.array([[9.0, -9.0], [-9.0, 9.0], [-9.0, 9.0]])}
    fine = glass.partition(CONFIG, params)
    coarse = fine @ glass.super_partition(CONFIG, params)
    np.testing.assert_allclose(coarse.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(coarse[:, 0], fine[:, 0], atol=1e-5)


def test_active_clusters_are_counted_from_the_partition_alone():
    params = {"assign_logits": jnp.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])}
    config = GlassConfig(prototypes=2, clusters=3)
    assert glass.active_in_partition(config, params) == 2
