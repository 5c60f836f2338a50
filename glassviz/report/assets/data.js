/** The runs, as `html.as_data` in Python wrote them. Arrays are decoded when an episode is first
 * shown, films when they are first played: a page of twenty runs opens as fast as one of two. */
export const page = JSON.parse(document.getElementById("data").textContent);

/** In `state` and `gait`: none. */
export const NONE = 255;

const KINDS = {
  state: Uint8Array, gait: Uint8Array, cycle: Int16Array, phase: Float32Array, xy: Float32Array,
  height: Float32Array, speed: Float32Array, reward: Float32Array, value: Float32Array, spread: Float32Array, to_go: Float32Array,
  total: Float32Array,
};

function bytesOf(base64) {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** Numbers of a Float32Array that Python wrote. */
export const floatsOf = (base64) => new Float32Array(bytesOf(base64).buffer);

/** The arrays of an episode, decoded once. */
export function decoded(episode) {
  if (!episode.frames) {
    for (const [name, Kind] of Object.entries(KINDS)) {
      episode[name] = new Kind(bytesOf(episode[name]).buffer);
    }
    episode.frames = episode.state.length;
    episode.segments = segmentsOf(episode.state);
    // Graphs leave openings out.
    episode.path = episode.state.map((state, t) => (episode.gait[t] === NONE ? NONE : state));
  }
  return episode;
}

/** Whether frame `t` of an episode is where a visit of a state begins. */
export const visitOf = (wanted) => ({state}, t) => state[t] === wanted && state[t - 1] !== wanted;

/** Whether a switch that a graph counts leads to frame `t` of an episode. */
export const switchOf = ({source, target}) => ({path}, t) =>
  path[t] === target && path[t - 1] === source;

/** The next frame that is as asked for; from the end it goes on at the beginning. Null: none. */
export function frameAfter(episode, after, wanted) {
  for (let i = 1; i <= episode.frames; i++) {
    const t = (after + i) % episode.frames;
    if (wanted(episode, t)) return t;
  }
  return null;
}

/** Stretches of one state: [first frame, frame behind the last, state]. */
export function segmentsOf(state) {
  const found = [];
  for (let start = 0, t = 1; t <= state.length; t++) {
    if (t < state.length && state[t] === state[start]) continue;
    found.push([start, t, state[start]]);
    start = t;
  }
  return found;
}

export const sameSet = (a, b) => a.size === b.size && [...a].every((each) => b.has(each));

const urls = new Map();

/** Address of a film: a file beside the page, or a blob made of what is in it; null as long as the
 * browser has not read that far. Films stand at the end of the page, so that nothing waits for them. */
export function filmUrl(key) {
  if (page.filmFolder) return `${encodeURIComponent(page.filmFolder)}/${key}.mp4`;
  if (!urls.has(key)) {
    const film = document.getElementById(`film-${key}`);
    // While nothing comes after it, its own end may be missing.
    if (!film || (document.readyState === "loading" && !film.nextElementSibling)) return null;
    const bytes = bytesOf(film.textContent);
    urls.set(key, URL.createObjectURL(new Blob([bytes], {type: "video/mp4"})));
  }
  return urls.get(key);
}
