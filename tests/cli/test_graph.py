"""`glassviz graph`: numbers, files of every kind, what is refused, comparisons."""

import io
import json
from dataclasses import replace
from pathlib import Path

import jax
import networkx as nx
import numpy as np
import pytest
from rich.console import Console

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.cli.tables import print_graphs
from glassviz.compare.graphs import graph_all
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout.batch import Failed
from glassviz.rollout.traces import RolloutOptions
from tests.helpers.commands import invoke
from tests.helpers.traces import PROTOTYPES, walked, wandering


def glassviz(*arguments: str | Path, code: int = 0) -> str:
    done = invoke(*arguments, code=code)
    return done.stdout if code < 2 else done.stderr


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Both controllers of an agent; what is written without being told where goes beside them."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "traces"
    wandering(8).save(folder / "walker-pi.npz")
    wandering(3, controller="mppi").save(folder / "walker-mppi.npz")
    return folder


def test_numbers_are_printed_and_a_figure_is_written_for_every_graph(folder):
    told = glassviz("graph", folder)
    written = sorted(path.name for path in Path("renders").iterdir())
    assert written == [f"graph-walker-{each}-jump.svg" for each in ("mppi", "pi")]
    assert "walker, pi: mode jump, 3 episodes after the initial transient" in told
    assert "8 of 16" in told and "3 of 16" in told
    assert "flow: flow, symmetrised, self-transitions dropped, all edges kept" in told
    assert "train: soft counts + 1e-4" in told and "stationary vs empirical" in told
    assert all(f"wrote renders/{name}" in told for name in written)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "graphml", "json"])
def test_the_ending_of_the_name_decides_the_format(folder, ending):
    glassviz("graph", folder / "walker-pi.npz", "-o", f"a.{ending}", "--mode", "frame")
    start = {
        "png": b"\x89PNG",
        "pdf": b"%PDF",
        "json": b"{",
        "svg": b"<?xml",
        "graphml": b"<graphml",
    }
    assert Path(f"a.{ending}").read_bytes().startswith(start[ending])


def test_several_graphs_are_named_after_the_file_or_go_to_a_folder(folder):
    glassviz("graph", folder, "-o", "a.graphml")
    assert {path.name for path in Path().glob("*.graphml")} == {
        "a-walker-pi-jump.graphml",
        "a-walker-mppi-jump.graphml",
    }
    glassviz("graph", folder, "-o", "out")
    assert len(list(Path("out").glob("*.svg"))) == 2


def test_existing_files_are_kept_unless_told_otherwise_and_nothing_is_half_done(folder):
    kept = Path("a-walker-pi-jump.json")
    kept.write_text("mine")
    refused = invoke("graph", folder, "-o", "a.json", code=1)
    assert "--overwrite" in refused.stderr and not refused.stdout
    assert kept.read_text() == "mine" and not Path("a-walker-mppi-jump.json").exists()
    glassviz("graph", folder, "-o", "a.json", "--overwrite")
    assert json.loads(kept.read_text())["graph"]["run"] == "walker"


def test_json_on_standard_output_is_all_there_is_and_writes_no_file(folder):
    read = json.loads(glassviz("graph", folder, "--json", "--mode", "flow"))
    assert {each["graph"]["controller"] for each in read} == {"pi", "mppi"}
    assert not Path("renders").exists()
    network = nx.node_link_graph(read[0], edges="edges")
    assert sum(flux for *_, flux in network.edges(data="flux")) == pytest.approx(1)
    assert read[0]["graph"]["stats"]["prototypes"]["cycles"]


def test_a_run_without_a_graph_is_named_once():
    console = Console(width=200, file=io.StringIO(), highlight=False)
    print_graphs([Failed("bare", Path("bare.npz"), None, "bare: expected labels")], console)
    assert console.file.getvalue() == "bare failed: expected labels\n"


def test_agents_without_labels_are_named_with_the_remedy_and_do_not_keep_the_others(folder):
    trace = wandering(4, name="bare")
    none = np.full_like(trace.label, -1)
    header = trace.header | {"labels_from": "none", "partition": None, "tau": None}
    bare = replace(trace, header=header, label=none, prototype=none)
    bare.save(folder / "bare.npz")
    told = glassviz("graph", folder, code=1)
    assert "failed: bare: expected labels" in told and "`glassviz fit`" in told
    assert len(list(Path("renders").iterdir())) == 2
    read = json.loads(glassviz("graph", folder, "--json", code=1))
    [error] = [each["error"] for each in read if "error" in each]
    assert "glassviz fit" in error


def test_two_controllers_are_compared_by_prototypes(folder):
    told = glassviz("graph", folder, "--compare", "-o", "both.svg")
    assert "walker, mppi vs walker, pi" in told and "same prototypes" in told
    assert "of the traffic differs; " in told and Path("both.svg").exists()
    read = json.loads(glassviz("graph", folder, "--compare", "--json"))
    assert len(read) == 1 and len(read[0]["graph"]["graphs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-o", "a.docx"), "ends in .png, .svg, .pdf, .graphml, .json"),
        (("--mode", "soft-train", "--compare"), "expected mode frame, jump or flow"),
        (("walker-third.npz", "--compare"), "expected two graphs, found 3"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(folder, arguments, expected):
    wandering(5, name="third").save(folder.parent / "walker-third.npz")
    assert expected in glassviz("graph", folder, *arguments, code=UsageError.exit_code)


@pytest.mark.parametrize("width", [100, 120])
def test_the_tables_fit_a_terminal(folder, width):
    walked(np.zeros((1, 50), int), range(PROTOTYPES), clusters=16).save(folder / "still.npz")
    rows = graph_all([folder], RolloutOptions())
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        print_graphs(rows, console)
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width and "…" not in text.replace("→…", "")


# The whole way ------------------------------------------------------------------------------------


def test_checkpoints_are_rolled_out_drawn_and_compared_by_what_they_call_the_same_frames(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(seed)))
        checkpoints.save(Path(f"agent-{seed}.safetensors"), tiny.AGENT, params, {"recipe": "tiny"})
    both = ("agent-1.safetensors", "agent-2.safetensors", "--controller", "pi")
    short = ("--episodes", "2", "--steps", "60")
    told = glassviz("graph", *both, *short, "-o", "a.json")
    assert "agent-1, pi" in told and len(list(Path("renders/traces").glob("*.npz"))) == 2
    again = glassviz("graph", *both, *short, "--compare", "-o", "difference.json")
    assert "what both agents assign to the same frames" in again
    found = json.loads(Path("difference.json").read_text())["graph"]
    assert found["level"] == "label" and found["matched_by"] == "frames"

    glassviz("fit", both[0], "--controller", "pi", *short, "--prototypes", "4", "--refits", "0")
    fitted = ("--controller", "pi", *short, "--labels", "fitted", "-o", "fitted.json")
    assert "fitted labels" in glassviz("graph", both[0], *fitted)
    assert json.loads(Path("fitted.json").read_text())["graph"]["labels_from"] == "fitted"


def test_a_graph_that_cannot_be_drawn_does_not_stop_the_others(folder, monkeypatch):
    from glassviz.figures import transition_graph

    draw = transition_graph.transition_graph

    def failing(graph, look):
        if graph.controller == "mppi":
            raise GlassvizError("walker, mppi: expected a drawing, found none: report this")
        return draw(graph, look)

    monkeypatch.setattr(transition_graph, "transition_graph", failing)
    done = invoke("graph", folder, code=1)
    assert Path("renders/graph-walker-pi-jump.svg").exists()
    assert "error: walker, mppi: expected a drawing" in done.stderr
