import { NONE, page, segmentsOf } from "./data.js";
import { DIMMED, View, colors, extent } from "./charts.js";
import { el } from "./dom.js";
import { frameTold, gaitName } from "./told.js";

/* global echarts */

/** Lanes from top to bottom: height and the gap below it, in pixels. Without labels the first one is
 * the gait, and the second is left out. */
const LANES = [
  {name: "state", height: 28, gap: 5},
  {name: "gait", height: 14, gap: 12},
  {name: "height", height: 46, gap: 14},
  {name: "value", height: 64, gap: 14},
  {name: "return", height: 44, gap: 0},
];
const TOP = 4;
const RIGHT = 10;
const NUMBER_WIDTH = 13;

/** Everything about an episode that has a course, on one axis of time, under one playhead. */
export class Score extends View {
  /** Frames in the window; null: all. */
  window = null;
  #start = 0;

  constructor(onSeek) {
    super("score", "Timeline", 1);
    this.onSeek = onSeek;
    this.marks[0].classList.add("playhead");
  }

  start() {
    super.start();
    this.onPointer((x) => this.onSeek(this.#frameAt(x)), true);
    this.hints((x) => {
      const t = this.#frameAt(x);
      return x >= this.#left && t < this.episode.frames
        ? frameTold(this.run, this.episode, Math.max(t, 0)) : null;
    });
  }

  get #left() {
    return this.width < 500 ? 46 : 64;
  }

  get #span() {
    return Math.min(this.window ?? this.episode.frames, this.episode.frames);
  }

  /** First frame that is shown, and the one after the last. */
  get part() {
    return [this.#start, this.#start + this.#span];
  }

  get #perFrame() {
    return (this.width - this.#left - RIGHT) / this.#span;
  }

  #frameAt(x) {
    return Math.floor(this.#start + (x - this.#left) / this.#perFrame);
  }

  /** Show so many frames at a time, null for all. */
  zoom(frames) {
    if (frames === this.window) return;
    this.window = frames;
    if (!this.episode) return;
    this.#start = 0;
    this.#follow();
    this.draw();
    this.place();
  }

  /** Turn the page when the playhead leaves it; true if that happened. */
  #follow() {
    const span = this.#span;
    if (this.frame >= this.#start && this.frame < this.#start + span) return false;
    const wanted = this.frame - Math.round(span * 0.1);
    this.#start = Math.max(0, Math.min(wanted, this.episode.frames - span));
    return true;
  }

  show(run, episode) {
    this.#start = 0;
    super.show(run, episode);
    const what = run.labels_from === "none" ? "phases of the gait" : "labels";
    const switches = episode.segments.length - 1;
    this.tell(`${what} over time, ${switches} switches; below them the phase of the gait, height, ` +
      "predicted and realised value, and return");
    const gaits = [...new Set(episode.gait)].filter((gait) => gait !== NONE).sort((a, b) => a - b);
    const key = gaits.map((gait) => {
      const swatch = el("span", {class: "swatch"});
      swatch.style.background = page.gaitPhases[gait][1];
      return el("span", {class: "key"}, swatch, ` ${gaitName(gait)} `);
    });
    this.caption.replaceChildren(
      ...(run.labels_from === "none" ? [] : ["Gait: ", ...key, el("br")]),
      run.height_over ? `Height: torso over ${run.height_over}. ` : "",
      "Value: the return-to-go that the controller predicts, ± its spread, " +
      "and the realised one (dashed). In a window, lanes fit what it shows. Click or drag to go there.");
  }

  place() {
    if (!this.episode) return;
    if (this.#follow()) this.#turn();
    const x = this.#left + (this.frame + 0.5 - this.#start) * this.#perFrame;
    this.moveMark(0, x, 0);
  }

  get #zoomed() {
    return {startValue: this.#start, endValue: this.#start + this.#span};
  }

  /** Show the window's part of what is drawn, on scales that fit it. */
  #turn() {
    if (this.window) this.chart.setOption({yAxis: this.#scales()});
    this.chart.dispatchAction({type: "dataZoom", ...this.#zoomed});
  }

  /** Ends of each lane's scale, over what the window shows. */
  #scales() {
    const part = (values) => values.slice(this.#start, this.#start + this.#span);
    const {height, value, spread, to_go, total} = this.episode;
    const [low, high] = [value.map((v, t) => v - spread[t]), value.map((v, t) => v + spread[t])];
    const expected = this.window
      ? [...part(low), ...part(high), ...part(to_go)] : [...value, ...to_go];
    const earned = this.window ? extent(part(total)) : extent([0, 1, ...total]);
    return [[0, 1], [0, 1], extent(part(height)), extent(expected), earned]
      .map(([min, max]) => ({min, max, interval: (max - min) || 1}));
  }

  draw() {
    const {run, episode} = this;
    const own = colors();
    let top = TOP;
    const labelled = run.labels_from !== "none";
    const grid = LANES.map(({name, height, gap}) => {
      if (name === "gait" && !labelled) return {left: this.#left, right: RIGHT, top, height: 0};
      // No lane may shrink to make room for a label: all are on one axis of time.
      const made = {left: this.#left, right: RIGHT, top, height, outerBoundsMode: "none"};
      top += height + gap;
      return made;
    });
    const lastLane = LANES.length - 1;
    const narrow = this.width < 500;
    const time = {
      type: "value", min: 0, max: episode.frames, interval: this.#interval(), axisLine: {show: false},
      axisTick: {show: false}, splitLine: {lineStyle: {color: own.rule, opacity: 0.6}},
    };
    const label = {
      color: own.soft, fontSize: 11, hideOverlap: true, alignMaxLabel: "right",
      formatter: (frame) => `${+(frame * run.dt_s).toFixed(2)} s`,
    };
    const xAxis = LANES.map((_, i) => ({
      ...time, gridIndex: i, splitLine: {...time.splitLine, show: i > 1},
      axisLabel: {...label, show: i === lastLane},
    }));
    const scales = this.#scales();
    const lane = (i, name, ticks) => ({
      gridIndex: i, type: "value", ...scales[i], name, nameLocation: "middle",
      nameGap: narrow ? 33 : 42, nameTextStyle: {color: own.soft, fontSize: 11},
      axisLine: {show: false}, axisTick: {show: false}, splitLine: {lineStyle: {color: own.rule}},
      axisLabel: {
        show: ticks, color: own.soft, fontSize: 10, margin: 4, showMinLabel: true, showMaxLabel: true,
        // Nothing below zero rounds to a zero with a sign.
        formatter: (value) => (Math.abs(value) < 10
          ? (Math.round(value * 10) / 10 || 0).toFixed(1) : value.toFixed(0)),
      },
    });
    const yAxis = [
      lane(0, "", false),
      lane(1, "", false),
      lane(2, narrow ? "m" : "height m", true),
      lane(3, "value", true),
      lane(4, "return", true),
    ];
    const line = (i, data, style) => ({
      type: "line", xAxisIndex: i, yAxisIndex: i, data, symbol: "none", silent: true, clip: true,
      sampling: "lttb", lineStyle: {width: 1.4, ...style},
    });
    const course = (values) => Array.from(values, (value, t) => [t + 0.5, value]);
    const band = (values, stack, fill) => ({
      ...line(3, course(values), {width: 0}), stack, stackStrategy: "all",
      areaStyle: fill ? {color: own.link, opacity: 0.22} : undefined, sampling: undefined,
    });
    this.option({
      grid, xAxis, yAxis,
      dataZoom: [{type: "inside", disabled: true, xAxisIndex: LANES.map((_, i) => i),
        filterMode: "weakFilter", ...this.#zoomed}],
      title: [
        this.#laneName(labelled ? "label" : "gait", 0, grid, own),
        ...(labelled ? [this.#laneName("gait", 1, grid, own)] : []),
      ],
      series: [
        this.#segments(0, episode.segments, (s) => run.states[s], true),
        this.#segments(1, labelled ? segmentsOf(episode.gait) : [], (g) => ({color: page.gaitPhases[g][1]}), false),
        line(2, course(episode.height), {color: own.ink}),
        band(episode.value.map((v, t) => v - episode.spread[t]), "band", false),
        band(episode.spread.map((s) => 2 * s), "band", true),
        line(3, course(episode.to_go), {color: own.soft, type: [5, 3]}),
        line(3, course(episode.value), {color: own.link}),
        line(4, course(episode.total), {color: own.ink}),
      ],
    });
  }

  /** A tick about every 90 pixels, at whole steps of time. */
  #interval() {
    const wanted = 90 / this.#perFrame * this.run.dt_s;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
    return (steps.find((step) => step >= wanted) ?? 100) / this.run.dt_s;
  }

  #laneName(text, i, grid, own) {
    return {
      text, right: this.width - this.#left + 6, top: grid[i].top + grid[i].height / 2 - 7, padding: 0,
      textStyle: {color: own.soft, fontSize: 11, fontWeight: "normal", lineHeight: 14},
    };
  }

  #segments(i, segments, look, filtered) {
    const shown = segments.filter(([, , s]) => s !== NONE);
    return {
      type: "custom", xAxisIndex: i, yAxisIndex: i, clip: true, silent: true,
      data: shown, encode: {x: [0, 1]},
      renderItem: (params, api) => {
        const [from, to, state] = shown[params.dataIndex];
        const {color, ink, key} = look(state);
        const [x0, y0] = api.coord([from, 1]);
        const [x1, y1] = api.coord([to, 0]);
        const shape = echarts.graphic.clipRectByRect(
          {x: x0, y: y0, width: x1 - x0, height: y1 - y0}, params.coordSys);
        if (!shape) return null;
        const kept = !filtered || this.keeps(state);
        const rect = {type: "rect", shape, style: {fill: color, opacity: kept ? 1 : DIMMED}};
        if (!filtered) return rect;
        // An empty text takes away the one that stood here before.
        const text = kept && shape.width >= NUMBER_WIDTH ? key : "";
        rect.textContent = {style: {text, fill: ink, fontSize: 12, fontWeight: 700}};
        rect.textConfig = {position: "inside"};
        return rect;
      },
    };
  }
}
