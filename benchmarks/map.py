"""Time and memory of latent maps, by number of frames.

    python benchmarks/map.py [--frames 10000 20000 50000 100000] [--latent 128] [--json FILE]

Maps planted gaits: latents go round with the gait's phase in `latent` dimensions, differ from
episode to episode and are noisy. Each map is made in a process of its own, by UMAP and by PCA, from
the traces to quality and landmarks, and then once more with its coordinates found again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from glassviz.maps.coordinates import MapOptions
from glassviz.maps.maps import make_map
from glassviz.trace import ARRAYS, Trace
from tests.helpers.synthetic_gait import GaitPlan, synthesise

LENGTH = 1000
"""Frames of an episode."""


def planted(frames: int, latent: int) -> Trace:
    """A trace with so many frames, in episodes of a thousand."""
    rng = np.random.default_rng(0)
    own = [
        synthesise(GaitPlan(frames=LENGTH, jitter_cv=0.05), rng) for _ in range(frames // LENGTH)
    ]
    traces = [each.trace() for each in own]
    arrays = {name: np.concatenate([getattr(t, name) for t in traces]) for name in ARRAYS}
    phase = np.nan_to_num(np.stack([each.phase for each in own]))
    harmonics = np.stack([f(k * phase) for k in (1, 2, 3) for f in (np.sin, np.cos)], axis=-1)
    centre = rng.normal(size=(len(own), 1, latent))
    places = harmonics @ rng.normal(size=(6, latent)) + 0.5 * centre
    arrays["latent"] = (places + 0.3 * rng.normal(size=places.shape)).astype(np.float32)
    header = traces[0].header | {"reset_seeds": list(range(len(own)))}
    return Trace(header=header, **arrays)


def measure(frames: int, latent: int, method: str) -> dict[str, float | int | str]:
    """Seconds of a first and of a second map, and the largest memory."""
    trace = planted(frames, latent)
    with tempfile.TemporaryDirectory() as folder:
        options = MapOptions(method=method, max_points=frames)
        times = []
        for _ in range(2):
            wall, cpu = time.perf_counter(), time.process_time()
            found = make_map([trace], options, Path(folder))
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        assert found.reused and found.quality
        return {
            "frames": frames,
            "method": method,
            "seconds": times[0][0],
            "cpu_seconds": times[0][1],
            "reused_seconds": times[1][0],
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "file_mb": found.path.stat().st_size / 1e6 if found.path else 0.0,
            "trustworthiness": found.quality.trustworthiness,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[10_000, 20_000, 50_000, 100_000])
    parser.add_argument("--latent", type=int, default=128)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.frames[0], arguments.latent, arguments.one)))
        return
    rows = []
    for frames in arguments.frames:
        for method in ("pca", "umap"):
            own = ["--frames", str(frames), "--latent", str(arguments.latent), "--one", method]
            done = subprocess.run(
                [sys.executable, __file__, *own], check=True, stdout=subprocess.PIPE, text=True
            )
            rows.append(json.loads(done.stdout))
            told = {k: round(v, 2) if isinstance(v, float) else v for k, v in rows[-1].items()}
            print(told, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
