"""The built wheel, installed and run away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from glassviz import __version__

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(CHECKOUT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("glassviz/**/*.py")}
    assert modules <= packed
    for data in ("templates/*", "assets/*", "vendor/*/*"):
        found = {
            str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob(f"glassviz/report/{data}")
        }
        assert found and found <= packed
    assert {name.split("/")[0] for name in packed} == {"glassviz"}


def test_the_installed_wheel_runs(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    environment = os.environ | {"PYTHONPATH": str(site)}

    def say(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    program = str(site / "bin" / "glassviz")
    assert say(program, "--version") == f"glassviz {__version__}\n"
    assert "Usage: glassviz" in say(program, "--help")
    template = "from glassviz.report.html import environment as e; e(True).get_template"
    say(sys.executable, "-c", f"{template}('report.html.j2'); {template}('report.md.j2')")
    interactive = (
        "from glassviz.report.interactive.html import to_html\n"
        "from glassviz.report.interactive.page import InteractivePage\n"
        "page = InteractivePage('', (), (), (), {}, None, (), (), {'glassviz': '0'})\n"
        "assert 'Content-Security-Policy' in to_html(page)"
    )
    say(sys.executable, "-c", interactive)
    origin = say(sys.executable, "-c", "import glassviz; print(glassviz.__file__)")
    assert origin.startswith(str(site)), "the checkout was imported, not the wheel"
