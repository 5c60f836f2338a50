import { gaitName, readouts } from "./told.js";
import { colors, FONT } from "./charts.js";

/* What is shown, as files: a picture of a pane, and the frames of its episode as a table. */

const SCALE = 2;

/** Offer a file for saving. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const stem = ({run, episode}) =>
  `${run.name}-${run.controller}-episode-${episode.number}`.replace(/[^\p{L}\p{N}._-]+/gu, "_");

/** Draw a pane as it stands: film, charts with their marks, titles and readouts. */
export function drawn(pane) {
  const own = colors();
  const frame = pane.element.getBoundingClientRect();
  const bottom = Math.max(...pane.views.map(({figure}) => figure.getBoundingClientRect().bottom));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(frame.width * SCALE);
  canvas.height = Math.round((bottom - frame.top) * SCALE);
  const pen = canvas.getContext("2d");
  pen.scale(SCALE, SCALE);
  pen.fillStyle = own.card;
  pen.fillRect(0, 0, frame.width, bottom - frame.top);
  const placeOf = (element) => {
    const {left, top, width, height} = element.getBoundingClientRect();
    return [left - frame.left, top - frame.top, width, height];
  };
  const write = (text, x, y, size, color = own.ink) => {
    pen.font = `${size}px ${FONT}`;
    pen.fillStyle = color;
    pen.textBaseline = "top";
    pen.fillText(text, x, y);
  };
  const {run, episode, video} = pane;
  const [x, y] = placeOf(pane.runs);
  write(`${run.name} · ${run.by} · episode ${episode.number} · return ` +
    `${episode.episode_return.toFixed(0)} · ${(pane.frame * run.dt_s).toFixed(2)} s`, x, y + 6, 15);
  if (!video.hidden && video.readyState > 1) {
    const [left, top, width, height] = placeOf(video);
    // A film is shown whole, in the middle of its element.
    const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
    const [wide, tall] = [video.videoWidth * scale, video.videoHeight * scale];
    pen.drawImage(video, left + (width - wide) / 2, top + (height - tall) / 2, wide, tall);
  }
  const [nowX, nowY] = placeOf(pane.now);
  const told = [pane.told, ...readouts(episode, pane.frame)
    .map(([what, value, unit]) => `${what} ${value} ${unit}`.trim())];
  write(told.slice(0, 3).join(" · "), nowX, nowY, 12, own.soft);
  write(told.slice(3).join(" · "), nowX, nowY + 17, 12, own.soft);
  for (const view of pane.views) {
    if (!view.width || !view.height) continue;
    const [left, top] = placeOf(view.canvas);
    const [titleX, titleY] = placeOf(view.figure);
    write(view.title, titleX, titleY, 12, own.soft);
    pen.drawImage(view.chart.renderToCanvas({pixelRatio: SCALE, backgroundColor: own.card}),
      left, top, view.width, view.height);
    for (const mark of view.marks.filter((each) => !each.hidden)) {
      const [mx, my, mw, mh] = placeOf(mark);
      pen.globalAlpha = Number(mark.style.opacity || 1);
      pen.strokeStyle = pen.fillStyle = own.ink;
      pen.lineWidth = 3;
      pen.beginPath();
      pen.arc(mx + mw / 2, my + mh / 2, Math.max(mw / 2 - 1.5, 0), 0, 7);
      if (mark.classList.contains("here")) pen.stroke();
      else if (mark.classList.contains("trail")) pen.fill();
      else pen.fillRect(mx, my, mw, mh);
      pen.globalAlpha = 1;
    }
  }
  return canvas;
}

/** Save a picture of a pane. A film that lies beside the page may not be read by it, and is then
 * left out. */
export function savePicture(pane) {
  const name = `${stem(pane)}-frame-${pane.frame}.png`;
  const toFile = (canvas) => canvas.toBlob((blob) => save(blob, name), "image/png");
  try {
    toFile(drawn(pane));
  } catch {
    const {video} = pane;
    video.hidden = true;
    const canvas = drawn(pane);
    video.hidden = false;
    toFile(canvas);
  }
}

/** The frames of the episode that is shown, those of the filter if there is one, as CSV. */
export function tableOf({run, episode, filter}) {
  const head = ["frame", "time_s", "label", "name", "gait", "cycle", "phase", "map_x", "map_y"];
  const columns = {height_m: "height", speed_mps: "speed", reward: "reward", value: "value",
    value_spread: "spread", realised_value: "to_go", return_so_far: "total"};
  const lines = [[...head, ...Object.keys(columns)].join(",")];
  for (let t = 0; t < episode.frames; t++) {
    const {key = "", name = ""} = run.states[episode.state[t]] ?? {};
    if (filter.size && !filter.has(key)) continue;
    const cycle = episode.cycle[t];
    lines.push([
      t, (t * run.dt_s).toFixed(3), key, name, gaitName(episode.gait[t]), cycle < 0 ? "" : cycle + 1,
      cycle < 0 ? "" : episode.phase[t], episode.xy[2 * t], episode.xy[2 * t + 1],
      ...Object.values(columns).map((column) => episode[column][t]),
    ].join(","));
  }
  return `${lines.join("\n")}\n`;
}

export function saveTable(pane) {
  save(new Blob([tableOf(pane)], {type: "text/csv"}), `${stem(pane)}.csv`);
}
