"""The cards of the shipped checkpoints say what the files say, and claim no more."""

import importlib.util
import re
from pathlib import Path

import pytest

from glassviz import checkpoints
from glassviz.environment import reward_shaping
from glassviz.training.refine import shaping_of
from glassviz.video import opengl

SHIPPED = Path(__file__).parents[2] / "checkpoints"
FILES = sorted(SHIPPED.rglob("*.safetensors"))


@pytest.fixture
def make_card(monkeypatch):
    """The script as a module; a card's words need no OpenGL."""
    monkeypatch.setattr(opengl, "choose_backend", lambda: None)
    spec = importlib.util.spec_from_file_location("make_card", SHIPPED / "make_card.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_card_has_the_facts_of_its_file(make_card, path):
    checkpoint = checkpoints.load(path)
    card = path.with_suffix(".md").read_text()
    rows = re.findall(r"^\| .* \|$", card.split("Returns over")[0], re.MULTILINE)
    assert rows[1:] == make_card.fact_rows(checkpoint, path.stat().st_size)
    assert f"at this checkpoint: {make_card.recorded(checkpoint)}." in card


def test_a_card_of_a_refined_policy_says_how_its_search_was_shaped():
    path = SHIPPED / "refined-small-s1.safetensors"
    made_by = checkpoints.load(path).provenance
    assert reward_shaping(made_by) == "policy search"
    card = path.with_suffix(".md").read_text()
    assert all(shaping_of(search["es"]) in card for search in made_by["refined"])
    # "reward not shaped" would be read as being about all of it.
    assert "reward not shaped" not in card and "on the task's own reward:" not in card
