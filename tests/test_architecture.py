"""The order of imports: one contract, shown in docs/architecture.md, checked by import-linter."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "glassviz"
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \|", re.MULTILINE)


def layers() -> list[set[str]]:
    """The layers of the contract from top to bottom, each with its rooms."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["type"] == "layers"]
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def rows() -> list[set[str]]:
    """The rooms of each row of the table in docs/architecture.md."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return [set(re.findall(r"`(\w+)`", names)) for names in ROW.findall(page)]


def test_the_page_shows_the_rooms_in_the_order_of_the_contract():
    assert rows() == layers()


def test_every_room_has_a_place():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert modules | packages == set.union(*rows())


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the package with its contracts, to plant imports in."""
    leave_out = shutil.ignore_patterns("__pycache__", "assets", "vendor", "templates")
    shutil.copytree(PACKAGE, tmp_path / "glassviz", ignore=leave_out)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(checkout: Path) -> tuple[int, str]:
    """Exit code and output of lint-imports."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_contracts_are_kept(checkout):
    code, output = lint(checkout)
    assert code == 0, output


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        (
            "gait/contacts.py",
            "from glassviz.metrics import segments",
            r"glassviz\.gait is not allowed to import glassviz\.metrics:\s+"
            r"- glassviz\.gait\.contacts -> glassviz\.metrics\.segments",
        ),
        (
            "errors.py",
            "def late():\n    import glassviz.cli",
            r"glassviz\.errors is not allowed to import glassviz\.cli:",
        ),
        (
            "metrics/segments.py",
            "import jax",
            r"glassviz\.metrics is not allowed to import jax:",
        ),
        ("annex.py", "import json", r"annex"),
    ],
    ids=["a room above", "inside a function", "a heavy library", "a room without a place"],
)
def test_a_planted_import_breaks_a_contract(checkout, file, line, complaint):
    with (checkout / "glassviz" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    code, output = lint(checkout)
    assert code == 1
    assert re.search(complaint, output), output
