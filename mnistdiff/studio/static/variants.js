// The variants that the model makes of a picture: they come out of the noise step by step.
import { isAbort, pixels, stream } from './api.js';
import { element, emptyState, errorState } from './dom.js';
import { canvasOf, paint } from './image.js';
import { patience } from './reader.js';

/** How long all steps are shown together, and one of them at most. */
const SHOWN_MS = 1000;
const STEP_MS = 60;
const FILM = 8;

/** @returns {boolean} whether the person wants no motion */
const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** @typedef {{t: number, x_t: Uint8Array}} State images after the step from t */

export class Variants {
  /** @type {AbortController | null} */
  #running = null;
  /** @type {State[]} */
  #states = [];
  #chosen = 0;
  steps = 1;

  /**
   * @param {any} model
   * @param {{announce: (text: string) => void, use: (bitmap: ImageBitmap) => void}} page
   */
  constructor(model, { announce, use }) {
    this.model = model;
    this.announce = announce;
    this.use = use;
    /** @type {HTMLElement} */
    this.wall = element('div.variants', { role: 'group', 'aria-label': 'Variants' });
    this.film = element('ol.states', { 'aria-hidden': 'true' });
    this.note = element('p.small.muted');
    this.button = element('button', { type: 'button', disabled: true, onclick: () => this.#use() }, 'Read this one');
    this.result = element('div.result', { hidden: true }, this.wall, element('div.tools', {}, this.button, this.note), this.film);
    this.state = element('div', {}, emptyState('Four variants appear here.'));
    this.element = element('div.panel.outcome', {}, element('h2', {}, 'What the model makes of it'), this.state, this.result);
  }

  /** @param {string} path @param {object} body ask the server; what runs is ended */
  async run(path, body) {
    this.#running?.abort();
    const controller = new AbortController();
    this.#running = controller;
    this.#states = [];
    /** @type {State[]} */
    const waiting = [];
    this.element.setAttribute('aria-busy', 'true');
    const wait = patience((sentence) => {
      if (this.#running !== controller) return;
      this.result.hidden = true;
      this.state.replaceChildren(emptyState(sentence));
    });
    try {
      const asked = stream(path, body, {
        signal: controller.signal,
        onEvent: (name, data) => {
          wait(name, data);
          if (name !== 'step') return;
          this.steps = data.of;
          waiting.push({ t: data.t, x_t: pixels(data.x_t) });
        },
      });
      const done = await this.#play(waiting, asked, controller.signal);
      if (this.#running !== controller) return;
      this.#finish(done);
    } catch (error) {
      if (this.#running !== controller || isAbort(error)) return;
      this.result.hidden = true;
      this.state.replaceChildren(errorState(error));
    } finally {
      if (this.#running === controller) this.element.removeAttribute('aria-busy');
    }
  }

  /**
   * Show the steps one by one, however fast they come.
   * @param {State[]} waiting
   * @param {Promise<any>} asked
   * @param {AbortSignal} signal
   */
  async #play(waiting, asked, signal) {
    let isDone = false;
    const ended = asked.finally(() => { isDone = true; });
    ended.catch(() => {}); // awaited below
    const still = isStill();
    while (!signal.aborted && (!isDone || (waiting.length && !still))) {
      const next = waiting.shift();
      if (next) this.#states.push(next);
      if (next && !still) this.#paint(next.x_t);
      if (next && !still && this.#states.length === 1) this.element.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
      await new Promise((wake) => setTimeout(wake, next && !still ? Math.min(STEP_MS, SHOWN_MS / this.steps) : 10));
    }
    this.#states.push(...waiting);
    return ended;
  }

  /** @param {any} done the data of the event */
  #finish(done) {
    const images = pixels(done.images);
    this.labels = done.classes;
    this.#paint(images);
    this.images = images;
    this.button.disabled = false;
    this.note.textContent = `${done.model}, ${this.steps} steps, ${done.seconds.toFixed(1)} s`;
    this.#choose(Math.min(this.#chosen, done.classes.length - 1));
    if (isStill()) this.element.scrollIntoView({ block: 'nearest' });
    this.announce(`${done.classes.length} variants of ${done.classes[0]}.`);
  }

  /** @param {Uint8Array} images of all variants */
  #paint(images) {
    const size = this.model.image_size;
    const count = images.length / size ** 2;
    this.state.replaceChildren();
    this.result.hidden = false;
    if (this.wall.childElementCount !== count) {
      const buttons = Array.from({ length: count }, (_, i) =>
        element('button.variant', { type: 'button', 'aria-pressed': 'false', 'aria-label': `Variant ${i + 1}`, onclick: () => this.#choose(i) }, canvasOf(images, size, i)));
      this.wall.replaceChildren(...buttons);
    }
    [...this.wall.querySelectorAll('canvas')].forEach((canvas, i) => paint(canvas, images, size, i));
  }

  /** @param {number} index */
  #choose(index) {
    this.#chosen = index;
    [...this.wall.children].forEach((button, i) => button.setAttribute('aria-pressed', String(i === index)));
    const size = this.model.image_size;
    const count = Math.min(FILM, this.#states.length);
    const last = this.#states.length - 1;
    const states = Array.from({ length: count }, (_, i) => Math.round((i * last) / Math.max(1, count - 1)))
      .map((at) => ({ x_t: this.#states[at].x_t, name: at < last ? `t = ${this.#states[at + 1].t}` : 'image' }));
    this.film.replaceChildren(...states.map(({ name, x_t }) => element('li', {}, canvasOf(x_t, size, index), element('span.small.muted', {}, name))));
  }

  async #use() {
    const size = this.model.image_size;
    if (!this.images) return;
    const canvas = canvasOf(this.images, size, this.#chosen);
    this.use(await createImageBitmap(canvas));
    this.announce(`Variant ${this.#chosen + 1} is read.`);
  }
}
