/** The one clock of the page: a frame number that everything shown follows.
 *
 * It tells `frame` when that changes (with `detail.sought` true if somebody went there, false if
 * it came to pass while playing), and `play` when it starts, stops or changes its speed. While it
 * plays, the leading film drives it by `arrive`, so that charts show the very frame that the film
 * shows; without a film it drives itself. */
export class Clock extends EventTarget {
  frame = 0;
  frames = 1;
  dt = 0.02;
  playing = false;
  speed = 1;
  /** Whether a film calls `arrive`. */
  driven = false;

  get time() {
    return this.frame * this.dt;
  }

  /** Follow so many frames; where that is what it does already, nothing moves. */
  span(frames, dt) {
    if (frames === this.frames && dt === this.dt) return;
    this.frames = frames;
    this.dt = dt;
    this.seek(this.frame);
  }

  seek(frame) {
    this.#set(frame, true);
  }

  arrive(frame) {
    if (this.playing) this.#set(frame, false);
  }

  play() {
    if (this.playing) return;
    if (this.frame >= this.frames - 1) this.seek(0);
    this.playing = true;
    this.#tell("play");
    this.#tick(performance.now(), this.frame);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.#tell("play");
  }

  toggle() {
    this.playing ? this.pause() : this.play();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.#tell("play");
  }

  #set(frame, sought) {
    const at = Math.min(Math.max(Math.round(frame), 0), this.frames - 1);
    if (at === this.frame && !sought) return;
    this.frame = at;
    this.#tell("frame", {sought});
    if (!sought && at === this.frames - 1) this.pause();
  }

  /** Go on from a frame, a fraction of one included, where the clock was at a moment. However
   * rarely the browser draws, the time between two of its pictures counts in full. */
  #tick(then, from) {
    requestAnimationFrame((now) => {
      if (!this.playing) return;
      // A film drives it, or somebody went elsewhere: go on from there.
      if (this.driven || Math.floor(from) !== this.frame) return this.#tick(now, this.frame);
      const frame = from + ((now - then) / 1000 / this.dt) * this.speed;
      this.arrive(Math.floor(frame));
      this.#tick(now, frame);
    });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, {detail}));
  }
}
