import { askedBy, fragmentOf } from "./address.js";
import { noClip, saveClip } from "./clip.js";
import { Clock } from "./clock.js";
import { page, sameSet } from "./data.js";
import { settled } from "./dom.js";
import { listen } from "./keyboard.js";
import { Pane } from "./pane.js";
import { savePicture, saveTable } from "./picture.js";

const of = (id) => document.getElementById(id);
const stage = of("stage");
const clock = new Clock();
const left = new Pane(clock, "Run", true);
/** Made when it is first wanted, and then kept: a pane listens to the clock for good. */
let second = null;
/** The second pane, while two are compared. */
let right = null;

// Compare ----------------------------------------------------------------------------------------

/** The run to hold another against: the same checkpoint's other controller, else the next run. */
function opponentOf(run) {
  const own = page.runs[run];
  const other = page.runs.findIndex((each, i) => i !== run && each.checkpoint === own.checkpoint &&
    each.name === own.name);
  return other >= 0 ? other : (run + 1) % page.runs.length;
}

function compare(run, episode = 0) {
  if (!right) {
    const known = second;
    right = second ??= new Pane(clock, "Right", false);
    stage.append(right.element);
    stage.classList.add("two");
    if (!known) {
      right.start();
      right.addEventListener("change", () => shared(second, left));
      right.addEventListener("note", note);
    }
    left.title = "Left";
  }
  right.show(run, episode);
  right.setFilter(sameLabels(left, right) ? left.filter : []);
  zoom();
  of("compare").setAttribute("aria-pressed", "true");
  changed();
}

function single() {
  right.hide();
  right = null;
  left.title = "Run";
  stage.classList.remove("two");
  of("compare").setAttribute("aria-pressed", "false");
  changed();
}

function toggleCompare() {
  if (right) return single();
  compare(opponentOf(page.runs.indexOf(left.run)), page.runs.length > 1 ? 0 : left.run.shown.length - 1);
}

const sameLabels = (a, b) =>
  a.run.checkpoint === b.run.checkpoint && a.run.labels_from === b.run.labels_from;

/** Whether labels on the right take the colours of those on the left that they correspond to. */
let matched = true;

/** Colour the labels on the right, and say whose colours they are. */
function match() {
  const strangers = Boolean(right) && !sameLabels(left, right);
  of("strangers").hidden = !strangers;
  if (!right) return;
  const found = strangers ? matchOf(left.run, right.run) : null;
  right.wear((matched && found?.partners) || null);
  of("match").hidden = !found;
  of("match").setAttribute("aria-pressed", matched);
  of("whose").textContent = found && matched
    ? `Two checkpoints: labels of ${right.run.name} on the right take the colours of the matching labels of ${left.run.name} (${found.told}); grey: no match. Numbers are not comparable.`
    : "Two checkpoints with different labels, each in its own colours: equal numbers and colours do not correspond.";
}

/** Which label of `one` each label of `other` corresponds to; null if that is not known. */
function matchOf(one, other) {
  if ([one, other].some((run) => run.labels_from === "none")) return null;
  const own = page.matches.find((each) =>
    [each.one, each.other].every((sha) => [one.checkpoint, other.checkpoint].includes(sha)));
  if (!own) return null;
  const pairs = own.one === one.checkpoint ? own.pairs.map(([a, b]) => [b, a]) : own.pairs;
  return {partners: Object.fromEntries(pairs), told: own.told};
}

/** Where labels mean the same, one filter is both panes'. */
function shared(from, to) {
  if (to?.run && sameLabels(from, to) && !sameSet(from.filter, to.filter)) to.setFilter(from.filter);
  changed();
}

// What follows a change --------------------------------------------------------------------------

function changed() {
  const {dt_s} = left.run;
  // As long as the longer one, counted in frames of the left one.
  const frames = [left, right].filter(Boolean)
    .map(({run, episode}) => Math.round((episode.frames * run.dt_s) / dt_s));
  of("slider").max = Math.max(...frames) - 1;
  clock.span(Math.max(...frames), dt_s);
  told();
  match();
  for (const row of document.querySelectorAll("[data-run]")) {
    const shown = [left, right].some((pane) => pane && pane.run === page.runs[row.dataset.run]);
    row.setAttribute("aria-current", shown ? "true" : "false");
  }
}

/** What came of a click, to be said before what is shown. */
let noted = "";

function note({detail}) {
  if (clock.playing) {
    of("live").textContent = detail;
  } else {
    noted = detail;
    say();
  }
}

const say = settled(() => {
  if (clock.playing) return;
  const parts = [left, right].filter(Boolean).map((pane) =>
    right ? `${pane === left ? "left" : "right"}: ${pane.told}` : pane.told);
  of("live").textContent = `${noted} ${clock.time.toFixed(2)} seconds. ${parts.join(". ")}`.trim();
  noted = "";
}, 350);

// Browsers refuse an address that changes at every frame.
const remember = settled(() => {
  history.replaceState(null, "", `#${fragmentOf(left, right, clock)}`);
}, 200);

/** Tell what the clock shows. */
function told() {
  const slider = of("slider");
  slider.value = clock.frame;
  slider.setAttribute("aria-valuetext", `${clock.time.toFixed(2)} seconds, ${left.told}`);
  of("time").textContent = `${clock.time.toFixed(2)} s`;
  of("frame").textContent = `frame ${clock.frame} of ${clock.frames}`;
  if (clock.playing) return;
  say();
  remember();
}

clock.addEventListener("frame", told);
clock.addEventListener("play", () => {
  of("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
  of("play").classList.toggle("playing", clock.playing);
  if (clock.playing) {
    // What was said is no longer so, and nothing is said while it plays.
    of("live").textContent = "";
    return;
  }
  say();
  remember();
});

// Controls ---------------------------------------------------------------------------------------

const aSecond = () => Math.round(1 / clock.dt);
const go = (frames) => {
  clock.pause();
  clock.seek(clock.frame + frames);
};
of("play").addEventListener("click", () => clock.toggle());
of("back").addEventListener("click", () => go(-1));
of("on").addEventListener("click", () => go(1));
of("slider").addEventListener("input", (event) => clock.seek(Number(event.target.value)));
of("speed").addEventListener("change", (event) => clock.setSpeed(Number(event.target.value)));
of("zoom").addEventListener("change", zoom);
of("compare").addEventListener("click", toggleCompare);
of("help").addEventListener("click", () => of("keys").showModal());
of("match").addEventListener("click", () => {
  matched = !matched;
  match();
});
const panes = () => [left, right].filter(Boolean);
of("picture").addEventListener("click", () => panes().forEach(savePicture));
of("table").addEventListener("click", () => panes().forEach(saveTable));
/** While a clip is recorded: what gives it up. */
let recording = null;
of("clip").addEventListener("click", async () => {
  if (recording) return recording.abort();
  const ready = of("clip").textContent;
  const say = (text) => (of("clip").textContent = text);
  recording = new AbortController();
  clock.pause();
  let told = null;
  for (const pane of panes()) {
    told = noClip(pane);
    if (told || recording.signal.aborted) break;
    await saveClip(pane, (done, all) =>
      say(`Stop recording: ${done.toFixed(0)} of ${all.toFixed(0)} s`), recording.signal)
      .catch(() => (told = "This browser lets no page record this film"));
  }
  recording = null;
  say(told ?? ready);
  if (!told) return;
  of("live").textContent = told;
  setTimeout(() => say(ready), 4000);
});
of("copy").addEventListener("click", async () => {
  const address = `${location.href.split("#")[0]}#${fragmentOf(left, right, clock)}`;
  const done = await navigator.clipboard?.writeText(address).then(() => true, () => false);
  // Where the clipboard is closed to the page, the address bar has it.
  history.replaceState(null, "", `#${fragmentOf(left, right, clock)}`);
  of("live").textContent = of("copy").textContent = done ? "Link copied" : "Link in the address bar";
  setTimeout(() => (of("copy").textContent = "Copy link"), 2000);
});

function zoom() {
  const seconds = Number(of("zoom").value);
  for (const pane of [left, right].filter((each) => each?.run)) {
    pane.score.zoom(seconds ? Math.round(seconds / pane.run.dt_s) : null);
  }
}

for (const button of document.querySelectorAll("[data-run]")) {
  button.addEventListener("click", () => {
    left.show(Number(button.dataset.run));
    changed();
    stage.scrollIntoView({block: "start"});
  });
}

listen({
  seek: go,
  second: (direction) => go(direction * aSecond()),
  toggle: () => clock.toggle(),
  visit: (direction) => {
    clock.pause();
    left.step(direction);
  },
  label: (digit, inRight) => (inRight && right ? right : left).toggle(digit),
  start: () => clock.seek(0),
  end: () => clock.seek(clock.frames - 1),
  compare: toggleCompare,
  help: () => of("keys").showModal(),
});

// Beginning --------------------------------------------------------------------------------------

/** Show what the address asks for; what it does not say stays as it is. */
function restore() {
  const asked = askedBy(location.hash);
  if (asked.left) left.show(asked.left.run, asked.left.episode);
  else if (!left.run) left.show(0);
  if (asked.right) compare(asked.right.run, asked.right.episode);
  else if (right) single();
  changed();
  left.setFilter(asked.left?.labels ?? []);
  if (right && asked.right.labels) right.setFilter(asked.right.labels);
  clock.seek(asked.frame);
}

left.addEventListener("change", () => shared(left, right));
left.addEventListener("note", note);
stage.append(left.element);
left.start();
restore();
addEventListener("hashchange", restore);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const pane of [left, right]) pane?.views.forEach((view) => view.draw());
});
document.documentElement.dataset.ready = performance.now().toFixed(0);
