/** The start of the page, and of its worker. */

import { Compute, serve } from './compute.js';
import { DrawRoom } from './draw_room.js';
import { HandRoom } from './hand_room.js';
import { samplingNoise } from './noise.js';
import { toLevels } from './samplers.js';

const textOf = (id) => document.getElementById(id).textContent;

function startPage() {
  const facts = JSON.parse(textOf('facts'));
  facts.noise = (seed) => toLevels(samplingNoise(seed, 0, facts.image_size ** 2));
  const announce = (text) => {
    document.getElementById('live').textContent = text;
  };
  const compute = new Compute(textOf('program'));
  const page = { facts, compute, announce };
  compute.load({ facts: { ...facts, noise: undefined }, weights: textOf('weights'), code: textOf('kernel') }, (reply) => {
    const state = document.getElementById('state');
    if (reply.type === 'failed') {
      state.textContent = `This page cannot draw: ${reply.message}`;
      return;
    }
    state.hidden = true;
    document.documentElement.dataset.kernel = reply.isFast ? 'wasm' : 'js';
    const draw = new DrawRoom(document.getElementById('draw'), page);
    new HandRoom(document.getElementById('hand'), page, () => draw.finished);
  });
}

if (typeof document === 'undefined') serve(globalThis);
else startPage();
