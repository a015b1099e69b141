/** The controls of drawing. */

import { choice, element, slider } from '../../studio/static/dom.js';

const MOST_IMAGES = 24;
const FIRST_SEED = 7;
/** @type {[string, string][]} */
const SAMPLER_NAMES = [
  ['ddim', 'DDIM'],
  ['dpmpp_2m', 'DPM++ 2M'],
  ['ddpm', 'DDPM'],
];

/** What is drawn, and how. */
export class DrawControls {
  /**
   * @param {import('./model.js').Facts} facts
   * @param {() => void} onchange
   */
  constructor(facts, onchange) {
    this.facts = facts;
    this.onchange = onchange;
    /** Classes of the images, in order; the seed of the first; how they are sampled. */
    this.labels = facts.classes.slice(0, facts.has_digits ? 10 : MOST_IMAGES).map((_, label) => label);
    this.seed = FIRST_SEED;
    this.settings = { ...facts.sampling };
    const chips = facts.classes.map((name, label) =>
      element('button.chip', { type: 'button', onclick: () => this.change({ labels: [label] }) }, name),
    );
    const parts = [
      ...(facts.has_digits ? [this.number()] : []),
      element(
        'fieldset',
        {},
        element('legend', {}, facts.has_digits ? 'Or one digit' : 'Class'),
        element(chips.length === 10 ? 'div.tools.chips.ten' : 'div.tools.chips', {}, ...chips),
      ),
      this.seeds(),
      ...(facts.is_distilled ? [this.fixed()] : this.options()),
    ];
    this.panel = element('div.controls', {}, ...parts);
  }

  /** @param {{labels?: number[], seed?: number, settings?: import('./model.js').Settings}} what is changed */
  change(what) {
    Object.assign(this, what);
    this.onchange();
  }

  seeds() {
    const range = { min: 0, max: 2 ** 32 - 1, step: 1 };
    const input = element('input', { type: 'number', ...range, value: this.seed, required: true });
    input.addEventListener('change', () => {
      if (input.reportValidity()) this.change({ seed: Number(input.value) });
    });
    const another = () => {
      input.value = String(Math.floor(Math.random() * 1e6));
      this.change({ seed: Number(input.value) });
    };
    return element(
      'div.seed',
      {},
      element('label.field', {}, element('span.name', {}, 'Seed of the first image'), input),
      element('button', { type: 'button', onclick: another }, 'New seed'),
    );
  }

  number() {
    const input = element('input', {
      type: 'text',
      id: 'digits',
      inputmode: 'numeric',
      placeholder: '2026',
      autocomplete: 'off',
      maxlength: MOST_IMAGES,
    });
    input.addEventListener('input', () => {
      const labels = [...input.value].filter((letter) => letter >= '0' && letter <= '9').map(Number);
      if (labels.length) this.change({ labels });
    });
    return element('label.field', {}, element('span.name', {}, 'Digits to draw'), input);
  }

  fixed() {
    const { steps } = this.settings;
    const count = steps === 1 ? 'one step' : `${steps} steps`;
    return element('p.muted.small', {}, `This model was distilled: it draws in ${count}, with guidance included.`);
  }

  options() {
    /** @param {'steps' | 'guidance' | 'sampler'} name */
    const change = (name) => (/** @type {any} */ value) => {
      this.change({ settings: { ...this.settings, [name]: value } });
    };
    const most = Math.min(50, this.facts.timesteps);
    return [
      slider('Steps', { min: 1, max: most, value: Math.min(this.settings.steps, most), onchange: change('steps') }).row,
      slider('Guidance', {
        min: 0,
        max: 5,
        step: 0.1,
        value: this.settings.guidance,
        text: (value) => value.toFixed(1),
        onchange: change('guidance'),
      }).row,
      choice('Sampler', SAMPLER_NAMES, this.settings.sampler, change('sampler')).row,
    ];
  }
}
