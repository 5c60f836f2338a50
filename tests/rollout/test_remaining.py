"""The time left is told within a factor of 1.5, whatever the steps cost."""

import numpy as np
import pytest

from glassviz.rollout.batch import Listener
from glassviz.rollout.remaining import Remaining, counting_sizes

CHECKED = (0.1, 0.25, 0.5, 0.75)
"""Shares of the whole time after which the estimate is held against the truth."""


class FakeClock:
    """A clock that work moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def work(parts, costs, trials_s=None, noise=0.0, overhead=0.0):
    """Do all parts; returns time and estimate after every step, and the end."""
    clock, rng = FakeClock(), np.random.default_rng(0)
    remaining = Remaining(parts, trials_s, clock)
    told, done, compiled = [], 0, set(trials_s or ())
    for kind, steps in parts:
        for _ in range(steps):
            clock.now += costs[kind] * (1 + noise * rng.uniform(-1, 1))
            clock.now += 0 if kind in compiled else overhead
            compiled.add(kind)
            done += 1
            told.append((clock.now, remaining(done)))
    return told, clock.now


def errors(told, end):
    """How many times too much or too little is said, at each of `CHECKED`."""
    for share in CHECKED:
        now, left_s = next(each for each in told if each[0] >= share * end)
        if end - now > 1e-9:
            yield max(left_s / (end - now), (end - now) / max(left_s, 1e-9))


QUICK_AND_SLOW = {"pi": 0.01, "mppi": 1.0}
ORDERS = {
    "alternating": [("mppi", 100), ("pi", 100)] * 4,
    "quick first": [("pi", 100)] * 4 + [("mppi", 100)] * 4,
    "slow first": [("mppi", 100)] * 4 + [("pi", 100)] * 4,
    "different lengths": [("mppi", 20), ("pi", 1000), ("mppi", 300), ("pi", 50)],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("off", [1.0, 0.5, 3.0])
def test_with_a_trial_that_may_be_off_the_time_left_is_right_from_a_tenth_on(order, off):
    trials_s = {kind: off * cost for kind, cost in QUICK_AND_SLOW.items()}
    told, end = work(ORDERS[order], QUICK_AND_SLOW, trials_s, noise=0.3)
    assert max(errors(told, end)) < 1.5


def test_without_a_trial_kinds_cost_what_they_did_once_both_were_met():
    told, end = work(ORDERS["alternating"], QUICK_AND_SLOW, noise=0.3)
    for now, left_s in told[110:-1:20]:
        assert left_s == pytest.approx(end - now, rel=0.1)


def test_compilation_is_not_taken_for_what_steps_cost():
    told, end = work([("step", 100)], {"step": 1.0}, overhead=60.0)
    now, left_s = told[10]
    assert left_s == pytest.approx(end - now)


def test_a_machine_that_became_slower_is_noticed_for_kinds_still_to_come():
    costs = {kind: 4 * cost for kind, cost in QUICK_AND_SLOW.items()}
    told, end = work(ORDERS["quick first"], costs, QUICK_AND_SLOW)
    now, left_s = told[50]
    assert left_s == pytest.approx(end - now, rel=0.01)


def test_steps_that_were_told_of_together_are_shared_among_their_kinds():
    clock = FakeClock()
    remaining = Remaining([("pi", 10), ("mppi", 10)], QUICK_AND_SLOW, clock)
    clock.now = 0.1 + 5.0
    assert remaining(15) == pytest.approx(5.0)


def test_runs_of_different_sizes_count_as_their_frames(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("time.perf_counter", clock)
    told: list[float] = []
    sizes = [100, 10_000, 100, 100, 5_000]
    on_done = counting_sizes(sizes, Listener(on_remaining=told.append))
    for done, size in enumerate(sizes, 1):
        clock.now += size / 100
        on_done(done, len(sizes))
    assert told == pytest.approx([152, 52, 51, 50, 0])


def test_at_the_end_nothing_is_left():
    told, _ = work([("pi", 3)], {"pi": 1.0})
    assert told[-1][1] == 0
