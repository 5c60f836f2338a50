"""A full disk ends a run in one sentence, and costs what came after the last save."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

from glassviz import checkpoints
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import init_params
from glassviz.errors import GlassvizError
from glassviz.files import DiskFullError, append, replacing
from glassviz.training import run_folder
from glassviz.training.log import RunLog
from glassviz.training.run_folder import check_unused, locked, record_start, seed_folder
from tests.helpers.commands import invoke, run_python
from tests.helpers.run_folders import PROVENANCE, TRAIN, load, log_span, save, scalars

SMALL_DISK = 300_000


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """A file that takes all the room but `leave` bytes, rounded up to pages."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    os.truncate(filler, filler.stat().st_size - leave)
    return filler


def test_a_full_disk_ends_a_save_in_one_sentence_with_the_last_one_intact(small_disk):
    folder = seed_folder(small_disk, 1)
    record_start(folder, TRAIN, PROVENANCE, 0)
    save(folder, 100, 200_000)
    with pytest.raises(GlassvizError) as told, run_folder.telling_last_save(small_disk):
        save(folder, 200, 200_000)
    assert str(told.value) == (
        f"{folder}/resume.npz: no space left on device, 0.2 MB needed: the last good save is "
        f"{folder}/resume.npz of step 100, free some space and continue with --resume"
    )
    assert not list(small_disk.rglob("*.partial"))
    _, arrays, counters = load(folder, 200_000)
    assert counters.env_steps == 100 and (arrays["replay"] == 100).all()


def test_a_full_disk_before_the_first_save_says_that_there_is_none(small_disk):
    folder = seed_folder(small_disk, 1)
    told = pytest.raises(GlassvizError, match="nothing was saved yet")
    with told, run_folder.telling_last_save(small_disk):
        save(folder, 0, 400_000)
    assert not (folder / "resume.npz").exists()


def test_a_disk_that_is_full_from_the_start_ends_a_training_in_one_sentence(small_disk):
    filler = fill(small_disk)
    done = invoke("train", "--out", small_disk / "run", "--steps", "256", code=1)
    assert " ".join(done.output.split()).endswith(
        "seed_1/lock: no space left on device, 0.1 MB needed: nothing was saved yet, "
        "free some space and start again"
    )
    # Nothing is left that would keep the run from being started once there is room.
    filler.unlink()
    with locked(seed_folder(small_disk / "run", 1)):
        check_unused(seed_folder(small_disk / "run", 1))


def test_a_full_disk_leaves_a_checkpoint_as_it_was(small_disk):
    path = seed_folder(small_disk, 1) / "checkpoints" / "last.safetensors"
    config = AgentConfig(
        latent_dim=16, encoder_widths=(16,), hidden_widths=(16,), simnorm_group=4, glass=None
    )
    params = jax.tree.map(np.asarray, init_params(config, jax.random.key(0)))
    checkpoints.save(path, config, params, {"env_steps": 1})
    fill(small_disk)
    with pytest.raises(
        DiskFullError, match=r"last\.safetensors: no space left on device, 0\.\d MB needed"
    ):
        checkpoints.save(path, config, params, {"env_steps": 2})
    assert checkpoints.load(path).provenance == {"env_steps": 1}
    assert [path.name for path in path.parent.iterdir()] == ["last.safetensors"]


@pytest.mark.parametrize("tensorboard", [False, True])
def test_a_full_disk_leaves_whole_lines_in_every_log(small_disk, tensorboard):
    log = RunLog(small_disk, 1, tensorboard)
    log.start()
    filler = fill(small_disk, leave=20_000)
    told = pytest.raises(GlassvizError, match=r"no space left on device.*: nothing was saved yet")
    with told, run_folder.telling_last_save(small_disk):
        for step in range(1, 10_000):
            log_span(log, ["round"] * (step - 1) + ["pi"], step - 1)
    records = [json.loads(line) for line in log.records.read_text().splitlines()]
    assert len(records) > 10
    for path in (log.returns, log.diagnostics):
        assert path.read_text().endswith("\n")
    if tensorboard:
        [events] = (small_disk / "seed_1").glob("*tfevents*")
        assert len(scalars(events)) in (len(records), len(records) - 1)
    filler.unlink()
    log.rewind(5)
    assert len(log.records.read_text().splitlines()) == 5


def test_a_line_that_does_not_fit_is_not_begun(small_disk):
    path = small_disk / "log"
    append(path, b"first\n")
    fill(small_disk)
    with pytest.raises(DiskFullError):
        append(path, b"x" * 10_000 + b"\n")
    assert path.read_bytes() == b"first\n"


LIMITED = """
import resource
from pathlib import Path
from tests.helpers import run_folders
from glassviz.errors import GlassvizError
from glassviz.files import append
from glassviz.training.run_folder import telling_last_save
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
root = Path({root!r})
try:
    with telling_last_save(root):
        {action}
except GlassvizError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("action", "place"),
    [
        ("run_folders.save(root / 'seed_1', 200, 200_000)", "seed_1/resume.npz"),
        ("append(root / 'seed_1.csv', bytes(200_000))", "seed_1.csv"),
    ],
)
def test_a_limit_on_file_sizes_is_told_like_a_full_disk(tmp_path, action, place):
    folder = seed_folder(tmp_path, 1)
    save(folder, 100)
    append(tmp_path / "seed_1.csv", b"first\n")
    script = LIMITED.format(root=str(tmp_path), action=action)
    done = run_python("-c", script)
    assert done.stderr == ""
    assert done.stdout == (
        f"{tmp_path}/{place}: file size limit exceeded, 0.2 MB needed: the "
        f"last good save is {folder}/resume.npz of step 100, free some space and continue with "
        f"--resume\n"
    )
    assert (tmp_path / "seed_1.csv").read_bytes() == b"first\n"
    assert run_folder.saved_step(folder) == 100
    assert not list(tmp_path.rglob("*.partial"))


def test_a_file_elsewhere_is_told_without_a_save(tmp_path):
    outside = DiskFullError(tmp_path / "film.mp4", None, "no space left on device")
    told = pytest.raises(DiskFullError, match=r"film\.mp4: no space left on device: free")
    with told, run_folder.telling_last_save(tmp_path / "run"):
        raise outside


def test_a_block_that_fails_leaves_the_older_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("older")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "older")]
