"""Exports: what is at one phase, what has no row and why, what fits a size, what captions say."""

import copy
import dataclasses
import re
import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from lxml import etree
from PIL import Image

import tests.helpers.tiny as tiny
from glassviz.errors import GlassvizError, UsageError
from glassviz.export import kinds
from glassviz.export.kinds import export_all
from glassviz.export.mosaics import (
    Piece,
    cycle_pieces,
    grid_film,
    onset_pieces,
    plan_grid,
    plan_wall,
    spread,
    wall_film,
)
from glassviz.export.product import CAPTIONS, Source, Studio, shared_colors
from glassviz.figures.labels import label_raster
from glassviz.figures.style import FigureStyle
from glassviz.files import DiskFullError
from glassviz.gait.cycles import find_cycles
from glassviz.gait.gait import describe
from glassviz.palette import UNMATCHED_COLORS, label_color
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import printable
from glassviz.video import encode
from glassviz.video.encode import probe
from glassviz.video.mosaic import MAX_HEIGHT, MAX_WIDTH, Look, Sheet, Track
from tests.helpers.commands import invoke
from tests.helpers.fake_renderer import BACKEND, FakeRenderer, read_number
from tests.helpers.planted_runs import HOP, KNEE, STILL, UNLOCKED, assessed, planted

HOSTILE = "<img src=x>\x1b[31m`*[a](b)|# ../../evil"
FAST = Look("fast")
CHECKOUT = Path(__file__).parents[2]
SHORT = dataclasses.replace(HOP, frames=150)


def with_phase_in_x(trace):
    """Each frame's picture tells cycle and phase: 100 pictures' numbers a gait cycle."""
    qpos = trace.qpos.copy()
    for episode in range(trace.episodes):
        cycles = describe(trace, episode).cycles
        touchdowns = np.append(cycles.starts, cycles.ends[-1])
        qpos[episode, :, 0] = np.interp(
            np.arange(trace.frames), touchdowns, np.arange(len(touchdowns))
        )
    return dataclasses.replace(trace, qpos=qpos)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Rows: a hop, a hop whose labels oscillate, a knee-walk, one that lies, one without labels."""
    folder = tmp_path_factory.mktemp("traces")
    plans = {"hop": [HOP, HOP], "loose": [UNLOCKED], "knee": [KNEE], "still": [STILL]}
    traces = {name: planted(*own, name=name) for name, own in plans.items()}
    traces["hop"] = with_phase_in_x(traces["hop"])
    beat = (np.arange(STILL.frames) // 25 % 4).astype(np.int32)[None]
    traces["still"] = dataclasses.replace(traces["still"], label=beat)
    traces["plain"] = planted(SHORT, name="plain", glass=False)
    traces["hostile"] = planted(SHORT, name=HOSTILE)
    return {
        name: assessed(folder, trace, None if name == "hostile" else name)
        if name != "hostile"
        else dataclasses.replace(assessed(folder, trace, "x"), name=HOSTILE)
        for name, trace in traces.items()
    }


@pytest.fixture(scope="module", autouse=True)
def small_films():
    """As small as an overlay can be; maps, which have tests of their own, are timelines."""

    def no_map(source):
        product = kinds.timeline(source)
        return dataclasses.replace(product, stem=product.stem.replace("timeline", "map"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "SIZE", (280, 200))
        patch.setattr(kinds, "latent_map", no_map)
        yield


@pytest.fixture
def studio():
    with Studio(quality="fast", jobs=1, open_renderer=FakeRenderer, backend=BACKEND) as studio:
        yield studio


def frames_of(reel):
    paint = reel.painter(FakeRenderer(reel.scene))
    canvas = np.empty((reel.height, reel.width, 3), np.uint8)
    for t in range(reel.frames):
        paint(canvas, t)
        yield canvas


def picture(reel, canvas, cell):
    return canvas[cell.y : cell.y + reel.scene.height, cell.x : cell.x + reel.scene.width]


# One clock ----------------------------------------------------------------------------------------


def test_cells_of_a_grid_show_one_phase_at_any_time_within_a_frame(runs):
    source = Source.of(runs["hop"])
    plan = plan_grid(source)
    reel = grid_film(source, plan, "mp4", FAST, 6, 0.25)
    assert len(reel.cells) == 6 * len(plan.rows) == 24
    assert plan.cycles == 2
    one_frame = 100 * source.trace.frame_dt_s / (0.8 * plan.period_s)
    for t, canvas in enumerate(frames_of(reel)):
        shown = [read_number(picture(reel, canvas, cell)) % 100 for cell in reel.cells]
        wanted = 200 * t / reel.frames % 100
        apart = (np.array(shown) - wanted + 50) % 100 - 50
        assert np.abs(apart).max() <= one_frame, t


def test_cells_are_lit_while_they_have_their_rows_label_and_it_is_the_frames_own(runs):
    source = Source.of(runs["hop"])
    plan = plan_grid(source)
    reel = grid_film(source, plan, "mp4", FAST, 4, 0.25)
    for i, row in enumerate(plan.rows):
        for cell in reel.cells[4 * i : 4 * i + 4]:
            assert cell.highlighted.any() and not cell.highlighted.all()
            np.testing.assert_array_equal(cell.highlighted, cell.track.label == row.label)


def test_rows_come_in_the_order_of_the_gait_and_show_different_cycles(runs):
    source = Source.of(runs["hop"])
    plan = plan_grid(source)
    assert [row.label for row in plan.rows] == [0, 1, 2, 3]
    reel = grid_film(source, plan, "mp4", FAST, 3, 0.25)
    assert len({cell.note for cell in reel.cells}) > len(reel.cells) / 2


def test_runs_on_a_wall_show_one_phase(runs):
    sources = [Source.of(runs["hop"]), Source.of(runs["hop"], episode=1)]
    plan = plan_wall(sources)
    reel = wall_film(sources, plan, shared_colors(sources), "mp4", FAST)
    assert plan.cycles >= 5 and all(plan.pieces)
    for t, canvas in enumerate(frames_of(reel)):
        one, other = (read_number(picture(reel, canvas, cell)) % 100 for cell in reel.cells)
        assert abs((one - other + 50) % 100 - 50) <= 6, t


def test_a_run_without_cycles_is_on_the_wall_in_real_time(runs, studio):
    sources = [Source.of(runs[name]) for name in ("hop", "knee", "still")]
    plan = plan_wall(sources)
    assert [piece is None for piece in plan.pieces] == [False, False, True]
    product = kinds.wall(sources, studio)
    assert "still, planner (mppi): real time" in product.caption
    alone = plan_wall([sources[0], sources[2]])
    assert alone.cycles == 0 and alone.period_s is None


def test_pieces_share_no_cycle_and_skip_gaps():
    touchdowns = np.array([5, 15, 26, 35, 95, 105, 114])
    cycles = find_cycles(touchdowns, np.ones(130, bool), 0.04)
    pieces = cycle_pieces(cycles, 0, 2)
    assert [each.frames.tolist() for each in pieces] == [[5, 15, 26], [95, 105, 114]]
    np.testing.assert_allclose(pieces[0].frames_at(np.array([0.5, 1.0, 1.5])), [10, 15, 20.5])


def test_onsets_are_aligned_in_real_time():
    visited = np.zeros(400, bool)
    for start in (50, 60, 200):
        visited[start : start + 5] = True
    pieces = onset_pieces(visited, 3, 0.02)
    assert [piece.frames_at(np.zeros(1))[0] for piece in pieces] == [50, 200]
    assert {piece.episode for piece in pieces} == {3}


def test_visits_are_spread_evenly_and_others_are_chosen_with_another_offset():
    pieces = [Piece(i, np.array([0, 1]), np.array([0.0, 1.0])) for i in range(100)]
    one, other = (spread(pieces, 4, offset) for offset in (0.25, 0.75))
    assert [each.episode for each in one] == [6, 31, 56, 81]
    assert not {each.episode for each in one} & {each.episode for each in other}
    assert spread(pieces[:2], 4) == pieces[:2]


def test_poses_between_frames_are_interpolated_and_labels_are_not(runs):
    from glassviz.video.clip import Clip

    clip = Clip.of(Source.of(runs["hop"]).trace, 0)
    track = Track.of(clip, np.array([-3.0, 10.0, 10.5, 1e6]))
    np.testing.assert_allclose(track.qpos[2], (clip.qpos[10] + clip.qpos[11]) / 2)
    np.testing.assert_array_equal(track.qpos[[0, 1, 3]], clip.qpos[[0, 10, -1]])
    assert track.label.tolist() == clip.label[[0, 10, 10, -1]].tolist()


# What has no row, and what is refused -------------------------------------------------------------


def test_labels_without_a_row_are_named_with_their_reason(runs, studio):
    row = runs["hop"]
    trace = row.trace
    label = trace.label.copy()
    cycles = [row.stability.episodes[e].gait.cycles for e in range(2)]
    inside = int(cycles[0].starts[4]) + 1
    label[0, inside] = 6
    outside = int(np.flatnonzero(cycles[1].cycle < 0)[0])
    label[1, outside] = 7
    other = Run.of(dataclasses.replace(trace, label=label), row.trace_path, row.name)
    other.stability = row.stability
    changed = Source.of(other)
    plan = plan_grid(changed)
    assert plan.skipped == {
        4: "never visited",
        5: "never visited",
        6: "too few visits: 1 of the 3 needed",
        7: "never in a gait cycle, 1 frame outside",
    }
    from glassviz.export.mosaics import grid_caption

    told = grid_caption(changed, plan, 6, 0.25)
    assert "4 and 5 (never visited); 6 (too few visits: 1 of the 3 needed); 7 (never" in told


def test_a_grid_without_cycles_is_aligned_at_onsets(runs):
    source = Source.of(runs["still"])
    plan = plan_grid(source)
    assert plan.cycles == 0 and plan.period_s is None
    for row in plan.rows:
        for piece in row.pieces:
            onset = int(piece.frames_at(np.zeros(1))[0])
            labels = source.trace.label[piece.episode]
            assert labels[onset] == row.label != labels[onset - 1]


@pytest.mark.parametrize("kind", ["grid", "raster"])
def test_an_agent_without_labels_is_told_to_fit_some(runs, studio, kind):
    source = Source.of(runs["plain"])
    make = kinds.raster if kind == "raster" else lambda s: kinds.grid(s, studio)
    with pytest.raises(UsageError, match=r"glassviz fit .*plain-mppi.npz. and add --labels fitted"):
        make(source)


def test_episodes_of_a_raster_have_panels_of_one_size_with_axes():
    rasters = {n: np.zeros((cycles, 12), int) for n, cycles in ((1, 3), (2, 40), (4, 11))}
    panels = label_raster(rasters, FigureStyle(width_mm=85.0)).axes
    assert [axes.get_title("left") for axes in panels] == ["episode 1", "episode 2", "episode 4"]
    sizes = {tuple(np.round(axes.get_position().size, 6)) for axes in panels}
    assert len(sizes) == 1 and {axes.get_xlim() for axes in panels} == {(0.0, 40.0)}
    assert panels[-1].get_xlabel() == "gait cycle" and panels[0].get_ylabel() == "phase"


def test_options_of_figures_are_refused_for_films(tmp_path):
    told = invoke("export", tmp_path / "a.npz", "--grid", "--width", "85mm", code=2).stderr
    assert "--grid: options of figures such as --width only affect --strip" in told


def test_a_raster_without_cycles_is_one_sentence(runs):
    with pytest.raises(GlassvizError, match="expected gait cycles for a raster, found none"):
        kinds.raster(Source.of(runs["still"]))


def test_a_part_or_an_episode_that_there_is_not_is_refused(runs, studio):
    source = Source.of(runs["hop"])
    with pytest.raises(UsageError, match=r"within 0-10 s, found 4-11"):
        kinds.clip(source, studio, (4.0, 11.0))
    with pytest.raises(UsageError, match="expected 1 to 2, the episodes of hop, found 3"):
        Source.of(runs["hop"], episode=2)


@pytest.mark.parametrize("count", [2, 5, 18, 36, 64])
def test_the_cells_of_a_wall_share_a_screen_without_overlap(runs, count):
    sources = [Source.of(runs["hop"])] * count
    own = shared_colors(sources[:1])
    colors = dataclasses.replace(own, colors=own.colors * count)
    reel = wall_film(sources, plan_wall(sources), colors, "mp4", FAST)
    places = [(cell.x, cell.y) for cell in reel.cells]
    assert len(set(places)) == count
    assert reel.width <= MAX_WIDTH
    assert max(x for x, _ in places) + reel.scene.width <= reel.width
    assert max(y for _, y in places) + reel.scene.height <= reel.height
    if count <= 18:
        assert reel.height <= MAX_HEIGHT and reel.scene.height >= 200


def test_a_wall_takes_two_runs(runs):
    with pytest.raises(UsageError, match="expected 2 to 64 runs"):
        plan_wall([Source.of(runs["hop"])])


# Colours ------------------------------------------------------------------------------------------


def test_labels_of_one_phase_have_one_colour_and_labels_of_none_are_grey(tmp_path):
    turned = dataclasses.replace(HOP, map=(3, 2, 1, 5))
    rows = [
        assessed(tmp_path, planted(HOP, name="a")),
        assessed(tmp_path, planted(turned, name="b")),
        assessed(tmp_path, planted(KNEE, name="c")),
        assessed(tmp_path, planted(HOP, name="d", glass=False)),
    ]
    a, b, c, d = shared_colors([Source.of(row) for row in rows]).colors
    assert a[:4] == tuple(label_color(k) for k in range(4))
    assert [b[k] for k in (3, 2, 1, 5)] == list(a[:4])
    assert set(c) <= set(UNMATCHED_COLORS)
    assert d == ()


def test_two_controllers_of_one_checkpoint_keep_its_colours(runs):
    sources = [Source.of(runs["hop"]), Source.of(runs["hop"], episode=1)]
    found = shared_colors(sources)
    assert found.colors == (sources[0].colors,) * 2 and found.note == ""


# Files --------------------------------------------------------------------------------------------


def make(product, path, overwrite=False):
    return product.write(path, overwrite, lambda done, total: None)


@pytest.mark.parametrize("ending", ["mp4", "webm", "gif"])
def test_films_are_what_players_take(runs, studio, tmp_path, ending):
    source = Source.of(runs["hop"])
    path = tmp_path / f"grid.{ending}"
    make(kinds.grid(source, studio, columns=2, speed=1.0), path)
    facts = probe(path)
    assert facts.width % 2 == facts.height % 2 == 0
    if ending != "gif":
        assert facts.pixel_format == "yuv420p" and facts.fps == 30
    assert list(tmp_path.iterdir()) == [path]


def test_a_clip_is_the_part_of_the_episode_frame_by_frame(runs, studio, tmp_path):
    source = Source.of(runs["hop"])
    path = tmp_path / "clip.mp4"
    product = kinds.clip(source, studio, (3.0, 3.5))
    make(product, path)
    capture = cv2.VideoCapture(str(path))
    shown = []
    while (read := capture.read())[0]:
        shown.append(read_number(read[1]))
    own = source.trace.qpos[source.episode, 150:175, 0]
    assert shown == [round(100 * x) for x in own]
    assert product.caption.startswith("3.00 to 3.50 s of the episode with its label")


class Noise(FakeRenderer):
    """Pictures that no encoder can make small."""

    def render(self, qpos, qvel):
        rng = np.random.default_rng(round(qpos[0] * 100))
        self.picture[:] = rng.integers(0, 256, self.picture.shape, np.uint8)
        return self.picture


def test_a_gif_gives_up_colours_frames_and_size_until_it_fits(runs, tmp_path, monkeypatch):
    source = Source.of(runs["hop"])
    limit = 250_000
    monkeypatch.setattr(kinds, "GIF_BYTES", limit)
    with Studio("fast", 1, Noise, BACKEND) as studio:
        notes = make(kinds.gif(source, studio, (3.0, 3.2)), tmp_path / "a.gif")
        assert (tmp_path / "a.gif").stat().st_size <= limit
        [note] = [each for each in notes if "to fit into 0.25 MB" in each]
        seconds = [f["duration"] for f in gif_frames(tmp_path / "a.gif")]
        assert sum(seconds) == pytest.approx(200, abs=60), note
        monkeypatch.setattr(kinds, "GIF_BYTES", 10_000)
        monkeypatch.setattr(encode, "LADDER", encode.LADDER[-1:])
        with pytest.raises(GlassvizError, match=r"at most 0.01 MB, found .* a shorter part"):
            make(kinds.gif(source, studio, (3.0, 3.2)), tmp_path / "b.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def gif_frames(path):
    with Image.open(path) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            yield dict(gif.info)


def test_a_gif_of_itself_is_six_seconds(tmp_path, studio):
    row = assessed(tmp_path, planted(dataclasses.replace(HOP, frames=500), name="long"))
    caption = kinds.gif(Source.of(row), studio).caption
    start, end = map(float, re.match(r"([\d.]+) to ([\d.]+) s", caption).groups())
    assert end - start == pytest.approx(6.0)


@pytest.mark.parametrize("kind", ["strip", "timeline", "raster"])
def test_figures_are_a_column_wide_with_fonts_in_them_and_their_text_is_text(
    runs, studio, tmp_path, kind
):
    source = Source.of(runs["hop"])
    makers = {"raster": kinds.raster, "timeline": kinds.timeline}
    product = makers[kind](source) if kind in makers else kinds.strip(source, studio)
    for ending in product.endings:
        make(product, tmp_path / f"a{ending}")
    tree = etree.parse(tmp_path / "a.svg")
    assert float(tree.getroot().get("width").removesuffix("pt")) == pytest.approx(85 / 25.4 * 72)
    words = " ".join(tree.getroot().itertext())
    assert {"strip": "gait phase", "timeline": "height, m", "raster": "phase"}[kind] in words
    sizes = re.findall(r"font(?:-size)?: (?:\w+ )?([\d.]+)px", (tmp_path / "a.svg").read_text())
    assert sizes and min(map(float, sizes)) >= 6
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == pytest.approx(1004, abs=2)


def test_a_strip_needs_neither_labels_nor_cycles(runs, studio, tmp_path):
    for name in ("plain", "still"):
        product = kinds.strip(Source.of(runs[name]), studio)
        make(product, tmp_path / f"{name}.svg")
        etree.parse(tmp_path / f"{name}.svg")
    assert "no gait cycles" in product.caption


def test_a_file_that_is_there_is_not_replaced_unasked(runs, studio, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_text("mine")
    product = kinds.timeline(Source.of(runs["hop"]))
    with pytest.raises(GlassvizError, match="--overwrite"):
        make(product, path)
    assert path.read_text() == "mine"
    make(product, path, overwrite=True)
    assert path.read_bytes().startswith(b"%PDF")


def test_a_run_that_cannot_be_read_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planted(HOP, name="good").save("good.npz")
    Path("bad.npz").write_bytes(b"no trace")
    done = invoke("export", "bad.npz", "good.npz", "--raster", code=1)
    assert Path("renders/good-mppi-raster.pdf").exists()
    assert "error: bad.npz: expected a trace" in done.stderr
    assert "error: bad.npz: " in invoke("export", "bad.npz", "--raster", code=1).stderr


def test_a_run_that_cannot_be_drawn_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planted(SHORT, name="plain", glass=False).save("a.npz")
    planted(HOP, name="good").save("b.npz")
    done = invoke("export", "a.npz", "b.npz", "--raster", code=1)
    assert Path("renders/good-mppi-raster.pdf").exists()
    assert "error: plain: expected labels" in done.stderr
    # Alone it ends the command as the mistake that it is.
    assert "expected labels" in invoke("export", "a.npz", "--raster", code=2).stderr


def test_a_full_disk_stops_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        planted(HOP, name=name).save(f"{name}.npz")
    tried = []

    def full(source, look):
        tried.append(source.name)
        raise DiskFullError(Path("renders"), None, "no room")

    monkeypatch.setattr(kinds, "raster", full)
    assert "free some space" in invoke("export", "a.npz", "b.npz", "--raster", code=1).stderr
    assert tried == ["a"]


def test_a_film_that_cannot_be_made_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filmed = []

    def film(traces, path, options, **others):
        filmed.append(path.name)
        if path.name.startswith("a-"):
            raise GlassvizError(f"{path}: expected a picture, found none: film it again")
        raise GlassvizError(f"{path}: another")

    monkeypatch.setattr("glassviz.video.film.film", film)
    for name in ("a", "b"):
        planted(SHORT, name=name).save(f"{name}.npz")
    done = invoke("render", "a.npz", "b.npz", code=1)
    assert len(filmed) == 2
    assert "expected a picture" in done.stderr and "b-mppi.mp4: another" in done.stderr


# The full set -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(runs, small_films, tmp_path_factory):
    """A folder with everything of a run with labels, one without, one hostile, one broken."""
    folder = tmp_path_factory.mktemp("full")
    rows = [runs["hostile"], runs["plain"], Failed("torn", Path("torn.npz"), None, "no trace")]
    told = []
    with Studio("fast", 1, FakeRenderer, BACKEND) as studio:
        made = export_all(rows, folder, studio, tell=told.append)
    return folder, made, told, rows


def sections(folder):
    text = (folder / CAPTIONS).read_text()
    return dict(re.findall(r"^## (\S+)\n\n(.+)$", text, re.MULTILINE))


def test_every_file_has_a_caption_that_says_what_it_was_made_from(full):
    folder, made, _, _ = full
    files = {path.name for path in folder.iterdir()} - {CAPTIONS}
    captions = sections(folder)
    assert {name.replace("\\", "") for name in captions} == files
    assert {path.name for path in made.written} == files and len(files) == 22
    for name, caption in captions.items():
        for part in ("checkpoint ", "trace ", "seed ", "episode", "gait cycle", "labels: "):
            assert part in caption, (name, part)


def test_a_hostile_name_neither_leaves_the_folder_nor_speaks_in_the_captions(full):
    folder, _, _, _ = full
    text = (folder / CAPTIONS).read_text()
    assert "\x1b" not in text and "<img" not in text.replace("\\<", "")
    assert not re.search(r"(?<!\\)[*`|]", text)
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in folder.iterdir())


def test_what_cannot_be_made_is_named_with_its_reason(full):
    folder, made, told, _ = full
    assert set(made.left_out) == {
        "torn",
        "raster of plain, planner (mppi)",
        "poses of plain, planner (mppi)",
        "graph of plain, planner (mppi)",
        f"graph of {printable(HOSTILE)}, planner (mppi)",  # Its trace holds no partition.
        "grid of plain, planner (mppi)",
    }
    text = (folder / CAPTIONS).read_text()
    assert "## Not made" in text and "torn: no trace" in text and "glassviz fit" in text
    assert sum("not made" in line for line in told) == 6


def test_a_set_that_was_interrupted_is_gone_on_with(full, studio):
    folder, _, _, rows = full
    gone = next(folder.glob("*timeline.pdf"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != CAPTIONS}
    text = (folder / CAPTIONS).read_text()
    gone.unlink()
    made = export_all(rows, folder, studio)
    assert made.written == (gone,) and len(made.kept) == 21
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != CAPTIONS}
    assert {path for path in after if after[path] != before[path]} == {gone}
    assert sorted((folder / CAPTIONS).read_text().split("\n")) == sorted(text.split("\n"))


def test_captions_of_other_files_in_the_folder_are_kept(full, runs, studio, tmp_path):
    row = runs["plain"]
    export_all([row], tmp_path, studio)
    again = dataclasses.replace(row, name="other")
    export_all([again], tmp_path, studio)
    files = {path.name for path in tmp_path.iterdir()} - {CAPTIONS}
    assert set(sections(tmp_path)) == files and len(files) == 16


def test_kept_files_keep_the_captions_of_the_trace_that_they_were_made_from(runs, studio, tmp_path):
    old, new = runs["plain"], dataclasses.replace(runs["hostile"], name="plain")
    export_all([old], tmp_path, studio)
    before = sections(tmp_path)
    (tmp_path / "plain-mppi-strip.pdf").unlink()
    told = []
    export_all([new], tmp_path, studio, tell=told.append)
    after = sections(tmp_path)
    of_old, of_new = (f"trace {row.stability.trace_sha256[:12]}" for row in (old, new))
    for name in before:
        made_now = name == "plain-mppi-strip.pdf"
        assert (of_new if made_now else of_old) in after[name], name
        assert (after[name] == before[name]) == (not made_now)
    kept = [line for line in told if ": kept" in line]
    assert len(kept) == len(before) - 1
    assert all("made from another trace (--overwrite" in line for line in kept)
    export_all([new], tmp_path, studio, overwrite=True)
    assert all(of_new in sections(tmp_path)[name] for name in before)


def test_a_kept_file_without_a_caption_is_not_said_to_be_of_this_trace(runs, studio, tmp_path):
    (tmp_path / "plain-mppi-strip.pdf").write_text("mine")
    told = []
    export_all([runs["plain"]], tmp_path, studio, tell=told.append)
    assert "trace" not in sections(tmp_path)["plain-mppi-strip.pdf"]
    assert any("strip.pdf: kept, though nothing tells what it was made from" in x for x in told)


class Interrupted(FakeRenderer):
    """Ctrl-C in the middle of a film."""

    def render(self, qpos, qvel):
        if qpos[0] >= 3:
            raise KeyboardInterrupt
        return super().render(qpos, qvel)


def test_ctrl_c_leaves_nothing_half_written_and_the_captions_of_what_is_there(runs, tmp_path):
    with Studio("fast", 1, Interrupted, BACKEND) as studio, pytest.raises(KeyboardInterrupt):
        export_all([runs["hop"]], tmp_path, studio)
    files = {path.name for path in tmp_path.iterdir()}
    assert not any("partial" in name for name in files)
    assert files - {CAPTIONS} == set(sections(tmp_path)) if CAPTIONS in files else not files


def test_a_wall_of_a_part_shows_that_part_of_every_episode_in_real_time(runs):
    sources = [Source.of(runs["hop"]), Source.of(runs["knee"]), Source.of(runs["still"])]
    plan = plan_wall(sources, 1.0, (1.0, 2.0))
    assert plan.pieces == (None, None, None) and plan.seconds == 1.0
    reel = wall_film(sources, plan, shared_colors(sources), "mp4", FAST, 1.0)
    for cell, source in zip(reel.cells, sources, strict=True):
        first = round(1.0 / source.trace.frame_dt_s)
        expected = source.trace.qpos[source.episode, first : 2 * first]
        assert np.abs(cell.track.qpos[0] - expected[0]).max() < 1e-6
        assert reel.frames == 30
    with pytest.raises(UsageError, match="expected a part of the episode"):
        plan_wall(sources, 1.0, (1.0, 1000.0))


def test_names_on_a_wall_are_whole_and_told_apart_by_their_ends(runs, monkeypatch):
    written = []
    monkeypatch.setattr(Sheet, "text", lambda self, x, y, text, *_, **__: written.append(text))
    sources = [Source.of(runs["hop"]) for _ in range(18)]
    names = [f"tdmpc2-small-with-a-tail-s{i}" for i in range(18)]
    for i, (source, name) in enumerate(zip(sources, names, strict=True)):
        run = copy.copy(source.run)
        run.name = name
        sources[i] = Source.of(run)
    wall_film(sources, plan_wall(sources), shared_colors(sources), "mp4", FAST)
    assert set(names) <= set(written)
    assert any("; policy (pi)" in text or "; planner (mppi)" in text for text in written)


def test_a_grid_of_a_part_has_the_visits_of_that_part_alone(runs):
    source = Source.of(runs["hop"])
    whole, part = plan_grid(source), plan_grid(source, (1.0, 6.0))
    first, last = (round(each / source.trace.frame_dt_s) for each in (1.0, 6.0))
    assert 0 < len(part.pieces) < len(whole.pieces)
    assert all(first <= piece.first and piece.last <= last for piece in part.pieces)


def test_cells_have_the_size_that_is_asked_for_on_a_sheet_of_their_colour(runs):
    source = Source.of(runs["hop"])
    plan = plan_grid(source)
    reel = grid_film(source, plan, "mp4", Look("fast", "white", (100, 120)), 3, 0.25)
    assert (reel.scene.width, reel.scene.height) == (100, 120)
    assert reel.scene.background == "white"
    assert (reel.background[:4] == 255).all()


# The command --------------------------------------------------------------------------------------


def glassviz(*arguments, code=0):
    done = invoke("export", *arguments, code=code)
    return done.stderr if code else done.stdout


def test_a_tiny_agent_is_exported_from_its_checkpoint_by_a_real_renderer(tmp_path, monkeypatch):
    import jax

    from glassviz import checkpoints
    from glassviz.agents.networks import init_params

    monkeypatch.chdir(tmp_path)
    params = init_params(tiny.AGENT, jax.random.key(0))
    checkpoints.save(Path("hop.safetensors"), tiny.AGENT, params, {"recipe": "tiny"})
    options = ("hop.safetensors", "--controller", "pi", "--episodes", "1")
    told = glassviz(*options, "--clip", "0.2-0.6", "-o", "part.mp4")
    assert "0.20 to 0.60 s of the episode" in told
    assert probe(Path("part.mp4")).frames == 20
    told = glassviz(*options, "--strip", "-o", "strip.png")
    with Image.open("strip.png") as image:
        colors = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colors) > 1000, "expected a rendered body"
    assert "no gait cycles" in told
    assert "already exists" in glassviz(*options, "--strip", "-o", "strip.png", code=1)


def test_a_full_set_of_runs_one_of_which_fails_exits_with_1(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "glassviz.export.kinds.plans_of",
        lambda source, studio: [("timeline", lambda: kinds.timeline(source))],
    )
    trace = runs["plain"].trace_path
    glassviz(trace, "--all", tmp_path / "sound")
    (tmp_path / "torn.npz").write_bytes(b"")
    glassviz(trace, tmp_path / "torn.npz", "--all", tmp_path / "torn", code=1)
    assert "torn" in (tmp_path / "torn" / CAPTIONS).read_text()
    assert len(list((tmp_path / "torn").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected one of --grid, --wall"),
        (("--grid", "--strip"), "found --grid and --strip"),
        (("--raster", "--clip", "1-2"), "--clip: works alone or with --grid, --wall, --strip, "),
        (("--strip", "--speed", "2"), "--speed: only affects --grid and --wall, found --strip"),
        (("--strip", "--size", "99x99"), "--size: only affects --clip, --gif, --grid and --wall"),
        (("--raster", "--background", "white"), "--background: only affects --clip, --gif, "),
        (("--wall", "--size", "40x400"), "size: expected 64 to 1920 pixels a side for each pict"),
        (("--clip", "0-1", "--size", "321x241"), "even numbers of at least 64"),
        (("--all", "x", "-o", "y.mp4"), "found --all, which names its folder"),
        (("--grid", "--speed", "9"), "--speed: expected 0.05 to 4"),
    ],
)
def test_options_that_exclude_each_other_are_one_sentence(arguments, told):
    assert told in glassviz("x.npz", *arguments, code=2)


@pytest.mark.parametrize("command", ["render", "export"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--clip", "now"), "--clip: expected start and end in seconds such as 4-10, found 'now'"),
        (("--clip", "4:10"), "--clip: expected start and end in seconds such as 4-10"),
        (("--clip", "4-4"), "--clip: expected start and end in seconds such as 4-10"),
        (("--clip", "0-1", "--size", "wide"), "--size: expected width x height such as 640x480"),
    ],
)
def test_all_commands_understand_clip_and_size_alike(command, arguments, told):
    assert told in invoke(command, "x.npz", *arguments, code=2).stderr


@pytest.mark.parametrize("command", ["render", "export"])
def test_a_part_that_an_episode_does_not_have_is_refused_before_it_is_recorded(
    command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    agent = CHECKOUT / "checkpoints" / "refined-small-s1.safetensors"
    done = invoke(command, agent, "--steps", "100", "--clip", "1-3", code=2)
    assert "refined-small-s1: clip: expected a part of the episode, within 0-2 s" in done.stderr
    assert not list(tmp_path.rglob("*.npz"))


def test_the_name_of_a_film_says_what_part_of_it_it_shows_and_on_what(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trace, options = runs["hop"].trace_path, ("--clip", "0-0.1", "--background", "white")
    glassviz(trace, *options, "--size", "320x240")
    [film] = Path("renders").iterdir()
    assert film.name.endswith("-clip-0-0.1s-320x240-white.mp4")
    assert probe(film).size == (320, 240)
    invoke("render", trace, *options, "--size", "320x240")
    [rendered] = set(Path("renders").iterdir()) - {film}
    assert rendered.name.endswith("-0-0.1s-320x240-white.mp4")
    assert probe(rendered).frames == probe(film).frames == 5
    for path in (film, rendered):
        assert "background white" in probe(path).comment


def test_the_ending_of_a_name_must_be_one_of_the_kinds(runs):
    trace = runs["hop"].trace_path
    assert "ends in .pdf or .svg or .png for --raster" in glassviz(
        trace, "--raster", "-o", "a.mp4", code=2
    )


def test_pdf_fonts_are_embedded_by_their_own_account(runs, tmp_path):
    make(kinds.timeline(Source.of(runs["hop"])), tmp_path / "a.pdf")
    try:
        done = subprocess.run(["pdffonts", tmp_path / "a.pdf"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("poppler-utils is not installed")
    rows = done.stdout.splitlines()[2:]
    assert rows and all(re.search(r"\syes\s+(yes|no)\s+yes\s", row) for row in rows)


def test_reels_have_the_rate_of_their_format():
    from glassviz.export.product import mosaic_rate

    assert mosaic_rate("mp4") == 30 and Fraction(100) % mosaic_rate("gif") == 0
