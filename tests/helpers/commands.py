"""Runs commands in this process, and `cli.py` or other Python code in a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from glassviz.cli import app

PROJECT = Path(__file__).parents[2]


def invoke(*arguments: object, code: int | None = 0, **options: Any) -> Result:
    """Run a command in this process.

    Args:
        arguments: the name of the command, its arguments and its options.
        code: the exit code that it must end with; None: any.
        options: of `CliRunner.invoke`: `input`, `env`.
    """
    done = CliRunner().invoke(app, list(map(str, arguments)), **options)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code in (None, done.exit_code), done.output
    return done


def run_python(
    *arguments: object, code: int | None = 0, cwd: Path = PROJECT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, which can import this checkout, tests included.

    Args:
        arguments: of the interpreter.
        code: the exit code that it must end with; None: any.
        cwd: working directory.
        environment: variables to set.
    """
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
        capture_output=True,
        text=True,
    )
    assert code in (None, done.returncode), done.stdout + done.stderr
    return done


@contextlib.contextmanager
def python_process(*arguments: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start Python in a process of its own, with pipes to it; at the end, kill it if it still runs.

    Args:
        arguments: of the interpreter.
        options: of `subprocess.Popen`.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        text=True,
        **pipes,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(reached: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for something that a running process does."""
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_program(
    *arguments: object, code: int = 0, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a command with `cli.py` in a process of its own; neither traceback nor warning."""
    done = run_python(PROJECT / "cli.py", *arguments, code=code, cwd=cwd)
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done


def loaded(statements: str, modules: set[str]) -> set[str]:
    """Those of `modules` that Python has loaded after `statements` in a process of its own."""
    code = f"{statements}\nimport sys\nprint(*set({sorted(modules)}) & sys.modules.keys())"
    return set(run_python("-c", code).stdout.split())
