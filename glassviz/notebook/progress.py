"""How far something is, in a line that goes away when it is done."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_S, STEP_S = 3.0, 0.5
"""Nothing is told of what takes no longer; then every half second."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Tell on standard error how far something is, and when it will be done.

    Yields:
        To be called with steps done and in all.
    """
    started = told_at = time.monotonic()
    longest = 0

    def tell(done: int, total: int) -> None:
        nonlocal told_at, longest
        now = time.monotonic()
        if now - started < QUIET_S or now - told_at < STEP_S or not done:
            return
        told_at = now
        left_s = (now - started) / done * (total - done)
        line = f"{what}: {done} of {total}, {left_s:.0f} s left"
        longest = max(longest, len(line))
        print(f"\r{line:<{longest}}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if longest:
            print(f"\r{'':<{longest}}\r", end="", file=sys.stderr, flush=True)
