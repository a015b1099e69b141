/** Reading an image: by a small classifier of digits, or by the diffusion model itself. */

import { Convolution, Scratch, linear } from './layers.js';
import { Plane } from './planes.js';
import { fromLevels, roundEven } from './samplers.js';
import { samplingNoise } from './noise.js';

const POOLS = [2, 1, 2, 1, 2, 1]; // of the convolutions of the classifier
const CLEAN_SHARE = 0.25; // the cleanest timesteps are left out, as in `diffusion_classifier.py`

/**
 * The classifier `conv` of `engine/evaluation/architectures.py`: convolutions, each with a pooling or without, a scale
 * and a shift for each channel (its batch normalisation), ReLU.
 */
export class Classifier {
  /**
   * @param {import('./kernel.js').Kernel} kernel
   * @param {Map<string, import('./layers.js').Tensor>} tensors `classifier.N.weight`, `.scale`, `.shift`
   * @param {number} size of the images
   */
  constructor(kernel, tensors, size) {
    const tensor = (/** @type {string} */ name) =>
      /** @type {import('./layers.js').Tensor} */ (tensors.get(`classifier.${name}`));
    const scratch = new Scratch(kernel);
    this.kernel = kernel;
    this.input = new Plane(kernel, 1, size);
    this.layers = POOLS.map((pool, number) => {
      const convolution = new Convolution(kernel, scratch, tensor(`${number}.weight`), undefined, size);
      size = Math.floor(size / pool);
      const out = new Plane(kernel, convolution.rows, size);
      const [scale, shift] = [tensor(`${number}.scale`).data, tensor(`${number}.shift`).data];
      return { convolution, wide: convolution.output(), pool, out, scale, shift };
    });
    this.dense = [tensor('dense.weight'), tensor('dense.scale'), tensor('dense.shift')];
    this.head = [tensor('head.weight'), tensor('head.bias')];
  }

  /**
   * The probabilities of the classes.
   * @param {Uint8Array} levels of an image
   */
  probabilities(levels) {
    const { numbers } = this.kernel;
    levels.forEach((level, i) => {
      numbers[this.input.place + i] = level / 255;
    });
    let x = this.input;
    for (const layer of this.layers) {
      layer.convolution.run(x, layer.wide);
      this.poolAndScale(layer);
      x = layer.out;
    }
    const pixels = x.size * x.size;
    const flat = new Float32Array(x.channels * pixels);
    for (let c = 0; c < x.channels; c++) {
      const start = x.place + c * x.stride;
      flat.set(numbers.subarray(start, start + pixels), c * pixels);
    }
    const [weight, scale, shift] = this.dense;
    const features = linear(weight, undefined, flat).map((v, i) => Math.max(v * scale.data[i] + shift.data[i], 0));
    return softmax([...linear(this.head[0], this.head[1], features)]);
  }

  /** @param {{wide: Plane, pool: number, out: Plane, scale: Float32Array, shift: Float32Array}} layer */
  poolAndScale({ wide, pool, out, scale, shift }) {
    const { numbers } = this.kernel;
    for (let c = 0; c < out.channels; c++) {
      for (let y = 0; y < out.size; y++) {
        for (let x = 0; x < out.size; x++) {
          const at = wide.place + c * wide.stride + y * pool * wide.size + x * pool;
          let value = numbers[at];
          if (pool === 2) {
            value = Math.max(value, numbers[at + 1], numbers[at + wide.size], numbers[at + wide.size + 1]);
          }
          numbers[out.place + c * out.stride + y * out.size + x] = Math.max(value * scale[c] + shift[c], 0);
        }
      }
    }
  }
}

/** @param {number[]} values */
function softmax(values) {
  const largest = Math.max(...values);
  const shares = values.map((value) => Math.exp(value - largest));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
}

/**
 * Pairs [t, t_prev], evenly spaced over the noisiest 75 % of the timesteps.
 * @param {number} timesteps
 * @param {number} evaluations at most
 * @returns {[number, number][]}
 */
export function noisyTimesteps(timesteps, evaluations) {
  const last = roundEven(CLEAN_SHARE * timesteps);
  const count = Math.min(evaluations, timesteps - 1 - last);
  const span = timesteps - 1 - last;
  const t = Array.from({ length: count + 1 }, (_, i) => Math.floor(timesteps - 1 - (i * span) / count + 0.5));
  return t.slice(1).map((tPrev, i) => [t[i], tPrev]);
}

/**
 * Read an image with the diffusion model (Li et al. 2023, arXiv 2303.16203): the label with which the model predicts it
 * best from its noisy versions is the likeliest.
 *
 * Yields undefined after an evaluation, and the probabilities so far after each timestep.
 * @param {import('./model.js').Model} model
 * @param {Uint8Array} levels
 * @param {{evaluations: number, seed: number}} options
 * @returns {Generator<number[] | undefined>}
 */
export function* readByDiffusion(model, levels, { evaluations, seed }) {
  const { schedule } = model;
  const x0 = fromLevels(levels);
  const bounds = model.facts.classes.map(() => 0);
  for (const [index, [t, tPrev]] of noisyTimesteps(schedule.timesteps, evaluations).entries()) {
    const eps = samplingNoise(seed, index, levels.length);
    const [alpha, sigma] = [schedule.alpha(t), schedule.sigma(t)];
    const x = x0.map((value, i) => alpha * value + sigma * eps[i]);
    const weight = (schedule.snr(tPrev) - schedule.snr(t)) / 2;
    for (let label = 0; label < bounds.length; label++) {
      const predicted = model.predictX0(x, t, label);
      bounds[label] -= weight * predicted.reduce((sum, value, i) => sum + (x0[i] - value) ** 2, 0);
      yield undefined;
    }
    yield softmax(bounds);
  }
}
