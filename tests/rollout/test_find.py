"""What RUN arguments lead to."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from glassviz.rollout.batch import Failed
from glassviz.rollout.find import Target, find_targets


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def paths(*arguments: Path) -> list[Path]:
    return [target.path for target in find_targets(arguments)]


def test_a_trace_and_a_checkpoint_stand_for_themselves(tmp_path):
    touch(tmp_path, "a.npz", "b.safetensors")
    assert find_targets([tmp_path / "b.safetensors", tmp_path / "a.npz"]) == [
        Target(tmp_path / "b.safetensors", "b"),
        Target(tmp_path / "a.npz", None),
    ]


def test_a_run_folder_stands_for_the_best_checkpoint_of_each_seed(tmp_path):
    best, last = "checkpoints/best_mppi.safetensors", "checkpoints/last.safetensors"
    run = touch(tmp_path / "hop", f"seed_10/{best}", f"seed_10/{last}", f"seed_2/{last}")
    touch(run, "seed_2.csv", "seed_2/resume.npz")
    lines: list[str] = []
    found = find_targets([run], lines.append)
    assert found == [
        Target(run / "seed_2" / last, "hop/seed_2"),
        Target(run / "seed_10" / best, "hop/seed_10"),
    ]
    assert lines[0].endswith("seed_2: taking last.safetensors")
    assert find_targets([run / "seed_10"]) == found[1:]


def test_a_published_run_folder_is_understood(tmp_path):
    touch(tmp_path, "seed_1/checkpoints/best_mppi.pkl", "seed_1/checkpoints/final.pkl")
    assert paths(tmp_path) == [tmp_path / "seed_1/checkpoints/best_mppi.pkl"]


def test_a_seed_without_a_checkpoint_is_named_and_keeps_no_other(tmp_path):
    (tmp_path / "seed_1/checkpoints").mkdir(parents=True)
    touch(tmp_path, "seed_2/checkpoints/last.safetensors")
    [none, some] = find_targets([tmp_path])
    assert isinstance(none, Failed) and "seed_1: expected a checkpoint" in none.error
    assert isinstance(some, Target)


def test_a_folder_of_checkpoints_and_traces_stands_for_all_of_them(tmp_path):
    touch(tmp_path, "b.pkl", "a.safetensors", "a.md", "a.png", "c.npz")
    assert [path.name for path in paths(tmp_path)] == ["a.safetensors", "b.pkl", "c.npz"]


def test_a_folder_with_nothing_to_assess_is_named(tmp_path):
    [found] = find_targets([touch(tmp_path, "notes.txt")])
    assert isinstance(found, Failed) and "found none of them" in found.error


def test_cards_and_pictures_beside_checkpoints_are_passed_over(tmp_path):
    touch(tmp_path, "a.safetensors", "a.md", "a.png", "logs/seed_1.csv")
    lines: list[str] = []
    found = find_targets(sorted(tmp_path.iterdir()), lines.append)
    assert [target.path.name for target in found] == ["a.safetensors"]
    assert lines == ["skipped a.md, a.png, logs: not checkpoints or traces"]


def test_many_files_of_another_kind_are_counted(tmp_path):
    touch(tmp_path, "a.safetensors", *(f"{i}.md" for i in range(7)))
    lines: list[str] = []
    find_targets(sorted(tmp_path.iterdir()), lines.append)
    assert lines == ["skipped 7 files that are not checkpoints or traces"]


def test_what_begins_like_a_checkpoint_is_one_whatever_its_name(tmp_path):
    touch(tmp_path, "a.safetensors", "card.md")
    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "native.ckpt")
    (tmp_path / "published.agent").write_bytes(pickle.dumps({"params": 1}))
    (tmp_path / "official.pt").write_bytes(b"PK\x03\x04")
    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "x.labels.safetensors")
    names = [target.path.name for target in find_targets(sorted(tmp_path.iterdir()))]
    assert names == ["a.safetensors", "native.ckpt", "official.pt", "published.agent"]


def test_a_folder_that_may_not_be_read_does_not_keep_the_others(tmp_path, monkeypatch):
    touch(tmp_path, "a.safetensors", "locked/b.safetensors")

    def denied(path: Path) -> None:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", denied)
    some, none = find_targets([tmp_path / "a.safetensors", tmp_path / "locked"])
    assert isinstance(some, Target)
    assert isinstance(none, Failed) and "cannot (Permission denied)" in none.error


def test_a_pattern_that_is_none_is_left_to_its_reader_to_refuse(tmp_path):
    assert paths(tmp_path / "**x") == [tmp_path / "**x"]


def test_a_run_that_has_saved_nothing_is_not_passed_over(tmp_path):
    touch(tmp_path, "a.safetensors", "run/seed_1/log.csv")
    _, found = find_targets(sorted(tmp_path.iterdir()))
    assert isinstance(found, Failed) and found.target == tmp_path / "run"


def test_a_single_file_of_another_kind_is_left_to_its_reader_to_refuse(tmp_path):
    assert paths(touch(tmp_path, "agent.bin") / "agent.bin") == [tmp_path / "agent.bin"]


@pytest.mark.parametrize("name", ["none.npz", "none.safetensors", "none"])
def test_a_file_that_does_not_exist_is_left_to_its_reader_to_refuse(tmp_path, name):
    assert paths(tmp_path / name) == [tmp_path / name]


def test_a_pattern_that_no_shell_expanded_is_expanded(tmp_path, monkeypatch):
    touch(tmp_path, "b1.npz", "b2.npz", "c.npz")
    assert paths(tmp_path / "b*.npz") == [tmp_path / "b1.npz", tmp_path / "b2.npz"]
    monkeypatch.chdir(tmp_path)
    assert paths(Path("b*.npz")) == [Path("b1.npz"), Path("b2.npz")]


def test_what_is_named_twice_is_assessed_once(tmp_path):
    touch(tmp_path, "a.npz")
    assert paths(tmp_path, tmp_path / "a.npz") == [tmp_path / "a.npz"]


def test_a_folder_of_run_folders_stands_for_the_seeds_of_each(tmp_path):
    best = "checkpoints/best_mppi.safetensors"
    touch(tmp_path, f"hop/seed_1/{best}", f"stand/seed_1/{best}", f"stand/seed_2/{best}")
    touch(tmp_path, "notes/today.txt")
    found = find_targets([tmp_path])
    assert [each.name for each in found] == ["hop/seed_1", "stand/seed_1", "stand/seed_2"]
    files = touch(tmp_path, "own.safetensors")
    assert paths(files) == [tmp_path / "own.safetensors"], "checkpoints come before folders of them"
