"""`glassviz map`: coordinates that are kept and found again, landmarks, figures, galleries."""

import inspect
import itertools
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from typer.main import get_command

import tests.helpers.tiny as tiny
from glassviz import archive
from glassviz.cli import app
from glassviz.cli import figures as command
from glassviz.errors import GlassvizError, UsageError
from glassviz.figures.gallery import examples_of, gallery, gallery_caption, pictures
from glassviz.figures.latent_map import COLORS, NO_DISTANCES, _group_legend, caption, figure
from glassviz.figures.style import FigureStyle, category_colors, phase_colors
from glassviz.maps.coordinates import MapOptions, coordinates_of, inputs_of, project
from glassviz.maps.features import (
    Encoder,
    features,
    place_prototypes,
    pool,
    return_to_go,
    thin,
    typical_cycle,
)
from glassviz.maps.maps import LatentMap, make_map, map_all
from glassviz.metrics.nulls import PHASE_BINS, phase_bin
from glassviz.rollout.batch import Failed
from glassviz.rollout.find import find_targets
from glassviz.rollout.run import relabelled
from glassviz.rollout.traces import RolloutOptions
from glassviz.video.renderer import StillMaker
from tests.helpers.commands import invoke, loaded
from tests.helpers.fake_renderer import FakeRenderer
from tests.helpers.planted_runs import HOP, STILL, planted, sha256_of, with_latent

SHORT = replace(HOP, frames=150)
GLASS, OTHER = sha256_of("glass"), sha256_of("bare")
PCA = MapOptions(method="pca")


@pytest.fixture(scope="module")
def mppi():
    return planted(HOP, HOP, name="glass")


@pytest.fixture(scope="module")
def short():
    """The planner's episodes of few frames, for tests that look at none of them."""
    return planted(SHORT, SHORT, name="glass")


@pytest.fixture(scope="module")
def pi():
    return planted(HOP, name="glass", controller="pi", noise=0.1)


@pytest.fixture(scope="module")
def both(mppi, pi) -> LatentMap:
    return make_map([mppi, pi], PCA)


@pytest.fixture
def folder(tmp_path, short) -> Path:
    """Both controllers of an agent with Glass, and an agent without, all of few frames."""
    short.save(tmp_path / "glass-mppi.npz")
    planted(SHORT, name="glass", controller="pi", noise=0.1).save(tmp_path / "glass-pi.npz")
    planted(SHORT, name="bare", glass=False).save(tmp_path / "bare.npz")
    return tmp_path


def glassviz(*arguments: str | Path, code: int = 0) -> str:
    done = invoke("map", *arguments, code=code)
    return done.stdout or done.stderr


def maps_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.map.npz"))


# Projections ------------------------------------------------------------------------------------


def test_umap_keeps_planted_places_apart_and_gives_the_same_map_again(tmp_path):
    trace = planted(SHORT, SHORT, name="glass")
    found = make_map([trace], folder=tmp_path)
    assert found.quality.trustworthiness > 0.9
    assert found.labels.purity_plane > 0.9
    assert "UMAP (cosine, 30 neighbours, seed 0)" in caption([found])
    again = make_map([trace])
    assert np.array_equal(found.xy, again.xy)
    other = make_map([trace], MapOptions(seed=1))
    assert not np.array_equal(found.xy, other.xy)


def test_a_caption_tells_the_neighbours_that_a_short_roll_out_had(tmp_path):
    short, long = (planted(SHORT, name=name) for name in ("short", "long"))
    few = make_map([short], MapOptions(max_points=8), folder=tmp_path)
    assert few.fitted < 31
    assert f"UMAP (cosine, {few.fitted - 1} neighbours, seed 0)" in caption([few])
    told = caption([few, make_map([long], MapOptions(), folder=tmp_path)])
    assert f"{few.fitted - 1} neighbours" in told and "30 neighbours" in told
    assert f"k\u00a0=\u00a0{few.quality.neighbours} to 15" in told if few.quality else True


def test_pca_is_that_of_scikit_learn_up_to_signs(mppi):
    from sklearn.decomposition import PCA as Oracle

    rows = mppi.latent.reshape(-1, mppi.latent.shape[2])
    found, oracle = project(rows, "pca", 0), Oracle(2).fit(rows)
    assert np.abs(found.xy) == pytest.approx(np.abs(oracle.transform(rows)), abs=1e-4)
    assert found.explained == pytest.approx(oracle.explained_variance_ratio_, abs=1e-5)
    assert found.place(rows[:9]) == pytest.approx(found.xy[:9])


def test_frames_placed_on_a_umap_map_stand_where_they_would_have_been_fitted(mppi):
    rows = mppi.latent.reshape(-1, mppi.latent.shape[2])
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:300]
    found = project(rows, "umap", 0)
    assert found.place(rows) == pytest.approx(found.xy, abs=0.05)


# Coordinates that are kept ----------------------------------------------------------------------


def test_coordinates_are_kept_beside_the_traces_and_found_again(mppi, pi, tmp_path, monkeypatch):
    first = make_map([mppi, pi], PCA, tmp_path)
    assert [first.path] == maps_in(tmp_path)
    assert not first.reused
    monkeypatch.setattr("glassviz.maps.coordinates.project", None)  # nothing is fitted any more
    told: list[str] = []
    again = make_map([pi, mppi], PCA, tmp_path, tell=told.append)
    assert again.reused
    assert told == [f"reusing {first.path}"]
    assert np.array_equal(again.coordinates[1], first.coordinates[0])
    assert np.array_equal(again.coordinates[0], first.coordinates[1])
    assert again.explained == first.explained


@pytest.mark.parametrize(
    "options",
    [
        MapOptions(method="pca", seed=1),
        MapOptions(method="pca", space="obs"),
        MapOptions(method="pca", max_points=300),
        MapOptions(method="pca", max_points=300, place_rest=True),
    ],
)
def test_other_options_have_other_coordinates(mppi, options):
    assert inputs_of([mppi], options) != inputs_of([mppi], PCA)


def test_another_trace_has_other_coordinates(mppi, tmp_path):
    make_map([mppi], PCA, tmp_path)
    changed = replace(mppi, latent=mppi.latent + np.float32(0.1) * mppi.obs.mean())
    changed.latent[0, 0, 0] += 1
    assert not make_map([changed], PCA, tmp_path).reused
    assert len(maps_in(tmp_path)) == 2


def test_coordinates_under_a_wrong_name_are_not_taken(mppi, pi, tmp_path):
    first, second = make_map([mppi], PCA, tmp_path), make_map([pi], PCA, tmp_path)
    first.path.write_bytes(second.path.read_bytes())
    again = make_map([mppi], PCA, tmp_path)
    assert not again.reused
    assert np.array_equal(again.xy, first.xy)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive"])
def test_damaged_coordinates_are_made_again(mppi, tmp_path, content):
    path = make_map([mppi], PCA, tmp_path).path
    path.write_bytes(content)
    told: list[str] = []
    assert not make_map([mppi], PCA, tmp_path, tell=told.append).reused
    [line] = told
    assert line.startswith(f"fitting the map again: {path}: expected coordinates of a map")
    assert make_map([mppi], PCA, tmp_path).reused


BROKEN_COORDINATES = {
    "positions of another shape": lambda xy, fitted: (xy[:, 1:], fitted),
    "fewer frames": lambda xy, fitted: (xy[:, 1:], fitted[:, 1:]),
    "numbers of another kind": lambda xy, fitted: (xy.astype(np.float64), fitted),
    "text": lambda xy, fitted: (xy.astype(str), fitted),
    "NaN where it was fitted": lambda xy, fitted: (xy * np.float32(np.nan), fitted),
    "nothing that was fitted": lambda xy, fitted: (xy * np.float32(np.nan), ~fitted),
    "numbers beyond any map": lambda xy, fitted: (xy * np.float32(1e30), fitted),
}


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("name", BROKEN_COORDINATES)
def test_coordinates_that_are_none_of_these_traces_are_made_again(mppi, tmp_path, name, checksum):
    path = make_map([mppi], PCA, tmp_path).path
    header, arrays = archive.load(path, "coordinates", "")
    xy, fitted = (next(n for n in arrays if n.startswith(k)) for k in ("xy", "fitted"))
    arrays[xy], arrays[fitted] = BROKEN_COORDINATES[name](arrays[xy], arrays[fitted])
    if checksum:
        archive.save(path, header, arrays)
    else:
        text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
        np.savez(path.with_suffix(".npz"), header=text, **arrays)
        path.with_suffix(".npz").replace(path)
    told: list[str] = []
    assert not make_map([mppi], PCA, tmp_path, tell=told.append).reused
    assert "fitting the map again" in told[0] and "\n" not in told[0]
    assert make_map([mppi], PCA, tmp_path).reused


def test_coordinates_of_frames_in_another_order_are_made_again(mppi, tmp_path):
    path = make_map([mppi], PCA, tmp_path).path
    with np.load(path) as members:
        content = {name: members[name] for name in members.files}
    xy = next(name for name in content if name.startswith("xy"))
    content[xy] = content[xy][:, ::-1]
    with path.open("wb") as file:
        np.savez(file, **content)
    assert not make_map([mppi], PCA, tmp_path).reused


def test_a_folder_that_takes_no_files_keeps_nobody_from_their_map(mppi, tmp_path):
    (tmp_path / "file").write_text("")
    told: list[str] = []
    found = make_map([mppi], PCA, tmp_path / "file", tell=told.append)
    assert found.path is None
    assert "coordinates of the map are not saved" in told[0]


def test_fitted_labels_share_the_map_of_the_recorded_trace(mppi, tmp_path):
    from glassviz.metrics.fitted_labels import fit_labels

    fitted = fit_labels(list(mppi.latent), GLASS, 4, 2, 0, ())
    first = make_map([mppi], PCA, tmp_path)
    other = make_map([relabelled(mppi, fitted)], PCA, tmp_path)
    assert other.reused
    assert other.labels != first.labels
    assert {each.number for each in other.prototypes} == set(range(4))


def test_kept_coordinates_are_not_taken_for_traces(folder, short):
    make_map([short], PCA, folder)
    assert len(maps_in(folder)) == 1
    assert sorted(target.path.name for target in find_targets([folder])) == [
        "bare.npz",
        "glass-mppi.npz",
        "glass-pi.npz",
    ]


# One encoder for all ----------------------------------------------------------------------------


def agent(folder: Path, seed: int, config=tiny.AGENT) -> Path:
    """A checkpoint with the parameters of a seed."""
    import jax

    from glassviz import checkpoints
    from glassviz.agents.networks import init_params

    path = folder / f"agent-{seed}.safetensors"
    if not path.exists():  # A file that is written again has another hash.
        checkpoints.save(
            path, config, init_params(config, jax.random.key(seed)), {"recipe": "tiny"}
        )
    return path


def observing(trace, seed: int):
    """The same with observations that an agent of the tests can be shown."""
    shape = (*trace.label.shape, tiny.AGENT.obs_dim)
    obs = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return replace(trace, obs=obs)


@pytest.fixture
def two_agents(tmp_path, short) -> Path:
    """Traces of two checkpoints, in a folder of their own."""
    observing(short, 0).save(tmp_path / "traces" / "glass.npz")
    observing(planted(SHORT, name="bare", glass=False), 1).save(tmp_path / "traces" / "bare.npz")
    return tmp_path / "traces"


def test_latents_by_one_encoder_are_what_it_makes_of_every_observation(mppi, tmp_path):
    import jax.numpy as jnp

    from glassviz.agents.networks import encode

    encoder, trace = Encoder.load(agent(tmp_path, 0)), observing(mppi, 0)
    found = features([trace, trace], "latent", encoder)
    params = encoder.checkpoint.params
    wanted = np.asarray(encode(tiny.AGENT, params, jnp.asarray(trace.obs[1, 123])))
    assert found[500 + 123] == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)
    assert found[1000:] == pytest.approx(found[:1000])


def test_two_checkpoints_have_a_map_by_one_encoder_and_each_encoder_its_own(two_agents, tmp_path):
    out = tmp_path / "a.png"
    options = (two_agents, "--joint", "latent", "--method", "pca", "--json", "-o", out)
    refused = invoke("map", *options, code=1)
    assert "--encoder CHECKPOINT" in refused.output
    told = []
    for seed in (0, 1, 0):
        path = agent(tmp_path, seed)
        [row] = json.loads(glassviz(*options, "--overwrite", "--encoder", path))
        assert row["encoder"]["name"] == path.stem
        told.append((row["file"], row["reused"]))
    assert [reused for _, reused in told] == [False, False, True]
    assert told[0][0] == told[2][0] != told[1][0]
    [found] = map_all([two_agents], RolloutOptions(), PCA, joint=True, encoder=agent(tmp_path, 0))
    assert found.reused and found.labels is None and set(found.names) == {"bare", "glass"}
    assert "latents of all observations under the encoder of agent-0" in caption([found])


def test_an_encoder_that_does_not_fit_is_refused_in_a_sentence(two_agents, tmp_path):
    other = agent(tmp_path, 2, replace(tiny.AGENT, obs_dim=9))
    options = (two_agents, "--encoder", other, "-o", tmp_path / "a.png")
    assert "expected --joint latent with it" in glassviz(*options, code=2)
    told = glassviz(*options, "--joint", "latent", code=1)
    assert f"observes {tiny.AGENT.obs_dim} values" in told and "agent-2 with 9" in told


# Frames -----------------------------------------------------------------------------------------


def test_coordinates_are_those_of_each_frame_of_each_trace(both, mppi, pi):
    assert [each.shape for each in both.coordinates] == [(2, 500, 2), (1, 500, 2)]
    alone = both.coordinates[1][0, 40]
    row = np.flatnonzero((both.frames.trace == 1) & (both.frames.time == 40))
    assert np.array_equal(both.xy[row[0]], alone)


def test_thinning_keeps_as_many_frames_of_every_phase_of_every_episode(mppi):
    frames = pool([mppi])
    kept = thin(frames, 260, seed=0)
    assert len(kept) == 260
    assert (np.diff(kept) > 0).all()
    part = phase_bin(frames.phase, frames.cycle, PHASE_BINS)[kept]
    counts = np.bincount(frames.series[kept] * (PHASE_BINS + 1) + np.where(part < 0, 12, part))
    assert counts.tolist() == [10] * 26
    assert np.array_equal(kept, thin(frames, 260, seed=0))
    assert not np.array_equal(kept, thin(frames, 260, seed=1))
    assert np.array_equal(thin(frames, 1000, 0), np.arange(1000))


def test_a_bin_with_few_frames_leaves_its_share_to_the_others(mppi):
    frames = pool([mppi])
    few = replace(frames, phase=np.where(frames.phase < 0.52, np.nan, frames.phase))
    few = replace(few, cycle=np.where(np.isnan(few.phase), -1, few.cycle))
    kept = thin(few, 260, seed=0)
    part = phase_bin(few.phase, few.cycle, PHASE_BINS)[kept]
    counts = np.bincount(few.series[kept] * (PHASE_BINS + 1) + np.where(part < 0, 12, part))
    used = counts[counts > 0]
    assert len(kept) == 260
    assert used.max() - used.min() <= 1


@pytest.fixture(scope="module")
def dozen():
    """The frames of twelve episodes."""
    return pool([planted(*[HOP] * 12, glass=False)])


@pytest.mark.parametrize("most", [12, 40, 157, 1200])
def test_thinning_is_even_by_episode_then_phase_then_cycle_however_few_are_kept(dozen, most):
    kept = thin(dozen, most, seed=0)
    part = phase_bin(dozen.phase, dozen.cycle, PHASE_BINS)[kept]
    cycles = np.unique(dozen.cycle[dozen.cycle >= 0])
    of_episode = np.bincount(dozen.series[kept], minlength=12)
    of_bin = np.bincount(np.where(part < 0, PHASE_BINS, part), minlength=PHASE_BINS + 1)
    of_cycle = np.bincount(np.searchsorted(cycles, dozen.cycle[kept][part >= 0]))
    assert len(kept) == most
    assert of_episode.min() >= 1 and np.ptp(of_episode) <= 1
    assert np.ptp(of_bin) <= 2
    assert of_cycle.max() <= np.ceil((part >= 0).sum() / len(cycles)) + 2


def test_a_short_episode_leaves_its_share_to_the_others():
    frames = pool(
        [
            planted(SHORT, SHORT, glass=False),
            planted(replace(HOP, frames=20, opening_s=0.0), name="short", glass=False),
        ]
    )
    kept = np.bincount(frames.series[thin(frames, 200, seed=0)])
    assert kept.tolist() == [90, 90, 20]


@pytest.mark.parametrize("place_rest", [False, True])
def test_the_rest_is_placed_only_if_asked(mppi, place_rest):
    found = make_map([mppi], MapOptions("pca", 0, "latent", 300, place_rest))
    placed = np.isfinite(found.xy).all(axis=1)
    assert found.fitted == 300
    assert placed.sum() == (1000 if place_rest else 300)
    told = caption([found])
    assert (
        "n\u00a0=\u00a0300 frames, sampled evenly by episode, gait cycle and phase from 1,000"
        in told
    )
    assert ("the others projected" in told) == place_rest


def test_return_to_go_does_not_fall_at_the_end_of_the_episode(mppi):
    even = replace(mppi, reward=np.full_like(mppi.reward, 0.7))
    assert return_to_go(even) == pytest.approx(np.full(even.reward.shape, 70.0))


def test_windows_are_half_a_gait_cycle_and_half_a_second_without():
    hop = planted(HOP, glass=False)
    period = HOP.period_s / hop.frame_dt_s
    assert pool([hop]).window[0] == pytest.approx(period / 2, abs=1)
    still = pool([planted(STILL, glass=False)])
    assert still.window[0] * planted(STILL, glass=False).frame_dt_s == pytest.approx(0.5)
    assert (still.cycle == -1).all()


# Landmarks --------------------------------------------------------------------------------------


def test_the_typical_cycle_follows_the_phase(mppi):
    frames = pool([mppi])
    phase = np.nan_to_num(frames.phase)
    xy = np.stack([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    path = typical_cycle(frames, xy, 0)
    steps = np.arange(24) * 2 * np.pi / 24
    assert path.xy == pytest.approx(np.stack([np.cos(steps), np.sin(steps)], axis=1), abs=0.02)
    assert 0 < path.cycles < path.of


def test_a_typical_cycle_runs_where_cycles_do_and_not_between_two_kinds(mppi):
    frames = pool([mppi])
    phase = np.nan_to_num(frames.phase)
    side = np.where(frames.cycle % 3 == 0, -10.0, 10.0)
    xy = np.stack([side + np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    assert np.abs(typical_cycle(frames, xy, 0).xy[:, 0] - 10).max() < 1.5


def test_without_cycles_there_is_no_path(both):
    still = planted(STILL, noise=0.2, glass=False)
    frames = pool([still])
    xy = np.zeros((len(frames), 2), np.float32)
    assert typical_cycle(frames, xy, 0) is None
    assert len(both.cycles) == 2


def test_prototypes_stand_on_a_frame_of_their_own_and_dead_ones_are_named(both):
    for each in both.prototypes:
        own = both.frames.prototype == each.number
        assert each.xy in {tuple(row) for row in both.xy[own].tolist()}
        assert each.label == each.number
        assert own[each.nearest].all()
    assert sum(each.share for each in both.prototypes) == pytest.approx(1.0)


def test_dead_prototypes_are_told():
    trace = planted(HOP, name="glass")
    trace.header["partition"] = np.eye(10).tolist()
    found = make_map([trace], PCA)
    dead = sorted(set(range(10)) - {each.number for each in found.prototypes})
    assert found.dead_prototypes == tuple(dead)
    assert f"never visited: {', '.join(map(str, dead))}" in caption([found])


def test_nearness_is_the_soft_assignment_where_there_is_one(mppi, rng):
    soft = np.zeros((*mppi.label.shape, 8), np.float32)
    soft[0, 321] = 1.0
    trace = replace(mppi, soft_assignment=soft)
    frames = pool([trace])
    xy = rng.normal(size=(len(frames), 2)).astype(np.float32)
    number = int(mppi.label[0, 321])
    placed = {each.number: each for each in place_prototypes([trace], frames, xy)}
    assert placed[number].nearest[0] == 321


# What has no map --------------------------------------------------------------------------------


def test_an_agent_whose_latents_never_change_has_no_map(mppi):
    with pytest.raises(GlassvizError, match="frames that differ, found the same latents in all"):
        make_map([with_latent(mppi, 1.0)], PCA)


def test_a_few_frames_are_a_map_and_fewer_are_not():
    few = planted(replace(HOP, frames=6, opening_s=0.0), glass=False)
    for method in ("pca", "umap"):
        assert np.isfinite(make_map([few], MapOptions(method=method)).xy).all()
    with pytest.raises(GlassvizError, match="at least 4 frames, found 3"):
        make_map([planted(replace(HOP, frames=3, opening_s=0.0), glass=False)], PCA)


def test_latents_that_are_no_numbers_are_told(mppi):
    broken = replace(mppi, latent=mppi.latent.copy())
    broken.latent[0, 3, 2] = np.nan
    with pytest.raises(GlassvizError, match="others in 1 of 1000 frames"):
        make_map([broken], PCA)


def test_latents_of_two_checkpoints_have_no_map_together(mppi):
    other = planted(HOP, name="bare", glass=False)
    with pytest.raises(GlassvizError, match=r"of one checkpoint, found those of 2 .*--joint obs"):
        make_map([mppi, other], PCA)


def test_options_out_of_range_are_told():
    with pytest.raises(UsageError, match="--max-points: expected at least 4, found 3"):
        MapOptions(max_points=3)


@pytest.mark.parametrize("space", ["obs", "gait"])
def test_what_two_checkpoints_share_has_a_map_without_labels(mppi, space):
    other = planted(HOP, name="bare", controller="pi", glass=False)
    noisy = [
        replace(
            trace,
            obs=np.random.default_rng(0).normal(size=(*trace.label.shape, 6)).astype(np.float32),
        )
        for trace in (mppi, other)
    ]
    found = make_map(noisy, MapOptions(method="pca", space=space))
    assert (found.name, found.labels, found.prototypes) == ("glass, bare", None, ())
    drawn = figure([found])
    assert {"Run", "Controller", "Gait phase"} <= titles(drawn)
    assert "Label" not in titles(drawn)
    with pytest.raises(UsageError, match="no common numbering"):
        figure([found], FigureStyle(panels=("label",)))


# Figures ----------------------------------------------------------------------------------------


def titles(drawn) -> set[str]:
    return {axes.get_title("left") for axes in drawn.axes} - {""}


def written(drawn) -> str:
    own = [text.get_text() for text in drawn.texts]
    return " ".join([*own, *(t.get_text() for axes in drawn.axes for t in axes.texts)])


def test_a_figure_has_a_panel_a_colouring_quality_and_a_caption(both):
    drawn = figure([both])
    assert titles(drawn) == {
        *("Label", "Gait phase", "Return-to-go", "Controller", "Episode", "Quality")
    }
    told = written(drawn).replace("\n", " ")
    assert "PCA (" in told
    assert "n\u00a0=\u00a01,500 frames" in told
    assert "label purity" in told
    assert drawn.get_figwidth() == pytest.approx(85 / 25.4)


def test_numbers_of_prototypes_lie_apart_and_inside_the_panel(both):
    drawn = figure([both], FigureStyle(panels=("label",)))
    drawn.draw_without_rendering()
    axes = drawn.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().startswith("μ")]
    assert len(boxes) == len(both.prototypes)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    frame = axes.get_window_extent().padded(2)
    assert all(frame.containsx(box.x0) and frame.containsx(box.x1) for box in boxes)


def test_names_that_are_too_long_for_two_columns_stand_below_each_other():
    names = {0: "push-off / stance", 1: "recover / push-off", 5: "fold / opening", 7: "flight"}
    drawn = plt.figure(figsize=(1.6, 0.3))
    below = drawn.add_axes((0, 0, 1, 1))
    _group_legend(below, names, dict.fromkeys(names, "red"))
    assert [each.get_text() for each in below.texts] == list(names.values())
    assert len({each.get_position()[0] for each in below.texts}) == 1
    plt.close(drawn)


def test_episodes_are_categories_with_a_legend(both):
    drawn = figure([both], FigureStyle(panels=("episode",), caption=False))
    episodes = int(both.frames.episode.max()) + 1
    told = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert {str(i + 1) for i in range(episodes)} <= set(told)
    assert len(set(category_colors(30))) == 30
    bare = figure([both], FigureStyle(panels=("episode",), legend=False, title=False))
    assert not any(axes.get_visible() for axes in bare.axes[1::2])


def test_type_is_6_points_or_more_and_no_text_is_cut_off(both, mppi):
    joint = make_map(
        [mppi, planted(HOP, name="bare", glass=False)], MapOptions("pca", space="gait")
    )
    for drawn in (figure([both]), figure([joint]), figure([both, both])):
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        for each in (*drawn.texts, *(text for axes in drawn.axes for text in axes.texts)):
            assert each.get_fontsize() >= 6, each
            box = Text.get_window_extent(each, canvas.get_renderer())
            assert box.x0 >= 0 and box.x1 <= drawn.bbox.x1, each


def test_the_caption_of_umap_says_that_distances_mean_nothing(mppi):
    found = replace(make_map([mppi], PCA), options=MapOptions())
    assert NO_DISTANCES == "Distances between islands mean nothing."
    assert NO_DISTANCES in caption([found])


@pytest.mark.parametrize("color", COLORS[:5])
def test_every_colouring_is_a_figure_of_its_own(both, color):
    drawn = figure([both], FigureStyle(panels=(color, "quality")))
    assert len(titles(drawn)) == 2


def test_an_agent_without_labels_is_grey_beside_others_and_has_no_panel_alone(both):
    bare = make_map([planted(HOP, name="bare", glass=False)], PCA)
    assert "Label" not in titles(figure([bare]))
    together = figure([both, bare])
    assert {"Label", "Label: none"} <= titles(together)
    assert together.get_figwidth() == 7.0
    told = written(together).replace("\n", " ")
    assert "positions cannot be compared across maps" in told
    side_by_side = figure([both, bare], FigureStyle(panels=("phase",)))
    assert titles(side_by_side) == {"glass", "bare"}


def test_a_run_that_never_cycles_and_never_changes_its_controller_is_drawn_all_the_same():
    found = make_map([planted(STILL, noise=0.2, glass=False)], PCA)
    assert titles(figure([found])) == {"Return-to-go", "Quality"}
    with pytest.raises(UsageError, match="--panels: expected gait cycles, found none"):
        figure([found], FigureStyle(panels=("phase",)))


def test_equal_maps_give_equal_files(both, tmp_path):
    from glassviz.figures.style import save

    for ending in ("png", "svg", "pdf"):
        for name in "ab":
            save(figure([both], FigureStyle(panels=("label",))), tmp_path / f"{name}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_names_are_text_and_no_mathematics(both, tmp_path):
    from glassviz.figures.style import save

    save(figure([replace(both, name="$x_{", names=("$x_{",) * 2)]), tmp_path / "a.png")


def test_phase_colours_close_and_stay_off_white():
    colors = phase_colors()(np.linspace(0, 1, 257))[:, :3]
    assert np.abs(colors[0] - colors[255]).max() < 0.02
    assert np.abs(np.diff(colors[:256], axis=0)).max() < 0.05
    assert colors.min(axis=1).max() < 0.75


# Gallery ----------------------------------------------------------------------------------------


def test_a_gallery_shows_the_nearest_frames_of_different_episodes_then_cycles(both):
    frames = both.frames
    for each in examples_of(both, count=3):
        assert len(each.frames) == 3
        assert (frames.prototype[each.frames] == each.number).all()
        assert len(set(frames.series[each.frames])) == 3
    for each in examples_of(both, count=5):
        cycles = frames.cycle[each.frames]
        assert len(set(cycles[cycles >= 0])) == (cycles >= 0).sum()
        assert set(frames.series[each.frames]) == {0, 1, 2}


def test_prototypes_of_a_gallery_come_by_label_and_phase(both):
    order = [each.label for each in examples_of(both)]
    assert sorted(order) == sorted(set(order))
    inside = np.isfinite(both.frames.phase)
    phases = [
        np.angle(np.exp(1j * both.frames.phase[inside & (both.frames.label == k)]).mean())
        % (2 * np.pi)
        for k in order
    ]
    assert phases == sorted(phases)


def test_a_gallery_is_drawn_from_the_frames_that_it_names(both):
    entries = pictures(both, examples_of(both), FakeRenderer)
    assert all(len(each.pictures) == len(each.sources) == 5 for each in entries)
    drawn = gallery(entries, gallery_caption(both))
    assert drawn.get_figwidth() == pytest.approx(85 / 25.4)
    assert entries[0].sources[0] in written(drawn)
    assert gallery(entries * 3, "").get_figwidth() == 7.0


def test_without_prototypes_there_is_no_gallery():
    found = make_map([planted(HOP, name="bare", glass=False)], PCA)
    with pytest.raises(GlassvizError, match=r"labels with prototypes, found none.*--labels fitted"):
        examples_of(found)


# The command ------------------------------------------------------------------------------------


def test_the_command_draws_a_map_of_every_checkpoint(folder, tmp_path):
    out = tmp_path / "map.png"
    printed = glassviz(folder, "--method", "pca", "-o", out)
    assert out.stat().st_size > 20_000
    starts = [line.split()[0] for line in printed.splitlines() if line.strip()]
    assert starts.index("bare") < starts.index("glass")
    assert str(out) in printed
    assert len(maps_in(folder)) == 2
    assert "already exists" in glassviz(folder, "-o", out, code=1)


def test_json_tells_all_and_reuses_what_is_there(folder, tmp_path):
    def told(name: str):
        text = glassviz(folder, "--method", "pca", "--json", "-o", tmp_path / name)
        return json.loads(text)

    first, second = told("a.svg"), told("b.svg")
    assert [row["run"] for row in first] == ["bare", "glass"]
    assert [row["reused"] for row in first + second] == [False, False, True, True]
    glass = second[1]
    assert len(glass["traces"]) == 2
    assert glass["quality"]["frames"] == 450
    assert [each["number"] for each in glass["prototypes"]] == [0, 1, 2, 3]
    assert len(glass["cycles"][0]["xy"]) == 24


def test_runs_that_cannot_be_mapped_are_named_and_the_others_mapped(folder, tmp_path, short):
    constant = replace(with_latent(short, 1.0), header=short.header | {})
    constant.header["checkpoint"] = {"name": "rigid", "sha256": "99" * 32, "format": "x"}
    constant.save(folder / "rigid.npz")
    (folder / "broken.npz").write_bytes(b"")
    printed = glassviz(folder, "--method", "pca", "-o", tmp_path / "map.pdf", code=1)
    assert "there is nothing to map" in printed
    assert "broken.npz" in printed
    assert (tmp_path / "map.pdf").exists()


def test_joint_latents_are_refused_in_a_sentence_and_joint_gaits_drawn(folder, tmp_path):
    refused = glassviz(folder, "--joint", "latent", "-o", tmp_path / "a.png", code=1)
    assert refused.count("\n") == 1
    assert "whose encoders have no space in common" in refused
    glassviz(folder, "--joint", "gait", "--method", "pca", "-o", tmp_path / "b.png")
    both = folder / "glass-mppi.npz", folder / "glass-pi.npz"
    glassviz(*both, "--joint", "latent", "--method", "pca", "-o", tmp_path / "c.png")
    assert {path.name for path in tmp_path.glob("?.png")} == {"b.png", "c.png"}


def test_galleries_of_several_runs_go_by_their_names(folder, tmp_path):
    options = ("--method", "pca", "--labels", "fitted", "--overwrite")
    invoke("fit", folder, "--prototypes", "4", "--refits", "0")
    printed = glassviz(
        folder, *options, "-o", tmp_path / "map.png", "--gallery", tmp_path / "g.png"
    )
    assert {path.name for path in tmp_path.glob("g*.png")} == {"g-bare.png", "g-glass.png"}
    assert "g-bare.png" in printed


def test_checkpoints_of_one_name_have_a_map_a_name_and_a_gallery_each(tmp_path, monkeypatch, short):
    # The command names no renderer, and the default was bound when the function was defined.
    monkeypatch.setattr("glassviz.figures.gallery.StillMaker", lambda *_: StillMaker(FakeRenderer))
    monkeypatch.chdir(tmp_path)
    for name, sha256 in (("one", GLASS), ("two", OTHER)):
        other = replace(short, header=short.header | {})
        other.header["checkpoint"] = {"name": "la:st", "sha256": sha256, "format": "x"}
        other.save(Path(name) / "last.npz")
    rows = map_all([Path("one"), Path("two")], RolloutOptions(), PCA)
    assert [row.name for row in rows] == ["one/last.npz", "two/last.npz"]
    (joint,) = map_all(
        [Path("one"), Path("two")], RolloutOptions(), MapOptions("pca", space="gait"), joint=True
    )
    assert "Run" in titles(figure([joint]))
    Path("g-two-last.npz.png").write_text("mine")
    options = ("one", "two", "--method", "pca", "-o", "map.png", "--gallery", "g.png")
    assert "g-two-last.npz.png: already exists" in glassviz(*options, code=1)
    assert not Path("map.png").exists()
    glassviz(*options, "--overwrite")
    assert {path.name for path in Path().glob("g*")} == {"g-one-last.npz.png", "g-two-last.npz.png"}


def test_the_command_line_names_what_the_library_has():
    [panels] = [each for each in get_command(app).commands["map"].params if each.name == "panels"]
    assert {*panels.metavar.split(",")} == {*COLORS, "quality"}
    defaults = inspect.signature(command.latent_map).parameters
    assert defaults["max_points"].default == MapOptions().max_points
    assert defaults["map_seed"].default == MapOptions().seed
    assert defaults["method"].default == MapOptions().method


def test_the_same_trace_twice_is_one(folder):
    path = folder / "bare.npz"
    (found,) = map_all([path, path], RolloutOptions(), PCA)
    assert len(found.traces) == 1


def test_what_leads_nowhere_is_a_row(tmp_path):
    (tmp_path / "empty").mkdir()
    (row,) = map_all([tmp_path / "empty"], RolloutOptions(), PCA)
    assert isinstance(row, Failed)


def test_importing_maps_loads_nothing_heavy():
    heavy = {"jax", "mujoco", "umap", "matplotlib", "sklearn"}
    assert loaded("import glassviz.maps", heavy) == set()


def test_coordinates_of_nothing_kept_have_no_path(mppi):
    found, path, reused = coordinates_of([mppi], PCA)
    assert (path, reused) == (None, False)
    assert found.file_name.endswith(".map.npz")
