// The controls of a drawing: which model, how many images, which noise, and how it is sampled.
import { choice, element, slider } from './dom.js';

/** @typedef {import('./picture.js').Settings} Settings */

const IMAGES = [1, 4, 9, 16, 25, 36, 49, 64];
const STEPS = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000];
const MOST_SEED = 999;
const MOST_GUIDANCE = 8;
const SAMPLER_NAMES = /** @type {Record<string, string>} */ ({ dpmpp_2m: 'DPM++ 2M', ddim: 'DDIM', ddpm: 'DDPM' });

/**
 * A slider over a list of numbers.
 * @param {string} label
 * @param {number[]} values
 * @param {number} value
 * @param {(value: number) => void} onchange
 */
function steppedSlider(label, values, value, onchange) {
  /** @param {number} wanted */
  const place = (wanted) =>
    values.reduce((best, each, i) => (Math.abs(each - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);
  const made = slider(label, {
    min: 0,
    max: values.length - 1,
    value: place(value),
    text: (i) => String(values[i]),
    onchange: (i) => onchange(values[i]),
  });
  return { ...made, set: (/** @type {number} */ next) => made.set(place(next)) };
}

export class Controls {
  /**
   * @param {any} model what `/api/model` says
   * @param {(why: 'noise' | 'settings') => void} onchange
   */
  constructor(model, onchange) {
    this.model = model;
    this.images = 16;
    this.seed = 0;
    /** Whether the teacher draws, where there is one. */
    this.usesTeacher = false;
    /** @type {Settings} */
    this.settings = { ...model.defaults };
    this.#changed = onchange;
    this.root = element('div.controls', {}, ...this.#parts());
    this.#refresh();
  }

  #changed;
  /** @type {(() => void)[]} */
  #setters = [];
  #note = element('p.muted.small');

  /** @returns {Settings} of the model that draws */
  get defaults() {
    return this.usesTeacher ? this.model.other.defaults : this.model.defaults;
  }

  /** @returns {Partial<Settings>} what the request says of settings: nothing where the model's own are meant */
  get given() {
    if (this.model.other && !this.usesTeacher) return {};
    const { sampler, steps, guidance, guidance_interval, eta } = this.settings;
    return this.model.can.includes('steps') ? { sampler, steps, guidance, guidance_interval, eta } : {};
  }

  /** @param {number} seed */
  setSeed(seed) {
    this.seed = seed;
    this.#refresh();
  }

  #refresh() {
    for (const set of this.#setters) set();
    this.#note.replaceChildren(...this.#sentence());
  }

  /** @returns {(Node | string)[]} which model draws */
  #sentence() {
    const { model, settings } = this;
    if (this.usesTeacher)
      return [element('code', {}, model.other.name), ` draws, the teacher of `, element('code', {}, model.name), '.'];
    const name = element('code', {}, model.name);
    if (!model.is_distilled) return [name, ' draws.'];
    const often = settings.steps === 1 ? '1 evaluation' : `${settings.steps} evaluations`;
    if (!model.other) return [name, ` draws, in ${often}. It was distilled and has no other settings.`];
    return [name, ` draws, in ${often}. Steps, guidance and sampler below use its teacher.`];
  }

  /** @param {boolean} teacher */
  #useTeacher(teacher) {
    this.usesTeacher = teacher;
    this.settings = { ...this.defaults };
  }

  /** @param {Partial<Settings>} change */
  #set(change) {
    if (this.model.other && !this.usesTeacher) this.#useTeacher(true);
    Object.assign(this.settings, change);
    this.#refresh();
    this.#changed('settings');
  }

  #parts() {
    const images = steppedSlider('Images', IMAGES, this.images, (value) => {
      this.images = value;
      this.#changed('settings');
    });
    const parts = [
      this.#which(),
      images.row,
      this.#noise(),
      ...(this.model.can.includes('steps') ? this.#sampling() : []),
    ];
    return parts.filter(Boolean);
  }

  #which() {
    if (!this.model.other) return element('div', {}, this.#note);
    const bar = choice(
      'Model',
      [
        ['student', 'Few steps'],
        ['teacher', 'Teacher'],
      ],
      'student',
      (value) => {
        this.#useTeacher(value === 'teacher');
        this.#refresh();
        this.#changed('settings');
      },
    );
    this.#setters.push(() => bar.set(this.usesTeacher ? 'teacher' : 'student'));
    return element('div.which', {}, bar.row, this.#note);
  }

  #noise() {
    const seed = slider('Seed', {
      min: 0,
      max: MOST_SEED,
      value: this.seed,
      onchange: (value) => {
        this.seed = value;
        this.#changed('settings');
      },
    });
    this.#setters.push(() => seed.set(this.seed));
    const again = element(
      'button',
      {
        type: 'button',
        onclick: () => {
          this.setSeed(Math.floor(Math.random() * (MOST_SEED + 1)));
          this.#changed('noise');
        },
      },
      'New noise',
    );
    return element('div.noise', {}, seed.row, again);
  }

  #sampling() {
    const { model } = this;
    const full = this.model.other ? this.model.other.defaults : this.model.defaults;
    const steps = steppedSlider(
      'Steps',
      [...new Set([...STEPS, full.steps, model.timesteps])].filter((n) => n <= model.timesteps).sort((a, b) => a - b),
      this.settings.steps,
      (value) => this.#set({ steps: value }),
    );
    const guidance = slider('Guidance', {
      min: 0,
      max: MOST_GUIDANCE,
      step: 0.1,
      value: this.settings.guidance,
      text: (value) => value.toFixed(1),
      onchange: (value) => this.#set({ guidance: value }),
    });
    const sampler = choice(
      'Sampler',
      model.samplers.map((/** @type {string} */ name) => [name, SAMPLER_NAMES[name] || name]),
      this.settings.sampler,
      (value) => this.#set({ sampler: value }),
    );
    this.#setters.push(
      () => steps.set(this.settings.steps),
      () => guidance.set(this.settings.guidance),
      () => sampler.set(this.settings.sampler),
    );
    return [
      steps.row,
      guidance.row,
      this.#interval(full.guidance_interval),
      sampler.row,
      element('p.muted.small', {}, 'The noise stays the same while you move these.'),
    ];
  }

  /** @param {[number, number]} part of sampling in which the model is guided by default */
  #interval(part) {
    const isWhole = (/** @type {[number, number]} */ [from, to]) => from === 0 && to === 1;
    if (isWhole(part)) return null;
    const name = `${Math.round(100 * part[0])} to ${Math.round(100 * part[1])} %`;
    const bar = choice(
      'Guided part of the steps',
      [
        ['part', name],
        ['whole', 'All'],
      ],
      'part',
      (value) => this.#set({ guidance_interval: value === 'whole' ? [0, 1] : part }),
    );
    this.#setters.push(() => bar.set(isWhole(this.settings.guidance_interval) ? 'whole' : 'part'));
    return bar.row;
  }
}
