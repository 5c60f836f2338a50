"""`glassviz inspect` and `glassviz convert` as a user meets them."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from glassviz.checkpoints import load, save, summarise
from glassviz.report.serialize import plain
from tests.helpers.commands import invoke
from tests.helpers.published_files import SMALL, own_params, payload, write


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    content = payload()
    content["params"]["glass"]["proto_reward"] = np.zeros(8, np.float32)
    return write(tmp_path / "best_mppi.pkl", content)


def test_the_table_shows_what_the_file_holds_and_what_was_assumed(pickled: Path) -> None:
    result = invoke("inspect", pickled)
    flat = re.sub(r"\s+", " ", result.stdout)
    for shown in (
        "8 prototypes, 4 clusters, τ=0.5, cosine similarity",
        "15 → 12 → 12 → 16",
        "(a property of the parameters, not of behaviour)",
        "assumed planner: horizon 3",
        "ignored glass/proto_reward",
        "not kept what only training needs: target_params",
        "seed 3",
        load(pickled).sha256,
    ):
        assert shown in flat


def test_json_is_pure_and_complete(pickled: Path) -> None:
    result = invoke("inspect", pickled, "--json")
    summary = json.loads(result.stdout)
    assert summary == plain(summarise(load(pickled)))
    assert summary["glass"]["tau"] == 0.5
    assert summary["glass"]["clusters"] == 4
    assert summary["parameters"] == sum(summary["parameters_by_network"].values())
    assert summary["networks"]["q"] == "20 → 12 → 12 → 11, 2 heads"
    assert summary["ignored_leaves"] == ["glass/proto_reward"]
    assert summary["planner"]["samples"] == 512


def test_the_number_of_parameters_counts_every_leaf(tmp_path: Path) -> None:
    config = SMALL.replace(glass=None)
    save(tmp_path / "x.safetensors", config, own_params(config), {})
    summary = summarise(load(tmp_path / "x.safetensors"))

    def mlp(*sizes: int) -> int:
        dense = sum(a * b + b for a, b in itertools.pairwise(sizes))
        return dense + 2 * sum(sizes[1:-1])

    by_hand = mlp(15, 12, 12, 16) + mlp(20, 12, 12, 16) + 3 * mlp(20, 12, 12, 11)
    assert summary.parameters == by_hand + mlp(16, 12, 12, 8)
    assert summary.glass is None


def test_clusters_active_in_the_partition_are_counted_from_the_logits(tmp_path: Path) -> None:
    params = own_params()
    params["glass"]["assign_logits"][:] = [50.0, 50.0, -50.0, -50.0]
    save(tmp_path / "x.safetensors", SMALL, params, {})
    summary = summarise(load(tmp_path / "x.safetensors"))
    assert summary.glass is not None
    assert summary.glass.clusters_active_in_partition == 2


def test_odd_provenance_neither_breaks_the_table_nor_the_json(tmp_path: Path) -> None:
    odd = {"recipe": "[bold]\x1b[2J\ud800", "returns": {"pi": {"mean": float("nan")}}}
    save(tmp_path / "x.safetensors", SMALL, own_params(), odd)
    table = invoke("inspect", tmp_path / "x.safetensors")
    assert "[bold]?[2J?" in table.stdout
    found = json.loads(invoke("inspect", tmp_path / "x.safetensors", "--json").stdout)
    assert found["provenance"]["returns"]["pi"]["mean"] is None


def test_convert_prints_what_was_assumed_and_what_is_not_kept(
    pickled: Path, tmp_path: Path
) -> None:
    result = invoke("convert", pickled, tmp_path / "new" / "best.safetensors", "--half")
    for shown in ("assumed", "playground", "not kept", "opt_state", "half precision", "ignored"):
        assert shown in result.stdout
    assert load(tmp_path / "new" / "best.safetensors").config == load(pickled).config


def test_convert_refuses_to_overwrite(pickled: Path, tmp_path: Path) -> None:
    target = tmp_path / "best.safetensors"
    target.touch()
    refused = invoke("convert", pickled, target, code=1)
    assert "--overwrite" in refused.stderr
    assert target.stat().st_size == 0
    invoke("convert", pickled, target, "--overwrite")


def test_an_unreadable_file_is_one_line_on_stderr_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no checkpoint")
    for arguments in (("inspect", "notes.txt"), ("convert", "notes.txt", "x.safetensors")):
        result = invoke(arguments[0], *(tmp_path / name for name in arguments[1:]), code=1)
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
