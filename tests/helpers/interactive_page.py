"""An interactive page of planted runs, and a browser that opens it: what its tests share.

Screenshots are kept in the folder that GLASSVIZ_SCREENSHOTS names.
"""

import contextlib
import dataclasses
import json
import os
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from glassviz.report.interactive.page import InteractivePage, Projectionist, compose
from glassviz.rollout.run import assess_all
from glassviz.rollout.traces import RolloutOptions
from glassviz.text import printable
from glassviz.trace import ARRAYS, Trace
from tests.helpers.chromium import BROWSER, HANGS_S, Chromium
from tests.helpers.fake_renderer import BITS, FakeRenderer
from tests.helpers.planted_runs import HOP, KNEE, STILL, UNLOCKED, planted, sha256_of, with_soft

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}\u2028#"
SHOWN = printable(HOSTILE)
"""What stands on the page of it."""

LONG_HOP = dataclasses.replace(HOP, frames=1000)

in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def playable(trace, period=97):
    """The trace with frame t a centimetre further, and on a spiral in the latent space."""
    t = np.broadcast_to(np.arange(trace.frames), trace.label.shape)
    qpos = trace.qpos.copy()
    qpos[..., 0] = t / 100
    turn = 2 * np.pi * t / period
    latent = np.stack([np.cos(turn), np.sin(turn), t / 700], axis=-1)
    return dataclasses.replace(trace, qpos=qpos, latent=latent.astype(np.float32))


def shortened(trace: Trace, frames: int) -> Trace:
    """Its first frames."""
    return dataclasses.replace(trace, **{name: getattr(trace, name)[:, :frames] for name in ARRAYS})


ORDER = np.array([2, 0, 3, 1, 7])
"""What the second checkpoint of `save_twins` calls the labels of the first; 7 is nowhere else."""


def save_twins(folder: Path) -> None:
    """Two checkpoints that do the same, with other numbers for their labels."""
    trace = playable(planted(LONG_HOP, LONG_HOP, name="one"))
    trace.save(folder / "a.npz")
    label = ORDER[trace.label]
    label[:, :20] = 7
    checkpoint = trace.header["checkpoint"] | {"name": "two", "sha256": sha256_of("two")}
    other = dataclasses.replace(
        trace, header=trace.header | {"checkpoint": checkpoint}, label=label.astype(np.int32)
    )
    other.save(folder / "b.npz")


def save_traces(folder: Path, frames: int = 1000) -> None:
    """Two controllers of one run, a broken file, a run without labels, and a hostile name."""
    hop, knee, still, unlocked = (
        dataclasses.replace(plan, frames=frames) for plan in (HOP, KNEE, STILL, UNLOCKED)
    )
    playable(with_soft(planted(hop, hop, hop, name="hopper"))).save(folder / "a.npz")
    loose = planted(knee, unlocked, name="hopper", controller="pi")
    playable(with_soft(loose)).save(folder / "b.npz")
    (folder / "c.npz").write_bytes(b"no trace")
    plain = planted(hop, name="plain", controller="pi", glass=False)
    playable(plain, period=83).save(folder / "d.npz")
    playable(planted(still, name=HOSTILE, controller="pi")).save(folder / "e.npz")


def composed(*targets: Path, films: int = 1, open_renderer=FakeRenderer) -> InteractivePage:
    """The page of some traces."""
    rows = assess_all(list(targets), RolloutOptions(), jobs=1)
    films_once = mock.patch.object(Projectionist, "film", _film_once)
    with films_once if open_renderer is FakeRenderer else contextlib.nullcontext():
        return compose(
            rows, "glassviz report --interactive x", films, "pca", open_renderer=open_renderer
        )


_film = Projectionist.film
_films: dict[tuple[float, bytes], bytes | None] = {}


def _film_once(self, trace, episode, on_frame):
    """Films are the same where FakeRenderer draws the same numbers, and take long to encode."""
    key = trace.frame_dt_s, np.round(100 * trace.qpos[episode, :, 0]).tobytes()
    if key not in _films:
        _films[key] = _film(self, trace, episode, on_frame)
    return _films[key]


FRAME = "Number(document.getElementById('slider').value)"
LIVE = "document.getElementById('live').textContent"
GRAPH = "echarts.getInstanceByDom(document.querySelector('.graph .canvas'))"

# States that are lit in the graph, and switches, by their numbers.
LIT = f"""(() => {{
  const series = {GRAPH}.getModel().getSeriesByIndex(0);
  const isLit = (data, {{dataIndex}}) => {{
    let lit = false;
    data.getItemGraphicEl(dataIndex).traverse((each) => {{
      lit ||= each.currentStates.includes("emphasis");
    }});
    return lit;
  }};
  const {{nodes, edges}} = series.getGraph();
  return {{
    nodes: nodes.filter((each) => isLit(series.getData(), each)).map((each) => each.dataIndex),
    edges: edges.filter((each) => isLit(series.getData("edge"), each))
      .map((each) => [each.node1.dataIndex, each.node2.dataIndex]),
  }};
}})()"""


class Player(Chromium):
    """The page, by what a reader does with it.

    Attributes:
        unchanged: the open file, if a test that opened it has left it as it was.
    """

    unchanged: Path | None = None

    def open(self, path: Path, width: int, dark: bool = False, fragment: str = "") -> None:
        self.unchanged = None
        super().open(path, width, dark, fragment)

    def show(self, path: Path, width: int = 1440, dark: bool = False, fragment: str = "") -> None:
        self.open(path, width, dark, fragment)
        self.wait_for("document.documentElement.dataset.ready")

    def seek(self, frame: int) -> None:
        self.evaluate(
            f"(() => {{ const slider = document.getElementById('slider'); slider.value = {frame};"
            " slider.dispatchEvent(new Event('input')); })()"
        )

    def play_at(self, speed: float) -> None:
        """Choose the speed."""
        self.evaluate(
            f"(() => {{ const speed = document.getElementById('speed'); speed.value = '{speed:g}';"
            " speed.dispatchEvent(new Event('change')); })()"
        )
        assert self.evaluate("Number(document.getElementById('speed').value)") == speed

    @property
    def playing(self) -> bool:
        return (
            self.evaluate("document.getElementById('play').getAttribute('aria-label')") == "Pause"
        )

    @property
    def frame(self) -> int:
        return self.evaluate(FRAME)

    def middle(self, selector: str) -> tuple[float, float]:
        """Middle of an element, scrolled to where the player does not cover it."""
        x, y = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const {x, y, width, height} = found.getBoundingClientRect();"
            " return [x + width / 2, y + height / 2]; })()"
        )
        return x, y

    def click_on(self, selector: str) -> None:
        self.click(*self.middle(selector))

    def picture(self) -> int:
        """The number that the film shows now."""
        self.wait_for("document.querySelector('video').readyState > 1")
        bits = self.evaluate(
            "(() => { const film = document.querySelector('video');"
            " const {videoWidth: width, videoHeight: height} = film;"
            " const canvas = Object.assign(document.createElement('canvas'), {width, height});"
            " const context = canvas.getContext('2d', {willReadFrequently: true});"
            " context.drawImage(film, 0, 0);"
            f" return Array.from({{length: {BITS}}}, (_, i) => context.getImageData("
            f"width * (0.1 + 0.8 * (i + 0.5) / {BITS}), height * 0.56, 1, 1).data[0] > 128); }})()"
        )
        return sum(1 << i for i, bit in enumerate(bits) if bit)

    def shows(self, frame: int, seconds: float = HANGS_S) -> bool:
        """Whether the film comes to show the number of a frame: it may have to seek first."""
        until = time.monotonic() + seconds
        while self.picture() != frame:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def draw(self) -> None:
        """Let the page draw what has changed."""
        self.evaluate(
            "new Promise((done) => "
            "requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )

    def lights(self, nodes: list[int], edges: list[list[int]]) -> None:
        """Wait until these states and switches are lit in the graph, which its next picture shows.

        Raises:
            AssertionError: they never are, or others too.
        """
        wanted = json.dumps({"nodes": nodes, "edges": edges}, separators=(",", ":"))
        self.wait_for(f"JSON.stringify({LIT}) === {json.dumps(wanted)}")

    def keep(self, name: str, whole: bool = False) -> None:
        """Keep a screenshot, if somebody wants it."""
        if folder := os.environ.get("GLASSVIZ_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.screenshot(Path(folder) / f"{name}.png", whole)
