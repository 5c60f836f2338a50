"""The report's part on runs together: points against return, and the tests beside them."""

from itertools import combinations

import pytest

from glassviz.compare.compare import compare
from glassviz.compare.returns import NAMED, PRIMARY
from glassviz.figures.returns import Panel, against_return
from glassviz.report.phrases.comparison import other_metrics
from glassviz.report.phrases.numbers import p_value
from glassviz.report.sections import parts_of
from tests.helpers.planted_runs import HOP, UNLOCKED, assessed, planted


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Six runs of which the first four are locked, and the last has no labels."""
    folder = tmp_path_factory.mktemp("many")
    traces = [planted(HOP, HOP, name=f"hop{i}", returns=(400 + i, 380 + i)) for i in range(4)]
    traces.append(planted(UNLOCKED, UNLOCKED, name="loose", returns=(100, 120)))
    traces.append(planted(HOP, HOP, name="plain", returns=(200, 210), glass=False))
    return compare([assessed(folder, trace) for trace in traces])


def part_of(together, title):
    [part] = [part for part in parts_of(together) if part.title == title]
    return part


def test_every_checkpoint_is_a_point_against_return_with_its_basin_and_its_test(many):
    part = part_of(many, "With the planner (mppi)")
    [drawing] = part.drawings
    panels = drawing.figure.axes
    assert [each.get_xlabel() for each in panels] == [PRIMARY, *NAMED]
    # Numbers go by return, so that plain is 5 and loose 6; plain has no kappa.
    assert [sorted(text.get_text() for text in each.texts) for each in panels] == [
        list("12346")
    ] * len(panels)
    kappa = panels[0].lines
    [own] = many.by_controller
    primary = own.stability_and_return.correlations[0]
    shown = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in kappa)
    assert shown == sorted(zip(primary.values, primary.returns, strict=True))
    assert len({(line.get_marker(), line.get_markerfacecolor()) for line in kappa}) == 2
    test = primary.test
    assert f"fleiss_kappa ρ = {test.statistic:.2f}, n = 5, {p_value(test.p)}" in drawing.caption
    assert f"(smallest attainable {test.smallest_p:.2g})" in drawing.caption
    assert "5 plain, 6 loose" in drawing.caption


def test_numbers_of_points_that_lie_close_do_not_lie_on_each_other():
    returns = {i: 100.0 + (i % 3) for i in range(1, 13)}
    panel = Panel("locking_u", "", dict.fromkeys(returns, 0.5) | {12: 1.0, 11: 0.0})
    figure = against_return([panel], returns, dict.fromkeys(returns, "split"))
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 12
    apart = sum(not a.overlaps(b) for a, b in combinations(boxes, 2))
    assert apart == 12 * 11 / 2


def test_metrics_other_than_the_named_are_in_a_table_with_their_tests(many):
    part = part_of(many, "With the planner (mppi)")
    [own] = many.by_controller
    labels, body = part.tables
    tested = {each.metric: each for each in own.stability_and_return.correlations if each.test}
    assert {row[0] for row in (*labels.rows, *body.rows)} == set(tested)
    for row in (*labels.rows, *body.rows):
        test = tested[row[0]].test
        assert (row[1], row[2]) == (str(len(tested[row[0]].runs)), f"{test.statistic:+.2f}")
        assert (row[4], row[5]) == (f"{test.p:.2g}", f"{test.smallest_p:.2g}")
    assert other_metrics(own.stability_and_return) in part.told
    assert set(tested).isdisjoint(labels.note.split(": ")[-1].rstrip(".").split(", "))


def test_without_labels_there_is_nothing_to_draw_against_return_and_it_says_so(tmp_path):
    traces = [planted(HOP, name=name, returns=1.0, glass=False) for name in ("a", "b")]
    together = compare([assessed(tmp_path, trace) for trace in traces])
    [drawing] = part_of(together, "With the planner (mppi)").drawings
    assert drawing.figure is None and "No run has fleiss_kappa" in drawing.alt
