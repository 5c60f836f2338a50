import { sameSet } from "./data.js";
import { el } from "./dom.js";

/* global echarts */

/** Colours of the page, as its style sheet has them now: dark or light. */
export function colors() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {ink: of("ink"), soft: of("soft"), rule: of("rule"), card: of("card"), link: of("link")};
}

/** A colour that lies between two, #RRGGBB: opaque, unlike one that is made transparent. */
export function mixed(color, ground, share) {
  if (share === 1) return color;
  const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const [own, other] = [parts(color), parts(ground)];
  return `rgb(${own.map((each, i) => Math.round(share * each + (1 - share) * other[i])).join(",")})`;
}

/** Opacity of what the filter leaves out. */
export const DIMMED = 0.08;

export const FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** Largest and smallest of some numbers, or [0, 1] for want of any. */
export function extent(numbers) {
  let low = Infinity;
  let high = -Infinity;
  for (const number of numbers) {
    if (number < low) low = number;
    if (number > high) high = number;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** A chart of ECharts in a figure, with marks that move above it.
 *
 * Charts are drawn when what they show changes, and not while time goes by: what moves with the
 * clock is a mark, an element of its own that is shifted by a transform. */
export class View {
  run = null;
  episode = null;
  /** Numbers of the states that the filter keeps; empty: all. */
  kept = new Set();
  frame = 0;

  /**
   * @param name class of the figure
   * @param title over it
   * @param marks how many marks there are
   */
  constructor(name, title, marks = 1) {
    this.canvas = el("div", {class: "canvas"});
    this.marks = Array.from({length: marks}, () => el("div", {class: "mark", "aria-hidden": "true"}));
    this.caption = el("figcaption");
    this.hint = el("div", {class: "hint", "aria-hidden": "true", hidden: true});
    this.box = el("div", {class: "box", role: "img", "aria-label": title}, this.canvas, ...this.marks, this.hint);
    this.figure = el("figure", {class: `view ${name}`}, el("h2", {}, title), this.box, this.caption);
    this.title = title;
  }

  /** To be called when the figure is in the page: a chart needs to know its size. */
  start() {
    this.chart = echarts.init(this.canvas, null, {renderer: "canvas"});
    new ResizeObserver(() => {
      if (!this.episode || !this.canvas.clientWidth) return;
      // An observer also tells the size at the beginning, which the chart was drawn for.
      if (this.chart.getWidth() === this.width && this.chart.getHeight() === this.height) return;
      this.chart.resize();
      this.draw();
      this.place();
    }).observe(this.canvas);
  }

  get width() {
    return this.canvas.clientWidth;
  }

  get height() {
    return this.canvas.clientHeight;
  }

  show(run, episode) {
    this.run = run;
    this.episode = episode;
    this.draw();
  }

  at(frame) {
    this.frame = frame;
    this.place();
  }

  keep(kept) {
    if (sameSet(kept, this.kept)) return;
    this.kept = kept;
    if (this.episode) this.draw();
  }

  keeps(state) {
    return !this.kept.size || this.kept.has(state);
  }

  /** What the picture tells, for those who cannot see it. */
  tell(text) {
    this.box.setAttribute("aria-label", `${this.title}: ${text}`);
  }

  option(option) {
    this.chart.setOption({animation: false, textStyle: {fontFamily: FONT}, ...option}, true);
  }

  /** Calls `fn(x, y)` for clicks; with `drag`, from pressing on and for moves while pressed. */
  onPointer(fn, drag = false) {
    const zr = this.chart.getZr();
    if (!drag) return zr.on("click", (event) => fn(event.offsetX, event.offsetY));
    let down = false;
    zr.on("mousedown", (event) => {
      down = true;
      fn(event.offsetX, event.offsetY);
    });
    zr.on("mousemove", (event) => {
      if (event.event?.buttons === 0) down = false;
      if (down) fn(event.offsetX, event.offsetY);
    });
    zr.on("mouseup", () => (down = false));
    zr.on("globalout", () => (down = false));
  }

  /** Show beside the pointer what `fn(x, y)` tells about a place; nothing for null. */
  hints(fn) {
    const zr = this.chart.getZr();
    zr.on("mousemove", ({offsetX, offsetY}) => this.#hint(fn(offsetX, offsetY), offsetX, offsetY));
    zr.on("globalout", () => this.#hint(null));
  }

  #hint(text, x, y) {
    this.hint.hidden = text === null;
    if (text === null) return;
    this.hint.textContent = text;
    const {offsetWidth, offsetHeight} = this.hint;
    const right = x + 14 + offsetWidth > this.width ? x - 14 - offsetWidth : x + 14;
    const top = Math.min(Math.max(y - offsetHeight / 2, 2), this.height - offsetHeight - 2);
    this.hint.style.transform = `translate(${Math.max(right, 2)}px, ${Math.max(top, 2)}px)`;
  }

  moveMark(i, x, y) {
    this.marks[i].style.transform = `translate(${x}px, ${y}px)`;
  }
}
