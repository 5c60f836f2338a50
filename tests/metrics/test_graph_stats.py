"""Numbers of transition graphs: known walks, conventions, the training loss, and networkx."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tests.helpers.tiny as tiny
from glassviz.agents import glass as glass_ops
from glassviz.metrics.structural_entropy import cut, modularity
from glassviz.metrics.transitions import (
    Walks,
    graph_stats,
    markov_chain,
    partition_stats,
    slowest_by_lag,
    spectral_gap,
    timescales,
    transition_counts,
)
from glassviz.training.losses import glass_loss

TRIANGLES = nx.to_numpy_array(nx.barbell_graph(3, 0))
SPLIT = np.array([0, 0, 0, 1, 1, 1])
DT_S = 0.02
CLOCK = np.tile(np.repeat([2, 0, 3, 1], 10), 25)[None]
MODES = ("frame", "jump", "soft-train", "flow")


def one_hot(cluster, clusters: int) -> np.ndarray:
    return np.eye(clusters)[cluster]


def described(prototype, cluster, mode="jump", soft=None, clusters=None):
    s = one_hot(cluster, clusters or max(cluster) + 1)
    label = np.where(prototype >= 0, np.array(cluster)[prototype], -1)
    return graph_stats(
        Walks(prototype, label, soft), s, mode, DT_S, np.random.default_rng(0), replicates=99
    )


# The cut and modularity ---------------------------------------------------------------------------


def test_the_cut_of_two_triangles_is_the_bridge_and_below_chance(rng):
    found = cut(TRIANGLES, SPLIT, rng)
    assert found.share == pytest.approx(1 / 7)
    assert found.null_share == pytest.approx(0.6, abs=0.05) and found.z < -2
    # Two of the twenty ways to halve six nodes are the triangles.
    assert found.p == pytest.approx(0.1, abs=0.04)


def test_a_cut_without_edges_or_with_one_cluster_says_nothing():
    nothing = cut(np.diag([1.0, 2.0]), np.array([0, 1]), np.random.default_rng(0))
    assert (nothing.share, nothing.null_share, nothing.z, nothing.p) == (None, None, None, 1.0)
    whole = cut(TRIANGLES, np.zeros(6, np.int64), np.random.default_rng(0))
    assert (whole.share, whole.z, whole.p) == (0.0, None, 1.0)


@given(
    hnp.arrays(float, (5, 5), elements=st.just(0.0) | st.floats(0.01, 10)),
    hnp.arrays(np.int64, 5, elements=st.integers(0, 2)),
)
def test_modularity_is_that_of_networkx(weights, partition):
    for loops in ("dropped", "once"):
        own = weights * (1 - np.eye(5)) if loops == "dropped" else weights
        found = modularity(weights, partition, loops)
        if not own.any():
            assert found is None
            continue
        network = nx.from_numpy_array(own, create_using=nx.DiGraph)
        groups = [set(np.flatnonzero(partition == k).tolist()) for k in np.unique(partition)]
        assert found == pytest.approx(nx.community.modularity(network, groups))


def test_modularity_of_two_triangles_is_the_known_one():
    assert modularity(TRIANGLES, SPLIT) == pytest.approx(6 / 7 - 0.5)


# Timescales ---------------------------------------------------------------------------------------


def test_a_two_state_chain_forgets_at_the_known_rate():
    stay, leave = 0.9, 0.2
    counts = np.array([[stay, 1 - stay], [leave, 1 - leave]]) * 1000
    chain = markov_chain(counts)
    [found] = timescales(chain, DT_S)
    assert found.relaxation_s == pytest.approx(-DT_S / np.log(stay - leave))
    assert found.turn_s is None
    assert spectral_gap(chain) == pytest.approx(1 - (stay - leave))


def test_a_clock_without_dwell_turns_for_ever_and_never_forgets():
    states = np.tile([0, 1, 2], 30)[None]
    chain = markov_chain(transition_counts(states, 3))
    [found] = timescales(chain, DT_S)
    assert found.relaxation_s is None and found.turn_s == pytest.approx(3 * DT_S)
    assert spectral_gap(chain) == pytest.approx(0)


def test_no_two_states_have_no_timescale():
    for states in (np.zeros((1, 5), np.int64), np.full((1, 5), -1), np.arange(5)[None]):
        chain = markov_chain(transition_counts(states, 5))
        assert timescales(chain, DT_S) == () and spectral_gap(chain) is None
        assert set(slowest_by_lag(states, 5, DT_S).values()) == {None}


def test_the_slowest_time_grows_with_the_lag_for_a_clock_but_not_for_a_markov_chain(rng):
    clock = slowest_by_lag(CLOCK, 4, DT_S, (1, 5, 10))
    assert clock[5] > 1.4 * clock[1] and clock[10] is None, "ten frames are its dwell"
    draws, state, states = rng.random(50_000), 0, []
    for u in draws:
        state = (state + (u < 0.1)) % 2
        states.append(state)
    markov = slowest_by_lag(np.array(states)[None], 2, DT_S, (1, 5))
    assert markov[5] == pytest.approx(markov[1], rel=0.1)


# The whole graph ----------------------------------------------------------------------------------


def test_a_clock_is_one_cycle_at_both_levels():
    found = described(CLOCK, [0, 0, 1, 1])
    assert found.prototypes.cycles[0].states == (0, 3, 1, 2)
    assert found.labels.cycles[0].states == (0, 1)
    assert found.prototypes.entropy_rate_bits == 0 and found.prototypes.irreversibility == 1
    assert found.labels.irreversibility == pytest.approx(0, abs=1e-9)
    assert found.prototypes.switches == 99
    assert found.prototypes.visited == (0, 1, 2, 3)
    assert found.prototypes.occupancy == pytest.approx(np.full(4, 0.25))
    assert found.prototypes.occupancy_distance == pytest.approx(0, abs=0.01)


def test_episodes_are_pooled_and_nothing_is_counted_across_them_or_their_openings():
    episodes = np.array([[-1, -1, 0, 0, 1], [-1, 2, 2, 0, 1]])
    found = described(episodes, [0, 0, 1])
    expected = np.zeros((3, 3))
    for i, j in [(0, 0), (0, 1), (2, 2), (2, 0), (0, 1)]:
        expected[i, j] += 1
    assert np.array_equal(found.prototypes.counts, expected)
    assert found.prototypes.frames.tolist() == [3, 2, 2]


def test_structural_entropy_of_the_flow_is_the_same_in_all_hard_modes():
    walk, cluster = np.random.default_rng(3).integers(0, 6, (3, 200)), [0, 0, 1, 1, 2, 2]
    frame, jump, flow = (described(walk, cluster, mode) for mode in ("frame", "jump", "flow"))
    for other in (jump, flow):
        assert other.flow.entropy == frame.flow.entropy
    switches = partition_stats(
        "flow", jump.prototypes.chain.flow, one_hot(cluster, 3), np.random.default_rng(0)
    )
    assert switches.entropy.h2_bits == pytest.approx(frame.flow.entropy.h2_bits, abs=1e-9)


def test_the_search_finds_triangles_that_the_learned_partition_misses(rng):
    found = partition_stats("flow", TRIANGLES, one_hot([0, 1, 0, 1, 0, 1], 2), rng)
    assert found.best.tolist() == SPLIT.tolist()
    assert found.best_h2_bits == pytest.approx(1.699514, abs=1e-6)
    assert found.best_gap == pytest.approx(0.335259, abs=1e-6)
    assert found.entropy.h2_bits > found.best_h2_bits


def test_the_train_convention_keeps_loops_once_and_its_search_keeps_the_number_of_clusters(rng):
    blocks = np.kron(np.eye(2), np.ones((3, 3))) + 0.01
    found = partition_stats("train", blocks, one_hot([0, 1, 0, 1, 0, 1], 4), rng)
    assert found.entropy.self_loops == "once"
    assert found.best.tolist() == SPLIT.tolist()


@pytest.mark.parametrize("opening", [0, 2])
def test_the_train_convention_is_the_training_loss(opening):
    """On the soft assignments that a trace keeps, in single precision."""
    glass, draws = tiny.AGENT.glass, np.random.default_rng(5)
    with jax.enable_x64(True):
        tree = {
            "prototypes": jnp.asarray(draws.normal(size=(glass.prototypes, 16))),
            "assign_logits": jnp.asarray(draws.normal(size=(glass.prototypes, glass.clusters))),
        }
        latents = jnp.asarray(draws.random((40, 8, 16)))
        after, obs = latents[opening:], jnp.zeros((40 - opening, 8, 15))
        _, terms = glass_loss(tiny.AGENT, tiny.TRAIN.glass, {"glass": tree}, after, obs)
        trained = float(terms["glass_entropy"])
        c = np.asarray(glass_ops.soft_assignment(glass, tree, latents), np.float32)
        s = np.asarray(glass_ops.partition(glass, tree), np.float64)
    soft = c.swapaxes(0, 1)
    prototype = soft.argmax(axis=-1)
    prototype[:, :opening] = -1
    label = np.where(prototype >= 0, s.argmax(axis=1)[prototype], -1)
    found = graph_stats(
        Walks(prototype, label, soft), s, "soft-train", DT_S, np.random.default_rng(0), 9
    )
    assert found.train.entropy.h2_bits == pytest.approx(trained, abs=1e-6)
    assert found.flow.entropy.h2_bits != pytest.approx(trained, abs=0.01)


def test_the_soft_chain_of_certain_frames_is_the_hard_one_at_both_levels():
    prototype = np.random.default_rng(1).integers(0, 4, (2, 300))
    soft = np.eye(4, dtype=np.float32)[prototype]
    hard, found = (described(prototype, [0, 1, 1, 2], m, soft) for m in ("frame", "soft-train"))
    assert found.prototypes.chain.p == pytest.approx(hard.prototypes.chain.p, abs=1e-5)
    assert found.labels.chain.p == pytest.approx(hard.labels.chain.p, abs=1e-5)


def test_soft_assignments_are_needed_for_the_soft_chain():
    with pytest.raises(ValueError, match="soft-train"):
        described(CLOCK, [0, 0, 1, 1], "soft-train")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "walk",
    [np.zeros((2, 5), np.int64), np.full((1, 4), -1), np.array([[0], [1]]), np.array([[0, 1, 2]])],
    ids=["one state", "no frame", "no transition", "never back"],
)
def test_degenerate_walks_have_none_for_what_is_undefined_and_no_nan(walk, mode, rng):
    soft = rng.dirichlet(np.ones(3), walk.shape).astype(np.float32)
    found = described(walk, [0, 0, 1], mode, soft)
    for level in (found.prototypes, found.labels):
        assert np.isfinite(level.chain.weights).all() and np.isfinite(level.stationary).all()
        for name in ("entropy_rate_bits", "entropy_rate", "irreversibility", "occupancy_distance"):
            value = getattr(level, name)
            assert value is None or np.isfinite(value)
    assert found.flow.entropy.gap is None or np.isfinite(found.flow.entropy.gap)
    assert np.isfinite([found.train.entropy.h2_bits, found.train.best_h2_bits]).all()


def test_the_best_partition_is_never_worse_than_the_hard_one_that_was_learned():
    for seed in range(20):
        graph = np.random.default_rng(seed).exponential(size=(8, 8)) ** 3
        member = np.random.default_rng(seed).permutation(8) % 3
        for convention in ("flow", "train"):
            found = partition_stats(
                convention, graph, one_hot(member, 3), np.random.default_rng(0), 9
            )
            assert found.best_h2_bits <= found.entropy.h2_bits + 1e-12
