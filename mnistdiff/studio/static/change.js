// Changing the picture that was read: redraw it as another class (SDEdit), or rub out a part and complete it (RePaint).
import { classPicker } from './classes.js';
import { element, emptyState, slider } from './dom.js';
import { paint } from './image.js';
import { Mask } from './mask.js';
import { base64 } from './seen.js';
import { Variants } from './variants.js';

/** @typedef {{model: any, announce: (text: string) => void, use: (bitmap: ImageBitmap) => void}} Page */

export const DISTILLED = 'It was distilled: start the studio with its teacher.';
const NUMBER = 4;
const STRENGTH = 0.8;
const NO_PICTURE = 'Draw first.';
const NO_MASK = 'Rub out a part of the picture: paint over it.';

/**
 * @param {Page} page `use` makes an image the picture that is read
 * @returns {{element: HTMLElement, show: (levels: Uint8Array | null) => void, suggest: (label: number) => void}} `show`
 *   takes the picture to change, `suggest` the class that was read: to complete it as that is the first thought
 */
export function changes(page) {
  const { model } = page;
  const missing = ['edit', 'inpaint'].filter((task) => !model.can.includes(task));
  if (missing.length) {
    return { element: emptyState('This model cannot change pictures.', DISTILLED), show() {}, suggest() {} };
  }
  const variants = new Variants(model, page);
  const redraw = redrawPanel(model, (body) => variants.run('/api/redraw', body));
  const complete = completePanel(model, (body) => variants.run('/api/complete', body));
  return {
    element: element('div.change', {}, redraw.element, complete.element, variants.element),
    show(levels) {
      redraw.show(levels);
      complete.show(levels);
    },
    suggest: complete.suggest,
  };
}

/**
 * A seed that is kept until the reader wants other variants.
 * @param {() => void} onchange
 */
function seeds(onchange) {
  let seed = 0;
  const other = element('button', {
    type: 'button', title: 'The same with other noise',
    onclick: () => {
      seed += NUMBER;
      onchange();
    },
  }, 'Other noise');
  return { other, get value() { return seed; } };
}

/** @param {any} model @param {(body: object) => void} run */
function redrawPanel(model, run) {
  /** @type {Uint8Array | null} */
  let image = null;
  let strength = STRENGTH;
  const wanted = classPicker('Redraw as', model.class_names);
  const go = () => image && run({ image: base64(image), label: wanted.label(), strength, seed: seed.value, n: NUMBER });
  const seed = seeds(go);
  const button = element('button.primary', { type: 'button', disabled: true, onclick: go }, 'Redraw');
  const how = slider('Strength', {
    min: 0.05, max: 1, step: 0.05, value: STRENGTH, text: (value) => `${Math.round(100 * value)} %`,
    onchange: (value) => { strength = value; },
    help: 'How much noise takes the place of your picture: 100 % leaves nothing of it.',
  });
  how.input.addEventListener('change', go);
  seed.other.disabled = true;
  const note = element('p.small.muted', {}, 'Noise is added to your picture, and the model takes it away as the class that you choose (SDEdit). Little noise keeps your strokes.');
  return {
    element: element('div.panel.tool', {}, element('h2', {}, 'Redraw as another'), note, wanted.field, how.row, element('div.tools', {}, button, seed.other)),
    /** @param {Uint8Array | null} levels */
    show(levels) {
      image = levels;
      button.disabled = seed.other.disabled = !levels;
    },
  };
}

/** @param {any} model @param {(body: object) => void} run */
function completePanel(model, run) {
  /** @type {Uint8Array | null} */
  let image = null;
  const canvas = element('canvas.digit', { role: 'application', 'aria-label': 'Rub out: what you paint over will be missing', 'aria-describedby': 'hand-keys' });
  const undo = element('button.quiet', { type: 'button' }, 'Undo');
  const redo = element('button.quiet', { type: 'button' }, 'Redo');
  const clear = element('button.quiet', { type: 'button' }, 'Clear');
  const button = element('button.primary', { type: 'button', disabled: true }, 'Complete');
  const note = element('p.small.muted', { role: 'status' });
  let isChosen = false;
  const wanted = classPicker('Complete as', model.class_names, () => { isChosen = true; });
  const update = () => {
    undo.disabled = !mask.canUndo;
    redo.disabled = !mask.canRedo;
    clear.disabled = mask.isEmpty;
    button.disabled = seed.other.disabled = !image || mask.isEmpty;
    note.textContent = image ? (mask.isEmpty ? NO_MASK : 'The rest stays as it is, pixel by pixel (RePaint).') : NO_PICTURE;
  };
  const go = () => image && run({ image: base64(image), mask: base64(mask.missing()), label: wanted.label(), seed: seed.value, n: NUMBER });
  const seed = seeds(go);
  const mask = new Mask(canvas, model.image_size, { onchange: update });
  undo.addEventListener('click', () => mask.undo());
  redo.addEventListener('click', () => mask.redo());
  clear.addEventListener('click', () => mask.clear());
  button.addEventListener('click', go);
  update();
  return {
    element: element('div.panel.tool', {}, element('h2', {}, 'Rub out and complete'), note,
      element('div.rub', {}, element('div.pad', {}, canvas), element('div.tools', {}, undo, redo, clear)), wanted.field, element('div.tools', {}, button, seed.other)),
    /** @param {Uint8Array | null} levels */
    show(levels) {
      if (image && levels && image.every((level, i) => level === levels[i])) return;
      image = levels;
      isChosen = false;
      const small = document.createElement('canvas');
      if (levels) paint(small, levels, model.image_size);
      mask.show(levels ? small : null);
    },
    /** @param {number} label */
    suggest(label) {
      if (!isChosen) wanted.set(label);
    },
  };
}
