/** Drawing images from noise: what is drawn, how, and the steps to each image. */

import { canvasOf, paint } from '../../studio/static/image.js';
import { choice, element, slider } from '../../studio/static/dom.js';
import { commandLine } from '../../studio/static/dialog.js';
import { commandOf } from './command.js';
import { DrawControls } from './draw_controls.js';
import { samplingNoise } from './noise.js';
import { toLevels } from './samplers.js';

/**
 * An image that is drawn.
 * @typedef {object} Drawn
 * @property {number} label
 * @property {number} seed
 * @property {Uint8Array} noise that it begins with
 * @property {{x: Uint8Array, x0: Uint8Array}[]} states after each step
 * @property {number} at how many of them are shown
 */

const PACE = 900; // milliseconds of an image out of noise, if computing takes no longer

/** The part of the page where digits are drawn. */
export class DrawRoom {
  /**
   * @param {HTMLElement} section
   * @param {import('./start.js').Page} page
   */
  constructor(section, { facts, compute, announce }) {
    this.facts = facts;
    this.compute = compute;
    this.announce = announce;
    this.controls = new DrawControls(facts, () => this.draw());
    this.settings = this.controls.settings;
    /** @type {Drawn[]} */
    this.images = [];
    this.chosen = 0;
    /** @type {'x' | 'x0'} */
    this.shown = 'x';
    this.start = 0;
    this.follow = true;
    this.frame = 0;
    this.isStill = false;
    this.wall = element('div.wall.digits', { role: 'group', 'aria-label': 'Images' });
    this.detail = element('div.detail');
    this.took = element('p.small.muted.number');
    this.scrubber = slider('Step', {
      min: 0,
      max: 1,
      value: 1,
      text: (step) => this.stepText(step),
      onchange: (step) => this.scrub(step),
    });
    section.append(element('div.split', {}, this.controls.panel, this.stage()));
    this.draw();
  }

  stage() {
    const view = choice(
      'Shown',
      [
        ['x', 'Noisy state'],
        ['x0', 'Predicted image'],
      ],
      'x',
      (value) => {
        this.shown = value === 'x0' ? 'x0' : 'x';
        this.repaint();
      },
    );
    return element(
      'div.stage',
      {},
      this.wall,
      element('div.steps', {}, this.scrubber.row, view.row),
      element('div.made', {}, this.detail, this.took),
    );
  }

  /** Draw the images that the controls ask for. */
  draw() {
    const { labels, seed: first, settings } = this.controls;
    const { steps } = settings;
    this.settings = settings;
    this.isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.images = labels.map((label, i) => {
      const seed = (first + i) % 2 ** 32;
      return { label, seed, noise: toLevels(samplingNoise(seed, 0, this.facts.image_size ** 2)), states: [], at: 0 };
    });
    this.scrubber.input.max = String(steps);
    this.scrubber.set(0);
    this.follow = true;
    this.show();
    this.start = performance.now();
    const images = this.images.map(({ label, seed }) => ({ label, seed }));
    this.compute.ask('draw', { images, settings: this.settings }, (reply) => this.take(reply));
  }

  /** @param {import('./engine.js').Reply} reply */
  take(reply) {
    if (reply.type === 'step') {
      this.images[reply.image].states.push(reply);
      if (!this.frame) this.frame = requestAnimationFrame(() => this.play());
    } else if (reply.type === 'done') {
      const count = this.images.length;
      const seconds = reply.seconds.toFixed(reply.seconds < 1 ? 2 : 1);
      this.took.textContent = `${count} image${count === 1 ? '' : 's'} in ${seconds} s`;
      this.announce(`Drawn: ${this.took.textContent}`);
      this.wall.setAttribute('aria-busy', 'false');
      this.repaint();
    } else if (reply.type === 'failed') {
      this.detail.replaceChildren(element('p', { role: 'alert' }, reply.message));
    }
  }

  /** Show the states that have been computed, step by step. */
  play() {
    this.frame = 0;
    if (!this.follow) return;
    const { steps } = this.settings;
    const due = this.isStill ? steps : Math.floor(((performance.now() - this.start) / PACE) * (steps + 1));
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

  /** @param {number} step */
  scrub(step) {
    this.follow = step === this.settings.steps;
    for (const image of this.images) image.at = Math.min(step, image.states.length);
    this.repaint();
  }

  /** @param {number} step */
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
        const tile = element('button.tile', {
          type: 'button',
          'aria-label': `${name}, seed ${seed}`,
          onclick: () => this.choose(number),
        });
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

  /** @param {number} number of the image */
  paintTile(number) {
    const { states, at, noise } = this.images[number];
    paint(this.wall.children[number].firstChild, at ? states[at - 1][this.shown] : noise, this.facts.image_size);
  }

  /** @param {number} number of the image */
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
    return states.length === this.settings.steps ? states[states.length - 1].x : undefined;
  }
}
