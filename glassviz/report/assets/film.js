import { filmUrl } from "./data.js";

/** Films may be apart by so many seconds before one that follows is set to the clock again. */
const DRIFT = 0.07;

/** A film that follows the clock; the leading one drives it while it plays. */
export class Film {
  #clock;
  #dt = 0.02;
  #frames = 1;
  #key = null;
  #drives = 0;
  #leads;
  #wanted = null;

  constructor(video, clock, leads) {
    this.video = video;
    this.#clock = clock;
    this.#leads = leads;
    clock.addEventListener("play", () => this.#playOrPause());
    clock.addEventListener("frame", (event) => {
      this.#lead();
      this.#follow(event.detail.sought);
    });
    // While a film seeks, further wishes wait, and only the last one counts: scrubbing stays
    // fluent however fast the slider moves.
    video.addEventListener("seeked", () => {
      if (this.#wanted !== null) this.#seek();
    });
    video.addEventListener("ended", () => this.#arrive(this.#frames - 1));
    video.addEventListener("loadeddata", () => this.#follow(true));
  }

  get present() {
    return this.video.hasAttribute("src");
  }

  /** Whether the clock is where the film has frames yet to come; another run may be longer. */
  get #running() {
    return this.present && Math.round(this.#clock.time / this.#dt) < this.#frames - 1;
  }

  /** Show a film of so many frames, `dt` seconds apart; none for null. */
  show(key, dt, frames = 1) {
    this.#dt = dt;
    this.#frames = frames;
    this.#key = key;
    const url = key && filmUrl(key);
    if (url) {
      this.video.src = url;
    } else {
      this.video.removeAttribute("src");
      this.video.load();
    }
    if (key && !url) {
      const again = () => this.#key === key && this.show(key, dt, frames);
      document.addEventListener("DOMContentLoaded", again, {once: true});
    }
    this.#lead();
    this.#playOrPause();
  }

  /** What leads drives the clock for as long as it lasts. */
  #lead() {
    if (this.#leads) this.#clock.driven = this.#running;
  }

  #arrive(frame) {
    if (this.#leads && this.#clock.driven) this.#clock.arrive(Math.round((frame * this.#dt) / this.#clock.dt));
  }

  #follow(sought) {
    if (!this.present) return;
    if (sought || !this.#clock.playing) {
      this.#seek();
      // It may have come to its end before.
      if (this.#clock.playing && this.#running && this.video.paused) this.#start();
      return;
    }
    if (this.#leads || !this.#running) return;
    if (Math.abs(this.video.currentTime - this.#clock.time) > DRIFT) this.#seek();
    else if (this.video.paused) this.#start();
  }

  /** To the middle of a frame: its edges are where rounding could show its neighbour. */
  #seek() {
    this.#wanted = (Math.round(this.#clock.time / this.#dt) + 0.5) * this.#dt;
    if (this.video.seeking || !this.video.readyState) return;
    this.video.currentTime = Math.min(this.#wanted, this.video.duration - this.#dt / 2);
    this.#wanted = null;
  }

  #playOrPause() {
    if (!this.present) return;
    this.video.playbackRate = this.#clock.speed;
    if (this.#clock.playing && this.#running) {
      this.#start();
    } else {
      this.video.pause();
      this.#seek();
    }
  }

  #start() {
    // Playing is given up when the page pauses it at once; that is no fault.
    this.video.play().catch(() => {});
    if (this.#leads) this.#drive(++this.#drives);
  }

  /** Tell the clock which frame is shown, for as long as it plays and nothing else was started. */
  #drive(started) {
    const next = (frame) => {
      if (!this.#clock.playing || started !== this.#drives) return;
      if (!this.video.seeking) this.#arrive(frame);
      this.#drive(started);
    };
    if (this.video.requestVideoFrameCallback) {
      this.video.requestVideoFrameCallback((_, {mediaTime}) => next(Math.round(mediaTime / this.#dt)));
    } else {
      requestAnimationFrame(() => next(Math.floor(this.video.currentTime / this.#dt)));
    }
  }
}
