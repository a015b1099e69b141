/** The canvas: what the model reads on it, and its completion. */

import { canvasOf, paint } from '../../studio/static/image.js';
import { choice, element } from '../../studio/static/dom.js';
import { Drawing } from './drawing.js';

/** @typedef {'left' | 'right' | 'top' | 'bottom'} Side */

/** @type {[Side, string][]} */
const SIDES = [
  ['bottom', 'Lower'],
  ['top', 'Upper'],
  ['left', 'Left'],
  ['right', 'Right'],
];
const COMPLETIONS = 4;
const EVALUATIONS = 6;
const READ_EVERY = 100; // milliseconds, while one draws

/**
 * Which pixels of an image are in one half of it: 1, else 0.
 * @param {Side} side
 * @param {number} size
 */
export function half(side, size) {
  const middle = Math.floor(size / 2);
  return Uint8Array.from({ length: size * size }, (_, i) => {
    const place = side === 'left' || side === 'right' ? i % size : Math.floor(i / size);
    return Number(side === 'left' || side === 'top' ? place < middle : place >= middle);
  });
}

/** The part of the page where one draws. */
export class HandRoom {
  /**
   * @param {HTMLElement} section
   * @param {import('./start.js').Page} page
   * @param {() => Uint8Array | undefined} finished the image that is chosen in the other part
   */
  constructor(section, { facts, compute, announce }, finished) {
    this.facts = facts;
    this.compute = compute;
    this.announce = announce;
    this.finished = finished;
    this.isOnWhite = facts.border > 127;
    /** @type {Side} */
    this.side = 'bottom';
    this.seed = 0;
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {{bar: HTMLElement, value: HTMLElement, row: HTMLElement}[]} */
    this.bars = [];
    this.verdict = element('p.verdict');
    this.completed = element('div.wall.few', { role: 'group', 'aria-label': 'Completions' });
    const size = this.facts.image_size;
    const canvas = element(this.isOnWhite ? 'canvas.paper.white' : 'canvas.paper', {
      tabindex: 0,
      role: 'application',
      'aria-label':
        'Canvas. Draw with a pointer; or move the pen with the arrow keys, and press Space to set it down or lift it.',
    });
    this.seen = canvasOf(new Uint8Array(size * size), size, 0, 'What the model sees');
    this.drawing = new Drawing(canvas, () => this.change());
    this.easel = element('div.easel', { 'data-missing': this.side }, canvas);
    section.append(
      element('div.split', {}, this.tools(), element('div.stage', {}, ...this.reading(), ...this.completing())),
    );
    this.change();
  }

  tools() {
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
      element('button', { type: 'button', onclick }, text);
    return element(
      'div.controls',
      {},
      this.easel,
      element(
        'div.tools',
        {},
        button('Undo', () => this.drawing.undo()),
        button('Clear', () => this.drawing.clear()),
        button('Use the image chosen above', () => this.use()),
      ),
      element(
        'p.muted.small',
        {},
        'Draw one large character. With the keyboard: arrow keys move the pen, Space sets it down and lifts it.',
      ),
    );
  }

  use() {
    const levels = this.finished();
    if (levels) this.drawing.show(this.onBlack(levels), this.facts.image_size);
  }

  reading() {
    const title = element('h3', {}, 'Reading');
    if (!this.facts.read) {
      return [
        title,
        element('p.muted', {}, 'This model cannot read: it was distilled, and no classifier of its images is known.'),
      ];
    }
    this.bars = this.facts.classes.map((name) => {
      const bar = element('span.level');
      const value = element('span.number');
      const row = element('li', {}, element('span.name', {}, name), element('span.track', {}, bar), value);
      return { bar, value, row };
    });
    const list = element('ul.bars', { 'aria-label': 'Probability of each class' }, ...this.bars.map(({ row }) => row));
    const seen = element('figure.seen', {}, this.seen, element('figcaption.muted.small', {}, 'What the model sees'));
    const reader =
      this.facts.read === 'classifier'
        ? 'A small classifier of MNIST reads: a distilled model cannot.'
        : 'The diffusion model reads: the class with which it predicts the drawing best is the likeliest.';
    return [
      title,
      element('p.muted.small', {}, reader),
      element('div.read', {}, element('div.summary', {}, seen, this.verdict), list),
    ];
  }

  completing() {
    const title = element('h3', {}, 'Completion');
    if (!this.facts.complete) {
      return [title, element('p.muted', {}, 'This model cannot complete images: it draws in one step.')];
    }
    const sides = choice('Missing half', SIDES, this.side, (side) => {
      this.side = /** @type {Side} */ (side);
      this.easel.dataset.missing = side;
    });
    const chips = this.facts.classes.map((name, label) =>
      element(
        'button.chip',
        { type: 'button', 'aria-label': `Complete as ${name}`, onclick: () => this.complete(label) },
        name,
      ),
    );
    this.empty = element(
      'p.muted.small',
      {},
      'Draw a half, then choose what it becomes. The other half is sampled, four times.',
    );
    return [
      title,
      sides.row,
      element(
        'fieldset',
        {},
        element('legend', {}, 'Complete as'),
        element(chips.length === 10 ? 'div.tools.chips.ten' : 'div.tools.chips', {}, ...chips),
      ),
      this.empty,
      this.completed,
    ];
  }

  /**
   * The drawing as the model takes it: whole, or located, scaled and centred as the digits of MNIST.
   * @param {boolean} isWhole
   */
  image(isWhole) {
    const { image_size: size, ink_size: inkSize, fit } = this.facts;
    const levels = isWhole || fit !== 'mnist' ? this.drawing.whole(size) : this.drawing.centred(size, inkSize);
    return this.onBlack(levels);
  }

  /**
   * An image of the model as one of white on black, and the reverse.
   * @param {Uint8Array} levels
   */
  onBlack(levels) {
    return this.isOnWhite ? levels.map((level) => 255 - level) : levels;
  }

  change() {
    if (this.bars.length) this.timer ??= window.setTimeout(() => this.look(), READ_EVERY);
  }

  /** Show the drawing as the model sees it, and read it. */
  look() {
    this.timer = undefined;
    const levels = this.image(false);
    paint(this.seen, levels, this.facts.image_size);
    if (this.drawing.isEmpty) {
      this.show(undefined);
      this.verdict.textContent = 'Nothing is drawn yet';
      return;
    }
    this.compute.ask('read', { levels, evaluations: EVALUATIONS }, (reply) => {
      if (reply.type === 'probabilities') this.show(reply.values);
      else if (reply.type === 'failed') this.verdict.textContent = reply.message;
      else this.announce(this.verdict.textContent);
    });
  }

  /**
   * Show the probabilities of the classes, or none.
   * @param {number[] | undefined} values
   */
  show(values) {
    const best = values ? Math.max(...values) : 0;
    this.bars.forEach(({ bar, value, row }, label) => {
      const share = values?.[label] ?? 0;
      bar.style.setProperty('--share', String(share));
      value.textContent = values ? `${(100 * share).toFixed(0)} %` : '';
      row.classList.toggle('best', Boolean(values) && share === best);
    });
    if (!values) return;
    const isUndecided = best < 2 / values.length;
    const name = this.facts.classes[values.indexOf(best)];
    this.verdict.textContent = isUndecided ? 'No class is likelier than the others' : `Reads as ${name}`;
  }

  /** @param {number} label */
  complete(label) {
    const { facts } = this;
    const images = Array.from({ length: COMPLETIONS }, (_, i) => ({ label, seed: this.seed + i }));
    this.seed += COMPLETIONS;
    const size = facts.image_size;
    const missing = half(this.side, size);
    const levels = this.image(true).map((level, i) => (missing[i] ? facts.border : level));
    this.empty.hidden = true;
    this.completed.replaceChildren(
      ...images.map((_, i) => canvasOf(levels, size, 0, `${facts.classes[label]}, completion ${i + 1}`)),
    );
    this.completed.setAttribute('aria-busy', 'true');
    const task = { levels, missing, images, rounds: facts.resample_steps, settings: facts.sampling };
    this.compute.ask('complete', task, (reply) => {
      if (reply.type === 'step') paint(this.completed.children[reply.image], reply.x, size);
      else {
        this.completed.setAttribute('aria-busy', 'false');
        this.announce(
          reply.type === 'failed' ? reply.message : `Completed as ${facts.classes[label]}, ${COMPLETIONS} times`,
        );
      }
    });
  }
}
