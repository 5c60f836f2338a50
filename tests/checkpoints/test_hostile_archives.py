"""No PyTorch archive runs code, is taken for what it is not, or costs more than it holds."""

import re
from pathlib import Path

import pytest

import tests.helpers.hostile_archives as hostile
from glassviz.agents.config import Unsaid
from glassviz.checkpoints import formats
from glassviz.errors import GlassvizError
from tests.helpers.commands import run_python

TASK = Unsaid(("walker-walk",))
RUNNING = sorted(hostile.running(Path("canary")))
LYING = hostile.lying()


def refused(data: bytes) -> str:
    """The sentence that a file is refused with."""
    with pytest.raises(GlassvizError) as caught:
        formats.read(data, Path("agent.pt"), TASK)
    message = str(caught.value)
    assert message.startswith("agent.pt: ") and message.isprintable() and len(message) < 500
    return message


def test_the_good_file_is_read() -> None:
    assert formats.read(hostile.GOOD, Path("agent.pt"), TASK).config.obs_dim == 5


@pytest.mark.parametrize("case", RUNNING)
def test_nothing_that_an_archive_calls_is_run(tmp_path: Path, case: str) -> None:
    canary = tmp_path / "canary"
    data, said = hostile.running(canary)[case]
    assert re.search(said, refused(data))
    assert not canary.exists()


@pytest.mark.parametrize("case", sorted(LYING))
def test_an_archive_that_lies_is_refused_in_one_sentence(case: str) -> None:
    data, said = LYING[case]
    assert re.search(said, refused(data))


BOMB_SQUAD = """
import resource, sys, time
from pathlib import Path
import tests.helpers.hostile_archives as hostile
from glassviz.agents.config import Unsaid
from glassviz.checkpoints import formats
from glassviz.errors import GlassvizError

bombs = hostile.bombs()
formats.read(hostile.GOOD, Path("agent.pt"), Unsaid(("walker-walk",)))
for name, data in bombs.items():
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        formats.read(data, Path(name), Unsaid(("walker-walk",)))
    except GlassvizError as error:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(grown, time.process_time() - start, name, error, sep=chr(9), flush=True)
    else:
        sys.exit(f"{name} was read")
"""


def test_no_archive_costs_much_more_than_it_holds() -> None:
    done = run_python("-c", BOMB_SQUAD)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[2] for row in rows} == hostile.bombs().keys()
    assert [row for row in rows if int(row[0]) > 100 * 1024] == []
    assert [row for row in rows if float(row[1]) > 5] == []
