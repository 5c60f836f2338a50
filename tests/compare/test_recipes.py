"""Totals of recipes: n counts checkpoints, on one scale, the better recipe first."""

from pathlib import Path

import pytest

from glassviz.agents.config import EnvConfig
from glassviz.compare.recipes import UNKNOWN, recipe_totals
from glassviz.rollout.evaluate import Evaluation, Fresh


def fresh(name: str, recipe: str | None, *returns: float, **changes) -> Fresh:
    settings = {"checkpoint_sha256": name, "env": EnvConfig()} | changes
    evaluation = Evaluation(0, "pi", returns)
    return Fresh(Path(f"{name}.safetensors"), "pi", evaluation, None, recipe=recipe, **settings)


ROWS = [fresh(f"low{i}", "low", 10.0 + i, 12.0 + i) for i in range(4)] + [
    fresh(f"high{i}", "high", 100.0 + i, 104.0 + i) for i in range(4)
]


def test_recipes_have_mean_interquartile_mean_and_intervals_over_their_checkpoints():
    low, high = recipe_totals(ROWS).recipes
    assert (low.recipe, len(low.returns.runs), len(high.returns.runs)) == ("low", 4, 4)
    assert low.returns.mean.estimate == pytest.approx(12.5)
    assert low.returns.iqm.estimate == pytest.approx(12.5)
    assert low.returns.mean.low < 12.5 < low.returns.mean.high


def test_the_better_recipe_is_named_first_and_order_changes_nothing():
    [found] = recipe_totals(ROWS).improvements
    assert (found.one, found.other, found.probability) == ("high", "low", 1.0)
    assert (found.low, found.high) == (1.0, 1.0)
    [again] = recipe_totals([*ROWS[4:], *ROWS[:4]]).improvements
    assert again == found


def test_an_improvement_can_be_read_from_either_side():
    totals = recipe_totals([*ROWS[:2], *ROWS[4:6], fresh("between", "high", 11.5)])
    low, high = (totals.of(row) for row in (ROWS[0], ROWS[4]))
    [over], [under] = totals.improvements_of(high), totals.improvements_of(low)
    assert (over.one, under.one) == ("high", "low")
    assert over.probability + under.probability == pytest.approx(1)
    assert (under.low, under.high) == pytest.approx((1 - over.high, 1 - over.low))
    assert totals.of(fresh("a", "another", 1.0)) is None


def test_a_checkpoint_counts_once_and_one_alone_has_no_interval():
    found = recipe_totals([ROWS[0], ROWS[0], ROWS[4]])
    assert [len(each.returns.runs) for each in found.recipes] == [1, 1]
    assert found.recipes[0].returns.mean.low is None
    assert found.improvements[0].low is None


def test_one_checkpoint_and_other_settings_have_no_totals():
    assert recipe_totals(ROWS[:1]).recipes == ()
    other = fresh("other", "low", 1.0, env=EnvConfig(task="hopper-stand"))
    found = recipe_totals([*ROWS, other])
    assert found.recipes == () and not found.common_scale


def test_files_that_do_not_tell_their_recipe_are_one_group():
    found = recipe_totals([fresh("a", None, 1.0), fresh("b", None, 2.0)])
    assert [each.recipe for each in found.recipes] == [UNKNOWN] and found.improvements == ()
