/**
 * The computations of the page, in a worker or, where there is none, in the page itself between its frames.
 *
 * A request is {id, kind, ...}; a later one of the same kind ends the earlier. Replies are {id, type, ...}.
 */

import { complete } from './completing.js';
import { Kernel } from './kernel.js';
import { Model, decodeBase64 } from './model.js';
import { Classifier, readByDiffusion } from './reading.js';
import { fromLevels, sample, toLevels } from './samplers.js';

/** What the requests do: each yields replies without id and type, or nothing. */
const KINDS = {
  *draw({ model }, { images, settings }) {
    for (const [image, { label, seed }] of images.entries()) {
      let number = 0;
      for (const { t, x, x0 } of sample(model, label, seed, settings)) {
        yield { type: 'step', image, number: ++number, t, x: toLevels(x), x0: toLevels(x0) };
      }
    }
  },

  *read({ model, classifier }, { levels, evaluations }) {
    if (classifier) {
      yield { type: 'probabilities', values: classifier.probabilities(levels), evaluations: 0 };
      return;
    }
    for (const found of readByDiffusion(model, levels, { evaluations, seed: 0 })) {
      yield found && { type: 'probabilities', ...found };
    }
  },

  *complete({ model }, { levels, missing, images, rounds, settings }) {
    const known = fromLevels(levels);
    for (const [image, { label, seed }] of images.entries()) {
      for (const { x } of complete(model, { known, missing, label, seed, rounds }, settings)) {
        yield { type: 'step', image, x: toLevels(x) };
      }
    }
  },
};

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
  /** @param {(reply: object) => void} reply */
  constructor(reply) {
    this.reply = reply;
    this.newest = {};
  }

  /** @param {{facts: object, weights: string, code?: string}} parts of the page */
  load({ facts, weights, code }) {
    const kernel = new Kernel(code ? decodeBase64(code) : undefined);
    this.model = new Model(kernel, facts, weights);
    if (facts.read === 'classifier') this.classifier = new Classifier(kernel, this.model.tensors, facts.image_size);
    this.reply({ id: 0, type: 'ready', isFast: kernel.isFast });
  }

  /** Do what a request asks for. Requests of several kinds take turns, an evaluation each. */
  async handle(request) {
    const { id, kind } = request;
    const start = performance.now();
    this.newest[kind] = id;
    try {
      if (kind === 'load') {
        this.load(request);
        return;
      }
      for (const reply of KINDS[kind](this, request)) {
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
