/**
 * Completing an image: the known part is kept, the rest is sampled.
 *
 * Generators yield {x, x0} after each evaluation, as the samplers do.
 */

import { samplingNoise } from './noise.js';
import { posterior } from './samplers.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Settings} Settings */

/**
 * @typedef {object} Completion
 * @property {Float32Array} known the image, in [-1, 1]
 * @property {Uint8Array} missing 1 where it is missing
 * @property {number} label
 * @property {number} seed
 * @property {number} rounds how often RePaint takes a step
 */

const STUDENT_ROUNDS = 10;

/**
 * RePaint (Lugmayr et al. 2022, arXiv 2201.09865), as `engine/diffusion/repaint.py`.
 * @param {Model} model
 * @param {Completion} task
 * @param {Settings} settings
 */
function* repaint(model, { known, missing, label, seed, rounds }, settings) {
  const { schedule, pixels } = model;
  const noise = (/** @type {number} */ draw) => samplingNoise(seed, draw, pixels);
  let x = noise(0);
  let draw = 1;
  for (const [t, tPrev] of schedule.inferenceTimesteps(settings.steps, settings.spacing)) {
    for (let round = 0; round < (tPrev < 0 ? 1 : rounds); round++, draw += 3) {
      if (round > 0) {
        const [alpha, sigma] = schedule.transition(t, tPrev);
        const back = noise(draw);
        x = x.map((value, i) => alpha * value + sigma * back[i]);
      }
      const x0 = model.guidedX0(x, t, label, settings);
      const [mean, deviation] = posterior(schedule, x0, x, t, tPrev);
      const [fresh, ofKnown] = tPrev < 0 ? [mean, mean] : [noise(draw + 1), noise(draw + 2)];
      const [alpha, sigma] = [schedule.alpha(tPrev), schedule.sigma(tPrev)];
      x = mean.map((value, i) => (missing[i] ? value + deviation * fresh[i] : alpha * known[i] + sigma * ofKnown[i]));
      yield { x, x0 };
    }
  }
}

/**
 * Completion by a distilled model, which knows its own timesteps alone: after its first step, the known and the sampled
 * part are composed, noise is added up to its next timestep, and the image is predicted again, several times.
 * @param {Model} model
 * @param {Completion} task
 * @param {Settings} settings
 */
function* byStudent(model, { known, missing, label, seed }, settings) {
  const { schedule, pixels } = model;
  const noise = (/** @type {number} */ draw) => samplingNoise(seed, draw, pixels);
  const compose = (/** @type {Float32Array} */ image) => image.map((value, i) => (missing[i] ? value : known[i]));
  const [[first], ...others] = schedule.inferenceTimesteps(settings.steps, settings.spacing);
  let draw = 0;
  let x0 = model.predictX0(noise(draw), first, label);
  yield { x: compose(x0), x0 };
  for (const [t] of others) {
    const [alpha, sigma] = [schedule.alpha(t), schedule.sigma(t)];
    for (let round = 0; round < STUDENT_ROUNDS; round++) {
      const eps = noise(++draw);
      x0 = model.predictX0(
        compose(x0).map((value, i) => alpha * value + sigma * eps[i]),
        t,
        label,
      );
      yield { x: compose(x0), x0 };
    }
  }
}

/**
 * Complete an image, by the way that the model knows.
 * @param {Model} model
 * @param {Completion} task
 * @param {Settings} settings
 */
export function complete(model, task, settings) {
  return (model.facts.is_distilled ? byStudent : repaint)(model, task, settings);
}
