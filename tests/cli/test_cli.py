"""The command line's frame: help, errors, exit codes, completion, start-up."""

import json
import re
import resource
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from docs.generate import PAGES, commands
from glassviz import __version__
from glassviz.cli import CommandGroup, app
from glassviz.errors import GlassvizError, UsageError
from tests.helpers.commands import invoke, python_process, run_python

CHECKOUT = Path(__file__).parents[2]
HEAVY = {"jax", "mujoco", "cv2", "dm_control", "flax", "optax", "matplotlib", "numpy", "scipy"}

COMMANDS = typer.main.get_command(app).commands
REFERENCE = CHECKOUT / "docs" / "cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_help_text(name):
    command = COMMANDS[name]
    assert command.help, f"glassviz {name} has no help text"
    for parameter in command.params:
        assert parameter.help, f"glassviz {name} {parameter.name} has no help text"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_starts_with_a_sentence_and_ends_with_examples(name):
    lines = COMMANDS[name].help.splitlines()
    assert lines[0].endswith(".") and len(lines[0]) <= 80
    mark = next(i for i, line in enumerate(lines) if line in ("Example:", "Examples:"))
    examples = lines[mark + 1 :]
    assert examples and all(line.startswith("  ") for line in examples)
    assert any(f"glassviz {name}" in line for line in examples)
    assert lines[mark] == ("Example:" if len(examples) == 1 else "Examples:")


def options_of(line: str) -> set[str]:
    return set(re.findall(r"(?<= )--?[a-z][a-z-]*", line.partition("glassviz ")[2]))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name):
    known = {option for each in COMMANDS[name].params for option in each.opts}
    for line in COMMANDS[name].help.splitlines():
        if f"glassviz {name}" in line:
            assert options_of(line) <= known


TRAINING = {"train", "demonstrate", "refine", "curves"}


def test_an_option_that_several_commands_share_has_one_help_text():
    texts: dict[str, set[str]] = {}
    for name in COMMANDS.keys() - TRAINING:
        for parameter in COMMANDS[name].params:
            if parameter.param_type_name == "option":
                texts.setdefault(parameter.opts[0], set()).add(parameter.help)
    different = {name for name, found in texts.items() if len(found) > 1}
    # `render` films episodes where others record them or show one; `rerun` takes one controller;
    # a clip is a kind of `export`; `ledger` filters by task.
    assert different == {
        "--out", "--speed", "--episodes", "--episode", "--controller", "--compare", "--clip",
        "--task",
    }  # fmt: skip


def test_the_reference_is_up_to_date():
    assert REFERENCE in PAGES
    assert REFERENCE.read_text() == commands(), "run python docs/generate.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_names_every_command(name):
    assert f"## glassviz {name}\n" in REFERENCE.read_text()


@pytest.mark.parametrize("arguments", [["cli.py"], ["-m", "glassviz"]])
def test_the_ways_in_are_the_same_program(arguments):
    assert run_python(*arguments, "--version").stdout == f"glassviz {__version__}\n"
    assert run_python(*arguments, "-h").stdout.startswith("Usage: glassviz ")


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, list[str]]]:
    """The help text of each command, and the heavy modules that are loaded once it is printed."""
    script = (
        "import contextlib, io, json, sys\nfrom glassviz.cli import main\n"
        f"for name in {['', *COMMANDS]}:\n"
        "    sys.argv = ['glassviz', *name.split(), '--help']\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as text:\n"
        "        with contextlib.suppress(SystemExit):\n"
        "            main()\n"
        f"    heavy = sorted({HEAVY} & set(sys.modules))\n"
        "    print(json.dumps([name, [text.getvalue(), heavy]]))"
    )
    return dict(map(json.loads, run_python("-c", script).stdout.splitlines()))


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loads_nothing_heavy(helps, name):
    text, heavy = helps[name]
    assert text.strip().startswith(f"Usage: glassviz {name}".strip())
    assert heavy == []


def test_help_takes_less_than_three_tenths_of_a_second_of_work():
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_python("-m", "glassviz", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


@pytest.mark.parametrize("arguments", [["no-such-command"], ["doctor", "--no-such-option"]])
def test_wrong_usage_exits_with_2(arguments):
    done = invoke(*arguments, code=2)
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.output


def test_a_word_that_an_option_does_not_know_is_told_in_plain_words():
    done = invoke("graph", "agent.safetensors", "--mode", "jmp", code=2)
    assert "Invalid value for '--mode': 'jmp' is not one of 'frame', 'jump'" in done.stderr


def failing(error: BaseException) -> typer.Typer:
    """A command line of the same make whose one command fails."""
    small = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

    @small.callback()
    def group() -> None: ...

    @small.command()
    def work() -> None:
        raise error

    return small


@pytest.mark.parametrize(
    "error, exit_code, line",
    [
        (GlassvizError("x.safetensors: truncated"), 1, "error: x.safetensors: truncated\n"),
        (UsageError("--size: expected 640x480"), 2, "error: --size: expected 640x480\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_a_user_error_is_one_line_on_stderr(error, exit_code, line):
    done = CliRunner().invoke(failing(error), ["work"])
    assert (done.exit_code, done.stderr, done.stdout) == (exit_code, line, "")


def test_an_error_of_ours_keeps_its_traceback():
    done = CliRunner().invoke(failing(ZeroDivisionError("a bug")), ["work"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_ctrl_c_ends_a_real_command_with_130():
    script = (
        "import sys, glassviz.video.doctor, time\nfrom glassviz.cli import main\n"
        "def examine(): print('started', flush=True); time.sleep(60)\n"
        "glassviz.video.doctor.examine = examine\n"
        "sys.argv = ['glassviz', 'doctor']\nmain()"
    )
    with python_process("-c", script) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("shell, file", [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_completion_installs_itself(tmp_path, shell, file):
    run_python(
        "-m",
        "glassviz",
        "--install-completion",
        shell,
        HOME=str(tmp_path),
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert (tmp_path / file).exists()


def test_completion_completes_a_command():
    done = run_python(
        "-m",
        "glassviz",
        _GLASSVIZ_COMPLETE="complete_bash",
        COMP_WORDS="glassviz do",
        COMP_CWORD="1",
    )
    assert done.stdout.split() == ["doctor"]
