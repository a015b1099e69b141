// One drawn image: what it is, its PNG and its provenance. The server makes both from label, seed and settings.
import { post } from './api.js';

/**
 * @typedef {{sampler: string, steps: number, guidance: number, guidance_interval: [number, number],
 *   eta: number}} Settings
 * @typedef {{labels: number[], classes: string[], seeds: number[], images: string, seconds: number, settings: Settings,
 *   model: string, evaluations: number}} Drawn
 */

export class Picture {
  /**
   * @param {{label: number, name: string, seed: number, pixels: Uint8Array, size: number, settings: Settings,
   *   model: string}} facts
   */
  constructor({ label, name, seed, pixels, size, settings, model }) {
    this.label = label;
    this.name = name;
    this.seed = seed;
    this.pixels = pixels;
    this.size = size;
    this.settings = settings;
    this.model = model;
    /** @type {Blob | null} the PNG once it is there */
    this.blob = null;
  }

  /** @returns {string} as in "7, seed 3" */
  get title() {
    return `${this.name}, seed ${this.seed}`;
  }

  /** @returns {string} one string for one image */
  get key() {
    return JSON.stringify([this.model, this.label, this.seed, this.settings]);
  }

  /** @returns {string} */
  get fileName() {
    const kind = /^\d$/.test(this.name) ? 'digit' : 'class';
    return `${kind}_${this.name.replace(/[^\p{L}\p{N}]+/gu, '_')}_${this.seed}.png`;
  }

  get request() {
    const { sampler, steps, guidance, guidance_interval, eta } = this.settings;
    return { label: this.label, seed: this.seed, settings: { sampler, steps, guidance, guidance_interval, eta } };
  }

  /** @returns {Promise<Blob>} with its provenance */
  async png() {
    this.blob ||= /** @type {Blob} */ (await post('/api/image.png', this.request));
    return this.blob;
  }

  /** @returns {Promise<{provenance: Record<string, any>, command: string}>} */
  about() {
    return post('/api/provenance', this.request);
  }
}

/**
 * @param {Drawn} drawn the event `done`
 * @param {Uint8Array} pixels of all its images
 * @param {number} size
 * @returns {Picture[]}
 */
export function picturesOf(drawn, pixels, size) {
  return drawn.labels.map(
    (label, i) =>
      new Picture({
        label,
        name: drawn.classes[i],
        seed: drawn.seeds[i],
        pixels: pixels.slice(i * size * size, (i + 1) * size * size),
        size,
        settings: drawn.settings,
        model: drawn.model,
      }),
  );
}
