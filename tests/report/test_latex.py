"""Tables as LaTeX: complete, balanced and escaped, whatever the names are; from every command."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from glassviz.report.latex import LatexTable, document, escaped
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, STILL, planted
from tests.helpers.traces import wandering

HOSTILE = r"a_b & 50% of #1 $x$ {y} \input{z} ~^ <|> [*] -- 'q' \"p\" ± − κ² α→β … 100 µ"


def table(*names: str) -> LatexTable:
    rows = [(name, "pi", "1 ± 2", "-0.50", "–", "") for name in names]
    titles = ("run", "by", "return", "U", "H²\n(bits)", "95 %")
    remarks = ["gait\n\\end{table} 2 hop", *[""] * (len(names) - 1)]
    return LatexTable(titles, ("by",), rows, remarks, f"Runs: `one label` {HOSTILE}.")


def body(text: str) -> list[str]:
    """The lines without comments."""
    return [line for line in text.splitlines() if not line.lstrip().startswith("%")]


def check_grammar(text: str) -> None:
    """Environments, groups and mathematics end where they should; cells are as many as columns."""
    lines = body(text)
    joined = "\n".join(lines)
    open_: list[str] = []
    for begins, name in re.findall(r"\\(begin|end)\{(\w+)\}", joined):
        if begins == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_
    bare = re.sub(r"\\[\\{}$%&#_]", "", joined)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert "%" not in bare and "#" not in bare
    outside = "".join(bare.split("$")[::2])
    assert not set("_^~<>") & set(outside)
    commands = set(re.findall(r"\\([A-Za-z]+)", joined))
    assert commands <= KNOWN, commands - KNOWN
    for tabular in joined.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{([lr]+)\}", tabular)[1])
        rows = tabular.partition(r"\end{tabular}")[0].splitlines()
        rows = [line.strip() for line in rows[1:] if line.strip() and "rule" not in line]
        assert all(row.endswith(r" \\") for row in rows)
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}
        assert not any(row.startswith(("[", "*")) for row in rows)


KNOWN = {
    *("begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule"),
    *("shortstack", "textbackslash", "textasciitilde", "textasciicircum", "textbar"),
    *("pm", "times", "cdot", "dots", "to", "leftrightarrow", "alpha", "beta", "kappa", "mu"),
}


def test_hostile_names_are_set_as_they_are():
    text = document([table(HOSTILE, "[a]", "*b", r"\\", "%")], HOSTILE, ["made by\nus \\x"])
    check_grammar(text)
    assert text.startswith("% made by us \\x\n% needs \\usepackage{booktabs}\n\\begin{table}\n")
    assert "`one label' a\\_b \\& 50\\% of \\#1 \\$x\\$ \\{y\\} \\textbackslash{}input" in text
    [label] = re.findall(r"\\label\{(.*)\}", text)
    assert re.fullmatch(r"tab:[A-Za-z0-9:.-]+", label)


def test_numbers_symbols_and_titles_are_mathematics():
    text = document([table("a--b")], "x")
    assert "    run & by & return & $U$ & \\shortstack[r]{$H^2$ \\\\ (bits)} & 95 \\% \\\\" in text
    assert "    a-{}-b & pi & 1 $\\pm$ 2 & $-$0.50 & -- & -- \\\\" in text
    assert "    % a--b: gait \\end{table} 2 hop" in text
    assert "\\begin{tabular}{llrrrr}" in text


def test_other_scripts_are_named_in_a_comment():
    text = document([table("走る")], "x")
    assert "走る & pi" in text
    assert "% has る 走, which need XeLaTeX or LuaLaTeX and a font" in text
    assert "XeLaTeX" not in document([table("für_é")], "x")


def test_control_characters_do_not_reach_the_file():
    assert escaped("a\x1b[31m\nb\u2028c") == "a?[31m b c"


@pytest.fixture
def folder(tmp_path) -> Path:
    planted(HOP, HOP, name="hop_1").save(tmp_path / "a.npz")
    planted(STILL, name="still & co").save(tmp_path / "b.npz")
    return tmp_path


def written(folder: Path, *arguments: object, code: int = 0) -> str:
    """The tables of a command, whose text is the same with and without them."""
    out = folder / "table.tex"
    invoke(*arguments, "--latex", out, code=code)
    text = out.read_text(encoding="utf-8")
    check_grammar(text)
    # Readers of a paper have no command line.
    assert not re.search(r"-\{\}-[a-z]", "\n".join(body(text)))
    if latex := shutil.which("pdflatex"):
        lines = [r"\documentclass{article}\usepackage{booktabs}\begin{document}", text]
        whole = "\n".join([*lines, r"\end{document}"])
        (folder / "whole.tex").write_text(whole, encoding="utf-8")
        command = [latex, "-interaction=nonstopmode", "-halt-on-error", "whole.tex"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return text


def test_stability_writes_one_row_per_run_sorted_as_printed(folder):
    text = written(folder, "stability", folder, "--sort", "return")
    rows = [line for line in body(text) if "& mppi &" in line]
    assert [row.split("&")[0].strip() for row in rows] == ["hop\\_1", "still \\"]
    assert "\\label{tab:table}" in text and text.startswith("% made by glassviz")
    assert "stable-hop" in rows[0]


def test_json_goes_together_with_latex_and_existing_files_are_kept(folder):
    out = folder / "t.tex"
    told = invoke("stability", folder / "a.npz", "--json", "--latex", out).stdout
    assert told.startswith("{") and out.exists()
    kept = out.read_bytes()
    again = invoke("stability", folder / "b.npz", "--latex", out, code=1)
    assert "already exists" in again.stderr and out.read_bytes() == kept
    invoke("stability", folder / "b.npz", "--latex", out, "--overwrite", "--brief")
    assert out.read_bytes() != kept


@pytest.mark.parametrize("command", ["stability", "evaluate", "fit", "graph", "map"])
def test_another_ending_is_refused_before_any_work(command, folder):
    done = invoke(command, folder, "--latex", folder / "t.txt", code=2)
    assert "--latex: expected a name that ends in .tex" in done.stderr


def test_fits_are_compared_with_learned_labels_in_a_second_table(folder):
    few = ("--prototypes", "4", "--clusters", "4", "--refits", "2")
    text = written(folder, "fit", folder, *few)
    assert "\\label{tab:table}" in text and "\\label{tab:table-learned}" in text


def test_graphs_share_tables_and_their_difference_has_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wandering(8).save(tmp_path / "walker-pi.npz")
    wandering(3, controller="mppi").save(tmp_path / "walker-mppi.npz")
    both = (tmp_path / "walker-pi.npz", tmp_path / "walker-mppi.npz", "--json")
    text = written(tmp_path, "graph", *both, "--compare")
    labels = re.findall(r"\\label\{tab:table-(.*)\}", text)
    assert labels == ["transitions", "clusters", "difference"]
    assert sum("walker, pi &" in line for line in body(text)) >= 3


def test_maps_are_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planted(HOP, HOP).save(tmp_path / "a.npz")
    text = written(tmp_path, "map", tmp_path / "a.npz", "--method", "pca", "--max-points", 200)
    assert "trustworthiness" in text and sum(" & " in line for line in body(text)) == 2
