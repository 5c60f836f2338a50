"""Tables at any width: no cell cut, no word broken, everything printed, sorted as asked."""

import io

import pytest
from rich.console import Console

from glassviz.cli.listing import Listing, check_column
from glassviz.errors import UsageError

NAMES = ("refined-small-s1", "runs/hopper-hop_demo/seed_12/checkpoints/best_mppi")
REMARK = "gait 2 fall-recover and 1 undetermined; basin 2 unstable and 1 undetermined"


def table() -> Listing:
    listing = Listing(("run", "return", "basin", "κ"), left=("basin",), remarks="why")
    listing.add(NAMES[0], "458 ± 3", "stable-hop", "–")
    listing.add(NAMES[1], "1,020 ± 53", "undetermined 9/10", "0.97", remark=REMARK)
    return listing


def printed(listing: Listing, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    listing.print(console)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 10_000])
def test_everything_is_printed_at_every_width(width):
    lines = printed(table(), width)
    assert max(map(len, lines)) <= width and all(line == line.rstrip() for line in lines)
    text = " ".join(lines)
    assert set(REMARK.split()) <= set(text.split())
    for cell in ("458 ± 3", "1,020 ± 53", "stable-hop", "undetermined 9/10", "0.97", "–"):
        assert cell in " ".join(text.split())


def test_a_wide_line_holds_a_whole_row():
    lines = printed(table(), 200)
    assert len(lines) == 3 and lines[2].startswith(NAMES[1]) and lines[2].endswith(REMARK)
    assert lines[0].endswith("why") and lines[0].index("why") == lines[2].index("gait")


def test_a_name_is_broken_at_its_dashes_and_slashes_and_a_short_one_is_not():
    lines = printed(table(), 80)
    assert any(line.startswith(f"{NAMES[0]} ") for line in lines)
    wrapped = [line.split()[0] for line in lines if line[:1].strip()][2:]
    assert "".join(wrapped) == NAMES[1] and all(part[-1] in "/_-" for part in wrapped[:-1])


def test_what_does_not_fit_beside_its_row_stands_below_it_with_its_title():
    lines = printed(table(), 40)
    assert "    basin stable-hop, κ –" in lines and lines[0].split() == ["run", "return"]


def test_rows_are_sorted_by_numbers_then_words_and_missing_ones_come_last():
    listing = Listing(("run", "x"))
    for name, value in zip("abcdef", ("2", "–", "word", "−1", "1,000 ± 3", ""), strict=True):
        listing.add(name, value)
    listing.sort("x")
    assert [line[0] for line in printed(listing, 80)[1:]] == [*"eadc", "b", "f"]
    listing.sort("run")
    assert [line[0] for line in printed(listing, 80)[1:]] == [*"abcdef"]


def test_an_unknown_column_is_told_with_the_nearest_and_all():
    check_column("gap by chance", ["run", "gap by\nchance"])
    with pytest.raises(UsageError, match=r"one of run, return, .* \(did you mean return\?\)"):
        check_column("retrun", ["run", "return"])
