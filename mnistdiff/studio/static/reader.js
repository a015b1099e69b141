// Reading a drawing while it grows: one request at a time, and the newest drawing wins.
import { isAbort, stream } from './api.js';

const PATIENCE_MS = 500;

/**
 * @typedef {object} Listener
 * @property {(sentence: string) => void} waiting for other computations
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
      const wait = patience((sentence) => this.#running === controller && this.listener.waiting(sentence));
      await stream('/api/read', picture, {
        signal: controller.signal,
        onEvent: (name, data) => {
          wait(name, data);
          this.#heard(controller, name, data);
        },
      });
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

/**
 * Tells, after a moment, of a computation that waits for others; any later event of it ends the wait.
 * @param {(sentence: string) => void} tell
 * @returns {(name: string, data: any) => void} to be called with every event
 */
export function patience(tell) {
  let timer = 0;
  return (name, data) => {
    clearTimeout(timer);
    if (name !== 'queued' || !data.position) return;
    const sentence = data.position > 1 ? `Waits for ${data.position} other computations.` : 'Waits for another computation.';
    timer = setTimeout(() => tell(sentence), PATIENCE_MS);
  };
}
