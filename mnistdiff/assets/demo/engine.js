/**
 * The computations of the page, in a worker or, where there is none, in the page itself between its frames.
 *
 * A request is {id, kind, ...}; a later one of the same kind ends the earlier. Replies are {id, type, ...}.
 */

/**
 * @typedef {object} Spec an image to draw
 * @property {number} label
 * @property {number} seed
 */
/**
 * A request, with what its kind needs.
 * @typedef {{id: number, kind: 'load', facts: Facts, weights: string, code: string}
 *   | {id: number, kind: 'draw', images: Spec[], settings: Settings}
 *   | {id: number, kind: 'read', levels: Uint8Array, evaluations: number}
 *   | {id: number, kind: 'complete', levels: Uint8Array, missing: Uint8Array, images: Spec[], rounds: number,
 *       settings: Settings}} Request
 */
/**
 * A reply. `x` and `x0` are grey levels: the state after a step, and the predicted image.
 * @typedef {{type: 'ready', isFast: boolean} | {type: 'done', seconds: number} | {type: 'failed', message: string}
 *   | {type: 'step', image: number, x: Uint8Array, x0: Uint8Array}
 *   | {type: 'probabilities', values: number[]}} Reply
 */
/** @typedef {import('./model.js').Facts} Facts */
/** @typedef {import('./model.js').Settings} Settings */

import { complete } from './completing.js';
import { Kernel } from './kernel.js';
import { Model, decodeBase64 } from './model.js';
import { Classifier, readByDiffusion } from './reading.js';
import { fromLevels, sample, toLevels } from './samplers.js';

/**
 * Do what a request asks for, in slices.
 * @param {Model} model
 * @param {Classifier | undefined} classifier
 * @param {Request} request
 * @returns {Generator<Reply | undefined>}
 */
function* work(model, classifier, request) {
  if (request.kind === 'draw') {
    for (const [image, { label, seed }] of request.images.entries()) {
      for (const { x, x0 } of sample(model, label, seed, request.settings)) {
        yield { type: 'step', image, x: toLevels(x), x0: toLevels(x0) };
      }
    }
  } else if (request.kind === 'read' && classifier) {
    yield { type: 'probabilities', values: classifier.probabilities(request.levels) };
  } else if (request.kind === 'read') {
    for (const values of readByDiffusion(model, request.levels, { evaluations: request.evaluations, seed: 0 })) {
      yield values && { type: 'probabilities', values };
    }
  } else if (request.kind === 'complete') {
    const { levels, missing, images, rounds, settings } = request;
    const known = fromLevels(levels);
    for (const [image, { label, seed }] of images.entries()) {
      for (const { x, x0 } of complete(model, { known, missing, label, seed, rounds }, settings)) {
        yield { type: 'step', image, x: toLevels(x), x0: toLevels(x0) };
      }
    }
  }
}

/** Let other messages, or the page, have their turn. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(0);
  });
}

/** The model, and the requests that it works at. */
export class Engine {
  /** @param {(reply: Reply & {id: number}) => void} reply */
  constructor(reply) {
    this.reply = reply;
    /** @type {Record<string, number>} */
    this.newest = {};
  }

  /** @param {Request & {kind: 'load'}} parts of the page */
  load({ id, facts, weights, code }) {
    const kernel = new Kernel(code ? decodeBase64(code) : undefined);
    this.model = new Model(kernel, facts, weights);
    if (facts.read === 'classifier') this.classifier = new Classifier(kernel, this.model.tensors, facts.image_size);
    this.reply({ id, type: 'ready', isFast: kernel.isFast });
  }

  /**
   * Do what a request asks for. Requests of several kinds take turns, an evaluation each.
   * @param {Request} request
   */
  async handle(request) {
    const { id, kind } = request;
    const start = performance.now();
    this.newest[kind] = id;
    try {
      if (kind === 'load') {
        this.load(request);
        return;
      }
      if (!this.model) throw new Error('the model is not loaded');
      for (const reply of work(this.model, this.classifier, request)) {
        if (reply) this.reply({ id, ...reply });
        await pause();
        if (this.newest[kind] !== id) return;
      }
      this.reply({ id, type: 'done', seconds: (performance.now() - start) / 1000 });
    } catch (error) {
      this.reply({ id, type: 'failed', message: String(error) });
    }
  }
}
