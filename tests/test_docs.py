"""The pages: their links lead somewhere, and the names that their examples import exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "checkpoints/**/*.md", "renders/README.md")
    for page in CHECKOUT.glob(pattern)
)
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXAMPLES = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(EXAMPLE.findall(page.read_text(encoding="utf-8")), start=1)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not target.startswith("http")]
    assert not [target for target in local if not (page.parent / target).exists()]


@pytest.mark.parametrize("code", EXAMPLES)
def test_what_an_example_imports_exists(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "glassviz":
            module = importlib.import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


def test_the_readme_begins_with_a_film_that_is_quick_to_load():
    first, *_ = re.findall(r"!\[.*?\]\((.*?)\)", (CHECKOUT / "README.md").read_text())
    assert first.endswith(".gif")
    assert (CHECKOUT / first).stat().st_size < 3_000_000
