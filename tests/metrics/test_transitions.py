"""Chains of labels: counts by hand, entropy rates, direction and cycles of known processes."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glassviz.metrics.transitions import (
    dominant_cycle,
    dominant_cycles,
    entropy_rate,
    entropy_rate_bits,
    irreversibility,
    markov_chain,
    soft_transition_counts,
    transition_counts,
)

EPISODES = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 3), st.integers(2, 30)), elements=st.integers(-1, 4)
)
CLOCK = np.tile(np.repeat([2, 0, 3, 1], 10), 25)[None]


def walk(p: np.ndarray, frames: int, seed: int = 0) -> np.ndarray:
    """One episode of a Markov chain."""
    draws = np.random.default_rng(seed).random(frames)
    upto, state, states = np.cumsum(p, axis=1), 0, []
    for u in draws:
        state = int(np.searchsorted(upto[state], u))
        states.append(state)
    return np.array(states)[None]


def test_counts_are_those_by_hand_and_stay_within_episodes():
    labels = np.array([[0, 0, 1, 2], [2, 1, 1, 0]])
    assert transition_counts(labels, 3).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 0]]


@given(EPISODES, st.integers(1, 4))
def test_nothing_is_counted_across_a_frame_that_is_left_out(labels, lag):
    expected = np.zeros((5, 5))
    for episode in labels:
        for t in range(len(episode) - lag):
            if (episode[t : t + lag + 1] >= 0).all():
                expected[episode[t], episode[t + lag]] += 1
    assert np.array_equal(transition_counts(labels, 5, lag), expected)


@given(EPISODES)
def test_soft_counts_of_certain_frames_are_hard_counts(labels):
    labels = np.abs(labels)
    one_hot = (labels[..., None] == np.arange(5)).astype(np.float32)
    assert np.array_equal(soft_transition_counts(one_hot), transition_counts(labels, 5))


@given(EPISODES)
def test_a_chain_is_a_chain(labels):
    for mode in ("frame", "jump", "soft-train", "flow"):
        chain = markov_chain(transition_counts(labels, 5), mode)
        left = chain.counts.sum(axis=1) > 0
        assert chain.p.sum(axis=1) == pytest.approx(left.astype(float))
        if chain.connected.any():
            assert chain.stationary.sum() == pytest.approx(1)
            assert chain.flow.sum(axis=1) == pytest.approx(chain.stationary)
            assert chain.flow.sum(axis=0) == pytest.approx(chain.stationary), "what enters leaves"
            assert 0 <= entropy_rate_bits(chain) <= np.log2(5) + 1e-9
        else:
            assert not chain.stationary.any() and entropy_rate_bits(chain) is None
        one_way = irreversibility(chain)
        assert one_way is None or 0 <= one_way <= 1


@given(EPISODES)
def test_connected_states_are_a_strongly_connected_component(labels):
    counts = transition_counts(labels, 5)
    assume(counts.any())
    connected = markov_chain(counts).connected
    components = nx.strongly_connected_components(nx.DiGraph(counts))
    inside = {frozenset(c): counts[np.ix_(list(c), list(c))] for c in components}
    switches = {c: within.sum() - np.trace(within) for c, within in inside.items()}
    if max(switches.values()) == 0:
        switches = {c: within.sum() for c, within in inside.items()}
    found = frozenset(np.flatnonzero(connected).tolist())
    assert switches.get(found, 0) == max(switches.values())


def test_a_hop_that_ends_lying_in_one_state_is_a_chain_of_the_hop():
    lying = np.array([[0, 1, 2] * 132 + [3] * 604])
    chain = markov_chain(transition_counts(lying, 4))
    assert chain.stationary == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_states_of_the_reset_and_the_last_fall_are_not_stationary_but_empirical():
    labels = np.array([[4, *[0, 1] * 20, 0, 5]])
    chain = markov_chain(transition_counts(labels, 6))
    assert chain.stationary == pytest.approx([0.5, 0.5, 0, 0, 0, 0])
    assert chain.empirical[4] == pytest.approx(1 / 42)
    assert chain.p[5].sum() == 0


def test_modes_weigh_the_graph_as_they_say():
    counts = transition_counts(CLOCK, 4)
    frame, jump = markov_chain(counts, "frame"), markov_chain(counts, "jump")
    soft, flow = markov_chain(counts, "soft-train"), markov_chain(counts, "flow")
    assert frame.weights[2] == pytest.approx([0.1, 0, 0.9, 0])
    assert jump.weights[2] == pytest.approx([1, 0, 0, 0])
    assert flow.weights[2] == pytest.approx([0.025, 0, 0.225, 0], abs=3e-3)
    assert soft.weights == pytest.approx((frame.p + frame.p.T) / 2, abs=1e-5)
    assert soft.p.min() > 0


def test_a_one_way_clock_is_certain_irreversible_and_one_cycle():
    counts = transition_counts(CLOCK, 4)
    jump = markov_chain(counts, "jump")
    assert entropy_rate_bits(jump) == entropy_rate(jump) == 0
    assert irreversibility(markov_chain(counts)) == pytest.approx(1.0)
    [cycle] = dominant_cycles(CLOCK)
    assert cycle.states == (0, 3, 1, 2) and cycle.count == 24
    assert cycle.share == pytest.approx(96 / 99), "the last round was not completed"


def test_a_two_label_clock_is_reversible_and_yet_a_cycle():
    labels = np.tile(np.repeat([3, 4], 7), 40)[None]
    assert irreversibility(markov_chain(transition_counts(labels, 5))) == pytest.approx(0, abs=1e-9)
    [cycle] = dominant_cycles(labels)
    assert cycle.states == (3, 4) and cycle.share == pytest.approx(78 / 79)


def test_the_entropy_rate_weighs_rows_by_their_visits():
    """Columns in the place of rows would give another value."""
    p = np.array([[0.9, 0.1], [0.5, 0.5]])
    counts = np.diag([500.0, 100.0]) @ p
    chain = markov_chain(counts)
    assert chain.stationary == pytest.approx([5 / 6, 1 / 6])
    h = [-(row * np.log2(row)).sum() for row in p]
    assert entropy_rate_bits(chain) == pytest.approx(5 / 6 * h[0] + 1 / 6 * h[1])


def test_a_die_has_the_highest_entropy_rate_and_no_direction():
    die = markov_chain(np.ones((6, 6)))
    assert (entropy_rate(die), irreversibility(die)) == pytest.approx((1.0, 0.0))
    jump = markov_chain(np.ones((6, 6)), "jump")
    assert entropy_rate_bits(jump) == pytest.approx(np.log2(5)) and entropy_rate(jump) == 1


def test_a_long_walk_has_the_stationary_flow_and_cycles_of_its_chain():
    p = np.array([[0, 0.8, 0.2], [0.1, 0, 0.9], [0.7, 0.3, 0]])
    labels = walk(p, 60_000)
    chain = markov_chain(transition_counts(labels, 3), "jump")
    values, vectors = np.linalg.eig(p.T)
    pi = np.real(vectors[:, np.argmax(values.real)])
    pi /= pi.sum()
    assert chain.stationary == pytest.approx(pi, abs=0.01)
    # Kalpazidou: cycles of a chain, each by its weight per step, make up its flow.
    cycles = {cycle.states: cycle.count / (labels.size - 1) for cycle in dominant_cycles(labels)}
    rebuilt = np.zeros((3, 3))
    for states, weight in cycles.items():
        for i, j in zip(states, states[1:] + states[:1], strict=True):
            rebuilt[i, j] += weight
    assert rebuilt == pytest.approx(pi[:, None] * p, abs=0.01)
    det = {(0, 1, 2): 0.8 * 0.9 * 0.7, (0, 2, 1): 0.2 * 0.3 * 0.1}
    assert cycles[0, 1, 2] / cycles[0, 2, 1] == pytest.approx(det[0, 1, 2] / det[0, 2, 1], rel=0.1)


@given(EPISODES)
def test_completed_cycles_are_switches_that_were_made_each_at_most_once(labels):
    made = transition_counts(labels, 5) * (1 - np.eye(5))
    used = np.zeros((5, 5))
    cycles = dominant_cycles(labels)
    for cycle in cycles:
        assert cycle.states[0] == min(cycle.states) and len(set(cycle.states)) == len(cycle.states)
        for i, j in zip(cycle.states, cycle.states[1:] + cycle.states[:1], strict=True):
            used[i, j] += cycle.count
        assert cycle.share == pytest.approx(cycle.count * len(cycle.states) / made.sum())
    assert (used <= made).all()
    left = made - used
    assert left.sum() <= 4 * (labels < 0).sum() + 4 * len(labels), "no more than an open piece each"
    assert len({cycle.states for cycle in cycles}) == len(cycles)
    assert [c.share for c in cycles] == sorted((c.share for c in cycles), reverse=True)


def test_a_loop_completed_once_is_not_dominant_however_long():
    """Twenty states once round carry more switches than two that alternate."""
    labels = np.array([[*range(20), 0, *[1, 0] * 8, 20]])
    cycles = dominant_cycles(labels)
    assert (cycles[0].states, cycles[0].count) == (tuple(range(20)), 1)
    assert dominant_cycle(cycles).states == (0, 1)
    assert dominant_cycle(dominant_cycles(labels[:, :22])) is None


def test_a_cycle_with_less_than_a_tenth_of_the_switches_is_not_dominant():
    pairs = [[2 * i, 2 * i + 1] * 3 for i in range(20)]
    cycles = dominant_cycles(np.array(pairs).reshape(1, -1))
    assert cycles[0].count == 2 and cycles[0].share < 0.1
    assert dominant_cycle(cycles) is None


def test_a_path_is_broken_where_frames_are_left_out():
    assert dominant_cycles(np.array([[0, 1, -1, 0, 1, -1, 1, 0]])) == ()
    [cycle] = dominant_cycles(np.array([[0, 1, -1, 1, 0, 1]]))
    assert cycle.states == (0, 1) and cycle.share == pytest.approx(2 / 3)


@pytest.mark.parametrize("labels", [[[-1, -1, -1]], [[0, -1, 1]], [[2]], [[]]])
def test_nothing_seen_is_nothing_said(labels):
    labels = np.array(labels, dtype=np.int32)
    for mode in ("frame", "jump", "flow"):
        chain = markov_chain(transition_counts(labels, 3), mode)
        assert not chain.connected.any() and not chain.weights.any()
        assert entropy_rate(chain) is irreversibility(chain) is None
    assert dominant_cycles(labels) == ()


def test_a_constant_label_is_certain_and_has_no_direction():
    chain = markov_chain(transition_counts(np.zeros((2, 9), np.int32), 2))
    assert (entropy_rate_bits(chain), entropy_rate(chain), irreversibility(chain)) == (
        0,
        None,
        None,
    )
    assert chain.stationary.tolist() == [1, 0]
