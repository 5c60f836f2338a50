"""Progress without a terminal, and what an interruption tells."""

import signal
import time
from pathlib import Path

import pytest

from glassviz.cli import progress, terminal
from glassviz.cli.progress import task
from glassviz.rollout.run import Run
from tests.helpers.commands import python_process


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_without_a_terminal_there_is_a_line_every_half_minute(monkeypatch, capsys):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with task("rolling out", total=2000) as bar:
        bar.since = bar.lined = 0.0
        for second in range(1, 66):
            clock.now = float(second)
            bar(10 * second, 2000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "rolling out: 300 of 2,000, 10 per s, ETA 0:02:50",
        "rolling out: 600 of 2,000, 10 per s, ETA 0:02:20",
    ]


def test_progress_never_passes_its_total(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with task("training", total=12_000) as bar:
        bar.facts = "512 steps/s, loss 0.1"
        bar(12_032, 12_000)
    line = capsys.readouterr().err
    assert line.startswith("training: 12,000 of 12,000, 512 steps/s, loss 0.1, ETA")


def test_an_interruption_tells_what_was_kept_by_the_innermost_work(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "_told", terminal.threading.Event())
    with (
        pytest.raises(KeyboardInterrupt) as raised,
        terminal.if_interrupted(lambda: "nothing"),
        terminal.if_interrupted(lambda: "kept: 2 of 3 traces"),
    ):
        raise KeyboardInterrupt
    terminal.tell_interrupted(raised.value)
    terminal.tell_interrupted(raised.value)
    assert capsys.readouterr().err == "interrupted; kept: 2 of 3 traces\n"


BUSY = """
import hashlib, sys
from glassviz.cli import terminal
with terminal.prepared(), terminal.if_interrupted(lambda: "kept: a.npz"):
    print("started", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # returns to Python in minutes
"""


@pytest.mark.parametrize(
    "number, word", [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended")]
)
def test_a_library_that_does_not_return_is_left_soon_after_a_signal(number, word):
    with python_process("-c", BUSY) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (128 + number, f"{word}; kept: a.npz\n")
    assert time.monotonic() - begun < 2 + 1  # a loaded machine is slower


def test_traces_that_were_kept_are_counted(tmp_path):
    (tmp_path / "a.npz").touch()
    missing = [
        Run(Path("a.safetensors"), tmp_path / name, "a", "pi", "0") for name in ("a.npz", "b.npz")
    ]
    told = progress.kept_traces(missing)
    assert told.startswith(f"kept: 1 of 2 missing traces, in {tmp_path};")
