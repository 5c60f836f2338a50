"""The public interface: what `import glassviz` offers, and paths as strings or as `Path`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import glassviz as gv
from glassviz.agents.networks import init_params
from glassviz.figures.style import save
from glassviz.files import StrPath, as_paths
from glassviz.ledger.curves import read_run, read_runs
from glassviz.report.html import write_markdown
from tests.helpers.commands import loaded
from tests.helpers.tiny import AGENT
from tests.helpers.traces import clock_trace

PUBLIC = {
    "FilmOptions",
    "GlassvizError",
    "RolloutOptions",
    "Trace",
    "Unsaid",
    "UsageError",
    "__version__",
    "assess_runs",
    "compare_runs",
    "compose_report",
    "convert_checkpoint",
    "evaluate_checkpoints",
    "film",
    "find_runs",
    "fit_labels",
    "graph_runs",
    "load",
    "load_checkpoint",
    "map_runs",
    "save_checkpoint",
    "write_html",
}

INTERNAL = {
    "glassviz.cli": "Typer passes `Path`",
    "glassviz.rollout.batch.distinct_names": "its paths are those of rows, which hold `Path`",
    "glassviz.training.run_folder": "files of a run folder, for the trainer",
}
"""Modules and functions that take `Path` only, and why."""


def test_the_package_offers_these_names_and_no_others():
    assert set(gv.__all__) == PUBLIC and dir(gv) == sorted(gv.__all__)
    for name in gv.__all__:
        assert getattr(gv, name) is not None


def test_the_package_docstring_and_the_page_name_them_all():
    page = (Path(__file__).parents[1] / "docs" / "notebook.md").read_text(encoding="utf-8")
    for name in PUBLIC - {"__version__"}:
        assert name in gv.__doc__
        assert f"`gv.{name}" in page or f"gv.{name}(" in page, name


def test_no_name_hides_a_module():
    modules = {module.name for module in pkgutil.iter_modules(gv.__path__)}
    assert not PUBLIC & modules


def test_a_class_is_loaded_without_jax_and_mujoco():
    assert loaded("import glassviz; glassviz.Trace", {"jax", "mujoco"}) == set()


def functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """The public functions and methods of all modules."""
    for module in pkgutil.walk_packages(gv.__path__, "glassviz."):
        if module.name.endswith("__main__"):
            continue
        for name, member in vars(importlib.import_module(module.name)).items():
            if name.startswith("_") or getattr(member, "__module__", "") != module.name:
                continue
            if inspect.isfunction(member):
                yield f"{module.name}.{name}", member
            elif inspect.isclass(member):
                for attribute, method in vars(member).items():
                    function = getattr(method, "__func__", method)
                    if inspect.isfunction(function) and not attribute.startswith("_"):
                        yield f"{module.name}.{name}.{attribute}", function


def test_public_functions_take_paths_as_strings_too():
    found = {
        f"{name}({parameter.name}: {parameter.annotation})"
        for name, function in functions()
        if not name.startswith(tuple(INTERNAL))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.annotation in (Path, Path | None)
        or "Sequence[pathlib.Path]" in str(parameter.annotation)
    }
    assert found == set()


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_or_several(kind):
    assert as_paths(kind("a")) == [Path("a")]
    assert as_paths([kind("a"), "b"]) == [Path("a"), Path("b")]


@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_written_and_read_by_either(kind, tmp_path):
    def path(name: str) -> StrPath:
        return kind(tmp_path / name)

    params = jax.tree.map(np.asarray, dict(init_params(AGENT, jax.random.key(0))))
    gv.save_checkpoint(path("agent.safetensors"), AGENT, params, {})
    assert gv.load_checkpoint(path("agent.safetensors")).config == AGENT
    gv.convert_checkpoint(path("agent.safetensors"), path("half.safetensors"), half=True)
    assert gv.load_checkpoint(path("half.safetensors")).name == "half"

    clock_trace(frames=400).save(path("clock.npz"))
    sha256 = gv.Trace.load(path("clock.npz")).sha256
    [run] = gv.find_runs(path("clock.npz"), gv.RolloutOptions())
    assert run.trace.sha256 == sha256
    rows = gv.assess_runs([path("clock.npz")], gv.RolloutOptions(), path("."))
    assert [type(row).__name__ for row in rows] != ["Failed"]
    page = gv.compose_report(rows, "")
    gv.write_html(page, path("page.html"))
    write_markdown(page, path("page.md"))
    save(Figure(), path("figure.svg"))

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "seed_1.csv").write_text("step,reward,eval_type,seed\n1,2.0,pi,1\n")
    assert read_runs(path("run"))[0].curves == read_run(path("run"), "run").curves
    written = {"half.safetensors", "page.html", "page.md", "figure.svg"}
    assert written <= {file.name for file in tmp_path.iterdir()}
