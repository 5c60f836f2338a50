"""What is made says by which command and versions, and nothing of the maker's folders."""

import shlex
import subprocess
import sys

import pytest

import glassviz
from glassviz import environment


def test_the_command_is_kept_without_the_output_folder(monkeypatch):
    command = [
        "/usr/bin/glassviz",
        "train",
        "--out",
        "/home/me/runs",
        "--seed",
        "3",
        "--out=x",
        "-o",
        "y",
    ]
    monkeypatch.setattr(sys, "argv", command)
    assert environment.provenance("r")["command"] == "glassviz train --seed 3"


def test_of_absolute_paths_the_command_keeps_the_names(monkeypatch):
    command = ["glassviz", "train", "--demos", "/home/me/demos.npz", "--init=/tmp/a.safetensors"]
    monkeypatch.setattr(sys, "argv", [*command, "--recipe", "own/mine.toml"])
    kept = "glassviz train --demos demos.npz --init=a.safetensors --recipe own/mine.toml"
    assert environment.provenance("r")["command"] == kept


def test_the_command_can_be_pasted_into_a_shell(monkeypatch):
    words = ["report", "my runs/*.npz", "it's", "--init=/tmp/two  spaces.npz", "$HOME"]
    monkeypatch.setattr(sys, "argv", ["glassviz", *words])
    pasted = shlex.split(environment.command())
    assert pasted == ["glassviz", *words[:3], "--init=two  spaces.npz", "$HOME"]


def test_the_commit_is_of_this_source_tree_or_of_none(monkeypatch, tmp_path):
    package = tmp_path / "env" / "provenance.py"
    package.parent.mkdir()
    package.touch()

    def git(*words: str) -> None:
        who = ("-c", "user.name=me", "-c", "user.email=me@here")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "somebody else's")
    monkeypatch.setattr(environment, "__file__", str(package))
    assert environment.git_commit() is None
    git("add", "env")
    git("commit", "-m", "the package")
    found = environment.git_commit()
    assert found is not None and len(found) == 40
    monkeypatch.setenv("PATH", "")
    assert environment.git_commit() is None


@pytest.mark.parametrize(
    ("made_by", "expected"),
    [
        ({}, None),
        ({"shaped": False}, False),
        ({"shaped": True, "refined": [{}]}, True),
        ({"shaped": False, "refined": [{}]}, "policy search"),
        ({"shaped": "policy search", "refined": [{}, {}]}, "policy search"),
        ({"refined": []}, None),
        ({"shaped": False, "init": {"name": "a", "shaped": "policy search"}}, "policy search"),
        ({"shaped": False, "init": {"name": "a"}}, False),
    ],
)
def test_a_policy_that_was_searched_for_is_never_called_unshaped(made_by, expected):
    assert environment.reward_shaping(made_by) == expected


def test_versions_name_this_package_and_what_it_runs_on():
    versions = environment.versions()
    assert versions["glassviz"] == glassviz.__version__
    assert {"python", "jax", "flax", "numpy", "mujoco", "dm_control"} <= versions.keys()
    assert "not installed" not in versions.values()
