import { NONE, floatsOf } from "./data.js";
import { View, colors, mixed } from "./charts.js";
import { frameTold } from "./told.js";

const PAD = 16;
const TRAIL = 14;
const NEAR = 18;

function pointsOf(base64) {
  const floats = floatsOf(base64);
  return Array.from({length: floats.length / 2}, (_, i) => [floats[2 * i], floats[2 * i + 1]]);
}

/** Steps of a closed path; dotted where one is much longer than usual, for it leaps between islands
 * of the map, and with an arrow here and there. */
function steps(path) {
  const lengths = path.map(([x, y], i) => {
    const [nextX, nextY] = path[(i + 1) % path.length];
    return Math.hypot(nextX - x, nextY - y);
  });
  const usual = [...lengths].sort((a, b) => a - b)[path.length >> 1];
  return path.map((point, i) => ({
    coords: [point, path[(i + 1) % path.length]],
    lineStyle: lengths[i] > 4 * usual ? {type: "dotted", width: 1} : {},
    symbol: ["none", i % 6 === 2 ? "arrow" : "none"],
  }));
}

/** Where every frame of the episode is in the latent space, flattened to a plane. */
export class LatentMap extends View {
  #xy = null;
  #centre = [0, 0];
  #scale = 1;

  constructor(onSeek) {
    super("map", "Latent map", TRAIL + 1);
    this.onSeek = onSeek;
    this.marks.forEach((mark, i) => {
      mark.classList.add(i === TRAIL ? "here" : "trail");
      mark.style.opacity = i === TRAIL ? 1 : (i + 1) / TRAIL;
    });
  }

  start() {
    super.start();
    this.onPointer((x, y) => {
      const found = this.#nearest(x, y);
      if (found !== null) this.onSeek(found);
    });
    this.hints((x, y) => this.#told(x, y));
  }

  #pixels(x, y) {
    return [
      this.width / 2 + (x - this.#centre[0]) * this.#scale,
      this.height / 2 - (y - this.#centre[1]) * this.#scale,
    ];
  }

  #told(x, y) {
    const {states, map} = this.run;
    const prototype = map.prototypes.find((each) => {
      const [px, py] = this.#pixels(each.x, each.y);
      return Math.hypot(px - x, py - y) < 11;
    });
    const t = this.#nearest(x, y);
    const lines = [];
    if (prototype) {
      const {key, name} = states[prototype.state];
      lines.push(`prototype μ${prototype.number}, label ${key} ${name}`);
    }
    if (t !== null) lines.push(frameTold(this.run, this.episode, t));
    return lines.length ? lines.join("\n") : null;
  }

  /** The frame whose point is nearest, null if none is near. */
  #nearest(x, y) {
    const {state, frames} = this.episode;
    let best = NEAR ** 2;
    let found = null;
    for (let t = 0; t < frames; t++) {
      if (!this.keeps(state[t])) continue;
      const [px, py] = this.#pixels(this.#xy[2 * t], this.#xy[2 * t + 1]);
      const away = (px - x) ** 2 + (py - y) ** 2;
      if (away < best) [best, found] = [away, t];
    }
    return found;
  }

  show(run, episode) {
    this.#xy = episode.xy;
    run.path ??= pointsOf(run.map.path);
    run.ground ??= pointsOf(run.map.ground);
    super.show(run, episode);
    this.tell(`${episode.frames} frames as points, coloured by ` +
      (run.labels_from === "none" ? "phase of the gait" : "label"));
    this.caption.textContent = `${run.map.caption} Click a point to go to its frame.`;
  }

  place() {
    for (let i = 0; i <= TRAIL; i++) {
      const t = Math.max(this.frame - (TRAIL - i), 0);
      this.moveMark(i, ...this.#pixels(this.#xy[2 * t], this.#xy[2 * t + 1]));
    }
  }

  /** One scale for both axes, so that the map is not stretched to the shape of its box; and the same
   * for both controllers of a checkpoint, so that they can be compared. */
  #fit() {
    const [xs, ys] = this.run.map.bounds;
    this.#centre = [(xs[0] + xs[1]) / 2, (ys[0] + ys[1]) / 2];
    this.#scale = Math.min(
      (this.width - 2 * PAD) / (xs[1] - xs[0] || 1), (this.height - 2 * PAD) / (ys[1] - ys[0] || 1));
  }

  draw() {
    this.#fit();
    const own = colors();
    const {run, episode} = this;
    const half = [this.width / 2 / this.#scale, this.height / 2 / this.#scale];
    const axis = (i) => ({
      type: "value", show: false, min: this.#centre[i] - half[i], max: this.#centre[i] + half[i],
    });
    const points = run.states.map(() => []);
    for (let t = 0; t < episode.frames; t++) {
      if (episode.state[t] !== NONE) points[episode.state[t]].push([this.#xy[2 * t], this.#xy[2 * t + 1]]);
    }
    this.option({
      grid: {left: 0, right: 0, top: 0, bottom: 0}, xAxis: axis(0), yAxis: axis(1),
      series: [
        {type: "scatter", data: run.ground, symbolSize: 4, silent: true,
          itemStyle: {color: own.rule, opacity: 0.7}},
        ...run.states.map((state, i) => ({
          type: "scatter", data: points[i], symbolSize: 6, silent: true,
          itemStyle: {
            color: state.color, opacity: this.keeps(i) ? 0.85 : 0.07, borderColor: own.card,
            borderWidth: 0.5,
          },
        })),
        {
          type: "lines", coordinateSystem: "cartesian2d", silent: true, data: steps(run.path),
          symbolSize: 8, lineStyle: {color: own.ink, width: 1.5, opacity: 0.8},
        },
        {
          type: "scatter", data: run.path.slice(0, 1), symbolSize: 9, silent: true,
          itemStyle: {color: own.card, borderColor: own.ink, borderWidth: 1.6},
        },
        {
          type: "scatter", silent: true, symbolSize: 21, symbol: "circle",
          labelLayout: {hideOverlap: true},
          data: run.map.prototypes.map(({number, state, x, y}) => ({
            value: [x, y],
            itemStyle: {
              color: this.keeps(state)
                ? run.states[state].color : mixed(run.states[state].color, own.card, 0.2),
              borderColor: this.keeps(state) ? own.ink : own.rule, borderWidth: 1.4,
            },
            label: {show: true, formatter: `μ${number}`, color: run.states[state].ink, fontSize: 10},
          })),
        },
      ],
    });
  }
}
