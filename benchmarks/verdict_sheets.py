"""Film strips and label timelines to judge by eye, without a name on them.

    python benchmarks/verdict_sheets.py TRACES OUT [--seed 0]

draws every episode of the traces in a folder, in random order: `strips_NN.png` (twelve pictures
over the episode, and twelve that are 0.08 s apart) and `labels_NN.png` (the label of every frame,
over what touches the floor: white the foot alone, orange anything else, black nothing), for traces
with labels. `key.csv` says which is which: keep it shut until the judgements are written down.
"""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import UInt8

from glassviz.environment import prepare_environment
from glassviz.palette import label_color, to_rgb
from glassviz.trace import Trace
from glassviz.video.clip import Clip
from glassviz.video.renderer import MujocoRenderer, Scene

Picture = UInt8[np.ndarray, "height width 3"]

PICTURES, STEP = 12, 4
STRIPS_A_SHEET, LABELS_A_SHEET = 6, 15
WIDTH, HEIGHT = 132, 100


def main(
    traces: Annotated[Path, typer.Argument(help="Folder of traces.")],
    out: Annotated[Path, typer.Argument(help="Folder of the sheets.")],
    seed: int = 0,
) -> None:
    """Draw the sheets and their key."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    loaded = {path.name: Trace.load(path) for path in sorted(traces.glob("*.npz"))}
    key = [(name, e) for name, trace in loaded.items() for e in range(trace.episodes)]
    key = [key[i] for i in rng.permutation(len(key))]
    with (out / "key.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "trace", "episode"])
        writer.writerows([i, *each] for i, each in enumerate(key))
    clips = [Clip.of(loaded[name], e) for name, e in key]
    _draw_strips(clips, out, rng)
    _draw_labels(clips, out)


def _draw_strips(clips: list[Clip], out: Path, rng: np.random.Generator) -> None:
    rows: list[Picture] = []
    with MujocoRenderer(
        Scene("hopper-hop", "dm_control", "cam0", 3 * WIDTH // 2, HEIGHT, "full")
    ) as renderer:
        for number, clip in enumerate(clips):
            start = int(rng.integers(0.4 * clip.frames, 0.8 * clip.frames))
            for frames in (
                np.linspace(0.04 * clip.frames, clip.frames - 1, PICTURES).astype(int),
                np.minimum(start + STEP * np.arange(PICTURES), clip.frames - 1),
            ):
                pictures = [_picture(renderer, clip, t) for t in frames]
                _write(pictures[0], f"#{number}", (2, 14), 0.5)
                rows.append(np.concatenate(pictures, axis=1))
            rows.append(np.full((4, PICTURES * WIDTH, 3), 255, np.uint8))
    _save_sheets(rows, 3 * STRIPS_A_SHEET, out, "strips")


def _picture(renderer: MujocoRenderer, clip: Clip, t: int) -> Picture:
    picture = renderer.render(clip.qpos[t], clip.qvel[t])
    picture = picture[:, WIDTH // 4 : WIDTH // 4 + WIDTH].copy()
    _write(picture, f"{clip.qpos[t][0]:.1f} m {clip.time[t]:.1f} s", (2, HEIGHT - 5), 0.32)
    return picture


def _draw_labels(clips: list[Clip], out: Path) -> None:
    rows: list[Picture] = []
    for number, clip in enumerate(clips):
        if not clip.has_labels:
            continue
        colors = [to_rgb(label_color(k)) for k in range(int(clip.label.max()) + 1)]
        touch = np.select(
            [clip.other[:, None], clip.foot[:, None]], [to_rgb("#E67814"), to_rgb("#FFFFFF")], 0
        )
        bands = np.concatenate(
            [
                np.tile(np.array(colors)[clip.label], (18, 1, 1)),
                np.tile(touch, (8, 1, 1)),
                np.full((4, clip.frames, 3), 60),
            ]
        )
        for half in np.array_split(np.repeat(bands, 3, axis=1).astype(np.uint8), 2, axis=1):
            margin = np.full((len(half), 60, 3), 60, np.uint8)
            _write(margin, f"#{number}", (2, 16), 0.5)
            rows.append(np.concatenate([margin, half], axis=1))
        rows.append(np.full((8, rows[-1].shape[1], 3), 60, np.uint8))
    _save_sheets(rows, 3 * LABELS_A_SHEET, out, "labels")


def _write(picture: Picture, text: str, at: tuple[int, int], size: float) -> None:
    import cv2

    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 0), 1, cv2.LINE_AA)


def _save_sheets(rows: list[Picture], a_sheet: int, out: Path, name: str) -> None:
    import cv2

    for i, start in enumerate(range(0, len(rows), a_sheet)):
        sheet = np.concatenate(rows[start : start + a_sheet])
        cv2.imwrite(str(out / f"{name}_{i:02d}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    prepare_environment()
    typer.run(main)
