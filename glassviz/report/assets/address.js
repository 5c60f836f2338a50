import { page } from "./data.js";

/* What is shown stands in the fragment of the page's address, so that a moment can be shared:
 * #run=NAME&by=pi&episode=3&frame=171&labels=7,0&versus=NAME&versus-by=mppi&versus-episode=1 */

/** Parts of the fragment about a pane. */
function paneParts(pane, prefix) {
  const {run, episode, filter} = pane;
  const parts = [
    [prefix || "run", run.name], [prefix ? `${prefix}-by` : "by", run.controller],
    [prefix ? `${prefix}-episode` : "episode", episode.number],
  ];
  if (filter.size) parts.push([prefix ? `${prefix}-labels` : "labels", [...filter].join(",")]);
  return parts;
}

/** The fragment that leads back to what is shown. */
export function fragmentOf(left, right, clock) {
  const parts = [...paneParts(left, ""), ["frame", clock.frame]];
  if (right) parts.push(...paneParts(right, "versus"));
  return parts.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
}

/** What a fragment asks of a pane: numbers in `page.runs` and `shown`, and labels if it names any;
 * null for nothing that the page has. */
function paneOf(asked, prefix) {
  const get = (name) => asked.get(prefix ? `${prefix}-${name}` : name);
  const name = asked.get(prefix || "run");
  const by = get("by");
  const own = (run) => run.name === name && (by === null || run.controller === by);
  const run = page.runs.findIndex(own);
  if (run < 0) return null;
  const number = Number(get("episode"));
  const episode = Math.max(page.runs[run].shown.findIndex((each) => each.number === number), 0);
  return {run, episode, labels: get("labels")?.split(",").filter(Boolean)};
}

/** What a fragment asks for. */
export function askedBy(fragment) {
  const asked = new URLSearchParams(fragment.replace(/^#/, ""));
  const frame = Number(asked.get("frame"));
  return {
    left: paneOf(asked, ""), right: paneOf(asked, "versus"),
    frame: Number.isFinite(frame) ? frame : 0,
  };
}
