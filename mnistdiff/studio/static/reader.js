// Reading a drawing while it grows: one request at a time, and the newest drawing wins.
import { isAbort, stream } from './api.js';

/**
 * @typedef {object} Listener
 * @property {(seen: {image: string, notices: string[]}) => void} seen
 * @property {() => void} nothing no digit was found
 * @property {(values: number[], isFinal: boolean) => void} probabilities
 * @property {(error: unknown) => void} failed
 */

export class Reader {
  /** @type {AbortController | null} */
  #running = null;
  #hasReading = false;
  /** @type {(() => Promise<Blob>) | null} */
  #next = null;

  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
  }

  /**
   * Read a drawing. While it is drawn, the reading that runs gets as far as its first estimate; otherwise it ends at once.
   * @param {() => Promise<Blob>} draw the picture file
   * @param {boolean} isDrawing whether more strokes are to come
   */
  read(draw, isDrawing) {
    this.#next = draw;
    if (!this.#running || this.#hasReading || !isDrawing) this.#start();
  }

  /** Read nothing. */
  stop() {
    this.#next = null;
    this.#running?.abort();
    this.#running = null;
  }

  async #start() {
    const draw = this.#next;
    if (!draw) return;
    this.#running?.abort();
    const controller = new AbortController();
    [this.#running, this.#hasReading, this.#next] = [controller, false, null];
    try {
      const picture = await draw();
      if (controller.signal.aborted) return;
      await stream('/api/read', picture, { signal: controller.signal, onEvent: (name, data) => this.#heard(controller, name, data) });
    } catch (error) {
      if (this.#running === controller && !isAbort(error)) this.listener.failed(error);
    }
    if (this.#running !== controller) return;
    this.#running = null;
    this.#start();
  }

  /** @param {AbortController} controller @param {string} name @param {any} data of an event */
  #heard(controller, name, data) {
    if (this.#running !== controller) return;
    if (name === 'seen') this.listener.seen(data);
    if (name === 'nothing') this.listener.nothing();
    if (name !== 'probabilities') return;
    this.#hasReading = true;
    this.listener.probabilities(data.values, data.is_final && !this.#next);
    if (this.#next) this.#start();
  }
}
