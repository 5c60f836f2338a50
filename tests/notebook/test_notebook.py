"""In a notebook: what is opened, what comes of it, how it shows itself, and the worked example."""

import base64
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from lxml import html
from matplotlib.axes import Axes
from nbclient import NotebookClient

import glassviz as gv
from glassviz import notebook as progress_module
from glassviz.notebook import CONTROLS, Film, Rollout, Rollouts, Runs, progress
from glassviz.notebook import Run as Agent
from glassviz.rollout.run import Run
from glassviz.video.film import FilmReport
from tests.helpers.commands import run_python
from tests.helpers.fake_renderer import BACKEND, FakeRenderer
from tests.helpers.planted_runs import HOP, STILL, planted, with_soft
from tests.helpers.traces import clock_trace, wandering

CHECKOUT = Path(__file__).parents[2]
AGENT = CHECKOUT / "checkpoints" / "refined-small-s1.safetensors"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}'
FACTS = FilmReport(
    *(1, 50.0, 320, 240, "h264", "yuv420p", True, True, ""),
    Path("x"),
    "none",
    "fast",
    "sky",
    0.0,
    (),
)
HEAVY = ("jax", "mujoco", "numpy", "scipy", "matplotlib", "sklearn", "cv2", "jinja2")


@pytest.fixture(scope="module")
def run() -> Agent:
    return gv.load(AGENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def hopper(folder) -> Rollout:
    """A planted hop of three episodes."""
    return saved(with_soft(planted(HOP, HOP, HOP, name="hopper")), folder / "hopper.npz")


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def saved(trace, path) -> Rollout:
    trace.save(path)
    opened = gv.load(path)
    assert isinstance(opened, Rollout)
    return opened


# Opening ------------------------------------------------------------------------------------------


def test_importing_glassviz_loads_nothing_heavy():
    code = f"import glassviz, sys; print([m for m in {HEAVY} if m in sys.modules], dir(glassviz))"
    assert run_python("-c", code).stdout.startswith("[] ")
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = gv.lod


def test_a_checkpoint_opens_as_a_run_and_a_trace_as_a_rollout(run, hopper):
    assert isinstance(run, Agent) and run.name == "refined-small-s1"
    assert hopper.trace.episodes == 3 and hopper.reused and hopper.name == "hopper"


def test_a_folder_of_one_run_is_that_run_and_of_several_is_all_of_them(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(AGENT.read_bytes())
    assert isinstance(gv.load(str(tmp_path)), Agent)
    (tmp_path / "b.safetensors").write_bytes(AGENT.read_bytes())
    runs = gv.load(tmp_path)
    assert isinstance(runs, Runs) and [each.name for each in runs] == ["a", "b"]
    assert repr(runs) == "Runs(2 checkpoints)" and runs[1:][0].name == "b"
    rows = html.fromstring(runs._repr_html_()).findall(".//tbody/tr")
    assert [row[0].text for row in rows] == ["a", "b"]
    assert gv.load([tmp_path / "b.safetensors", AGENT])[0].name == "b"


def test_many_agents_act_and_compare(tmp_path, folder):
    (tmp_path / "a.safetensors").write_bytes(AGENT.read_bytes())
    (tmp_path / "b.safetensors").write_bytes(AGENT.read_bytes())
    made = gv.load(tmp_path).rollout(1, "pi", steps=5, folder=tmp_path / "traces")
    assert isinstance(made, Rollouts) and repr(made) == "Rollouts(2 roll-outs)"


def test_many_rollouts_are_a_table_and_their_comparison_another(tmp_path, folder):
    for name, plan in (("hopper", HOP), ("still", STILL)):
        planted(plan, plan, name=name).save(tmp_path / f"{name}.npz")
    rollouts = gv.load(tmp_path)
    assert isinstance(rollouts, Rollouts) and len(rollouts) == 2
    assert "hopper" in html.fromstring(rollouts._repr_html_()).text_content()
    found = rollouts.compare()
    assert re.fullmatch(r"Comparison\(2 roll-outs: 1 [\w-]+, 1 [\w-]+\)", repr(found))
    page = html.fromstring(found._repr_html_())
    assert [row[0].text for row in page.findall(".//tbody/tr")] == ["hopper", "still"]
    assert "Do the gaits differ?" in page.text_content()
    assert [each["run"] for each in found.to_dict()["runs"]] == ["hopper", "still"]


def test_checkpoints_and_traces_are_not_opened_together(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(AGENT.read_bytes())
    planted(HOP).save(tmp_path / "b.npz")
    with pytest.raises(gv.UsageError, match="found 1 of 2 files to be traces"):
        gv.load(tmp_path)


@pytest.mark.parametrize("name", ["missing.safetensors", "missing.npz", ""])
def test_what_cannot_be_opened_is_one_sentence(tmp_path, name):
    with pytest.raises(gv.GlassvizError, match="expected") as caught:
        gv.load(tmp_path / name)
    [shown] = caught.value._render_traceback_()
    assert shown.endswith(str(caught.value)) and "\n" not in shown


# Acting -------------------------------------------------------------------------------------------


def test_the_same_rollout_is_found_again(run, folder):
    first, second = (run.rollout(2, "pi", steps=5, folder=folder) for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert first.trace.sha256 == second.trace.sha256
    assert first.trace.label.shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"controller": "human"}, "controller: expected one of mppi, pi, found 'human'"),
        ({"episodes": 0}, "episodes: expected at least 1, found 0"),
        ({"steps": 0}, "steps: expected at least 1, found 0"),
    ],
)
def test_a_rollout_that_cannot_be_is_refused(run, folder, options, said):
    with pytest.raises(gv.GlassvizError, match=said):
        run.rollout(**options, folder=folder)


# What shows itself --------------------------------------------------------------------------------


def test_results_tell_what_they_are_in_a_line(run, hopper):
    assert repr(run) == "Run('refined-small-s1', glass, 8 labels)"
    assert repr(hopper).startswith("Rollout('hopper', mppi, 3 episodes of ")
    assert repr(hopper.stability()).startswith("Stability('hopper', mppi, gait hop, basin ")


def test_what_the_library_returns_says_what_it_is_in_a_line(run, hopper, walker):
    from glassviz.compare.graphs import run_graph
    from glassviz.maps.coordinates import MapOptions
    from glassviz.maps.maps import make_map
    from glassviz.report.compose import compose

    stability = hopper.stability().result
    found = [
        *(run.checkpoint, hopper.trace, hopper.run, stability, stability.episodes[0]),
        *(gv.RolloutOptions(), gv.FilmOptions(), gv.compare_runs([hopper.run, walker.run])),
        run_graph(hopper.trace, "jump", "hopper"),
        make_map([walker.trace], MapOptions("pca"), walker.path.parent, ["walker"]),
        compose([hopper.run], "x", open_renderer=FakeRenderer),
    ]
    for each in found:
        assert len(repr(each)) < 400 and repr(each).startswith(type(each).__name__), each


def test_the_card_of_a_run_says_what_matters_and_folds_away_the_rest(run):
    page = html.fromstring(run._repr_html_())
    [table, everything] = page.findall(".//table")
    assert everything.getparent().tag == "details"
    facts = {row[0].text: row[1].text for row in table.findall(".//tr")}
    assert facts["labels"] == "8 clusters of 16 prototypes, τ=0.7"
    assert facts["env_steps"] == "150016" and facts["shaped"] == "policy search"


def test_a_verdict_shows_its_evidence_in_the_words_of_the_report(hopper):
    stability = hopper.stability()
    page = html.fromstring(stability._repr_html_())
    told = page.text_content()
    assert stability.gait == "hop" and stability.basin in told
    assert {each.text for each in page.findall(".//span[@class='term']")} >= {"rhythm", "cycles"}
    assert not page.findall(".//a"), "there is no glossary to lead to"
    assert stability.to_dict()["basin"]["name"] == stability.basin


def test_agents_without_labels_say_so(folder):
    plain = saved(planted(STILL, name="plain", glass=False), folder / "plain.npz")
    assert "none" in plain._repr_html_()
    assert "No labels: " in plain.stability()._repr_html_()
    for draw in (plain.raster, plain.graph):
        with pytest.raises(gv.GlassvizError, match="expected labels"):
            draw()
    assert not plt.get_fignums()


def test_everything_that_comes_from_a_file_is_escaped(run, folder):
    hostile = saved(planted(HOP, name=HOSTILE), folder / "hostile.npz")
    renamed = dataclasses.replace(run, name=HOSTILE)
    film = Film(b"", HOSTILE, FACTS)
    for shown in (hostile, hostile.stability(), renamed, film):
        text = shown._repr_html_()
        page = html.fromstring(text)
        assert not page.findall(".//script") and not page.findall(".//img")
        assert "{{ 7 * 7 }}" in text and "<script" not in text


# Films --------------------------------------------------------------------------------------------


@pytest.fixture
def filmed(monkeypatch, folder) -> Rollout:
    """A clock that is filmed without OpenGL."""
    import glassviz.video.film as room

    real = room.film
    draw = {"backend": BACKEND, "open_renderer": FakeRenderer}
    monkeypatch.setattr(room, "film", lambda *args, **kwargs: real(*args, **kwargs, **draw))
    return saved(clock_trace(3, 60), folder / "clock.npz")


def test_a_film_plays_in_the_page_and_can_be_saved(filmed, tmp_path):
    film = filmed.film(episode=2, part_s=(0.2, 0.8), size=(320, 240))
    assert film.report.frames == 30 and "episode 2 of 3" in film.caption
    page = html.fromstring(film._repr_html_())
    [video] = page.findall(".//video")
    assert (video.get("width"), video.get("height")) == ("320", str(240 + CONTROLS))
    kind, data = video.get("src").split(",")
    assert kind == "data:video/mp4;base64" and base64.b64decode(data) == film.mp4
    assert film.save(tmp_path / "clock.mp4").read_bytes() == film.mp4
    with pytest.raises(gv.GlassvizError, match="already exists"):
        film.save(tmp_path / "clock.mp4")


def test_a_film_shows_the_episode_with_the_median_return(filmed):
    reward = filmed.trace.reward * np.array([3.0, 1.0, 2.0])[:, None]
    rewarded = Rollout(Run.of(dataclasses.replace(filmed.trace, reward=reward), filmed.path))
    assert "episode 3 of 3" in rewarded.film(part_s=(0.0, 0.2), size=(320, 240)).caption


@pytest.mark.parametrize("episode", [0, 4, -1])
def test_an_episode_that_is_none_is_refused(filmed, episode):
    with pytest.raises(gv.GlassvizError, match="episode: expected 1 to 3"):
        filmed.film(episode)


# Figures ------------------------------------------------------------------------------------------


def test_figures_belong_to_pyplot_and_come_back_as_axes(hopper):
    axes = hopper.raster()
    assert all(isinstance(each, Axes) for each in axes)
    assert plt.gcf() is axes[0].figure


@pytest.fixture(scope="module")
def walker(folder) -> Rollout:
    """Three episodes that wander between prototypes."""
    return saved(wandering(4), folder / "walker.npz")


def test_the_map_comes_back_as_axes_and_its_coordinates_are_used_again(walker):
    axes = walker.map(method="pca")
    assert plt.gcf() is axes.figure and axes.get_title(loc="left") == "Label"
    [kept] = walker.path.parent.glob("*.map.npz")
    made = kept.stat().st_mtime_ns
    assert walker.map("episode", method="pca").get_title(loc="left") == "Episode"
    assert kept.stat().st_mtime_ns == made


def test_the_graph_comes_back_as_axes(walker):
    axes = walker.graph("flow")
    assert plt.gcf() is axes.figure and axes is axes.figure.axes[0]


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda rollout: rollout.map("taste"), "color: expected one of .*, found 'taste'"),
        (lambda rollout: rollout.map(method="tsne"), "method: expected one of umap, pca"),
        (lambda rollout: rollout.graph("train"), "mode: expected one of frame"),
        (lambda rollout: rollout.labels("fitted"), "glassviz fit"),
        (lambda rollout: rollout.labels("none.safetensors"), "which is no file"),
    ],
)
def test_what_there_is_not_is_refused(hopper, draw, said):
    with pytest.raises(gv.GlassvizError, match=said):
        draw(hopper)
    assert not plt.get_fignums()


# The rest -----------------------------------------------------------------------------------------


def test_progress_is_told_of_what_takes_long_and_goes_away(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 4.0, 4.1, 5.0])
    own = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(progress_module, "time", own)
    with progress("counting") as tell:
        for done in range(1, 5):
            tell(done, 10)
    told = capsys.readouterr().err.split("\r")
    assert told[1:3] == ["counting: 2 of 10, 24 s left", "counting: 4 of 10, 8 s left "]
    assert told[3].isspace() and told[4] == ""


def without_progress(told: str) -> str:
    """What is on standard error beside the line of `progress`, which comes on a slow machine."""
    return re.sub(r"\r(?:[\w -]+: \d+ of \d+, \d+ s left)? *", "", told)


def test_a_warning_is_more_than_progress():
    line = "\rrolling out refined-small-s1: 234 of 400, 2 s left "
    assert without_progress(f"{line}\r{' ' * len(line)}\r") == ""
    for warning in ("x.py:1: UserWarning: no\n", "ValueError"):
        assert without_progress(f"{line}\r   \r{warning}") == warning


def test_the_worked_notebook_runs_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning:glassviz")
    source = CHECKOUT / "docs" / "notebook.ipynb"
    assert source.stat().st_size < 300_000
    book = nbformat.read(source, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "outputs are not kept"
    (tmp_path / "docs").mkdir()
    (tmp_path / "checkpoints").symlink_to(AGENT.parent)
    client = NotebookClient(book, timeout=600, resources={"metadata": {"path": tmp_path / "docs"}})
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    told = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert without_progress(told) == ""
    kinds = [kind for output in outputs for kind in output.get("data", ())]
    assert kinds.count("image/png") == 4 and kinds.count("text/html") == 4
    assert "episode: expected 1 to 3, found 7" in outputs[-1].text
