import { filmUrl } from "./data.js";

/** Films may be apart by so many seconds before one that follows is set to the clock again. */
const DRIFT = 0.07;

/** A film that follows the clock; the leading one drives it while it plays. */
export class Film {
  #clock;
  #dt = 0.02;
  #key = null;
  #leads;
  #wanted = null;

  constructor(video, clock, leads) {
    this.video = video;
    this.#clock = clock;
    this.#leads = leads;
    clock.addEventListener("play", () => this.#playOrPause());
    clock.addEventListener("frame", (event) => this.#follow(event.detail.sought));
    // While a film seeks, further wishes wait, and only the last one counts: scrubbing stays
    // fluent however fast the slider moves.
    video.addEventListener("seeked", () => {
      if (this.#wanted !== null) this.#seek();
    });
    video.addEventListener("ended", () => this.#leads && clock.arrive(clock.frames - 1));
    video.addEventListener("loadeddata", () => this.#follow(true));
  }

  get present() {
    return this.video.hasAttribute("src");
  }

  show(key, dt) {
    this.#dt = dt;
    this.#key = key;
    const url = key && filmUrl(key);
    if (url) {
      this.video.src = url;
    } else {
      this.video.removeAttribute("src");
      this.video.load();
    }
    if (key && !url) {
      const again = () => this.#key === key && this.show(key, dt);
      document.addEventListener("DOMContentLoaded", again, {once: true});
    }
    if (this.#leads) this.#clock.driven = this.present;
    this.#playOrPause();
  }

  #follow(sought) {
    if (!this.present) return;
    if (sought || !this.#clock.playing) return this.#seek();
    if (this.#leads) return;
    if (Math.abs(this.video.currentTime - this.#clock.time) > DRIFT) this.#seek();
    else if (this.video.paused && !this.video.ended) this.#start();
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
    if (this.#clock.playing) {
      this.#start();
    } else {
      this.video.pause();
      this.#seek();
    }
  }

  #start() {
    // Playing is given up when the page pauses it at once; that is no fault.
    this.video.play().catch(() => {});
    if (this.#leads) this.#drive();
  }

  #drive() {
    this.video.requestVideoFrameCallback((_, {mediaTime}) => {
      if (!this.#clock.playing) return;
      if (!this.video.seeking) this.#clock.arrive(Math.round(mediaTime / this.#dt));
      this.#drive();
    });
  }
}
