/** The start of the page, and of its worker. */

import { Compute, serve } from './compute.js';
import { DrawRoom } from './draw_room.js';
import { HandRoom } from './hand_room.js';

/**
 * What the parts of the page share.
 * @typedef {object} Page
 * @property {import('./model.js').Facts} facts
 * @property {Compute} compute
 * @property {(text: string) => void} announce to a screen reader
 */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const textOf = (/** @type {string} */ id) => byId(id).textContent ?? '';

function startPage() {
  const facts = JSON.parse(textOf('facts'));
  const compute = new Compute(textOf('program'));
  /** @type {Page} */
  const page = {
    facts,
    compute,
    announce(text) {
      byId('live').textContent = text;
    },
  };
  compute.ask('load', { facts, weights: textOf('weights'), code: textOf('kernel') }, (reply) => {
    if (reply.type !== 'ready') {
      byId('state').textContent = `This page cannot draw: ${'message' in reply ? reply.message : reply.type}`;
      return;
    }
    byId('state').hidden = true;
    document.documentElement.dataset.engine = `${compute.place()} ${reply.isFast ? 'wasm' : 'js'}`;
    const draw = new DrawRoom(byId('draw'), page);
    new HandRoom(byId('hand'), page, () => draw.finished);
  });
}

if (typeof document === 'undefined') serve(globalThis);
else startPage();
