/** The model of the page: decoding of its weights, its schedule, guided predictions. */

import { UNet } from './unet.js';

/** The bytes of a base64 text. */
export function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The numbers of half precision (IEEE 754 binary16) in bytes. */
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

function decodeDoubles(text) {
  return new Float64Array(decodeBase64(text).buffer);
}

/** Name -> {data, shape}, from a table of [name, shape] and their numbers, one after the other. */
function tensorsOf(table, numbers) {
  const tensors = new Map();
  let start = 0;
  for (const [name, shape] of table) {
    const count = shape.reduce((product, side) => product * side, 1);
    tensors.set(name, { shape, data: numbers.subarray(start, start + count) });
    start += count;
  }
  return tensors;
}

/** The coefficients of x_t = alpha x_0 + sigma eps, in float64 (`engine/diffusion/schedule.py`). */
export class Schedule {
  constructor(alphas, sigmas) {
    Object.assign(this, { alphas, sigmas, timesteps: alphas.length });
  }

  /** Coefficient of the image; 1 for t = -1, the clean image. */
  alpha(t) {
    return t < 0 ? 1 : this.alphas[t];
  }

  /** Coefficient of the noise; 0 for t = -1. */
  sigma(t) {
    return t < 0 ? 0 : this.sigmas[t];
  }

  /** lambda = log(alpha / sigma). */
  halfLogSnr(t) {
    return Math.log(this.alpha(t)) - Math.log(this.sigma(t));
  }

  snr(t) {
    return (this.alpha(t) / this.sigma(t)) ** 2;
  }

  /** Coefficients of x_(t_prev) and of fresh noise in x_t. */
  transition(t, tPrev) {
    const alpha = this.alpha(t) / this.alpha(tPrev);
    return [alpha, Math.sqrt(Math.max(this.sigma(t) ** 2 - (alpha * this.sigma(tPrev)) ** 2, 0))];
  }

  /**
   * The pairs [t, t_prev] of a sampler's steps, down to the clean image (-1).
   * @param {number} steps 1 ... timesteps
   * @param {'even' | 'trailing'} spacing
   */
  inferenceTimesteps(steps, spacing) {
    const T = this.timesteps;
    const t = Array.from({ length: steps }, (_, i) => {
      if (spacing === 'trailing') return Math.floor(T - i * (T / steps) - 1 + 0.5);
      return steps === 1 ? T - 1 : Math.floor(T - 1 - i * ((T - 1) / (steps - 1)) + 0.5);
    });
    return t.map((each, i) => [each, i + 1 < steps ? t[i + 1] : -1]);
  }
}

/** The image and the noise of each prediction type, from the output of the network (`predictions.py`). */
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

const clip = (value) => Math.min(Math.max(value, -1), 1);

/** A trained network with its schedule. */
export class Model {
  /**
   * @param {import('./kernel.js').Kernel} kernel
   * @param {object} facts of the page: see `demo_page.py`
   * @param {string} weights base64 of the numbers in half precision
   */
  constructor(kernel, facts, weights) {
    this.facts = facts;
    this.pixels = facts.image_size ** 2;
    this.schedule = new Schedule(decodeDoubles(facts.alphas), decodeDoubles(facts.sigmas));
    this.prediction = PREDICTIONS[facts.prediction];
    this.tensors = tensorsOf(facts.tensors, decodeHalves(decodeBase64(weights)));
    this.network = new UNet(kernel, { ...facts.network, image_size: facts.image_size }, this.tensors);
  }

  /** The image that the network predicts for a label, in [-1, 1]. */
  predictX0(x, t, label) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const output = this.network.predict(x, t, label);
    return output.map((value, i) => clip(this.prediction.x0(value, x[i], alpha, sigma)));
  }

  /** The noise that the network predicts for a label. */
  predictEps(x, t, label) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const output = this.network.predict(x, t, label);
    return output.map((value, i) => this.prediction.eps(value, x[i], alpha, sigma));
  }

  /**
   * The guided prediction of the image, in [-1, 1] (`guided_x_0` of `sampling.py`).
   * @param {{guidance: number, guidance_interval: [number, number]}} settings
   */
  guidedX0(x, t, label, settings) {
    const [alpha, sigma] = [this.schedule.alpha(t), this.schedule.sigma(t)];
    const scale = guidanceAt(t, this.schedule.timesteps, settings);
    let eps = scale === 1 ? undefined : this.predictEps(x, t, this.facts.classes.length);
    if (scale !== 0) {
      const cond = this.predictEps(x, t, label);
      eps = eps ? eps.map((uncond, i) => uncond + scale * (cond[i] - uncond)) : cond;
    }
    return eps.map((value, i) => clip((x[i] - sigma * value) / alpha));
  }
}

/** The guidance scale at timestep t: above 1 only in its interval. */
function guidanceAt(t, timesteps, { guidance, guidance_interval: [start, stop] }) {
  const at = timesteps - 1 - t;
  return start * timesteps <= at && at < stop * timesteps ? guidance : Math.min(guidance, 1);
}
