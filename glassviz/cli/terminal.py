"""The terminal: all that commands print on standard output and standard error goes through here.

Text is written in the encoding of the locale; what it lacks is written in ASCII. Control characters
never reach the terminal, for names and messages may come from files.
"""

import codecs
import io
import json
import multiprocessing
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError
from glassviz.text import printable

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 10_000
"""Columns of tables in a file or pipe: lines are not broken."""

MIN_COLUMNS, MAX_COLUMNS = 20, 1000
"""Values of COLUMNS that are believed."""


class OutputError(GlassvizError):
    """Standard output cannot be written."""


class Ended(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C, and cleans up as after that."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


# Lines --------------------------------------------------------------------------------------------


def echo(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print text, of one line or several, without what could control the terminal.

    Raises:
        OutputError: standard output cannot be written.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # it may have been closed
        stream.write(clean(text) + end)
        stream.flush()


def hanging(start: str, text: str, most: int | None = None) -> str:
    """`start` and a text whose further lines begin below its first, as wide as the terminal.

    Args:
        most: columns at most; by default lines in a file or pipe are not broken.
    """
    width = min(console().width, most or WIDE)
    if len(start) + len(text) <= width:
        return start + text
    lines = textwrap.wrap(
        text, max(width - len(start), MIN_COLUMNS), break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * len(start)}".join([start + lines[0], *lines[1:]])


def tell(line: str) -> None:
    """Print a line on standard error: progress, notes, errors."""
    echo(line, err=True)


def echo_json(value: Any, ascii_only: bool = True) -> None:
    """Print a result as JSON; characters that the encoding lacks are escaped as JSON does it."""
    from glassviz.report.serialize import as_json

    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    text = as_json(value, ascii_only or not unicode)
    shown = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    echo("".join(shown))


def clean(text: str) -> str:
    r"""`text` with control characters replaced, and bytes of file names that are no text escaped.

    >>> clean("red\x1b[31m\nnext")
    'red?[31m\nnext'
    """
    text = _BYTES.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return "\n".join(printable(line, limit=len(line)) for line in text.expandtabs().split("\n"))


_BYTES = re.compile("[\udc80-\udcff]")
"""What Python makes of bytes in names that are not in the locale's encoding."""


# Consoles -----------------------------------------------------------------------------------------


def console(*, err: bool = False, otherwise: int | None = WIDE) -> "Console":
    """A console for tables and progress bars.

    Args:
        err: whether it prints on standard error.
        otherwise: columns in a file or pipe.
    """
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    on_terminal = stream is not None and stream.isatty()
    return Console(
        stderr=err, highlight=False, width=None if on_terminal else otherwise, _environ=_environ()
    )


def _environ() -> dict[str, str]:
    """The environment without sizes of the terminal that make no sense."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES") or _is_size(value)
    }


def _is_size(value: str) -> bool:
    return value.isdecimal() and MIN_COLUMNS <= int(value) <= MAX_COLUMNS


# Streams ------------------------------------------------------------------------------------------


@contextmanager
def prepared() -> Iterator[None]:
    """Prepare the process of a command: its streams, its signals and the terminal's size.

    At the end, what is left is written. When standard output cannot be written, that is one
    sentence on standard error; a pipe whose reader is gone ends the command quietly.

    Raises:
        SystemExit: always, with the exit code.
    """
    codecs.register_error(READABLE, _readable)
    for name in ("COLUMNS", "LINES"):
        if name in os.environ and not _is_size(os.environ[name]):
            del os.environ[name]
    sys.stdout = _stream(sys.stdout, _Output)
    sys.stderr = _stream(sys.stderr, _Messages)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup it is ignored
            signal.signal(number, _end)
    _end_in_time()
    code: Any = 0
    try:
        yield
    except SystemExit as done:
        code = done.code
    except OutputError as error:
        tell(f"error: {error}")
        code = error.exit_code
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OutputError as error:
        tell(f"error: {error}") if not code else None
        code = code or error.exit_code
        _discard_output()
    raise SystemExit(code)


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended(number)


PATIENCE_S = 1.0
"""Seconds that a command has to clean up after a signal, before it is ended all the same."""

SIGNALLED = 128
"""Exit code after a signal such as Ctrl-C: this plus its number, as in shells."""

_kept: list[Callable[[], str]] = []
_told = threading.Event()


@contextmanager
def if_interrupted(kept: Callable[[], str]) -> Iterator[None]:
    """While the block runs, an interruption tells what `kept` says: what is there, how to go on."""
    _kept.append(kept)
    try:
        yield
    except KeyboardInterrupt as signalled:
        if not hasattr(signalled, "kept"):
            signalled.kept = kept()  # type: ignore[attr-defined]
        raise
    finally:
        _kept.pop()


def tell_interrupted(signalled: KeyboardInterrupt) -> None:
    """Say that a command was interrupted, and what was kept."""
    _tell_ended(isinstance(signalled, Ended), getattr(signalled, "kept", ""))


def _tell_ended(asked_to: bool, kept: str) -> None:
    """Say so once, whoever comes first."""
    if not _told.is_set():
        _told.set()
        word = "ended" if asked_to else "interrupted"
        tell(f"{word}; {kept}" if kept else word)


def _end_in_time() -> None:
    """End the process soon after a signal, also while a library compiles, which ends at no signal.

    The thread hears of signals from the interpreter at once; the main thread only when Python runs
    in it. Files appear whole and runs resume from their last save, so that this loses nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)

    def wait() -> None:
        ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        while (number := os.read(ours, 1)[0]) not in ending or _is_ignored(number):
            pass
        time.sleep(PATIENCE_S)
        _tell_ended(number != signal.SIGINT, _kept[-1]() if _kept else "")
        for child in multiprocessing.active_children():
            child.terminate()
        os._exit(SIGNALLED + number)

    threading.Thread(target=wait, daemon=True, name="signals").start()


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


class _Output(io.FileIO):
    """Standard output, whose errors are for the user."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"standard output: expected that it can be written, found {error.strerror}: free "
                f"some space, or write to another file"
            ) from None


class _Messages(io.FileIO):
    """Standard error: that it cannot be written can be told nowhere, and stops no work."""

    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            return super().write(data)
        return len(data)


def _stream(stream: Any, kind: type[io.FileIO]) -> Any:
    """A stream on the same descriptor, which writes what its encoding lacks in ASCII."""
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(kind(descriptor, "wb", closefd=False)),
        encoding=stream.encoding,
        errors=READABLE,
        line_buffering=kind is _Messages or stream.isatty(),
        write_through=kind is _Messages,
    )


def _discard_output() -> None:
    """What is still waiting to be written goes nowhere, instead of failing again at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


READABLE = "glassviz.readable"
"""Name of the error handler of encoders that replaces characters by similar ones in ASCII."""

_SIMILAR = {
    **{"—": "-", "–": "-", "−": "-", "…": "...", "→": "->", "←": "<-", "×": "x", "·": "*"},
    **{"±": "+-", "≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "²": "^2", "³": "^3", "°": " deg"},
    **{"“": '"', "”": '"', "‘": "'", "’": "'", "✓": "ok"},
    **{"φ": "phi", "κ": "kappa", "π": "pi", "λ": "lambda", "σ": "sigma", "μ": "mu", "τ": "tau"},
    **{"ε": "eps", "ρ": "rho", "θ": "theta", "Δ": "Delta", "χ": "chi", "α": "alpha", "β": "beta"},
    **{"━": "-", "─": "-", "╸": "-", "╺": "-", "•": "*", "µ": "u", "√": "sqrt", "Σ": "Sum"},
}


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = (_SIMILAR.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(escaped), error.end
