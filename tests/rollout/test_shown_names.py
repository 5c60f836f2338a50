"""Files of names: what they rename, and what is wrong with them."""

from pathlib import Path

import pytest

from glassviz.errors import GlassvizError
from glassviz.rollout.names import Names
from glassviz.rollout.run import Run

GOOD = """
[runs]
"refined-small-s1" = "Refined"
[labels."refined-small-s1"]
3 = "flight"
"""


def runs(*names: str) -> list[Run]:
    return [Run(Path(name), Path(f"{name}.npz"), name, "pi", name * 2) for name in names]


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Names:
        path = tmp_path / "names.toml"
        path.write_text(text)
        return Names.load(path)

    return write


def test_runs_and_labels_have_their_shown_names(written):
    names, told = written(GOOD), []
    found = runs("refined-small-s1", "other")
    names.apply(found, told.append)
    assert [run.name for run in found] == ["Refined", "other"] and told == []
    assert [run.given_labels for run in found] == [{3: "flight"}, {}]


@pytest.mark.parametrize(
    "clusters, told",
    [
        (4, []),
        (3, ["refined-small-s1 has no label 3, its labels are 0 to 2"]),
        (0, ["refined-small-s1 has no label 3, it has none"]),
    ],
)
def test_a_name_of_a_label_that_a_run_does_not_have_is_told(written, clusters, told):
    found, lines = runs("refined-small-s1"), []
    found[0].clusters = clusters
    written(GOOD).apply(found, lines.append)
    assert [line.partition(": ")[2] for line in lines] == told


def test_a_name_of_no_run_is_told_with_the_nearest(written):
    names, told = written(GOOD), []
    names.apply(runs("refined-small-s2"), told.append)
    [line] = told
    assert line.endswith("no run is called refined-small-s1 (did you mean refined-small-s2?)")


def test_without_a_file_nothing_is_renamed():
    found = runs("a")
    Names.load(None).apply(found, pytest.fail)
    assert found[0].name == "a"


@pytest.mark.parametrize(
    "text, message",
    [
        ("[runs", "expected TOML"),
        ("[run]", r"found 'run' \(did you mean runs\?\)"),
        ("[runs]\na = 3", "expected a name in quotes"),
        ("[runs]\na = 'x'\nb = 'x'", "found 'x' twice"),
        ("runs = 3", "expected a table of names"),
        ("[labels]\na = 3", "expected a table of names"),
        ("labels = 3", "expected tables by run"),
        ("[labels.a]\nfirst = 'x'", "expected numbers of labels"),
        (f"[labels.a]\n1 = '{'x' * 40}'", "expected at most 32 characters for 1, found 40"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(written, text, message):
    with pytest.raises(GlassvizError, match=message):
        written(text)
