r"""Tables as LaTeX, in the style of the `booktabs` package.

Letters and symbols that the results print become mathematics, so that `pdflatex` sets them. Letters
of other scripts in names need XeLaTeX or LuaLaTeX; a comment says so.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from glassviz.text import printable

NONE = "--"
"""Stands for an empty cell."""


@dataclass(frozen=True)
class LatexTable:
    r"""A table as texts.

    Attributes:
        titles: of the columns; `\n` breaks a title into lines.
        left: titles of the columns besides the first that are aligned to the left.
        rows: one cell per column.
        remarks: one per row, for a comment; may be empty.
        suffix: of the label, where a file has several tables.
    """

    titles: Sequence[str]
    left: Collection[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str]
    caption: str
    suffix: str = ""


def document(tables: Sequence[LatexTable], label: str, comments: Sequence[str] = ()) -> str:
    r"""Tables for `\input`, each with its caption and `\label{tab:…}`.

    Args:
        label: a word; it is followed by a table's suffix.
        comments: lines at the beginning, such as the command that made the tables.
    """
    parts = [_table(each, "-".join(filter(None, [label, each.suffix]))) for each in tables]
    body = "\n".join(parts)
    head = [*comments, r"needs \usepackage{booktabs}"]
    if others := sorted({c for c in _without_comments(body) if c > _LATIN}):
        head.append(f"has {' '.join(others[:20])}, which need XeLaTeX or LuaLaTeX and a font")
    return "".join(f"{_comment(line)}\n" for line in head) + body


def _table(table: LatexTable, label: str) -> str:
    columns = "".join(
        "l" if i == 0 or title in table.left else "r" for i, title in enumerate(table.titles)
    )
    titles = [_title(title, kind) for title, kind in zip(table.titles, columns, strict=True)]
    quoted = _QUOTED.sub(r"‘\1’", table.caption)
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(quoted)}}}",
        rf"  \label{{tab:{_word(label)}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {_row(titles)}",
        r"    \midrule",
    ]
    for cells, remark in zip(table.rows, table.remarks, strict=True):
        if remark:
            lines.append(f"    {_comment(f'{cells[0]}: {remark}')}")
        name, *values = cells
        lines.append(f"    {_row([_cell(name), *map(_value, values)])}")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


_QUOTED = re.compile(r"`([^`]*)`")


def _row(cells: Sequence[str]) -> str:
    # After the end of a line, a bracket or an asterisk would be its argument.
    start = "{}" if cells[0].startswith(("[", "*")) else ""
    return rf"{start}{' & '.join(cells)} \\"


def _comment(text: str) -> str:
    return f"% {printable(' '.join(text.split()), limit=2000)}"


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.split("\n") if not line.lstrip().startswith("%"))


def _word(label: str) -> str:
    """A label without characters that mean something in one."""
    return re.sub(r"[^A-Za-z0-9:.-]+", "-", label).strip("-") or "table"


def _title(title: str, column: str) -> str:
    r"""A title; symbols such as U and H² are mathematics, and several lines a `\shortstack`."""
    lines = [_SYMBOL.sub(r"$\1$", escaped(line)).replace("$$^", "^") for line in title.split("\n")]
    joined = r" \\ ".join(lines)
    return joined if len(lines) == 1 else rf"\shortstack[{column}]{{{joined}}}"


_SYMBOL = re.compile(r"(?<![\w\\(/$])([A-Za-z])(?![\w/])")
_NEGATIVE = re.compile(r"(?<![\w.)\]%-])-(?=\d)")


def _value(text: str) -> str:
    """A cell of numbers or words."""
    return _cell(_NEGATIVE.sub("−", text))


def _cell(text: str) -> str:
    return escaped(text) or NONE


def escaped(text: str) -> str:
    r"""Text as LaTeX, on one line.

    >>> escaped("50% of a_b ± 1")
    '50\\% of a\\_b $\\pm$ 1'
    """
    line = printable(" ".join(text.split()), limit=2000)
    # Two dashes would be set as one long one.
    return "".join(_SET.get(c, c) for c in _DASHES.sub("-\0", line)).replace("\0", "{}")


_DASHES = re.compile(r"-(?=-)")

_LATIN = "\u017f"
"""The last letter that LaTeX sets in its usual fonts."""

_GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta"},
    **{"ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta"},
    **{"ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu"},
    **{"ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho"},
    **{"σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "varphi"},
    **{"χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma"},
    **{"Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi"},
    **{"Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi"},
    **{"Ω": "Omega", "µ": "mu"},
}

_SET = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": r"\textbar{}"},
    **{'"': "''", "`": "{`}"},
    **{"±": r"$\pm$", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "°": r"$^\circ$"},
    **{"²": "$^2$", "³": "$^3$", "¹": "$^1$", "…": r"\dots{}", "–": "--", "—": "---"},
    **{"→": r"$\to$", "←": r"$\gets$", "↔": r"$\leftrightarrow$", "√": r"$\surd$"},
    **{"≤": r"$\le$", "≥": r"$\ge$", "≈": r"$\approx$", "≠": r"$\ne$", "∞": r"$\infty$"},
    **{"“": "``", "”": "''", "‘": "`", "’": "'"},
    **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
}
r"""How characters are written that LaTeX reads as commands, or that its usual fonts lack."""
