import { NONE, decoded, frameAfter, page, switchOf, visitOf } from "./data.js";
import { chip, el } from "./dom.js";
import { Film } from "./film.js";
import { Graph } from "./graph.js";
import { LatentMap } from "./map.js";
import { Raster } from "./raster.js";
import { Score } from "./score.js";
import { gaitName, readouts } from "./told.js";

/** One episode of one run: its film and all its views. It tells `change` when somebody picks
 * another run or episode, or filters; and `note`, with a text, what came of a click. */
export class Pane extends EventTarget {
  run = null;
  /** The run as it is shown: with other colours, if it wears those of another's labels. */
  look = null;
  episode = null;
  #partners = null;
  /** Keys of the labels that the filter keeps; empty: all. */
  filter = new Set();

  /**
   * @param clock that it follows
   * @param title what it is called for those who cannot see where it stands
   * @param leads whether its film drives the clock
   */
  constructor(clock, title, leads) {
    super();
    this.clock = clock;
    const seek = (frame) => clock.seek(this.#clockFrame(frame));
    this.score = new Score(seek);
    this.raster = new Raster(seek);
    this.map = new LatentMap(seek);
    this.graph = new Graph(
      (state) => this.#seekNext(visitOf(state), this.#called(this.run.states[state])),
      (edge) => this.#goAlong(edge),
    );
    this.views = [this.map, this.graph, this.score, this.raster];
    this.#build();
    this.title = title;
    this.film = new Film(this.video, clock, leads);
    clock.addEventListener("frame", () => this.run && this.element.isConnected && this.at());
  }

  #build() {
    this.runs = el("select", {onchange: () => this.#picked(true)});
    page.runs.forEach((run, i) =>
      this.runs.append(el("option", {value: i}, `${run.name} · ${run.by}`)));
    this.episodes = el("select", {onchange: () => this.#picked(false)});
    this.verdict = el("p", {class: "verdict"});
    this.video = el("video", {muted: true, playsinline: true, preload: "auto", tabindex: -1,
      disablepictureinpicture: true, "aria-label": "film of the episode", onclick: () => this.clock.toggle()});
    this.video.muted = true;
    this.now = el("p", {class: "now", "aria-hidden": "true"});
    this.readouts = el("dl", {class: "readouts", "aria-hidden": "true"});
    this.noFilm = el("p", {class: "no-film"});
    this.labels = el("div", {class: "labels", role: "group"});
    this.why = el("div", {class: "why"});
    this.element = el("section", {class: "pane"},
      el("header", {class: "pick"}, this.runs, this.episodes, this.verdict),
      el("div", {class: "views"},
        el("div", {class: "film"}, this.video, this.noFilm, this.now, this.readouts),
        this.map.figure, this.graph.figure,
        this.labels, this.score.figure, this.raster.figure),
      el("details", {class: "more"}, el("summary", {}, "List of switches"),
        this.switches = el("ul", {class: "switches"})),
      el("details", {class: "more"}, el("summary", {}, "Questions and answers"), this.why));
  }

  /** Two panes are told apart by what they are called. */
  set title(title) {
    this.element.setAttribute("aria-label", title);
    this.runs.setAttribute("aria-label", `${title}: run`);
    this.episodes.setAttribute("aria-label", `${title}: episode`);
    this.labels.setAttribute("aria-label", `${title}: filter by label`);
  }

  /** To be called when the element is in the page. */
  start() {
    for (const view of this.views) view.start();
  }

  /** Take it out of the page, where it costs nothing until it is shown again. */
  hide() {
    this.element.remove();
    this.film.show(null, this.clock.dt);
  }

  /** Show an episode of a run: numbers in `page.runs` and in its `shown`. */
  show(run, episode = 0) {
    const [shown, before] = [page.runs[run], this.run];
    this.run = shown;
    this.look = this.#dressed();
    this.episode = decoded(shown.shown[episode]);
    if (before !== shown) {
      this.filter = new Set();
      this.#describe();
    }
    this.runs.value = run;
    this.episodes.value = episode;
    const {tone, basin, reason} = this.episode;
    this.verdict.replaceChildren(el("span", {class: `badge ${tone}`}, basin), ` ${reason}`);
    this.film.show(this.episode.film, shown.dt_s, this.episode.frames);
    this.video.hidden = !this.episode.film;
    this.noFilm.textContent = this.episode.film ? "" : `No film: ${page.noFilms ?? "none was made"}`;
    for (const view of this.views) {
      view.kept = this.#kept();
      view.show(this.look, this.episode);
    }
    this.#markSwitches();
    this.at();
  }

  /** Give labels the colours of others that they correspond to, grey to those without.
   *
   * @param partners keys by this run's keys; null: its own colours */
  wear(partners) {
    if (JSON.stringify(partners) === JSON.stringify(this.#partners)) return;
    this.#partners = partners;
    this.look = this.#dressed();
    this.#describe();
    this.episodes.value = this.run.shown.indexOf(this.episode);
    this.#markSwitches();
    for (const view of this.views) view.show(this.look, this.episode);
    this.at();
  }

  #dressed() {
    if (!this.#partners) return this.run;
    const {labelLooks, noLabelLook} = page;
    const lookOf = (partner) =>
      partner === undefined ? noLabelLook : labelLooks[Number(partner) % labelLooks.length];
    const states = this.run.states.map((state) => ({...state, ...lookOf(this.#partners[state.key])}));
    return {...this.run, states};
  }

  /** Which switches are in the episode. The buttons stay, and with them the focus. */
  #markSwitches() {
    for (const [edge, told] of this.toldSwitches) {
      const absent = frameAfter(this.episode, -1, switchOf(edge)) === null;
      told.textContent = ` ${edge.count} times, ${absent ? "none in this episode" : "go to the next one"}`;
    }
  }

  /** What of the pane depends on the run alone. */
  #describe() {
    const run = this.look;
    this.episodes.replaceChildren(...run.shown.map((episode, i) => el("option", {value: i},
      `episode ${episode.number} of ${run.episodes} · return ${episode.episode_return.toFixed(0)}`)));
    const what = run.labels_from === "none"
      ? "No labels: colours show gait phases from the physics." : "";
    this.labels.replaceChildren(
      ...run.states.map((state) => {
        const share = `${Math.round(state.share * 100)} %`;
        return el("button", {type: "button", class: "label", "data-key": state.key,
          "aria-pressed": "false", onclick: () => this.toggle(state.key),
          title: `${state.share < 0.005 ? "under 1 %" : share} of the time`},
        chip(state), el("span", {}, state.name), el("span", {class: "share"}, share));
      }),
      el("button", {type: "button", class: "all", onclick: () => this.setFilter([])}, "all"),
      el("p", {class: "soft"}, what));
    this.toldSwitches = [...run.graph.edges].sort((a, b) => b.count - a.count)
      .map((edge) => [edge, el("span")]);
    this.switches.replaceChildren(...this.toldSwitches.map(([edge, told]) =>
      el("li", {}, el("button", {type: "button", onclick: () => this.#goAlong(edge)},
        chip(run.states[edge.source]), " → ", chip(run.states[edge.target]), told))));
    this.why.replaceChildren(
      el("p", {}, `${run.basin}: ${run.reasons.join("; ")}. ${run.summary}`),
      el("dl", {}, ...run.answers.flatMap(({question, text}) =>
        [el("dt", {}, question), el("dd", {}, text)])));
    this.#pressed();
  }

  /** Follow the clock. */
  at() {
    for (const view of this.views) view.at(this.frame);
    const {state, gait, phase} = this.episode;
    const now = state[this.frame];
    const told = now === NONE ? [] : [chip(this.look.states[now], ` ${this.look.states[now].name}`)];
    if (this.run.labels_from !== "none" || now === NONE) told.push(gaitName(gait[this.frame]));
    if (phase[this.frame] >= 0) told.push(`φ ${phase[this.frame].toFixed(2)}`);
    this.now.replaceChildren(...told.map((each) => el("span", {}, each)));
    this.readouts.replaceChildren(...readouts(this.episode, this.frame).map(([what, value, unit]) =>
      el("div", {}, el("dt", {}, what), el("dd", {}, `${value} ${unit}`))));
  }

  /** The frame of this episode that belongs to the clock's: runs may have other steps of time. */
  get frame() {
    return Math.min(Math.round(this.clock.time / this.run.dt_s), this.episode.frames - 1);
  }

  #clockFrame(frame) {
    return Math.round((frame * this.run.dt_s) / this.clock.dt);
  }

  /** In words, for those who cannot see it. */
  get told() {
    const {state, gait} = this.episode;
    const now = state[this.frame];
    if (this.run.labels_from === "none" || now === NONE) return gaitName(gait[this.frame]);
    const {key, name} = this.run.states[now];
    return `label ${key}, ${name}; body in ${gaitName(gait[this.frame])}`;
  }

  toggle(key) {
    const kept = new Set(this.filter);
    if (!kept.delete(key)) kept.add(key);
    this.setFilter(kept);
  }

  setFilter(keys) {
    const known = new Set(this.run.states.map((state) => state.key));
    this.filter = new Set([...keys].filter((key) => known.has(key)));
    this.#pressed();
    for (const view of this.views) view.keep(this.#kept());
    this.#changed();
  }

  #kept() {
    return new Set(this.run.states.flatMap(({key}, i) => (this.filter.has(key) ? [i] : [])));
  }

  #pressed() {
    for (const button of this.labels.querySelectorAll(".label")) {
      button.setAttribute("aria-pressed", this.filter.has(button.dataset.key));
    }
    this.labels.classList.toggle("filtered", this.filter.size > 0);
  }

  /** To the next or last segment that the filter keeps. */
  step(direction) {
    const kept = this.#kept();
    const starts = this.episode.segments
      .filter(([, , state]) => !kept.size || kept.has(state)).map(([start]) => start);
    const next = direction > 0
      ? starts.find((t) => t > this.frame) : starts.findLast((t) => t < this.frame);
    if (next !== undefined) this.clock.seek(this.#clockFrame(next));
  }

  #called({key, name}) {
    return this.run.labels_from === "none" ? `Phase ${key}, ${name}` : `Label ${key}, ${name}`;
  }

  #goAlong(edge) {
    const {states} = this.run;
    this.#seekNext(switchOf(edge), `${states[edge.source].key} → ${states[edge.target].key}`);
  }

  /** To the next frame that is as asked for: in this episode, else in another that is shown. */
  #seekNext(wanted, what) {
    const {shown} = this.run;
    const own = shown.indexOf(this.episode);
    for (let i = 0; i < shown.length; i++) {
      const number = (own + i) % shown.length;
      const t = frameAfter(decoded(shown[number]), i ? -1 : this.frame, wanted);
      if (t === null) continue;
      if (i) this.#go(number);
      this.clock.seek(this.#clockFrame(t));
      return this.#note(i && `${what}: not in episode ${shown[own].number}; now showing ` +
        `episode ${this.episode.number}.`);
    }
    this.#note(`${what}: not in this episode, only in episodes that the page does not show.`);
  }

  #note(text) {
    this.graph.note(text || "");
    if (text) this.dispatchEvent(new CustomEvent("note", {detail: text}));
  }

  #go(episode) {
    this.show(page.runs.indexOf(this.run), episode);
    this.#changed();
  }

  #picked(otherRun) {
    this.show(Number(this.runs.value), otherRun ? 0 : Number(this.episodes.value));
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}
