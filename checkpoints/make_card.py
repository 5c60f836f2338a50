"""Write the card of a shipped checkpoint: facts, fresh returns, and a strip of what it does.

    python checkpoints/make_card.py checkpoints/glass-small-s1.safetensors

Rolls out both controllers for ten fresh episodes (resets that training never evaluated on) and
writes `<name>.md` and `<name>.png` beside the checkpoint, and `<name>-curve.png` from the log of
its run, `runs/<run>/seed_N.csv` for a checkpoint called `<run>-sN`. The paragraph under "What it
does" is written by hand, by somebody who watched the films; an existing one is kept.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from glassviz.environment import prepare_environment

prepare_environment()

from glassviz.video.opengl import choose_backend

choose_backend()  # before anything imports MuJoCo

import cv2

from glassviz import checkpoints
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.figures.returns import HOPPER_HOP_POLICY, learning_curves
from glassviz.figures.style import save
from glassviz.ledger.curves import read_run
from glassviz.metrics.statistics import mean_interval
from glassviz.rollout.batch import Listener
from glassviz.rollout.evaluate import FRESH_SEED, recorded_in
from glassviz.rollout.traces import RolloutOptions, traces_of
from glassviz.trace import Trace
from glassviz.training.refine import shaping_of
from glassviz.video.clip import Clip
from glassviz.video.overlay import Overlay
from glassviz.video.renderer import BETWEEN_PANELS, MujocoRenderer, scene_of

EPISODES = 10
WORSE = 0.9
"""Share of the policy's return below which the picture shows the policy, not the planner."""

SIZE = (480, 360)
COLUMNS = 5
CLOSE_S = 0.12
"""About how far apart the frames of the lower row are; the upper row is the whole episode."""

HEADING = "## What it does"


def main(path: Path) -> None:
    """Write card and strip of one checkpoint."""
    options = RolloutOptions(episodes=EPISODES, controllers=("mppi", "pi"), seed=FRESH_SEED)
    traces = [run.trace for run in traces_of([path], options, listener=Listener(tell=print))]
    by_planner, by_policy = traces
    worse = by_planner.returns.mean() < WORSE * by_policy.returns.mean()
    frames = strip(by_policy if worse else by_planner)
    cv2.imwrite(str(path.with_suffix(".png")), cv2.cvtColor(frames, cv2.COLOR_RGB2BGR))
    draw_curve(path)
    card = path.with_suffix(".md")
    card.write_text(write_card(path, traces, watched(card)), encoding="utf-8")
    print(f"wrote {card} and {path.with_suffix('.png')}")


def draw_curve(path: Path) -> None:
    """The learning curve of the checkpoint's own seed."""
    name, _, seed = path.stem.rpartition("-s")
    run = read_run(path.parent / "runs" / name, name)
    own = replace(run, curves=tuple(curve for curve in run.curves if curve.seed == int(seed)))
    task = checkpoints.load(path).config.env.task
    published = HOPPER_HOP_POLICY if task == HOPPER_HOP_POLICY.task else None
    figure = learning_curves([own], published=published)
    save(figure, path.with_name(f"{path.stem}-curve.png"), overwrite=True)


def strip(trace: Trace) -> np.ndarray:
    """Two rows of frames of the episode with the median return: all of it, and a moment of it."""
    episode = int(np.argsort(trace.returns)[trace.episodes // 2])
    clip = Clip.of(trace, episode)
    scene = scene_of(trace, *SIZE, "full", BETWEEN_PANELS, "sky")
    overlay = Overlay(clip, *SIZE)
    rows = []
    with MujocoRenderer(scene) as renderer:
        for times in rows_of(trace):
            row = []
            for t in times:
                frame = renderer.render(clip.qpos[t], clip.qvel[t]).copy()
                overlay.draw(frame, t)
                row.append(frame)
            rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def rows_of(trace: Trace) -> tuple[range, range]:
    """The frames of the two rows."""
    wide, close = trace.frames // COLUMNS, max(1, round(CLOSE_S / trace.frame_dt_s))
    first = trace.frames * 3 // 5
    return range(wide - 1, trace.frames, wide), range(first, first + COLUMNS * close, close)


def write_card(path: Path, traces: list[Trace], text: str) -> str:
    """The card in Markdown."""
    checkpoint = checkpoints.load(path)
    above, below = rows_of(traces[0])

    def apart(row: range) -> str:
        return f"{row.step * traces[0].frame_dt_s:g}"

    lines = [f"# {checkpoint.name}", "", f"![frames]({checkpoint.name}.png)", ""]
    lines += ["| | |", "|---|---|", *fact_rows(checkpoint, path.stat().st_size)]
    lines += ["", f"Returns over {EPISODES} fresh episodes (`--seed {FRESH_SEED}`):", ""]
    lines += ["| controller | mean | 95 % interval of the mean | episodes |", "|---|---|---|---|"]
    lines += [returns_row(trace) for trace in traces]
    lines += ["", f"Recorded in training, at this checkpoint: {recorded(checkpoint)}.", ""]
    lines += [
        "The interval is Student's t over episodes of this one seed: it says nothing about other",
        "seeds. A last-bit difference (other versions, another processor) leads to other episodes.",
        "Picture: an episode of the planner, or of the policy where that earns a tenth more, every",
        f"{apart(above)} s (above), and every {apart(below)} s (below).",
        "",
        f"![learning curve]({checkpoint.name}-curve.png)",
    ]
    return "\n".join([*lines, "", HEADING, "", text]) + "\n"


def fact_rows(checkpoint: Checkpoint, size: int) -> list[str]:
    """The rows of the table that says what a checkpoint is; `size` is its file's, in bytes."""
    made = checkpoint.provenance
    searches = made.get("refined", [])
    glass = checkpoint.config.glass
    labels = (
        f"Glass, N={glass.prototypes}, K={glass.clusters}, τ={glass.proto_temperature:g}"
        if glass
        else "none (trained without Glass)"
    )
    facts = {
        "algorithm": made["algo"],
        "task": f"{checkpoint.config.env.task}, physics {checkpoint.config.env.physics}",
        "recipe": f"{made['recipe']}; reward{' of the training' if searches else ''} "
        f"{'shaped' if made.get('shaped') is True else 'not shaped'}",
        "command": f"`{made['command']}`",
        "seed": made["seed"],
        "environment steps": f"{made['env_steps']:,}",
        "gradient updates": f"{made['updates']:,}",
        "width": checkpoint.config.latent_dim,
        "clusters": labels,
        "size": f"{size / 2**20:.1f} MiB",
        "code": f"commit {made['git_commit'][:12]}, JAX {made['versions']['jax']}, "
        f"MuJoCo {made['versions']['mujoco']}",
    }
    if (init := made.get("init")) and init.get("shaped"):
        facts["started from"] = (
            f"{init['name']}, whose policy was searched for with a shaped objective"
        )
    if averaged := made.get("average_of"):
        steps = ", ".join(f"{each['env_steps']:,}" for each in averaged)
        facts["parameters"] = (
            f"the mean of {len(averaged)} checkpoints (`glassviz average`), of {steps} steps"
        )
    if searches:
        iterations = " + ".join(f"{search['iterations']:,}" for search in searches)
        facts["policy"] = (
            f"refined from {searches[0]['from']['name']} by {iterations} iterations of evolution "
            f"strategies on the true model; last: `{searches[-1]['command']}`"
        )
        objectives = dict.fromkeys(shaping_of(search["es"]) for search in searches)
        facts["objective of that search"] = f"shaped: {'; later '.join(objectives)}"
    return [f"| {name} | {value} |" for name, value in facts.items()]


def recorded(checkpoint: Checkpoint) -> str:
    """What training recorded of a checkpoint, in words."""
    told = {each: recorded_in(checkpoint.provenance, each) for each in get_args(Controller)}
    texts = [f"{name} {it.mean:.0f} ({it.episodes} episodes)" for name, it in told.items() if it]
    return ", ".join(texts) or "nothing"


def returns_row(trace: Trace) -> str:
    """One row of the table of returns."""
    found = mean_interval(trace.returns.tolist())
    episodes = ", ".join(f"{value:.0f}" for value in trace.returns)
    interval = f"{found.low:.0f} to {found.high:.0f}"
    return f"| {trace.header['controller']} | {found.mean:.1f} | {interval} | {episodes} |"


def watched(card: Path) -> str:
    """What an existing card says under its last heading."""
    if card.exists() and HEADING in card.read_text(encoding="utf-8"):
        return card.read_text(encoding="utf-8").split(HEADING, 1)[1].strip()
    return "(not yet described)"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
