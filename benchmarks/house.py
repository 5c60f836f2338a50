"""How the code is arranged, as a Markdown table with a column for each checkout.

    python benchmarks/house.py [CHECKOUT …]

Several checkouts are compared side by side, for example before and after a reorganisation:

    git worktree add ../before HEAD~10
    python benchmarks/house.py ../before .

The last four rows are measured: `glassviz render` films a shipped agent and `glassviz stability`
assesses two, each in a fresh process, and the functions that are called and the files that they are
in are counted. The other rows are read from the syntax trees of `glassviz/`.
"""

import argparse
import ast
import inspect
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

HERE = Path(__file__).parents[1]
PACKAGE = "glassviz"
AGENTS = ("checkpoints/refined-small-s1.safetensors", "checkpoints/glass-small-s1.safetensors")
ROLLOUT = ("--controller", "pi", "--steps", "300")
FILM = ("--overlay-k", "--size", "320x240", "--quality", "fast", "--out", "film.mp4")


class Module(NamedTuple):
    """One module: its dotted name without the package, its source and its syntax tree."""

    name: str
    source: str
    tree: ast.Module


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs="*", default=[HERE])
    checkouts = parser.parse_args().checkouts
    columns = [measure(path.resolve()) for path in checkouts]
    print("|  | " + " | ".join(str(path) for path in checkouts) + " |")
    print("|---|" + "---:|" * len(columns))
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(column[row] for column in columns) + " |")


def measure(checkout: Path) -> dict[str, str]:
    """One column of the table, by row."""
    modules = list(read(checkout))
    lines = sum(len(module.source.splitlines()) for module in modules)
    names = Counter(name for module in modules for name in functions(module.tree))
    shared = sum(count for count in names.values() if count > 1)
    known = {module.name for module in modules}
    imports = {
        (module.name, target, eager)
        for module in modules
        for target, eager in imported(module, known)
        if target != module.name
    }
    rooms = {room(name) for name in known if name not in ("", "__main__")}
    arrows = {
        (room(source), room(target))
        for source, target, _ in imports
        if source not in ("", "__main__") and target and room(source) != room(target)
    }
    column = {
        "files": f"{len(modules)}",
        "lines": f"{lines:,}",
        "lines per file, mean": f"{lines / len(modules):.0f}",
        "import lines": f"{sum(import_lines(module.tree) for module in modules) / lines:.1%}",
        "module-level functions": f"{names.total():,}",
        "of these, sharing a name": f"{shared / names.total():.1%}",
        "dataclasses": f"{sum(dataclasses(module.tree) for module in modules)}",
        "rooms (top-level packages and modules)": f"{len(rooms)}",
        "arrows (room imports room)": f"{len(arrows)}",
        "modules importing modules, at module level": (
            f"{len({(source, target) for source, target, eager in imports if eager})}"
        ),
    }
    agents = [str(checkout / agent) for agent in AGENTS]
    with tempfile.TemporaryDirectory() as folder:
        run(checkout, folder, ["-m", PACKAGE, "rollout", *agents, *ROLLOUT, "--episodes", "2"])
        traces = sorted(map(str, Path(folder, "renders", "traces").glob("*.npz")))
        render = ("render", agents[0], *ROLLOUT, *FILM)
        for command in (render, ("stability", *traces, "--jobs", "1")):
            files, called = calls(checkout, folder, command)
            column[f"`{command[0]}`: files"] = f"{files}"
            column[f"`{command[0]}`: functions"] = f"{called}"
    return column


def read(checkout: Path) -> Iterator[Module]:
    """Every module of the package."""
    root = checkout / PACKAGE
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text(encoding="utf-8")
        yield Module(name, source, ast.parse(source))


def functions(tree: ast.Module) -> Iterator[str]:
    """Names of the functions of a module; methods and nested functions do not count."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def import_lines(tree: ast.Module) -> int:
    """How many lines import something."""
    lines = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def dataclasses(tree: ast.Module) -> int:
    """How many classes are dataclasses."""
    return sum(
        any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )


def imported(module: Module, known: set[str]) -> Iterator[tuple[str, bool]]:
    """Modules of the package that a module imports, and whether at module level."""
    eager = {id(node) for node in module.tree.body}
    for node in ast.walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] == PACKAGE:
                target = name.removeprefix(PACKAGE).removeprefix(".")
                while target not in known:  # a name in a module
                    target = target.rpartition(".")[0]
                yield target, id(node) in eager


def room(name: str) -> str:
    """The top-level package or module that a module is in."""
    return name.split(".")[0]


def calls(checkout: Path, folder: str, command: tuple[str, ...]) -> tuple[int, int]:
    """Numbers of files and of functions that a command goes through."""
    out = Path(folder, "calls.json")
    run(checkout, folder, [str(Path(__file__).resolve()), "--count-calls", str(out), *command])
    files, called = json.loads(out.read_text())
    return files, called


def count_calls(out: str, *command: str) -> None:
    """Run a command in this process and write the numbers of files and functions."""
    import glassviz.cli

    package = str(Path(glassviz.cli.__file__).parents[1]) + os.sep
    called = set[tuple[str, int]]()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if (
            event == "call"
            and code.co_flags & inspect.CO_NEWLOCALS
            and code.co_flags & inspect.CO_OPTIMIZED  # neither a module nor a class body
            and not code.co_name.startswith("<")  # nor a comprehension
            and code.co_filename.startswith(package)
        ):
            called.add((code.co_filename, code.co_firstlineno))

    sys.argv = [PACKAGE, *command]
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        glassviz.cli.main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
    files = len({file for file, _ in called})
    Path(out).write_text(json.dumps([files, len(called)]))


def run(checkout: Path, folder: str, arguments: list[str]) -> None:
    """Run Python in a folder with the package of a checkout; show messages only on failure."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{checkout}: {done.stderr or done.stdout}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count-calls"]:
        count_calls(*sys.argv[2:])
    else:
        main()
