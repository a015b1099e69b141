/** Drawing images from noise: what is drawn, how, and the steps to each image. */

import { canvasOf, paint } from '../../studio/static/image.js';
import { choice, element, slider } from '../../studio/static/dom.js';
import { commandLine } from '../../studio/static/dialog.js';
import { commandOf } from './command.js';

const MOST_IMAGES = 24;
const FIRST_SEED = 7;
const STILL = matchMedia('(prefers-reduced-motion: reduce)');
const PACE = 900; // milliseconds of an image out of noise, if computing takes no longer
const SAMPLER_NAMES = [['ddim', 'DDIM'], ['dpmpp_2m', 'DPM++ 2M'], ['ddpm', 'DDPM']];

/** The part of the page where digits are drawn. */
export class DrawRoom {
  /**
   * @param {HTMLElement} section
   * @param {{facts: object, compute: import('./compute.js').Compute, announce: (text: string) => void}} page
   */
  constructor(section, page) {
    const { facts } = page;
    Object.assign(this, { ...page, settings: { ...facts.sampling }, images: [], shown: 'x', chosen: 0 });
    this.wall = element('div.wall.digits', { role: 'group', 'aria-label': 'Images' });
    this.detail = element('div.detail');
    this.took = element('p.small.muted.number');
    this.scrubber = slider('Step', { min: 0, max: 1, value: 1, text: (step) => this.stepText(step), onchange: (step) => this.scrub(step) });
    section.append(element('div.split', {}, this.controls(), this.stage()));
    this.draw(facts.has_digits ? [...'0123456789'].map(Number) : facts.classes.slice(0, MOST_IMAGES).map((_, label) => label));
  }

  controls() {
    const { facts } = this;
    const chips = facts.classes.map((name, label) =>
      element('button.chip', { type: 'button', onclick: () => this.draw([label]) }, name),
    );
    this.seed = element('input', { type: 'number', min: 0, max: 2 ** 32 - 1, step: 1, value: FIRST_SEED, required: true });
    this.seed.addEventListener('change', () => this.draw(this.labels));
    const another = element('button', { type: 'button', id: 'another', onclick: () => this.another() }, 'New seed');
    const parts = [
      ...(facts.has_digits ? [this.number()] : []),
      element('fieldset', {}, element('legend', {}, facts.has_digits ? 'Or one digit' : 'Class'), element(chips.length === 10 ? 'div.tools.chips.ten' : 'div.tools.chips', {}, ...chips)),
      element('div.seed', {}, element('label.field', {}, element('span.name', {}, 'Seed of the first image'), this.seed), another),
      ...(facts.is_distilled ? [this.fixed()] : this.options()),
    ];
    return element('div.controls', {}, ...parts);
  }

  number() {
    const input = element('input', { type: 'text', id: 'digits', inputmode: 'numeric', placeholder: '2026', autocomplete: 'off', maxlength: MOST_IMAGES });
    input.addEventListener('input', () => {
      const labels = [...input.value].filter((letter) => letter >= '0' && letter <= '9').map(Number);
      if (labels.length) this.draw(labels);
    });
    return element('label.field', {}, element('span.name', {}, 'Digits to draw'), input);
  }

  fixed() {
    const { steps } = this.settings;
    const count = steps === 1 ? 'one step' : `${steps} steps`;
    return element('p.muted.small', {}, `This model was distilled: it draws in ${count}, with guidance included.`);
  }

  options() {
    const change = (name) => (value) => {
      this.settings[name] = value;
      this.draw(this.labels);
    };
    const most = Math.min(50, this.facts.timesteps);
    return [
      slider('Steps', { min: 1, max: most, value: Math.min(this.settings.steps, most), onchange: change('steps') }).row,
      slider('Guidance', { min: 0, max: 5, step: 0.1, value: this.settings.guidance, text: (value) => value.toFixed(1), onchange: change('guidance') }).row,
      choice('Sampler', SAMPLER_NAMES, this.settings.sampler, change('sampler')).row,
    ];
  }

  stage() {
    const view = choice('Shown', [['x', 'Noisy state'], ['x0', 'Predicted image']], 'x', (value) => {
      this.shown = value;
      this.repaint();
    });
    return element('div.stage', {}, this.wall, element('div.steps', {}, this.scrubber.row, view.row), element('div.made', {}, this.detail, this.took));
  }

  another() {
    this.seed.value = String(Math.floor(Math.random() * 1e6));
    this.draw(this.labels);
  }

  /** Draw an image of each of these labels, with the seeds from that of the first on. */
  draw(labels) {
    if (!this.seed.checkValidity()) {
      this.seed.reportValidity();
      return;
    }
    const first = Number(this.seed.value);
    const { steps } = this.settings;
    this.labels = labels;
    this.chosen = 0;
    this.images = labels.slice(0, MOST_IMAGES).map((label, i) => ({ label, seed: (first + i) % 2 ** 32, states: [], at: 0 }));
    this.scrubber.input.max = String(steps);
    this.scrubber.set(0);
    this.follow = true;
    this.show();
    this.start = performance.now();
    this.compute.ask('draw', { images: this.images.map(({ label, seed }) => ({ label, seed })), settings: this.settings }, (reply) => this.take(reply));
  }

  take(reply) {
    if (reply.type === 'step') {
      this.images[reply.image].states.push(reply);
      if (!this.frame) this.frame = requestAnimationFrame(() => this.play());
    } else if (reply.type === 'done') {
      const count = this.images.length;
      this.took.textContent = `${count} image${count === 1 ? '' : 's'} in ${reply.seconds.toFixed(reply.seconds < 1 ? 2 : 1)} s`;
      this.announce(`Drawn: ${this.took.textContent}`);
      this.wall.setAttribute('aria-busy', 'false');
      this.repaint();
    } else {
      this.detail.replaceChildren(element('p', { role: 'alert' }, reply.message));
    }
  }

  /** Show the states that have been computed, step by step. */
  play() {
    this.frame = undefined;
    if (!this.follow) return;
    const { steps } = this.settings;
    const due = STILL.matches ? steps : Math.floor(((performance.now() - this.start) / PACE) * (steps + 1));
    let isBehind = false;
    for (const [number, image] of this.images.entries()) {
      const at = Math.min(due, image.states.length);
      if (at > image.at) {
        image.at = at;
        this.paintTile(number);
      }
      isBehind ||= image.at < image.states.length;
    }
    this.scrubber.set(Math.max(...this.images.map((image) => image.at)));
    if (isBehind) this.frame = requestAnimationFrame(() => this.play());
  }

  scrub(step) {
    this.follow = step === this.settings.steps;
    for (const image of this.images) image.at = Math.min(step, image.states.length);
    this.repaint();
  }

  stepText(step) {
    const { steps } = this.settings;
    return step === 0 ? `0 of ${steps}: noise` : `${step} of ${steps}`;
  }

  show() {
    this.wall.setAttribute('aria-busy', 'true');
    const count = this.images.length;
    this.wall.style.setProperty('--columns', String(count <= 4 ? 4 : count <= 10 ? 5 : 6));
    this.wall.replaceChildren(
      ...this.images.map(({ label, seed }, number) => {
        const name = this.facts.classes[label];
        const canvas = canvasOf(new Uint8Array(this.facts.image_size ** 2), this.facts.image_size);
        const tile = element('button.tile', { type: 'button', 'aria-label': `${name}, seed ${seed}`, onclick: () => this.choose(number) });
        tile.append(canvas, element('span.caption', {}, name));
        return tile;
      }),
    );
    this.repaint();
    this.choose(0);
  }

  repaint() {
    this.images.forEach((_, number) => this.paintTile(number));
  }

  paintTile(number) {
    const image = this.images[number];
    const state = image.states[image.at - 1];
    const levels = state ? state[this.shown] : this.noise(image);
    if (levels) paint(this.wall.children[number].firstChild, levels, this.facts.image_size);
  }

  /** The noise that an image begins with. */
  noise(image) {
    image.noise ??= this.facts.noise(image.seed);
    return image.noise;
  }

  choose(number) {
    this.chosen = number;
    [...this.wall.children].forEach((tile, i) => tile.setAttribute('aria-pressed', String(i === number)));
    const { label, seed } = this.images[number];
    const command = commandOf(this.facts, this.settings, label, seed);
    this.detail.replaceChildren(
      element('p.small.muted', {}, `The same image on your machine: ${this.facts.classes[label]}, seed ${seed}`),
      commandLine(command, this.announce),
    );
  }

  /** The grey levels of the chosen image, if it is finished. */
  get finished() {
    const { states } = this.images[this.chosen];
    return states.length === this.settings.steps ? states.at(-1).x : undefined;
  }
}
