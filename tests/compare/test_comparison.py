"""What runs say together: known answers, planted truths, and what n is."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from glassviz.cli.tables import print_history, print_together
from glassviz.compare.compare import compare
from glassviz.compare.correspondence import comparison_answers
from glassviz.compare.groups import compare_controllers, compare_groups
from glassviz.compare.history import History, Moment, histories
from glassviz.compare.matching import gaits_correspond
from glassviz.compare.returns import (
    LEVEL,
    NAMED,
    PRIMARY,
    STRATUM_FROM,
    basin_shares,
    compare_values,
    metric_means,
    returns_of,
    stability_and_return,
)
from glassviz.compare.runs import (
    ComparedRun,
    ConfoundedRecipes,
    ContinuedFrom,
    Mismatch,
    MixedRecipes,
    Setting,
    SharedSeed,
    TooFewCheckpoints,
    Unmeasured,
    count_seeds,
    dependence,
    mismatch,
    mixed_recipes,
    one_per_training,
    unique_runs,
    with_checkpoint_names,
)
from glassviz.figures.history import history_figure
from glassviz.figures.style import save
from glassviz.metrics.stability import METRICS, OF_BODY
from glassviz.metrics.statistics import MeanInterval
from glassviz.report.documents import history_rows
from glassviz.report.phrases import comparison as phrases
from glassviz.report.phrases.numbers import majority, p_value
from glassviz.report.phrases.summary import lead
from glassviz.report.serialize import plain
from glassviz.rollout.find import with_history
from glassviz.rollout.run import Run
from glassviz.text import count_of, listed
from tests.helpers.planted_runs import HOP, KNEE, STILL, UNLOCKED, assessed, planted


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def template(folder):
    """What is known of one hop that is locked, to be given other numbers."""
    return assessed(folder, planted(HOP, HOP, name="template")).stability


@pytest.fixture(scope="module")
def still(folder):
    return assessed(folder, planted(STILL, STILL, name="still")).stability


SETTING = Setting("hopper-hop", "dm_control", 6.0)


def a_member(
    stability,
    name: str,
    mean: float = 0.0,
    kappa: float | None = None,
    *,
    controller: str = "mppi",
    spread: float = 1.0,
    **changes,
) -> ComparedRun:
    """One checkpoint whose return, spread over two episodes, and primary metric are given."""
    metrics = dict.fromkeys(METRICS)
    if kappa is not None:
        metrics[PRIMARY] = MeanInterval(kappa, None, None, 1, 0.95)
    episodes = tuple(
        replace(each, episode_return=float(mean + shift))
        for each, shift in zip(stability.episodes, (-spread, spread), strict=True)
    )
    own = replace(
        stability,
        checkpoint=name,
        checkpoint_sha256=changes.pop("sha", name),
        controller=controller,
        metrics=metrics,
        episodes=episodes,
        returns=MeanInterval(float(mean), None, None, 2, 0.95),
    )
    given = dict(glass=True, recipe=None, seed=None)
    given |= dict(started_from=None, shaped=None, setting=SETTING) | changes
    return ComparedRun(name=name, stability=own, **given)


# What is counted --------------------------------------------------------------------------------


def test_a_checkpoint_counts_once_by_the_trace_with_most_frames(folder):
    short = assessed(folder, planted(HOP, name="one"), "short")
    long = assessed(folder, planted(HOP, HOP, name="one"), "long")
    policy = assessed(folder, planted(HOP, name="one", controller="pi"), "short")
    kept, left_out = unique_runs([short, long, policy])
    assert [(each.name, each.controller) for each in kept] == [("long", "mppi"), ("short", "pi")]
    [left] = left_out
    assert (left.run, left.controller) == ("short", "mppi")
    assert (left.reason, left.counted_as) == ("duplicate", "long")
    assert phrases.left_out(left).endswith("same checkpoint and controller as long, counted once")


def trained(folder, stem, controller="pi", seed=1, steps=100, **provenance) -> Run:
    """A run of a checkpoint in a seed's folder of a run folder."""
    name = f"{stem}-{seed}-{provenance}"
    run = assessed(folder, planted(HOP, name=name, controller=controller), name)
    place = folder / f"seed_{seed}" / "checkpoints" / f"{stem}.safetensors"
    return replace(run, target=place, provenance={"seed": seed, "env_steps": steps} | provenance)


TRAINED = {"training": {"agent": {"latent_dim": 8}, "steps": 500}, "recipe": "1b"}


@pytest.mark.parametrize("provenance", [TRAINED, {}])
def test_checkpoints_of_one_training_run_are_one_seed(folder, provenance):
    one = [
        trained(folder, stem, controller, steps=steps, **provenance)
        for stem, steps in (("best_mppi", 200), ("last", 400), ("step_000000100", 100))
        for controller in ("pi", "mppi")
    ]
    other = trained(folder, "last", seed=2, **provenance)
    kept, left_out = one_per_training([*one, other])
    assert [(each.checkpoint.stem, each.controller) for each in kept] == [
        ("best_mppi", "pi"),
        ("best_mppi", "mppi"),
        ("last", "pi"),
    ]
    assert {each.reason for each in left_out} == {"same-training"} and len(left_out) == 4
    assert "same training run as best_mppi-1" in phrases.left_out(left_out[0])
    assert count_seeds([*one, other]) == 2
    assert lead([*one, other])[0].startswith("With the policy, 2 of 2 runs hop.")


def test_a_longer_training_is_the_same_run_and_another_start_is_not(folder):
    first = trained(folder, "step_000000100", **TRAINED)
    longer = {"training": TRAINED["training"] | {"steps": 900}}
    resumed = trained(folder, "last", steps=800, **TRAINED | longer)
    changed = trained(folder, "last", **TRAINED | {"training": {"agent": {"latent_dim": 16}}})
    refined = trained(folder, "last", refined=[{"sha256": "0"}], **TRAINED)
    started = trained(folder, "last", init={"sha256": "1"}, **TRAINED)
    assert count_seeds([first, resumed]) == 1
    assert count_seeds([first, resumed, changed, refined, started]) == 4


def test_a_history_outside_of_a_run_folder_is_named_after_its_last_checkpoint(folder, tmp_path):
    runs = [trained(folder, f"step_{steps:09d}", steps=steps, **TRAINED) for steps in (100, 200)]
    # A folder with the name alone is no run folder.
    moved = [replace(run, target=tmp_path / "checkpoints" / run.target.name) for run in runs]
    [found] = histories(moved)
    assert found.run == runs[1].name


def test_a_history_has_gait_labels_and_return_over_environment_steps(folder, tmp_path):
    runs = [
        trained(folder, f"step_{steps:09d}", steps=steps, **TRAINED) for steps in (300, 100, 200)
    ]
    alone = trained(folder, "step_000000100", seed=2, **TRAINED)
    [found] = histories([*runs, alone])
    assert [each.env_steps for each in found.moments] == [100, 200, 300]
    assert (found.run.split("/")[-1], found.controller) == ("seed_1", "pi")
    assert {(each.gait, each.labels, each.basin) for each in found.moments} == {
        ("hop", "phase-locked", "stable-hop")
    }
    console = Console(width=80, file=io.StringIO(), highlight=False)
    print_history(found, console)
    assert console.file.getvalue().count("phase-locked") == 4
    assert [each["env_steps"] for each in history_rows([found])] == [100, 200, 300]
    save(history_figure([found]), tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


def test_a_history_tells_since_when_the_last_verdicts_hold_and_which_settled_first():
    moment = Moment(
        0,
        "run",
        "hop",
        {"hop": 3},
        "none",
        {"none": 3},
        "unstable",
        {},
        MeanInterval(9.0, None, None, 1, LEVEL),
    )

    def history(gaits: str, labels: str) -> History:
        names = {"h": "hop", "f": "fall-recover", "l": "phase-locked", "n": "none"}
        moments = [
            replace(moment, env_steps=100 * i, gait=names[gait], labels=names[label])
            for i, (gait, label) in enumerate(zip(gaits, labels, strict=True), 1)
        ]
        return History.of("run", "pi", moments)

    found = history("fhfhh", "nnlll")
    assert (found.gait_since, found.labels_since) == (400, 300)
    assert phrases.settled(found) == (
        "gait hop at every checkpoint since 400 steps, labels phase-locked at every checkpoint "
        "since 300 steps: the labels settled first"
    )
    assert phrases.settled(history("fhh", "lnl")).endswith("the gait settled first")
    assert phrases.settled(history("hh", "ll")).endswith("both settled at the same checkpoint")


def test_the_history_of_a_run_folder_is_that_of_its_step_checkpoints(tmp_path):
    place = tmp_path / "seed_1" / "checkpoints"
    place.mkdir(parents=True)
    for name in ("step_000000200", "best_mppi", "step_000000100"):
        (place / f"{name}.safetensors").touch()
    names = ["step_000000100.safetensors", "step_000000200.safetensors"]
    assert [each.name for each in with_history(tmp_path)] == names
    assert [each.name for each in with_history(tmp_path / "seed_1")] == names


def test_of_one_run_without_a_best_checkpoint_the_latest_counts(folder):
    runs = [trained(folder, f"step_{n}", steps=n, **TRAINED) for n in (100, 300, 200)]
    [kept], _ = one_per_training(runs)
    assert kept.checkpoint.stem == "step_300"


def test_checkpoints_of_one_name_are_told_apart_and_one_checkpoint_has_one_name(template):
    members = [
        a_member(template, "best", sha="a" * 64),
        a_member(template, "best", sha="b" * 64),
        a_member(template, "other", sha="a" * 64, controller="pi"),
    ]
    names = [each.name for each in with_checkpoint_names(members)]
    assert names == ["best", "best (bbbbbbbb)", "best"]


def test_runs_that_are_not_independent_are_named(template):
    first = a_member(template, "first", recipe="demo", seed=1, sha="1" * 64)
    later = a_member(template, "later", recipe="demo", seed=1, started_from="1" * 64)
    again = a_member(template, "again", recipe="1b", seed=3)
    twin = a_member(template, "twin", recipe="1b", seed=3)
    assert dependence([first, later]) == (ContinuedFrom("later", "first"),)
    assert dependence([again, twin]) == (SharedSeed(("again", "twin")),)
    assert phrases.caveats([*dependence([first, later]), *dependence([again, twin])]) == [
        "later was trained from first; the two are not independent.",
        "again and twin share recipe and seed and may be from one training run.",
    ]
    assert dependence([first, again]) == ()
    assert dependence([first, replace(first, name="first")]) == ()


def test_runs_of_several_recipes_or_settings_are_called_so(template):
    members = [a_member(template, name, recipe=name[0]) for name in ("a1", "a2", "b1")]
    mixed = mixed_recipes(members)
    assert mixed == MixedRecipes((("a", 2), ("b", 1)))
    assert phrases.caveat(mixed) == (
        "Recipes are mixed (a × 2 and b × 1), which may explain differences."
    )
    assert mixed_recipes(members[:2]) is None
    short = replace(members[0], setting=replace(SETTING, episode_s=2.0))
    assert mismatch(members) is None
    differing = mismatch([*members, short])
    assert differing == Mismatch("episode_s", ("2.0", "6.0"))
    assert "runs differ in episode length in seconds (2.0 and 6.0)" in phrases.caveat(differing)


# Basins -----------------------------------------------------------------------------------------


def test_shares_of_basins_have_wilsons_interval_and_count_runs(template, still):
    members = [a_member(template, f"hop{i}", 400 + i) for i in range(3)]
    members += [a_member(still, f"still{i}", i) for i in range(2)]
    found = {each.basin: each for each in basin_shares(members)}
    hop = found["stable-hop"]
    assert (hop.share.hits, hop.share.count) == (3, 5)
    assert (hop.share.low, hop.share.high) == pytest.approx((0.231, 0.882), abs=0.001)
    assert hop.returns.values == (400, 401, 402) and hop.returns.mean is hop.returns.iqm is None
    assert found["unstable"].share.hits == 2 and found["split"].share.hits == 0


def test_returns_are_summed_up_from_four_runs_on_with_runs_as_units(template):
    members = [a_member(template, f"run{i}", mean) for i, mean in enumerate((0, 100, 200, 900))]
    found = returns_of(members)
    assert found.mean.estimate == 300 and found.mean.units == 4
    assert found.iqm.estimate == 150
    assert found.mean.high - found.mean.low > 300  # Runs differ; their episodes hardly do.
    assert returns_of(members[:3]).mean is None


def test_returns_within_basins_are_told_beside_their_shares(template, still):
    members = [a_member(template, f"hop{i}", 400 + i, spread=0.0) for i in range(4)]
    members += [a_member(still, f"still{i}", i) for i in range(2)]
    told = phrases.basins(basin_shares(members))
    assert told.startswith("stable-hop 4 of 6 [30%, 90%], mean return 402 [400, 4")
    assert told.endswith("unstable 2 of 6 [10%, 70%], returns 0 and 1.")
    assert phrases.basins(basin_shares(members[:2])) == "stable-hop 2 of 2 [34%, 100%]."
    assert phrases.returns(returns_of(members[:2])) == "2 runs: returns 400 and 401."


# Means of metrics -------------------------------------------------------------------------------


def of_episodes(template, name, *kappas):
    """A run whose episodes have these values of the primary metric."""
    [first, *_] = template.episodes
    episodes = []
    for kappa in kappas:
        agreement = replace(first.steady_labels.agreement, fleiss_kappa=kappa)
        labels = replace(first.steady_labels, agreement=agreement)
        episodes.append(replace(first, steady_labels=labels, labels=labels))
    own = replace(template, episodes=tuple(episodes), checkpoint_sha256=name)
    return a_member_as_it_is(own, name)


def test_a_mean_over_runs_counts_runs_and_resamples_them_before_their_episodes(template):
    runs = [of_episodes(template, f"run{i}", *[i / 10] * (10 if i else 1)) for i in range(5)]
    kappa, locking = metric_means(runs)
    assert (kappa.metric, locking.metric) == (PRIMARY, "locking_u")
    assert kappa.values == pytest.approx((0, 0.1, 0.2, 0.3, 0.4))
    assert kappa.mean.units == 5 and kappa.mean.estimate == pytest.approx(0.2)
    assert kappa.mean.low < 0.1 and kappa.mean.high > 0.3  # Runs differ, and there are but five.
    spread = [of_episodes(template, f"run{i}", 0.0, 0.4) for i in range(5)]
    alike = metric_means(spread)[0].mean
    assert alike.estimate == pytest.approx(0.2) and 0.05 < alike.low < 0.15 < 0.25 < alike.high


def test_a_mean_over_runs_says_its_n_and_has_no_interval_for_few(template):
    runs = [of_episodes(template, f"run{i}", 0.5, None) for i in range(4)]
    without = of_episodes(template, "without", None, None)
    found = metric_means([*runs, without])
    assert found[0].runs == ("run0", "run1", "run2", "run3")
    assert phrases.metric_means(found).startswith(
        "Label metrics over runs: fleiss_kappa 0.50 [0.50, 0.50] (n = 4); locking_u"
    )
    few = metric_means([*runs[:2], without])
    assert few[0].mean is None
    assert phrases.metric_means(few).startswith(
        "Label metrics over runs: fleiss_kappa 0.50 and 0.50 (n = 2); "
    )
    none = metric_means([without])
    assert "fleiss_kappa undefined in all runs" in phrases.metric_means(none)


# Stability and return ---------------------------------------------------------------------------


def a_ladder(template, kappas, returns=None, **changes):
    returns = range(len(kappas)) if returns is None else returns
    return [
        a_member(template, f"run{i}", float(mean), kappa, **changes)
        for i, (kappa, mean) in enumerate(zip(kappas, returns, strict=True))
    ]


def test_the_primary_metric_and_return_that_rise_together_are_found(template):
    found = stability_and_return(a_ladder(template, [0.1, 0.2, 0.5, 0.6, 0.7, 0.9]))
    primary = found.correlations[0]
    assert primary.metric == PRIMARY and primary.family == "primary"
    assert primary.test.statistic == 1 and primary.test.p == pytest.approx(2 / 720)
    assert primary.adjusted_p == primary.test.p and primary.rho_low is None
    answer = phrases.stability_and_return(found)
    assert answer.startswith("fleiss_kappa correlates positively with return: ρ = 1.00")
    assert "n = 6" in answer
    assert phrases.NO_CAUSE in phrases.correlation_caveats(found)


def test_with_few_runs_it_cannot_be_told_whatever_they_show(template):
    found = stability_and_return(a_ladder(template, [0.1, 0.5, 0.9]))
    answer = phrases.stability_and_return(found)
    assert answer.startswith("Inconclusive: with n = 3 the smallest attainable p is 0.33.")
    assert phrases.other_metrics(found) == ""

    def answered(*kappas):
        found = stability_and_return(a_ladder(template, kappas))
        return phrases.stability_and_return(found)

    assert answered(0.5) == "Inconclusive: fleiss_kappa is defined in 1 of 1 run."
    none = answered(None, None, 0.2)
    assert none == "Inconclusive: fleiss_kappa is defined in 1 of 3 runs."
    same = answered(0.5, 0.5, 0.5, 0.5)
    assert same == "Inconclusive: fleiss_kappa or return is the same in all 4 runs."


def test_no_correlation_is_no_sign_and_shows_what_it_leaves_open(template):
    found = stability_and_return(a_ladder(template, [0.4, 0.1, 0.5, 0.2, 0.6, 0.3]))
    primary = found.correlations[0]
    assert primary.test.p > LEVEL and primary.rho_low < -0.5 and primary.rho_high > 0.5
    answer = phrases.stability_and_return(found)
    assert answer.startswith("No significant correlation of fleiss_kappa with return: ρ = ")


def test_the_interval_of_a_rank_correlation_covers_it(rng):
    from scipy.stats import spearmanr

    from glassviz.compare.returns import correlation_interval

    covered = []
    for _ in range(500):
        x = rng.normal(size=10)
        y = 0.6 * x + 0.8 * rng.normal(size=10)
        low, high = correlation_interval(float(spearmanr(x, y).statistic), 10)
        covered.append(low <= 6 / np.pi * np.arcsin(0.6 / 2) <= high)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_a_result_depends_on_its_own_runs_alone(template):
    runs = a_ladder(template, [0.1 * i for i in range(1, 10)])
    assert len(runs) > 8, "of fewer all permutations are enumerated, and none is drawn"
    first = stability_and_return(runs)
    returns_of(runs[:5])
    metric_means(runs[:6])
    again = stability_and_return(runs)
    assert [each.test for each in first.correlations] == [each.test for each in again.correlations]
    shares = {each.basin: each for each in basin_shares(runs) if each.returns.values}
    assert [each.returns for each in shares.values()] == [returns_of(runs)]


def test_runs_without_the_metric_are_counted_as_missing(template):
    members = a_ladder(template, [0.1, 0.4, None, 0.5, 0.6, None, 0.7])
    found = stability_and_return(members)
    assert found.runs == 7 and len(found.correlations[0].runs) == 5
    assert found.caveats[0] == Unmeasured(PRIMARY, 2, 7)
    missing, *_ = phrases.correlation_caveats(found)
    assert missing == "2 of 7 runs excluded: fleiss_kappa is undefined."


def test_within_a_basin_what_holds_across_basins_may_not(template, still):
    hops = a_ladder(template, [0.9, 0.8, 0.95, 0.85, 0.7], [430, 400, 410, 405, 390])
    lying = [a_member(still, f"still{i}", float(i), 0.1 + 0.01 * i) for i in range(3)]
    found = stability_and_return([*hops, *lying])
    assert found.correlations[0].test.p < LEVEL
    [(basin, within)] = found.within_basins.items()
    assert basin == "stable-hop" and len(within.runs) == STRATUM_FROM
    assert within.test.p > LEVEL and "within stable-hop" in phrases.stability_and_return(found)


def test_named_metrics_are_adjusted_by_holm_and_others_as_a_map(template):
    def with_metrics(i, member):
        metrics = {name: MeanInterval(float(i), None, None, 1, 0.95) for name in METRICS}
        return replace(member, stability=replace(member.stability, metrics=metrics))

    members = a_ladder(template, [0.1] * 6)
    members = [with_metrics(i, each) for i, each in enumerate(members)]
    found = {each.metric: each for each in stability_and_return(members).correlations}
    p = 2 / 720
    assert found[PRIMARY].adjusted_p == pytest.approx(p)
    assert [found[name].adjusted_p for name in NAMED] == pytest.approx([len(NAMED) * p] * 3)
    assert found["distance_m"].adjusted_p == pytest.approx(p)
    assert list(found) == [PRIMARY, *NAMED, *[n for n in METRICS if n not in (PRIMARY, *NAMED)]]
    others = phrases.other_metrics(stability_and_return(members))
    n = len(OF_BODY)
    assert f"{n} of {n} body metrics, parts of the reward" in others


def test_a_metric_that_could_not_be_significant_is_not_in_the_map(template):
    def with_rho(member, value):
        metrics = member.stability.metrics | {"rho": value}
        return replace(member, stability=replace(member.stability, metrics=metrics))

    values = [MeanInterval(float(i), None, None, 1, 0.95) if i < 2 else None for i in range(6)]
    members = a_ladder(template, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    members = [with_rho(each, value) for each, value in zip(members, values, strict=True)]
    found = {each.metric: each for each in stability_and_return(members).correlations}
    assert found["rho"].test.smallest_p > LEVEL and found["rho"].adjusted_p is None


def test_returns_without_a_common_scale_are_not_correlated(template):
    members = a_ladder(template, [0.1, 0.2, 0.3])
    members[0] = replace(members[0], setting=replace(SETTING, task="hopper-stand"))
    found = stability_and_return(members)
    assert found.correlations == () and found.mismatch.setting == "task"
    answer = phrases.stability_and_return(found)
    assert "no common scale, as runs differ in task" in answer
    assert phrases.correlation_caveats(found) == []
    assert compare_groups(members) is None


# Groups -----------------------------------------------------------------------------------------


def test_two_recipes_are_compared_with_the_smallest_p_that_there_is(template, still):
    one = [a_member(template, f"a{i}", 400.0 + i, 0.8 + 0.01 * i, recipe="a") for i in range(3)]
    other = [a_member(still, f"b{i}", float(i), 0.1 + 0.01 * i, recipe="b") for i in range(3)]
    found = compare_groups([*one, *other])
    assert (found.by, found.one.name, found.other.name) == ("recipe", "a", "b")
    assert found.returns.p == found.returns.smallest_p == pytest.approx(0.1)
    assert found.primary.p == pytest.approx(0.1) and found.improvement == 1
    assert found.stable_hop_p == found.stable_hop_smallest_p == pytest.approx(0.1)
    answer = phrases.groups(found)
    assert "inconclusive, the smallest attainable p is 0.1" in answer
    assert "Probability of improvement 100%." in answer
    assert "fleiss_kappa +0.70, p = 0.10 (smallest attainable 0.1)." in answer
    assert answer.endswith(
        "Stable hops: 3 of 3 and 0 of 3, Fisher's exact p = 0.10 (smallest attainable 0.1)."
    )


def test_the_smallest_p_of_shares_is_that_of_as_many_stable_hops_dealt_out_otherwise(
    template, still
):
    """One hop among three and three: as likely on either side, so that p is 1 at best."""
    kinds = {"a": (template, still, still), "b": (still, still, still)}
    members = [
        a_member(kind, f"{recipe}{i}", float(i), recipe=recipe)
        for recipe, own in kinds.items()
        for i, kind in enumerate(own)
    ]
    found = compare_groups(members)
    assert found.stable_hop_p == found.stable_hop_smallest_p == pytest.approx(1)
    kinds = {"a": (template, template, still, still), "b": (template, still, still, still)}
    members = [
        a_member(kind, f"{recipe}{i}", float(i), recipe=recipe)
        for recipe, own in kinds.items()
        for i, kind in enumerate(own)
    ]
    found = compare_groups(members)
    assert found.stable_hop_p == pytest.approx(1)
    # All three on one side: 2 · C(4, 3) of C(8, 3) ways.
    assert found.stable_hop_smallest_p == pytest.approx(8 / 56)


def test_without_two_recipes_agents_with_glass_stand_against_those_without(template):
    members = [
        a_member(template, f"run{i}", float(i), recipe=str(i % 3), glass=i < 4) for i in range(8)
    ]
    found = compare_groups(members)
    assert (found.by, found.one.name, found.other.name) == (
        "Glass",
        "with Glass",
        "without Glass",
    )
    assert found.returns.p == found.returns.smallest_p == pytest.approx(2 / 70)
    assert found.caveats[0] == ConfoundedRecipes()
    assert "The groups differ in recipe as well as in Glass" in phrases.caveat(found.caveats[0])
    assert compare_groups(members[:4]) is None


# Controllers ------------------------------------------------------------------------------------


def test_controllers_are_compared_checkpoint_by_checkpoint(template, still):
    planned = [a_member(template, f"run{i}", 400.0 + i) for i in range(5)]
    own = [a_member(still, f"run{i}", 10.0 * i, controller="pi") for i in range(5)]
    alone = a_member(template, "alone", 1000.0)
    found = compare_controllers([*planned, alone, *own])
    assert len(found.pairs) == 5
    assert found.test.statistic == pytest.approx(402 - 20)
    assert found.test.p == found.test.smallest_p == pytest.approx(2 / 2**5)
    assert found.mean.count == 5 and found.mean.low < 382 < found.mean.high
    first = found.pairs[0]
    assert first.gait_differs and first.basin_differs
    assert phrases.controller_pair(first) == (
        "run0: return 400 with the planner, 0 with the policy; gait hop with the planner, static "
        "with the policy; basin stable-hop with the planner, unstable with the policy."
    )
    assert first.difference.count == 2 and first.difference.mean == pytest.approx(400)
    answer = phrases.controllers(found)
    assert "the smallest attainable p is 0.062" in answer and "differs for 5" in answer


def test_a_checkpoint_under_one_controller_is_no_pair(template):
    assert compare_controllers([a_member(template, "run")]) is None


def test_controllers_that_agree_are_said_to(template):
    members = [a_member(template, "run", 10.0), a_member(template, "run", 10.0, controller="pi")]
    found = compare_controllers(members)
    assert found.mean is None
    assert phrases.controller_pair(found.pairs[0]).endswith("gait and basin agree.")
    assert phrases.controllers(found).endswith("Gait and basin agree for all of them.")


# Values -----------------------------------------------------------------------------------------


def test_values_are_collected_over_runs(template):
    from glassviz.metrics.calibration import value_calibration

    def with_bias(name, bias, shaped=None):
        reward = np.random.default_rng(len(name)).random((3, 200))
        from glassviz.metrics.calibration import returns_to_go

        found = value_calibration(
            returns_to_go(reward, 0.9) + bias, reward, 0.9, np.random.default_rng(0)
        )
        member = a_member(template, name, shaped=shaped)
        return replace(member, stability=replace(member.stability, calibration=found))

    members = [with_bias("low", -2.0), with_bias("mid", 1.0, True), with_bias("high", 30.0)]
    found = compare_values(members)
    assert found.runs == ("low", "mid", "high") and found.biases == pytest.approx((-2, 1, 30))
    assert found.rank_correlations == pytest.approx((1, 1, 1))
    assert "high" in found.worse_than_mean and found.shaped == ("mid",)
    answer = phrases.values(found)
    assert "median +1.0 over 3 runs, from -2.0 (low) to +30.0 (high)" in answer
    assert answer.endswith("Values of a shaped reward, not the task's: mid.")
    assert "shaped" not in phrases.values(compare_values(members[:1]))
    short = compare_values([a_member(template, "short")])
    assert "undefined: episodes are too short" in phrases.values(short)


# Answers ----------------------------------------------------------------------------------------


def test_gaits_that_differ_are_counted_by_controller(template, still):
    members = [a_member(template, "a"), a_member(template, "b"), a_member(still, "c")]
    differ = phrases.gaits_differ(comparison_answers(members, None))
    assert differ == "Yes: 2 hop and 1 static with mppi."
    alike = phrases.gaits_differ(comparison_answers(members[:2], None))
    assert alike == "No: 2 hop with mppi."


def test_a_phase_that_a_run_lacks_and_another_has_is_named(template, still):
    def lacking(stability, *names):
        phases = tuple(
            replace(use, share=0.0, label=None, label_share=None) if use.name in names else use
            for use in stability.phases
        )
        return replace(stability, phases=phases)

    members = [a_member(template, "a"), a_member(lacking(template, "flight"), "b")]
    found = comparison_answers(members, None)
    assert found.lacking_phases == {"mppi": {"b": ("flight",)}}
    assert phrases.phases_lacking(found) == "Yes: with mppi, missing flight in 1 of 2 runs (b)."
    assert found.lacked_by_all == {"mppi": ()}
    hops = [a_member(template, name) for name in "ab"]
    assert phrases.phases_lacking(comparison_answers(hops, None)).startswith("No: every run has")
    both = [a_member(lacking(template, "flight"), name) for name in "ab"]
    found = comparison_answers(both, None)
    assert phrases.phases_lacking(found) == "Yes: with mppi, missing flight in all of 2 runs."
    assert found.lacking_phases == {"mppi": {}}


def test_runs_that_never_leave_the_floor_are_not_said_to_lack_nothing(still):
    found = comparison_answers([a_member(still, name) for name in "ab"], None)
    assert found.lacked_by_all["mppi"] and "flight" in found.lacked_by_all["mppi"]
    assert phrases.phases_lacking(found).startswith("Yes: with mppi, missing ")
    assert phrases.phases_lacking(found).endswith(" in all of 2 runs.")
    blank = comparison_answers([a_member(replace(still, phases=()), "a")], None)
    assert phrases.phases_lacking(blank).startswith("Inconclusive")


@pytest.mark.parametrize(
    ("gaits", "answer"),
    [
        ({"mppi": {"hop": 1}, "pi": {"fall-recover": 1}}, "Inconclusive: 1 hop with mppi; "),
        ({"pi": {"split": 2}}, "Inconclusive: 2 split with pi."),
        ({"pi": {"hop": 1, "undetermined": 1}}, "Inconclusive: "),
        ({"pi": {"hop": 2}, "mppi": {"split": 2}}, "No: 2 hop with pi; "),
        ({"pi": {"hop": 1, "knee-walk": 1, "split": 1}}, "Yes: "),
    ],
)
def test_gaits_differ_where_two_of_one_controller_have_names_of_their_own(template, gaits, answer):
    found = comparison_answers([a_member(template, "a")], None)
    found = replace(found, gaits_by_controller=gaits)
    assert phrases.gaits_differ(found).startswith(answer)


@pytest.mark.parametrize("name", ["split", "undetermined", "static"])
def test_runs_without_one_gait_do_not_correspond(template, name):
    def doing(gait):
        return replace(template, gait=replace(template.gait, name=gait))

    assert gaits_correspond(doing("hop"), doing("hop"))
    assert not gaits_correspond(doing(name), doing(name))
    assert not gaits_correspond(doing("hop"), doing("knee-walk"))


def test_two_phases_with_one_label_are_merged(folder):
    apart = assessed(folder, planted(replace(HOP, map=(0, 0, 1, 1)), name="apart")).stability
    one = assessed(folder, planted(replace(HOP, map=(5,)), name="merged")).stability
    members = [a_member_as_it_is(one, "one"), a_member_as_it_is(apart, "apart")]
    found = comparison_answers(members, None)
    [merged] = found.merged_phases["mppi"]["one"]
    assert set(merged) >= {"flight", "push-off"}
    assert not any("flight" in group for group in found.merged_phases["mppi"].get("apart", ()))
    assert phrases.phases_merged(found).startswith("Yes: in ")


def test_without_labels_nothing_is_said_of_merged_phases(folder):
    bare = assessed(folder, planted(HOP, name="bare", glass=False)).stability
    found = comparison_answers([a_member_as_it_is(bare, "bare")], None)
    assert phrases.phases_merged(found) == "Inconclusive: no run has labels."
    assert phrases.labels_correspond(found).startswith("Not compared")


def a_member_as_it_is(stability, name):
    given = dict(glass=True, recipe=None, seed=None)
    return ComparedRun(name, stability, **given, started_from=None, shaped=None, setting=SETTING)


# All of it --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(folder):
    traces = [
        planted(HOP, HOP, name="hop1", returns=(400, 420)),
        planted(HOP, UNLOCKED, name="hop2", returns=(300, 310)),
        planted(KNEE, KNEE, name="knee", returns=(150, 130)),
        planted(STILL, STILL, name="still", returns=(1, 2)),
        planted(HOP, STILL, name="bare", returns=(200, 3), glass=False),
        planted(STILL, HOP, name="hop1", returns=(2, 400), controller="pi"),
    ]
    return [assessed(folder, trace) for trace in traces]


def test_the_order_of_runs_does_not_matter(rows):
    assert plain(compare(rows)) == plain(compare(rows[::-1]))


def test_n_is_the_number_of_checkpoints_and_not_of_their_traces(rows, folder):
    found = compare(rows)
    assert found.checkpoints == ("bare", "hop1", "hop2", "knee", "still")
    [mppi, pi] = found.by_controller
    assert (len(mppi.runs), len(pi.runs)) == (5, 1)
    copies = [replace(row, name=f"{row.name}-copy") for row in rows]
    again = compare([*rows, *copies])
    assert len(again.left_out) == len(rows)
    assert plain(again.by_controller) == plain(found.by_controller)


def test_more_episodes_of_a_run_are_no_more_runs(folder):
    def n_of(times):
        rows = [
            assessed(folder, planted(*[HOP] * times, name=name, returns=value), f"{name}{times}")
            for name, value in (("a", 1.0), ("b", 2.0))
        ]
        [own] = compare(rows).by_controller
        primary = own.stability_and_return.correlations[0]
        return [each.share for each in own.basins], own.stability_and_return.runs, primary.runs

    one, three = n_of(1), n_of(3)
    assert one[0] == three[0] and one[1] == three[1] == 2
    assert len(one[2]) == len(three[2]) == 2


def test_traces_alone_have_no_correspondence_and_say_why(rows):
    found = compare(rows)
    assert found.correspondence is None
    assert found.no_correspondence == TooFewCheckpoints(0, 4)
    assert phrases.no_correspondence(found.no_correspondence) == (
        "the checkpoints of two agents with labels are required, 0 of 4 found"
    )


def test_one_row_is_nothing_to_compare(rows):
    assert compare(rows[:1]) is None and compare([]) is None


def test_one_checkpoint_under_two_controllers_is_compared(rows):
    found = compare([rows[0], rows[-1]])
    assert found.checkpoints == ("hop1",) and len(found.controllers.pairs) == 1


def test_unlike_episodes_are_a_doubt(rows, folder):
    short = planted(*[replace(HOP, frames=200)] * 2, name="short")
    found = compare([*rows, assessed(folder, short)])
    assert any("no common scale" in doubt for doubt in phrases.caveats(found.caveats))


def test_the_result_can_be_told_as_json(rows):
    text = json.dumps(plain(compare(rows)), allow_nan=False)
    told = json.loads(text)
    assert told["checkpoints"] and told["by_controller"][0]["basins"][0]["share"]["count"] == 5


def test_the_terminal_tells_every_doubt_once(folder):
    rows = [
        assessed(folder, planted(*[HOP] * 2, name="full", returns=(1, 2))),
        assessed(folder, planted(*[HOP] * 2, name="bare", returns=(5, 6), glass=False)),
    ]
    together = compare(rows)
    console = Console(width=100_000, file=io.StringIO(), highlight=False)
    print_together(together, console)
    text = console.file.getvalue()
    [own] = together.by_controller
    doubts = (
        *phrases.correlation_caveats(own.stability_and_return),
        *phrases.caveats(own.groups.caveats),
        *phrases.caveats(together.caveats),
    )
    assert any("excluded" in doubt for doubt in doubts)
    assert all(text.count(doubt) == 1 for doubt in doubts)
    assert phrases.groups(own.groups) in text
    assert phrases.metric_means(own.means) in text
    assert phrases.returns(own.returns) in text


# Wording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed("abcdef"), "a, b, c and 3 more"),
        (p_value(0.4194), "p = 0.42"),
        (p_value(0.0342), "p = 0.034"),
        (p_value(0.0002), "p = 0.0002"),
        (count_of(1, "run"), "1 run"),
        (count_of(0, "run"), "0 runs"),
        (majority("hop", {"hop": 9, "static": 1}), "hop 9/10"),
        (majority("hop", {"hop": 3}), "hop"),
        (majority("split", {"hop": 5, "static": 5}), "split (5 hop, 5 static)"),
    ],
)
def test_words(told, expected):
    assert told == expected
