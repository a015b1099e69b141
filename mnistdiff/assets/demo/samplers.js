/**
 * The samplers of `engine/diffusion/samplers.py`, and sampling of an image from its seed.
 *
 * A sampler is a generator that yields {t, x, x0} after each step: the timestep of the evaluation, the next state and
 * the predicted image. Arrays are float32, the coefficients float64, as in Python.
 */

import { samplingNoise } from './noise.js';

/**
 * @typedef {object} Task what a sampler is given
 * @property {(x: Float32Array, t: number) => Float32Array} predict the (guided) prediction of the image
 * @property {import('./schedule.js').Schedule} schedule
 * @property {[number, number][]} timesteps
 * @property {(draw: number) => Float32Array} noise
 * @property {number} eta
 */
/** @typedef {{t: number, x: Float32Array, x0: Float32Array}} Step */

/**
 * Mean and standard deviation of q(x_prev | x_t, x_0) (Ho et al. 2020, Eq. 6 and 7).
 * @param {import('./schedule.js').Schedule} schedule
 * @param {Float32Array} x0
 * @param {Float32Array} x
 * @param {number} t
 * @param {number} tPrev
 * @returns {[Float32Array, number]}
 */
export function posterior(schedule, x0, x, t, tPrev) {
  const [alphaStep, sigmaStep] = schedule.transition(t, tPrev);
  const [sigma, sigmaPrev] = [schedule.sigma(t), schedule.sigma(tPrev)];
  const fresh = (sigmaStep / sigma) ** 2;
  const kept = (sigmaPrev / sigma) ** 2;
  const ofImage = schedule.alpha(tPrev) * fresh;
  const ofState = alphaStep * kept;
  return [x0.map((value, i) => ofImage * value + ofState * x[i]), sigmaPrev * Math.sqrt(fresh)];
}

/**
 * x + scale * noise.
 * @param {Float32Array} x
 * @param {number} scale
 * @param {Float32Array} noise
 */
function withNoise(x, scale, noise) {
  return x.map((value, i) => value + scale * noise[i]);
}

/**
 * Ancestral sampling (Ho et al. 2020, Algorithm 2).
 * @param {Task} task
 * @returns {Generator<Step>}
 */
function* ddpm({ predict, schedule, timesteps, noise }) {
  let x = noise(0);
  for (const [index, [t, tPrev]] of timesteps.entries()) {
    const x0 = predict(x, t);
    const [mean, deviation] = posterior(schedule, x0, x, t, tPrev);
    x = tPrev < 0 ? mean : withNoise(mean, deviation, noise(index + 1));
    yield { t, x, x0 };
  }
}

/**
 * Implicit sampling (Song et al. 2021, Eq. 12).
 * @param {Task} task
 * @returns {Generator<Step>}
 */
function* ddim({ predict, schedule, timesteps, noise, eta }) {
  let x = noise(0);
  for (const [index, [t, tPrev]] of timesteps.entries()) {
    const [alpha, sigma] = [schedule.alpha(t), schedule.sigma(t)];
    const [alphaPrev, sigmaPrev] = [schedule.alpha(tPrev), schedule.sigma(tPrev)];
    const x0 = predict(x, t);
    const variance = (((eta * schedule.transition(t, tPrev)[1]) / sigma) * sigmaPrev) ** 2;
    const ofNoise = Math.sqrt(Math.max(sigmaPrev ** 2 - variance, 0));
    const state = x;
    x = x0.map((value, i) => alphaPrev * value + (ofNoise * (state[i] - alpha * value)) / sigma);
    if (variance > 0) x = withNoise(x, Math.sqrt(variance), noise(index + 1));
    yield { t, x, x0 };
  }
}

/**
 * DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2).
 * @param {Task} task
 * @returns {Generator<Step>}
 */
function* dpmpp2m({ predict, schedule, timesteps, noise }) {
  let x = noise(0);
  /** @type {{x0: Float32Array, lambda: number} | undefined} */
  let history;
  for (const [t, tPrev] of timesteps) {
    const x0 = predict(x, t);
    if (tPrev < 0) {
      x = x0;
    } else {
      const lambda = schedule.halfLogSnr(t);
      const h = schedule.halfLogSnr(tPrev) - lambda;
      let d = x0;
      if (history) {
        const r = (lambda - history.lambda) / h;
        const before = history.x0;
        d = x0.map((value, i) => (1 + 1 / (2 * r)) * value - (1 / (2 * r)) * before[i]);
      }
      const kept = schedule.sigma(tPrev) / schedule.sigma(t);
      const added = schedule.alpha(tPrev) * Math.expm1(-h);
      x = x.map((value, i) => kept * value - added * d[i]);
      history = { x0, lambda };
    }
    yield { t, x, x0 };
  }
}

const SAMPLERS = { ddpm, ddim, dpmpp_2m: dpmpp2m };

/**
 * Sample an image.
 * @param {import('./model.js').Model} model
 * @param {number} label
 * @param {number} seed 0 ... 2**32 - 1
 * @param {import('./model.js').Settings} settings
 */
export function sample(model, label, seed, settings) {
  const { schedule, pixels } = model;
  return SAMPLERS[settings.sampler]({
    predict: (x, t) => model.guidedX0(x, t, label, settings),
    schedule,
    timesteps: schedule.inferenceTimesteps(settings.steps, settings.spacing),
    noise: (draw) => samplingNoise(seed, draw, pixels),
    eta: settings.eta,
  });
}

/** The nearest integer, of two the even one, as Python and NumPy round. */
export const roundEven = (/** @type {number} */ value) =>
  value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);

/**
 * Grey levels 0 ... 255 of an image in [-1, 1].
 * @param {Float32Array} x
 */
export function toLevels(x) {
  return Uint8Array.from(x, (value) => roundEven((Math.min(Math.max(value, -1), 1) + 1) * 127.5));
}

/** An image in [-1, 1] of grey levels 0 ... 255. */
export const fromLevels = (/** @type {Uint8Array} */ levels) => Float32Array.from(levels, (level) => level / 127.5 - 1);
