import { NONE } from "./data.js";
import { colors, FONT } from "./charts.js";
import { save, stem } from "./picture.js";

/* What the timeline shows of a film, as a film of its own: recorded while a copy of the film plays,
 * with the label, the time and a strip of the labels below it. */

const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
const BITS_PER_SECOND = 6_000_000;

/** Height of what is below the film, of its text and of the strip, in pixels. */
const BELOW = 52;
const TEXT = 16;
const STRIP = 14;

/** Why a clip of the pane cannot be saved; null if it can. */
export function noClip(pane) {
  if (!pane.film.present || pane.video.hidden) return "No film to save";
  if (!window.MediaRecorder || !HTMLCanvasElement.prototype.captureStream || !kind()) {
    return "This browser records no clips";
  }
  return null;
}

const kind = () => KINDS.find((each) => MediaRecorder.isTypeSupported(each));

const once = (target, type) => new Promise((resolve, reject) => {
  target.addEventListener(type, resolve, {once: true});
  target.addEventListener("error", reject, {once: true});
});

/** Record what the timeline shows of a pane's film, at real speed, and save it.
 *
 * @param onSecond called with the seconds recorded, and those there are
 * @param signal to give it up by
 * @throws {Error} the browser does not let a page read the film, or cannot record */
export const saveClip = async (pane, onSecond, signal) => {
  const {run, look, episode, score: {part: [first, last]}} = pane;
  const [from, to] = [first * run.dt_s, last * run.dt_s];
  const film = document.createElement("video");
  film.muted = true;
  film.src = pane.video.src;
  await once(film, "loadeddata");
  film.currentTime = from + run.dt_s / 2;
  await once(film, "seeked");
  const canvas = document.createElement("canvas");
  canvas.width = film.videoWidth;
  canvas.height = film.videoHeight + BELOW;
  const pen = canvas.getContext("2d");
  const frameOf = () => Math.min(Math.floor(film.currentTime / run.dt_s), last - 1);
  const paint = () => {
    pen.drawImage(film, 0, 0);
    drawBelow(pen, film.videoHeight, canvas.width, {run, look, episode, first, last}, frameOf());
  };
  paint();
  const recorder = new MediaRecorder(canvas.captureStream(),
    {mimeType: kind(), videoBitsPerSecond: BITS_PER_SECOND});
  const parts = [];
  recorder.addEventListener("dataavailable", ({data}) => parts.push(data));
  recorder.start();
  await once(recorder, "start");
  await film.play();
  const began = performance.now();
  await new Promise((resolve) => {
    const next = () => {
      paint();
      onSecond(Math.min(Math.max(film.currentTime - from, 0), to - from), to - from);
      if (film.ended || film.currentTime >= to - run.dt_s / 2 || signal.aborted) resolve();
      else requestAnimationFrame(next);
    };
    next();
  });
  film.pause();
  const lasted = performance.now() - began;
  recorder.stop();
  await once(recorder, "stop");
  film.removeAttribute("src");
  if (signal.aborted) return;
  const ending = recorder.mimeType.includes("webm") ? "webm" : "mp4";
  const clip = new Blob(parts, {type: recorder.mimeType.split(";")[0]});
  const name = `${stem(pane)}-${seconds(from)}-${seconds(to)}s.${ending}`;
  save(ending === "webm" ? await withDuration(clip, lasted) : clip, name);
};

const seconds = (time) => String(+time.toFixed(2));

function drawBelow(pen, top, width, {run, look, episode, first, last}, frame) {
  const own = colors();
  pen.fillStyle = own.card;
  pen.fillRect(0, top, width, BELOW);
  pen.font = `${TEXT}px ${FONT}`;
  pen.textBaseline = "middle";
  const middle = top + (BELOW - STRIP) / 2;
  let x = 8;
  const now = look.states[episode.state[frame]];
  if (episode.state[frame] !== NONE) {
    const wide = pen.measureText(now.key).width + 14;
    pen.fillStyle = now.color;
    pen.fillRect(x, middle - 12, wide, 24);
    pen.fillStyle = now.ink;
    pen.fillText(now.key, x + 7, middle + 1);
    pen.fillStyle = own.ink;
    pen.fillText(now.name, x + wide + 8, middle + 1);
    x += wide + 16 + pen.measureText(now.name).width;
  }
  const time = `${(frame * run.dt_s).toFixed(2)} s`;
  const room = width - x - pen.measureText("000.00 s").width - 24;
  pen.fillStyle = own.ink;
  pen.textAlign = "right";
  pen.fillText(time, width - 8, middle + 1);
  pen.textAlign = "left";
  pen.fillStyle = own.soft;
  pen.fillText(`${run.name} · ${run.by}`, x + 8, middle + 1, Math.max(room, 1));
  const at = (t) => ((t - first) / (last - first)) * width;
  for (const [from, to, state] of episode.segments) {
    if (state === NONE || to <= first || from >= last) continue;
    pen.fillStyle = look.states[state].color;
    pen.fillRect(at(from), top + BELOW - STRIP, at(to) - at(from), STRIP);
  }
  pen.fillStyle = own.ink;
  pen.fillRect(at(frame + 0.5) - 1.5, top + BELOW - STRIP - 4, 3, STRIP + 4);
}

/** Browsers record without knowing how long it will last, and write no duration: players then show
 * none, and cannot seek. It belongs into the element Info of a WebM file. */
async function withDuration(clip, milliseconds) {
  const bytes = new Uint8Array(await clip.arrayBuffer());
  const INFO = [0x15, 0x49, 0xa9, 0x66];
  const head = Math.min(bytes.length - 12, 4096);
  let at = 0;
  while (at < head && !INFO.every((each, i) => bytes[at + i] === each)) at++;
  if (at >= head) return clip;
  // A size is as many bytes long as its first one has leading zeros, and one more.
  const long = Math.clz32(bytes[at + 4]) - 23;
  let size = bytes[at + 4] & (0xff >> long);
  for (let i = 1; i < long; i++) size = size * 256 + bytes[at + 4 + i];
  const content = bytes.slice(at + 4 + long, at + 4 + long + size);
  for (let i = 0; i < content.length - 1; i++) {
    if (content[i] === 0x44 && content[i + 1] === 0x89) return clip;
  }
  const duration = new DataView(new ArrayBuffer(11));
  [0x44, 0x89, 0x88].forEach((each, i) => duration.setUint8(i, each));
  duration.setFloat64(3, milliseconds);
  const longer = new DataView(new ArrayBuffer(8));
  longer.setUint32(4, size + 11);
  longer.setUint8(0, 0x01);
  return new Blob([bytes.slice(0, at + 4), longer, content, duration,
    bytes.slice(at + 4 + long + size)], {type: clip.type});
}
