import { NONE } from "./data.js";
import { DIMMED, View, colors } from "./charts.js";
import { frameTold } from "./told.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 6;
const BOTTOM = 36;

/** Gait cycles side by side, each from touchdown at the bottom to the next one at the top. */
export class Raster extends View {
  #cells = [];
  #cycles = 0;

  constructor(onSeek) {
    super("raster", "Cycles by phase", 1);
    this.onSeek = onSeek;
    this.marks[0].classList.add("cell");
  }

  start() {
    super.start();
    this.onPointer((x, y) => {
      const cell = this.#cellAt(x, y);
      if (cell) this.onSeek(cell[4]);
    }, true);
    this.hints((x, y) => {
      const cell = this.#cellAt(x, y);
      return cell ? `cycle ${cell[0] + 1}, ${frameTold(this.run, this.episode, cell[4])}` : null;
    });
  }

  get #column() {
    return (this.width - LEFT - RIGHT) / Math.max(this.#cycles, 1);
  }

  get #tall() {
    return this.height - TOP - BOTTOM;
  }

  /** The cell at a place; the nearest one in the cycle, for cells are small. */
  #cellAt(x, y) {
    const cycle = Math.floor((x - LEFT) / this.#column);
    const phase = 1 - (y - TOP) / this.#tall;
    const own = this.#cells.filter((cell) => cell[0] === cycle);
    if (!own.length || phase < -0.1 || phase > 1.1) return null;
    return own.find(([, , to]) => phase < to) ?? own.at(-1);
  }

  show(run, episode) {
    const {cycle, phase, state, frames} = episode;
    this.#cells = [];
    for (let t = 0; t < frames; t++) {
      if (cycle[t] < 0) continue;
      const next = t + 1 < frames && cycle[t + 1] === cycle[t] ? phase[t + 1] : 1;
      this.#cells.push([cycle[t], phase[t], next, state[t], t]);
    }
    this.#cycles = this.#cells.length ? this.#cells.at(-1)[0] + 1 : 0;
    super.show(run, episode);
    const what = run.labels_from === "none" ? "phases of the gait" : "labels";
    const told = this.#cycles
      ? `${what} of ${this.#cycles} gait cycles`
      : "this episode has no gait cycles";
    this.tell(told);
    this.figure.classList.toggle("empty", !this.#cycles);
    this.caption.textContent = this.#cycles
      ? "One column per gait cycle, from touchdown at the bottom to the next at the top. Bands: " +
        "each phase keeps its " + (run.labels_from === "none" ? "place" : "label") + ". Click a cell to go there."
      : "This episode has no gait cycles.";
  }

  place() {
    const {cycle, phase} = this.episode;
    const mark = this.marks[0];
    mark.hidden = !(cycle[this.frame] >= 0);
    if (mark.hidden) return;
    const x = LEFT + cycle[this.frame] * this.#column;
    const y = TOP + (1 - phase[this.frame]) * this.#tall;
    mark.style.width = `${this.#column}px`;
    this.moveMark(0, x, y);
  }

  draw() {
    const own = colors();
    const text = {color: own.soft, fontSize: 11};
    this.option({
      grid: {left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM},
      xAxis: {
        type: "value", min: 0, max: Math.max(this.#cycles, 1), minInterval: 1, name: "gait cycle",
        nameLocation: "middle", nameGap: 21, nameTextStyle: text, axisLabel: text,
        axisLine: {show: false}, axisTick: {show: false}, splitLine: {show: false},
      },
      yAxis: {
        type: "value", min: 0, max: 1, interval: 0.5, name: "phase", nameLocation: "middle",
        nameGap: 28, nameTextStyle: text,
        axisLabel: {...text, formatter: (value) => (value === 0.5 ? "½" : `${value}`)},
        axisLine: {show: false}, axisTick: {show: false}, splitLine: {show: false},
      },
      series: [{
        type: "custom", silent: true, data: this.#cells, progressive: 0, encode: {x: 0, y: 1},
        renderItem: (params, api) => {
          const [cycle, from, to, state] = this.#cells[params.dataIndex];
          if (state === NONE) return null;
          const [x, bottom] = api.coord([cycle, from]);
          const [end, top] = api.coord([cycle + 1, to]);
          const gap = end - x > 6 ? 1 : 0;
          return {
            type: "rect",
            shape: {x, y: top, width: end - x - gap, height: bottom - top + 0.4},
            style: {fill: this.run.states[state].color, opacity: this.keeps(state) ? 1 : DIMMED},
          };
        },
      }],
    });
  }
}
