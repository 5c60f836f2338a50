"""Exceptions whose message is shown to the user."""


class GlassvizError(Exception):
    """An error that the user can fix, stated in one sentence.

    The message names the place (a file, an option), what was expected, what was found, and what
    to do. The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(GlassvizError):
    """An invalid command or call: an unknown name, options that exclude each other."""

    exit_code = 2
