"""What damaged and hostile files do to every reader, and to the commands that call it.

    PYTHONPATH=. python benchmarks/fuzz.py [INPUTS] [--seed N] [--only KIND] [--keep FOLDER]

Every kind of file that the product reads is written by the product itself, mutated, and read.
A reader may refuse a file, in one printable sentence, or take it; what is then computed from it may
refuse in a sentence too. Everything else is a failure: another exception, a warning, more than
SECONDS, more than MEGABYTES, or a message of many lines. One input in COMMAND_EVERY goes through a
command instead. Prints a Markdown table of tried, taken, refused and failed, and exits with 1 if
anything failed; the failing inputs are kept in FOLDER.

Bytes are flipped, cut, repeated, and replaced. Arrays change dtype, shape and values, and entries
of headers their value and type; such files are written anew, with a checksum that fits.
"""

import argparse
import copy
import io
import json
import os
import pickle
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 10
MEGABYTES = 500
COMMAND_EVERY = 50
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

Mutation = Callable[[np.random.Generator, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        make: writes a valid one into a folder.
        read: reads one, and does what commands do with it.
        mutations: that know its structure; its bytes are mutated too.
        command: arguments of a command that reads the file at a path.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    mutations: tuple[Mutation, ...] = ()
    command: Callable[[Path], list[object]] | None = None


# Mutations ----------------------------------------------------------------------------------------


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip, cut, repeat, overwrite or insert bytes."""
    raw = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(raw) + 1))
        # Headers are at both ends.
        at = int(rng.choice([at, min(len(raw), at % 400), max(0, len(raw) - at % 400)]))
        length = int(rng.choice([1, 4, 8, 64, 1000]))
        match rng.integers(6):
            case 0 if raw:
                raw[min(at, len(raw) - 1)] ^= 1 << rng.integers(8)
            case 1:
                del raw[at:]
            case 2:
                raw[at : at + length] = raw[at : at + length] * 2
            case 3:
                raw[at : at + length] = bytes([int(rng.choice([0, 255, 46, 128]))]) * length
            case 4:
                raw[at:at] = rng.bytes(length)
            case 5:
                del raw[at : at + length]
    return bytes(raw)


STRANGE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2**31, 2**63, 2**70, 10**400, 0.3, -0.5, 1e308, 1e-300),
    *("", "x" * 3000, "\x1b]0;title\x07", "\u202e", "\ud800", "=1+1", "../../etc", "\n", "中"),
    *([], {}, [[]], [None], {"a": {"b": []}}, ["x"] * 300, [[1, 2], [3]], [1e999]),
)


DEEP = "nested deeper than Python can follow"
"""Stands for itself until a tree is written."""


def strange_value(rng: np.random.Generator) -> Any:
    """A JSON value that is rarely what is expected."""
    if rng.random() < 0.02:
        return DEEP
    return copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])


def mutated_tree(rng: np.random.Generator, tree: Any) -> Any:
    """A JSON tree with one to three entries replaced, removed, added or scaled."""
    if rng.random() < 0.02:
        return strange_value(rng)
    tree = copy.deepcopy(tree)
    for _ in range(rng.integers(1, 4)):
        places = list(_places(tree))
        if not places:
            return strange_value(rng)
        box, key = places[rng.integers(len(places))]
        match rng.integers(5):
            case 0 | 1:
                box[key] = strange_value(rng)
            case 2:
                del box[key]
            case 3 if isinstance(box, dict):
                box[f"{key}\x1b[2J"] = strange_value(rng)
            case _:
                value = box[key]
                numeric = isinstance(value, int | float) and not isinstance(value, bool)
                factor = rng.choice([-1, 0, 2, 1000, 2**20]).item()
                box[key] = value * factor if numeric else [value, value]
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def written(rng: np.random.Generator, tree: Any) -> bytes:
    """JSON of a tree, with lone surrogates in it, and nested as deep as it says."""
    depth = int(rng.choice([40, 900, 100_000]))
    text = json.dumps(tree, ensure_ascii=bool(rng.integers(2)))
    text = text.replace(json.dumps(DEEP), "[" * depth + "]" * depth)
    return text.encode(errors="surrogatepass")


def mutated_array(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """An array of another dtype, shape, order or with strange values."""
    array = np.array(array)
    match rng.integers(8):
        case 0:
            kinds = ("int8", "uint8", "int64", "float16", "float64", "complex64", "U3", "S2", "?")
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return array.astype(str(rng.choice(kinds)))
        case 1 if array.ndim:
            return array[: rng.integers(len(array) + 1)]
        case 2:
            return array[None] if rng.random() < 0.5 else array.reshape(-1)
        case 3:
            return np.swapaxes(array, 0, -1) if array.ndim else array
        case 4 if array.size and array.ndim:
            return rng.permutation(array, axis=int(rng.integers(array.ndim)))
        case 5 if array.size:
            values = (np.nan, np.inf, -np.inf, -1, 0, 10**6, 2**31 - 1, -(2**31), 1e30, 127)
            flat = array.reshape(-1)
            some = rng.integers(flat.size, size=int(rng.choice([1, 3, flat.size])))
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = np.array(values[rng.integers(len(values))]).astype(array.dtype)
            flat[some] = value
            return flat.reshape(array.shape)
        case 6:
            return np.zeros_like(array)
        case _:
            return np.concatenate([array, array]) if array.ndim else array


def rewritten(rng: np.random.Generator, data: bytes) -> bytes:
    """An archive with other arrays or another header, and a checksum that fits; or none."""
    from glassviz import archive

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(data)
        header, arrays = archive.load(path, "a file", "")
        if rng.random() < 0.6:
            header = mutated_tree(rng, header)
        for name in rng.permutation(list(arrays))[: rng.integers(0, 3)]:
            if rng.random() < 0.15:
                del arrays[name]
            else:
                arrays[name] = mutated_array(rng, arrays[name])
        text = np.frombuffer(written(rng, header), np.uint8)
        members = {archive.HEADER: text, **arrays}
        if rng.random() < 0.8:
            members[archive.CHECKSUM] = np.frombuffer(archive._checksum(members), np.uint8)
        file = io.BytesIO()
        write: Any = np.savez_compressed if rng.random() < 0.2 else np.savez
        write(file, **members)
        return file.getvalue()


def rewritten_tensors(rng: np.random.Generator, data: bytes) -> bytes:
    """A safetensors file with another header; offsets may lie, JSON inside JSON may be strange."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    metadata = header.get("__metadata__", {})
    inner = [key for key, text in metadata.items() if text[:1] in ("{", "[")]
    if inner and rng.random() < 0.7:
        key = str(rng.choice(inner))
        metadata[key] = written(rng, mutated_tree(rng, json.loads(metadata[key]))).decode(
            "utf-8", "replace"
        )
    else:
        header = mutated_tree(rng, header)
    text = written(rng, header)
    values = bytearray(data[8 + length :])
    if rng.random() < 0.3:
        array = np.frombuffer(values[: len(values) // 4 * 4], np.float32)
        values[: array.nbytes] = mutated_array(rng, array).tobytes()[: array.nbytes]
    return struct.pack("<Q", len(text)) + text + bytes(values)


def rewritten_json(rng: np.random.Generator, data: bytes) -> bytes:
    """JSON with other values."""
    return written(rng, mutated_tree(rng, json.loads(data)))


def rewritten_pickle(rng: np.random.Generator, data: bytes) -> bytes:
    """A pickle of another tree, or with opcodes inserted, or grown."""
    if rng.random() < 0.5:
        tree = pickle.loads(data)
        box = tree
        for _ in range(rng.integers(1, 5)):
            keys = [key for key in box if isinstance(box[key], dict)]
            if not keys:
                break
            box = box[keys[rng.integers(len(keys))]]
        key = list(box)[rng.integers(len(box))]
        value = box[key]
        known = isinstance(value, np.ndarray)
        box[key] = mutated_array(rng, value) if known else strange_value(rng)
        try:
            return pickle.dumps(tree, protocol=int(rng.integers(6)))
        except (RecursionError, OverflowError):
            return data
    return rewritten_opcodes(rng, data)


def rewritten_opcodes(rng: np.random.Generator, data: bytes) -> bytes:
    """A pickle with some bytes made opcodes, or names and numbers put between."""
    raw = bytearray(data)
    opcodes = b"(.012FGIJKLMNPQRSTUVX]abcdeghijloprstu}\x80\x81\x85\x86\x87\x88\x8c\x8e\x92\x93\x94"
    names = (b"cos\nsystem\n", b"c" + b"a." * 3000 + b"\nb\n", b"cbuiltins\neval\n", b"N", b"K\xff")
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(2, len(raw)))
        if rng.random() < 0.3:
            raw[at:at] = names[rng.integers(len(names))]
        else:
            raw[at:at] = bytes([opcodes[rng.integers(len(opcodes))]])
    return bytes(raw)


def rewritten_archive(rng: np.random.Generator, data: bytes) -> bytes:
    """A PyTorch archive with a strange directory, or zipped anew with strange members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    at = str(rng.choice(list(members)))
    match rng.integers(5):
        case 0:
            raw = bytearray(data)
            directory = data.index(b"PK\x01\x02")
            for _ in range(rng.integers(1, 4)):
                raw[rng.integers(directory, len(raw))] = rng.integers(256)
            return bytes(raw)
        case 1:
            members[str(rng.choice(["../x", "/x", "a/data.pkl", "x" * 600]))] = b"x"
        case 2:
            del members[at]
        case 3:
            pickled = next(name for name in members if name.endswith("data.pkl"))
            members[pickled] = rewritten_opcodes(rng, members[pickled])
        case 4:
            members[at] = members[at][: rng.integers(len(members[at]) + 1)]
    written = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(written, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def rewritten_lines(rng: np.random.Generator, data: bytes) -> bytes:
    """Text with fields and lines exchanged for strange ones."""
    lines = data.decode().splitlines()
    strange = (
        *("", ",", "nan", "inf", "-1", "1e999", "9" * 23, "9" * 5000, '"', '"a', "[", "= [", "{"),
        *("\x00", "\x1b[31m", "中", "=1+1", "<<<<<<< HEAD", "250000.0", " 1 ", "[" * 3000, "a.b.c"),
    )
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(lines)))
        match rng.integers(4):
            case 0:
                lines[at] = str(rng.choice(strange))
            case 1:
                fields = re.split(r"([,=\s])", lines[at])
                fields[rng.integers(len(fields))] = str(rng.choice(strange))
                lines[at] = "".join(fields)
            case 2:
                lines.insert(at, lines[rng.integers(len(lines))])
            case 3 if len(lines) > 1:
                del lines[at]
    end = str(rng.choice(["\n", "\r\n", "\r", ""]))
    joined = (end or "\n").join(lines) + end
    return joined.encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")


# Kinds --------------------------------------------------------------------------------------------


def _trace() -> Any:
    from dataclasses import replace

    from tests.helpers.planted_runs import HOP, planted, with_soft

    short = replace(HOP, frames=300)
    return with_soft(planted(short, short, name="planted"))


def make_trace(folder: Path) -> Path:
    _trace().save(folder / "a.npz")
    return folder / "a.npz"


def read_trace(path: Path) -> None:
    from glassviz.compare.graphs import run_graph
    from glassviz.maps.coordinates import MapOptions, coordinates_of
    from glassviz.report.serialize import as_json
    from glassviz.rollout.run import assess_all
    from glassviz.rollout.traces import RolloutOptions
    from glassviz.trace import Trace

    trace = Trace.load(path)
    assess_all([path], RolloutOptions(), jobs=1)
    as_json(trace.header)
    if trace.has_labels:
        run_graph(trace)
    coordinates_of([trace], MapOptions("pca"))


def make_map(folder: Path) -> Path:
    from glassviz.maps.coordinates import MapOptions, coordinates_of

    coordinates, _, _ = coordinates_of([_trace()], MapOptions("pca"))
    coordinates.save(folder / "a.map.npz")
    return folder / "a.map.npz"


def read_map(path: Path) -> None:
    from glassviz.maps.coordinates import Coordinates

    Coordinates.load(path)


def make_labels(folder: Path) -> Path:
    from glassviz.metrics.fitted_labels import fit_labels

    trace = _trace()
    fitted = fit_labels(list(trace.latent), trace.header["checkpoint"]["sha256"], 8, 4)
    fitted.save(folder / "a.labels.safetensors")
    return folder / "a.labels.safetensors"


def read_labels(path: Path) -> None:
    from glassviz.metrics.fitted_labels import FittedLabels
    from glassviz.rollout.run import relabelled

    fitted = FittedLabels.load(path)
    trace = _trace()
    if fitted.prototypes.shape[1] == trace.latent.shape[2]:
        relabelled(trace, fitted)


def make_checkpoint(folder: Path) -> Path:
    from glassviz import checkpoints
    from tests.helpers.published_files import SMALL, own_params

    provenance = {"recipe": "1b", "seed": 1, "evaluation": {}}
    path = folder / "a.safetensors"
    checkpoints.save(path, SMALL, own_params(), provenance, assumptions=["nothing"])
    return path


def make_pickle(folder: Path) -> Path:
    from tests.helpers.published_files import payload

    (folder / "a.pkl").write_bytes(pickle.dumps(payload()))
    return folder / "a.pkl"


def make_torch(folder: Path) -> Path:
    from tests.helpers.torch_files import networks, torch_file

    (folder / "a.pt").write_bytes(torch_file(networks(15, 4, tasks=3, episodic=True)))
    return folder / "a.pt"


def read_checkpoint(path: Path) -> None:
    from glassviz import checkpoints
    from glassviz.agents.config import UNSAID, Unsaid
    from glassviz.checkpoints.summary import summarise
    from glassviz.report.serialize import as_json

    unsaid = Unsaid(("task-1",)) if path.suffix == ".pt" else UNSAID
    as_json(summarise(checkpoints.load(path, unsaid)))


def make_demos(folder: Path) -> Path:
    from glassviz.agents.config import EnvConfig
    from glassviz.training import demonstrations
    from glassviz.training.true_model import MPCConfig

    rng = np.random.default_rng(0)
    demos = [
        demonstrations.Demonstration(
            seed=seed,
            obs=rng.normal(size=(12, 15)).astype(np.float32),
            action=rng.uniform(-1, 1, (12, 4)).astype(np.float32),
            reward=rng.random(12),
        )
        for seed in range(3)
    ]
    header = demonstrations.describe(EnvConfig(), MPCConfig(), 3, 0.0)
    demonstrations.save(folder / "a.npz", demos, header)
    return folder / "a.npz"


def read_demos(path: Path) -> None:
    from glassviz.agents.config import EnvConfig
    from glassviz.training import demonstrations

    demos = demonstrations.load(path)
    demonstrations.require_same_task(demos, EnvConfig())
    replay = demonstrations.as_replay(demos)
    replay.sample(np.random.default_rng(0), 1, 4, 3)


def _saved_run(folder: Path) -> Path:
    """A run folder of a tiny training."""
    import tests.helpers.tiny as tiny
    from glassviz.training.config import apply

    train = apply(tiny.TRAIN, {"steps": 60, "eval_every": 40, "save_every": 40, "num_envs": 4})
    tiny.trainer(folder / "run", train).run(lambda progress: None)
    return folder / "run"


def make_state(folder: Path) -> Path:
    return _saved_run(folder) / "seed_1" / "resume.npz"


def make_train_json(folder: Path) -> Path:
    return _saved_run(folder) / "seed_1" / "train.json"


def make_run_json(folder: Path) -> Path:
    return _saved_run(folder) / "seed_1" / "run.json"


def read_run(path: Path) -> None:
    """Resume the run of a mutated file, and take a round."""
    import tests.helpers.tiny as tiny
    from glassviz.training.config import apply

    train = apply(tiny.TRAIN, {"steps": 64, "eval_every": 4000, "save_every": 4000, "num_envs": 4})
    trainer = tiny.trainer(path.parents[1], train, resume=True)
    try:
        trainer.train_round()
    finally:
        trainer._locks.close()


def make_recipe(folder: Path) -> Path:
    text = '[mine]\nwhat = "a try"\nfrom = ["1b"]\nkind = "baseline"\n[mine.settings]\n'
    path = folder / "a.toml"
    path.write_text(text + "lambda_se = 0.01\nq_reset_steps = [100, 200]\nkmeans_init = true\n")
    return path


def read_recipe(path: Path) -> None:
    from glassviz.training.recipes import configure

    configure(str(path))


def make_log(folder: Path) -> Path:
    path = folder / "run" / "seed_1.csv"
    path.parent.mkdir()
    rows = [f"{step},{step / 1e4},{kind},1" for step in (10, 20, 30) for kind in ("mppi", "pi")]
    path.write_text("\n".join(["step,reward,eval_type,seed", *rows]) + "\n")
    return path


def read_log(path: Path) -> None:
    from glassviz.errors import GlassvizError
    from glassviz.ledger.curves import read_runs
    from glassviz.rollout.batch import Failed

    [row] = read_runs([path.parent])
    if isinstance(row, Failed):
        raise GlassvizError(row.error)


KINDS = {
    "trace": Kind(make_trace, read_trace, (rewritten,), lambda path: ["stability", path]),
    "trace (graph)": Kind(make_trace, read_trace, (rewritten,), lambda path: ["graph", path]),
    "map": Kind(make_map, read_map, (rewritten,)),
    "fitted labels": Kind(make_labels, read_labels, (rewritten_tensors,)),
    "checkpoint": Kind(
        make_checkpoint, read_checkpoint, (rewritten_tensors,), lambda path: ["inspect", path]
    ),
    "pickle": Kind(
        make_pickle, read_checkpoint, (rewritten_pickle,), lambda path: ["inspect", path]
    ),
    "PyTorch archive": Kind(
        make_torch, read_checkpoint, (rewritten_archive,), lambda path: ["inspect", path]
    ),
    "demonstrations": Kind(make_demos, read_demos, (rewritten,)),
    "resume state": Kind(make_state, read_run, (rewritten,)),
    "train.json": Kind(make_train_json, read_run, (rewritten_json,)),
    "run.json": Kind(make_run_json, read_run, (rewritten_json,)),
    "recipe": Kind(make_recipe, read_recipe, (rewritten_lines,)),
    "log": Kind(
        make_log, read_log, (rewritten_lines,),
        lambda path: ["curves", path.parent, "-o", path.parent / "c.png", "--overwrite"],
    ),
}  # fmt: skip
"""Every kind of file that is read. Run folders are copied for each input."""

WEIGHTS = {"resume state": 0.25, "train.json": 0.25, "run.json": 0.25, "trace (graph)": 0.25}
"""Share of the inputs of slow kinds, beside 1 for the others."""


# Trying -------------------------------------------------------------------------------------------


class TooSlowError(Exception):
    """An input took more than SECONDS."""


def _too_slow(*_: object) -> None:
    raise TooSlowError


def try_one(kind: Kind, path: Path, as_command: bool) -> str:
    """Read a file: "taken", "refused", or what went wrong."""
    from glassviz.errors import GlassvizError
    from tests.helpers.commands import invoke

    signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(SECONDS)
    before, message = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if as_command and kind.command:
                done = invoke(*kind.command(path), code=None)
                message = done.output if done.exit_code else ""
                if done.exit_code not in (0, 1, 2):
                    return f"exit code {done.exit_code}"
                if CONTROL.search(done.output):
                    return f"control characters: {done.output!r:.200}"
            else:
                kind.read(path)
    except GlassvizError as error:
        message = str(error)
        if "\n" in message or len(message) > 1500 or CONTROL.search(message):
            return f"message: {message!r:.300}"
    except TooSlowError:
        return f"more than {SECONDS} s"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if "glassviz" in each.filename] or frames
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        return f"{type(error).__name__}: {str(error)!r:.120} at {place}"
    finally:
        signal.alarm(0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    if grown > MEGABYTES:
        return f"{grown:.0f} MB more"
    return "refused" if message else "taken"


def try_kind(name: str, inputs: int, seed: int, keep: Path) -> tuple[str, Counter[str], float]:
    """Mutate and read files of a kind; keep those that fail."""
    from glassviz.environment import prepare_environment

    prepare_environment()
    kind, outcomes = KINDS[name], Counter[str]()
    rng = np.random.default_rng([seed, *name.encode()])
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as room:
        (Path(room) / "good").mkdir()
        good = kind.make(Path(room) / "good")
        data = good.read_bytes()
        # What is compiled and imported the first time is no input's fault.
        assert try_one(kind, _placed(room, good, data), False) == "taken", name
        if kind.command:
            try_one(kind, _placed(room, good, data), True)
        mutations = (damaged, *kind.mutations, *kind.mutations)
        for i in range(inputs):
            mutation = mutations[rng.integers(len(mutations))]
            bad = mutation(rng, data)
            path = _placed(room, good, bad)
            outcome = try_one(kind, path, i % COMMAND_EVERY == 0)
            outcomes[outcome] += 1
            if outcome not in ("taken", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name.replace(' ', '-')}-{i}{good.suffix}").write_bytes(bad)
    return name, outcomes, time.monotonic() - started


def _placed(room: str, good: Path, data: bytes) -> Path:
    """A copy of the folder of a good file, with other content in its place."""
    root = Path(room) / "good"
    copied = Path(room) / "tried"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(root, copied)
    path = copied / good.relative_to(root)
    path.write_bytes(data)
    return path


def main() -> None:
    """Try all kinds, two at a time, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs", nargs="?", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--keep", type=Path, default=Path("renders/fuzz"))
    given = parser.parse_args()
    names = [given.only] if given.only else list(KINDS)
    weights = {name: WEIGHTS.get(name, 1.0) for name in names}
    each = {name: -int(-given.inputs * weights[name] // sum(weights.values())) for name in names}
    print("| kind | tried | taken | refused | failed | s |\n|---|---:|---:|---:|---:|---:|")
    total, failed, reasons = 0, 0, Counter[str]()
    processes, context = min(2, os.cpu_count() or 1), get_context("spawn")
    with ProcessPoolExecutor(processes, context, max_tasks_per_child=1) as pool:
        jobs = [
            pool.submit(try_kind, name, count, given.seed, given.keep)
            for name, count in each.items()
        ]
        for job in jobs:
            name, found, seconds = job.result()
            taken, refused = found.pop("taken", 0), found.pop("refused", 0)
            bad = found.total()
            tried = taken + refused + bad
            print(f"| {name} | {tried} | {taken} | {refused} | {bad} | {seconds:.0f} |", flush=True)
            total, failed = total + tried, failed + bad
            reasons.update({f"{name}: {reason}": n for reason, n in found.items()})
    print(f"| all | {total} | | | {failed} | |")
    for reason, count in reasons.most_common(60):
        print(f"{count} × {reason}", file=sys.stderr)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
