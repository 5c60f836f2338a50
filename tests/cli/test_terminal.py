"""The terminal: what it is told is printable, and streams that fail end a command in one line."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

from glassviz.cli import terminal
from glassviz.cli.progress import task
from tests.helpers.commands import PROJECT, invoke, python_process, run_python

LOCALES = [
    {"PYTHONIOENCODING": "iso-8859-1"},
    {"PYTHONIOENCODING": "euc_jp"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]

TELLING = """
import sys
from glassviz.cli import terminal
with terminal.prepared():
    {statements}
"""

WAITING = """
import time
import glassviz.video.doctor
from glassviz.cli import main
from glassviz.files import replacing
def examine():
    with replacing({path!r}) as partial:
        partial.touch()
        print("started", flush=True)
        time.sleep(60)
glassviz.video.doctor.examine = examine
import sys
sys.argv = ["glassviz", "doctor"]
main()
"""


def prepared(statements: str, stdout: object = subprocess.PIPE, **environment: str):
    """Run statements in a process whose streams are prepared as those of a command."""
    return subprocess.run(
        [sys.executable, "-c", TELLING.format(statements=statements)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
    )


@pytest.mark.parametrize(
    "text, shown",
    [
        ("red\x1b[31m", "red?[31m"),
        ("bell\x07\x9b\u202e", "bell???"),
        ("one\ntwo", "one\ntwo"),
        ("caf\udce9", "caf\\xe9"),
        ("x" * 500, "x" * 500),
        ("φ — κ", "φ — κ"),
    ],
)
def test_lines_are_printable_and_whole(text, shown, capsys):
    terminal.echo(text)
    terminal.tell(text)
    assert capsys.readouterr() == (f"{shown}\n", f"{shown}\n")


def test_a_line_above_a_bar_cannot_control_the_terminal(capsys):
    with task("working") as bar:
        bar.print("file \x1b[2J")
    assert capsys.readouterr().err == "file ?[2J\n"


def test_json_is_valid_and_printable_whatever_the_encoding_is(monkeypatch):
    value = {"name": "φ \x9b \x1b 𝔘", "file": "caf\udce9"}
    for encoding in ("utf-8", "iso-8859-1", "ascii"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        terminal.echo_json(value, ascii_only=False)
        told = out.buffer.getvalue().decode(encoding)
        assert json.loads(told) == value
        assert all(c.isprintable() or c == "\n" for c in told)


@pytest.mark.parametrize("locale", LOCALES, ids=["latin-1", "euc-jp", "posix"])
def test_every_locale_reads_what_is_told(locale):
    text = "φ κ — … ± → 𝔘 é"
    done = prepared(f"terminal.echo({text!a}); terminal.tell({text!a})", **locale)
    assert done.returncode == 0
    assert done.stdout == done.stderr
    encoding = locale.get("PYTHONIOENCODING", "ascii")
    told = done.stdout.decode(encoding)
    assert "\\U0001d518" in told
    if encoding == "ascii":
        assert told == "phi kappa - ... +- -> \\U0001d518 \\xe9\n"


@pytest.mark.parametrize("locale", LOCALES, ids=["latin-1", "euc-jp", "posix"])
def test_a_command_explains_in_every_locale(locale):
    done = run_python(PROJECT / "cli.py", "explain", "--json", **locale)
    assert json.loads(done.stdout)
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["explain"], ["recipes"]])
def test_a_full_disk_under_the_output_is_one_line(arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, PROJECT / "cli.py", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: expected that it can be written")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_output_that_fails_at_the_end_only_is_told_too():
    with open("/dev/full", "wb") as full:
        done = prepared("sys.stdout.write('x')", stdout=full)
    assert done.returncode == 1
    assert b"No space left" in done.stderr and b"Exception ignored" not in done.stderr


def test_messages_that_cannot_be_written_stop_no_work():
    done = prepared("import os; os.close(2); terminal.tell('lost'); terminal.echo('kept')")
    assert (done.returncode, done.stdout) == (0, b"kept\n")


def test_a_reader_that_stops_reading_ends_a_command_quietly():
    with python_process(PROJECT / "cli.py", "explain") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() in (0, 1)


def test_a_command_works_without_standard_output():
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' '{PROJECT / 'cli.py'}' explain >&-"], capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("columns", ["0", "1", "-3", "many", "99999999999999999999"])
def test_a_width_that_makes_no_sense_is_passed_over(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    width = terminal.console(otherwise=None).width
    assert terminal.MIN_COLUMNS <= width <= terminal.MAX_COLUMNS
    assert "recipe" in invoke("recipes").output


def test_a_width_that_makes_sense_is_kept(monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.console(otherwise=None).width == 72


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_cleans_up_and_is_in_the_exit_code(tmp_path, number):
    with python_process("-c", WAITING.format(path=str(tmp_path / "film.mp4"))) as process:
        assert process.stdout.readline() == "started\n"
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_command_goes_on_under_nohup():
    hang_up = "import os, signal; os.kill(os.getpid(), signal.SIGHUP); terminal.echo('on')"
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run_python("-c", ignoring + TELLING.format(statements=hang_up)).stdout == "on\n"


def test_lines_hang_below_their_start_and_no_word_is_broken(monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(terminal, "console", lambda: Console(width=40))
    told = terminal.hanging("gl  ", "films are drawn with osmesa-and-a-very-long-word here")
    first, second, *_ = told.split("\n")
    assert first == "gl  films are drawn with" and second == "    osmesa-and-a-very-long-word here"
    assert terminal.hanging("gl  ", "short") == "gl  short"
