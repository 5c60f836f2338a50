"""What the interactive report costs: to write, to open, to scrub, to seek, to show another run.

    python benchmarks/interactive.py RUN… [--runs 20] [--json FILE]

Composes a page of the runs, repeats them under other names until there are enough, and measures it
in Chromium: milliseconds, of medians and of the slowest twentieth.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassviz.video.opengl import choose_backend

if TYPE_CHECKING:
    from glassviz.report.interactive.page import InteractivePage, RunView
    from tests.helpers.chromium import Chromium

READY = "document.documentElement.dataset.ready"

SCRUB = """new Promise((done) => {
  const slider = document.getElementById("slider");
  const work = [], apart = [];
  let last = performance.now(), frame = 0;
  (function step(now) {
    apart.push(now - last);
    last = now;
    slider.value = frame += 7;
    const began = performance.now();
    slider.dispatchEvent(new Event("input"));
    work.push(performance.now() - began);
    frame < slider.max - 7 ? requestAnimationFrame(step) : done({work, apart: apart.slice(2)});
  })(last);
})"""

WINDOW = """((seconds) => {
  const window = document.getElementById("zoom");
  window.value = seconds;
  window.dispatchEvent(new Event("change"));
})"""

SEEK = """new Promise((done) => {
  const film = document.querySelector("video");
  const times = [];
  (function next() {
    if (times.length === 60) return done(times);
    const began = performance.now();
    film.addEventListener("seeked", () => { times.push(performance.now() - began); next(); },
      {once: true});
    film.currentTime = (0.1 + 0.8 * Math.random()) * film.duration;
  })();
})"""

SWITCH = """(() => {
  const runs = document.querySelector(".pick select");
  return [...runs.options].slice(1, 12).map(({value}) => {
    const began = performance.now();
    runs.value = value;
    runs.dispatchEvent(new Event("change"));
    return performance.now() - began;
  });
})()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=20, help="runs in the page")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    arguments = parser.parse_args()

    choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from glassviz.report.interactive.html import write
    from glassviz.report.interactive.page import compose
    from glassviz.rollout.run import assess_all
    from glassviz.rollout.traces import RolloutOptions
    from tests.helpers.chromium import Chromium

    rows = assess_all(arguments.run, RolloutOptions(controllers=("mppi", "pi")))
    began = time.perf_counter()
    page = compose(rows, "benchmark")
    found: dict[str, Any] = {"runs composed": len(page.runs)}
    found["s to compose"] = round(time.perf_counter() - began, 1)
    found["MB of a film"] = [round(len(film) / 1e6, 2) for film in page.films.values()]
    page = repeated(page, arguments.runs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        write(page, path)
        found["MB of the page"] = round(path.stat().st_size / 1e6, 1)
        with Chromium() as browser:
            for width, other in itertools.product((1440, 360), (None, page.runs[1])):
                two = f"&versus={other.name}" if other else ""
                name = f"{width} px, {'two runs' if other else 'one run'}"
                found[name] = measured(browser, path, width, f"#frame=0{two}")
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


def repeated(page: "InteractivePage", count: int) -> "InteractivePage":
    """So many runs, each with films of its own."""
    runs: list[RunView] = []
    films: dict[str, bytes] = {}
    for i, run in zip(range(count), itertools.cycle(page.runs), strict=False):
        shown = []
        for episode in run.shown:
            key = None
            if episode.film is not None:
                key = f"{episode.film}-{i}"
                films[key] = page.films[episode.film]
            shown.append(replace(episode, film=key))
        runs.append(replace(run, name=f"{run.name}-{i}", shown=tuple(shown)))
    return replace(page, runs=tuple(runs), films=films)


def measured(browser: "Chromium", path: Path, width: int, fragment: str) -> dict[str, Any]:
    """Figures of the page in one window, in ms."""
    browser.open(path, width, fragment=fragment)
    ready = int(browser.wait_for(READY, 60))
    filmed = browser.evaluate("!document.querySelector('video').hidden")
    if filmed:
        browser.wait_for("document.querySelector('video').readyState > 1", 60)
    found: dict[str, Any] = {
        "until it can be used": ready,
        "until the film shows": round(browser.evaluate("performance.now()")) if filmed else None,
    }
    for name, seconds in (("scrub", 0), ("scrub in a window of 2 s", 2)):
        browser.evaluate(f"{WINDOW}({seconds})")
        scrub = browser.evaluate(SCRUB)
        found[f"work of a {name}"] = median_and_slow(scrub["work"])
        found[f"between pictures, {name}"] = median_and_slow(scrub["apart"])
    browser.evaluate(f"{WINDOW}(0)")
    found["seek"] = median_and_slow(browser.evaluate(SEEK)) if filmed else None
    found["another run"] = median_and_slow(browser.evaluate(SWITCH))
    return found


def median_and_slow(values: list[float]) -> list[float]:
    """Median and 95 % quantile."""
    ordered = sorted(values)
    return [round(ordered[int(share * (len(ordered) - 1))], 1) for share in (0.5, 0.95)]


if __name__ == "__main__":
    main()
