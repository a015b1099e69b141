// One drawing: the request, its steps as they arrive, and the order in which they are shown.
import { pixels, stream } from './api.js';

/**
 * @typedef {{number: number, of: number, t: number, x_t: Uint8Array, x_0: Uint8Array}} Frame
 * @typedef {import('./picture.js').Drawn} Drawn
 */

/** A drawing of few steps is shown in this time, so that each step can be seen. */
const SHORTEST_FILM_MS = 180;

export class Drawing {
  /** @param {Record<string, any>} body of `/api/draw` */
  constructor(body) {
    this.body = body;
    /** @type {Frame[]} the last one shows the finished images in both views */
    this.frames = [];
    /** @type {Drawn | null} */
    this.drawn = null;
    this.#abort = new AbortController();
  }

  #abort;

  abort() {
    this.#abort.abort();
  }

  get isAborted() {
    return this.#abort.signal.aborted;
  }

  /**
   * @param {{onqueue: (position: number) => void, onframe: () => void}} listeners
   * @returns {Promise<Drawn>} rejected as by `stream`
   */
  async run({ onqueue, onframe }) {
    const drawn = await stream('/api/draw', this.body, {
      signal: this.#abort.signal,
      onEvent: (name, data) => {
        if (name === 'queued') onqueue(data.position);
        if (name === 'step') {
          this.#add(data);
          onframe();
        }
      },
    });
    this.drawn = drawn;
    this.#finish(pixels(drawn.images));
    onframe();
    return drawn;
  }

  /** @param {{number: number, of: number, t: number, x_t: string, x_0: string | null}} step */
  #add(step) {
    const x_t = pixels(step.x_t);
    this.frames.push({ ...step, x_t, x_0: step.x_0 ? pixels(step.x_0) : x_t });
  }

  /** @param {Uint8Array} images the finished images */
  #finish(images) {
    const last = this.frames.pop() || { number: 1, of: 1, t: 0 };
    this.frames.push({ ...last, x_t: images, x_0: images });
  }
}

/** Shows frames one after the other, as soon as they are there, but not faster than the eye follows. */
export class Player {
  /**
   * @param {(index: number) => void} show
   * @param {() => void} onpause called when the frames that are there have been shown
   */
  constructor(show, onpause) {
    this.#show = show;
    this.#paused = onpause;
  }

  #show;
  #paused;
  /** @type {Frame[]} */
  #frames = [];
  #at = -1;
  #last = 0;
  #holdUntil = 0;
  #request = 0;

  /**
   * @param {Frame[]} frames may grow; `wake` says that it has
   * @param {number} holdMs for this time the images before stay, or until the last frame is there
   */
  play(frames, holdMs) {
    this.stop();
    this.#frames = frames;
    this.#at = -1;
    this.#last = 0;
    this.#holdUntil = performance.now() + holdMs;
    this.wake();
  }

  /** Leave it to the user which frame is shown. */
  stop() {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
    this.#at = Infinity;
  }

  wake() {
    if (!this.#request && this.#at !== Infinity) this.#request = requestAnimationFrame((now) => this.#tick(now));
  }

  /** The last frame is there. While the images before stay, it is shown at once. */
  end() {
    const last = this.#frames.length - 1;
    if (performance.now() < this.#holdUntil || this.#at === last) {
      this.stop();
      this.#show(last);
    }
    if (this.#at === Infinity) this.#paused();
  }

  /** @param {number} now */
  #tick(now) {
    this.#request = 0;
    const waiting = this.#frames.length - 1 - this.#at;
    if (waiting <= 0) return this.#paused();
    const pause = this.#last ? Math.min(SHORTEST_FILM_MS / 2, (3 * SHORTEST_FILM_MS) / this.#frames[0].of) : 0;
    if (now >= this.#holdUntil && now - this.#last >= pause) {
      this.#at += Math.ceil(waiting / 12); // never far behind the server
      this.#last = now;
      this.#show(this.#at);
    }
    return this.wake();
  }
}
