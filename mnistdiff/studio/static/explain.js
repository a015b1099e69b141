// How it works: one image at one timestep: noise is added, and the network predicts it.
import { get, isAbort, pixels, post, stream } from './api.js';
import { DISTILLED } from './change.js';
import { classPicker } from './classes.js';
import { element, emptyState, errorState, slider } from './dom.js';
import { base64, current } from './seen.js';
import { makeStage } from './stage.js';
import { Timeline } from './timeline.js';

const POINTS = 48;
const AT_ONCE = 6;
const FIRST_SHARE = 0.4;

/**
 * @param {HTMLElement} section the room's place in the page
 * @param {{model: any, announce: (text: string) => void}} page
 */
export function mount(section, { model, announce }) {
  section.classList.add('explain');
  if (!model.can.includes('classify')) {
    section.append(emptyState('This model has no predictions at single timesteps.', DISTILLED));
    return {};
  }
  let isLoaded = false;
  /** Load what the room needs; if that fails, again when the room is next shown. */
  async function show() {
    if (isLoaded) return;
    isLoaded = true;
    section.replaceChildren(emptyState('Loading …'));
    try {
      const schedule = await get('/api/schedule');
      section.replaceChildren();
      new Room(section, model, announce, schedule).begin();
    } catch (error) {
      isLoaded = false;
      section.replaceChildren(errorState(error));
    }
  }
  return { show };
}

class Room {
  /** @type {Uint8Array | null} */
  image = null;
  label = 7;
  seed = 0;
  noise = 1;
  isDrawing = false;
  isAsking = false;
  isStale = false;
  /** @type {AbortController} */
  curve = new AbortController();

  /**
   * @param {HTMLElement} section
   * @param {any} model
   * @param {(text: string) => void} announce
   * @param {any} schedule `/api/schedule`
   */
  constructor(section, model, announce, schedule) {
    this.model = model;
    this.announce = announce;
    this.schedule = schedule;
    this.label = Math.min(7, model.class_names.length - 1);
    const timesteps = schedule.alphas.length;
    this.t = Math.round(FIRST_SHARE * (timesteps - 1));
    this.guidance = (model.other || model).defaults.guidance;
    this.timeline = new Timeline(timesteps, (t) => { this.t = t; this.ask(); });
    this.stage = makeStage(model, schedule);
    this.problem = element('div.problem');
    const { class_names: names } = model;
    this.of = classPicker('An image of', names, (label) => { this.label = label; this.draw(); });
    this.told = classPicker('The label that the network is told', names, () => this.changed());
    this.of.set(this.label);
    this.told.set(this.label);
    this.mine = element('button', { type: 'button', disabled: !current.seen, onclick: () => this.useMine() }, 'My drawing');
    this.strength = slider('Guidance s', {
      min: 0, max: 8, step: 0.1, value: this.guidance, text: (value) => value.toFixed(1),
      onchange: (value) => { this.guidance = value; this.ask(); },
    });
    this.controls = this.#makeControls();
    section.append(
      element('h2.unseen', {}, 'How it works'),
      element('div.split', {}, this.controls, element('div.stage', {},
        element('div.panel.along', {}, this.stage.readings, this.timeline.element),
        this.problem, this.stage.forward, this.stage.predictions, this.stage.learning)),
    );
    this.timeline.set(this.t);
    for (const name of ['alpha', 'sigma']) {
      this.timeline.curve(name, schedule[`${name}s`].map((/** @type {number} */ value, /** @type {number} */ t) => [t, value]));
    }
  }

  begin() {
    current.addEventListener('change', () => { this.mine.disabled = !current.seen; });
    this.draw();
  }

  #makeControls() {
    const another = element('button', { type: 'button', onclick: () => { this.seed += 1; this.draw(); } }, 'Another');
    const noise = element('button', { type: 'button', onclick: () => { this.noise += 1; this.changed(); } }, 'Other noise');
    return element('div.controls', {},
      element('div.group', {}, this.of.field, element('div.tools', {}, another, this.mine, noise)),
      element('div.group.network', {}, this.told.field, this.strength.row),
      element('p.small.muted.try', {}, 'Move t from the image to the noise, by the slider or on the curves. Tell the network a wrong label and move s: the predicted image leaves the image that is there. In pure noise, all that it predicts comes from the label.'));
  }

  /** Have the model draw the image. @returns {Promise<void>} */
  async draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    try {
      const wanted = `${this.label} ${this.seed}`;
      const done = await stream('/api/draw', { labels: [this.label], seed: this.seed });
      this.isDrawing = false;
      if (wanted !== `${this.label} ${this.seed}`) return this.draw();
      this.image = pixels(done.images);
      this.of.set(this.label);
      this.told.set(this.label);
      this.changed();
    } catch (error) {
      this.isDrawing = false;
      this.problem.replaceChildren(errorState(error));
    }
  }

  useMine() {
    if (!current.seen) return;
    this.image = current.seen.pixels;
    this.of.clear();
    if (current.seen.label !== null) this.told.set(current.seen.label);
    this.changed();
    this.announce('Your drawing is the image now.');
  }

  /** The image, the label or the noise is another: all is computed again, the curve of losses last. */
  changed() {
    this.curve.abort();
    this.timeline.curve('loss', []);
    this.ask();
    this.#followLosses();
  }

  #noisy() {
    return { image: base64(/** @type {Uint8Array} */ (this.image)), label: this.told.label(), seed: this.noise };
  }

  /** Ask for this timestep; while an answer is awaited, the newest question waits. */
  async ask() {
    this.isStale = true;
    if (this.isAsking || !this.image) return;
    this.isAsking = true;
    try {
      while (this.isStale) {
        this.isStale = false;
        const found = await post('/api/explain', { ...this.#noisy(), t: this.t, guidance: this.guidance });
        this.problem.replaceChildren();
        this.stage.show(found, this.image, this.told.label());
      }
    } catch (error) {
      this.problem.replaceChildren(errorState(error));
    } finally {
      this.isAsking = false;
    }
  }

  /** The losses at timesteps over the whole schedule, a few at a time: other requests come in between. */
  async #followLosses() {
    const controller = new AbortController();
    this.curve = controller;
    const last = this.schedule.alphas.length - 1;
    const all = [...new Set(Array.from({ length: POINTS }, (_, i) => Math.round((i * last) / (POINTS - 1))))];
    /** @type {[number, number][]} */
    const found = [];
    try {
      for (let i = 0; i < all.length; i += AT_ONCE) {
        const timesteps = all.slice(i, i + AT_ONCE);
        const { losses } = await post('/api/losses', { ...this.#noisy(), timesteps }, { signal: controller.signal });
        losses.forEach((/** @type {number} */ loss, /** @type {number} */ k) => found.push([timesteps[k], loss]));
        const most = Math.max(...found.map(([, loss]) => loss));
        this.timeline.curve('loss', found.map(([t, loss]) => [t, loss / most]));
      }
    } catch (error) {
      if (!isAbort(error)) this.problem.replaceChildren(errorState(error));
    }
  }
}
