/** The model of the page: decoding of its weights, its schedule, guided predictions. */

import { Schedule } from './schedule.js';
import { UNet } from './unet.js';

/**
 * How images are sampled: `SampleSettings` of the Python code.
 * @typedef {object} Settings
 * @property {'ddim' | 'ddpm' | 'dpmpp_2m'} sampler
 * @property {number} steps
 * @property {'even' | 'trailing'} spacing
 * @property {number} eta
 * @property {number} guidance
 * @property {[number, number]} guidance_interval
 */

/**
 * What the page knows of its model: `_facts` of demo_page.py.
 * @typedef {object} Facts
 * @property {string} checkpoint as it is typed in a command
 * @property {string[]} classes
 * @property {string[]} options of the command, for each class
 * @property {boolean} has_digits
 * @property {number} image_size
 * @property {number} ink_size
 * @property {'mnist' | 'pad' | 'crop'} fit
 * @property {number} border grey level of the paper
 * @property {boolean} is_distilled
 * @property {'diffusion' | 'classifier' | ''} read
 * @property {boolean} complete
 * @property {number} resample_steps
 * @property {number} timesteps
 * @property {'epsilon' | 'v_prediction' | 'sample'} prediction
 * @property {Settings} sampling
 * @property {string} alphas base64 of float64 numbers
 * @property {string} sigmas
 * @property {import('./unet.js').Shape} network
 * @property {[string, number[]][]} tensors name and shape, in the order of the weights
 */

/**
 * The bytes of a base64 text.
 * @param {string} text
 */
export function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * The numbers of half precision (IEEE 754 binary16) in bytes.
 * @param {Uint8Array} bytes
 */
function decodeHalves(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) {
    const bits = view.getUint16(2 * i, true);
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    out[i] = bits & 0x8000 ? -size : size;
  }
  return out;
}

/** @param {string} text */
function decodeDoubles(text) {
  return new Float64Array(decodeBase64(text).buffer);
}

/**
 * Tensors by name.
 * @param {[string, number[]][]} table names and shapes
 * @param {Float32Array} numbers of one after the other
 */
function tensorsOf(table, numbers) {
  /** @type {Map<string, import('./layers.js').Tensor>} */
  const tensors = new Map();
  let start = 0;
  for (const [name, shape] of table) {
    const count = shape.reduce((product, side) => product * side, 1);
    tensors.set(name, { shape, data: numbers.subarray(start, start + count) });
    start += count;
  }
  return tensors;
}

/** @typedef {(output: number, x: number, alpha: number, sigma: number) => number} Formula */

/**
 * The image and the noise of each prediction type, from the output of the network (`predictions.py`).
 * @type {Record<string, {x0: Formula, eps: Formula}>}
 */
const PREDICTIONS = {
  epsilon: {
    x0: (output, x, alpha, sigma) => (x - sigma * output) / alpha,
    eps: (output) => output,
  },
  v_prediction: {
    x0: (output, x, alpha, sigma) => (alpha * x - sigma * output) / (alpha ** 2 + sigma ** 2),
    eps: (output, x, alpha, sigma) => (alpha * output + sigma * x) / (alpha ** 2 + sigma ** 2),
  },
  sample: {
    x0: (output) => output,
    eps: (output, x, alpha, sigma) => (x - alpha * output) / sigma,
  },
};

const clip = (/** @type {number} */ value) => Math.min(Math.max(value, -1), 1);

/** A trained network with its schedule. */
export class Model {
  /**
   * @param {import('./kernel.js').Kernel} kernel
   * @param {Facts} facts
   * @param {string} weights base64 of the numbers in half precision
   */
  constructor(kernel, facts, weights) {
    this.facts = facts;
    this.pixels = facts.image_size ** 2;
    this.schedule = new Schedule(decodeDoubles(facts.alphas), decodeDoubles(facts.sigmas));
    this.prediction = PREDICTIONS[facts.prediction];
    this.tensors = tensorsOf(facts.tensors, decodeHalves(decodeBase64(weights)));
    this.network = new UNet(kernel, facts.network, facts.image_size, this.tensors);
  }

  /**
   * The image that the network predicts for a label, in [-1, 1].
   * @param {Float32Array} x
   * @param {number} t
   * @param {number} label
   */
  predictX0(x, t, label) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const output = this.network.predict(x, t, label);
    return output.map((value, i) => clip(this.prediction.x0(value, x[i], alpha, sigma)));
  }

  /**
   * The noise that the network predicts for a label.
   * @param {Float32Array} x
   * @param {number} t
   * @param {number} label
   */
  predictEps(x, t, label) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const output = this.network.predict(x, t, label);
    return output.map((value, i) => this.prediction.eps(value, x[i], alpha, sigma));
  }

  /**
   * The guided prediction of the image, in [-1, 1] (`guided_x_0` of `sampling.py`).
   * @param {Float32Array} x
   * @param {number} t
   * @param {number} label
   * @param {Settings} settings
   */
  guidedX0(x, t, label, settings) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const scale = guidanceAt(t, this.schedule.timesteps, settings);
    const noLabel = this.facts.classes.length;
    let eps = this.predictEps(x, t, scale === 0 ? noLabel : label);
    if (scale !== 0 && scale !== 1) {
      const cond = eps;
      eps = this.predictEps(x, t, noLabel).map((uncond, i) => uncond + scale * (cond[i] - uncond));
    }
    return eps.map((value, i) => clip((x[i] - sigma * value) / alpha));
  }
}

/**
 * The guidance scale at timestep t: above 1 only in its interval.
 * @param {number} t
 * @param {number} timesteps
 * @param {Settings} settings
 */
function guidanceAt(t, timesteps, { guidance, guidance_interval: [start, stop] }) {
  const at = timesteps - 1 - t;
  return start * timesteps <= at && at < stop * timesteps ? guidance : Math.min(guidance, 1);
}
