import { NONE, page } from "./data.js";

export const gaitName = (gait) => (gait === NONE ? "opening" : page.gaitPhases[gait][0]);

/** Names, values and units of what was measured at a frame. */
export function readouts(episode, t) {
  // Not every body has a height and a speed.
  const ofTorso = Number.isFinite(episode.height[t]) ? [
    ["height", episode.height[t].toFixed(2), "m"],
    ["speed", episode.speed[t].toFixed(2), "m/s"],
  ] : [];
  return [
    ...ofTorso,
    ["value", `${episode.value[t].toFixed(1)} ± ${episode.spread[t].toFixed(1)}`, ""],
    ["realised", episode.to_go[t].toFixed(1), ""],
    ["reward", episode.reward[t].toFixed(2), ""],
    ["return", episode.total[t].toFixed(1), ""],
  ];
}

/** What there is to know about a frame, in a few lines. */
export function frameTold(run, episode, t) {
  const {key, name} = run.states[episode.state[t]] ?? {};
  const label = key === undefined || run.labels_from === "none" ? [] : [`label ${key} ${name}`];
  const phase = episode.phase[t] >= 0 ? [`φ ${episode.phase[t].toFixed(2)}`] : [];
  const values = readouts(episode, t).map(([what, value, unit]) => `${what} ${value} ${unit}`.trim());
  return [
    `frame ${t}, ${(t * run.dt_s).toFixed(2)} s`,
    [...label, gaitName(episode.gait[t]), ...phase].join(", "),
    values.slice(0, 2).join(", "), values.slice(2, 4).join(", "), values.slice(4).join(", "),
  ].join("\n");
}
