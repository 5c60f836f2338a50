"""The one exception that a user is meant to read."""


class GlassvizError(Exception):
    """A mistake that the user can mend, told in one sentence.

    The message names the place (a file, an option), what was expected, what was found, and what
    to do. The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(GlassvizError):
    """The command or call itself was wrong: an unknown name, options that exclude each other."""

    exit_code = 2
