// Your hand: draw a digit, see what the program sees and reads; have it drawn as another, or completed.
import { pixels } from './api.js';
import { Bars, percent } from './bars.js';
import { Drawing, MAX_BYTES } from './canvas.js';
import { DISTILLED, changes } from './change.js';
import { element, emptyState, errorState, marked } from './dom.js';
import { paint } from './image.js';
import { current } from './seen.js';
import { Reader } from './reader.js';

/**
 * @param {HTMLElement} section the room's place in the page
 * @param {{model: any, announce: (text: string) => void}} page
 */
export function mount(section, { model, announce }) {
  const view = makeView(model);
  section.classList.add('hand');
  section.append(element('h2.unseen', {}, 'Your hand'), view.top);
  const change = changes({ model, announce, use: (bitmap) => drawing.show(bitmap) });
  section.append(change.element);

  const reader = new Reader({
    waiting(sentence) {
      view.say([sentence]);
    },
    seen({ image, notices }) {
      const levels = pixels(image);
      paint(view.seen, levels, model.image_size);
      view.say(notices);
      current.set({ pixels: levels, label: null });
      change.show(levels);
    },
    nothing() {
      forget('No digit found yet.');
    },
    probabilities(values, isFinal) {
      view.bars.show(values);
      const label = values.indexOf(Math.max(...values));
      view.verdict.textContent = model.class_names[label];
      view.verdict.classList.toggle('unsure', values[label] < 0.5);
      if (current.seen) current.set({ ...current.seen, label });
      change.suggest(label);
      if (isFinal) announce(`Reads ${model.class_names[label]}, ${percent(values[label])}.`);
    },
    failed(error) {
      if (canRead(model)) view.problem.replaceChildren(errorState(error));
    },
  });

  /** @param {string} sentence */
  function forget(sentence) {
    view.bars.show(null);
    view.verdict.textContent = '';
    paint(view.seen, new Uint8Array(model.image_size ** 2), model.image_size);
    view.say([sentence]);
    current.set(null);
    change.show(null);
  }

  const drawing = new Drawing(view.canvas, {
    onchange(isDrawing) {
      view.pad.classList.toggle('blank', drawing.isEmpty);
      view.undo.disabled = !drawing.canUndo;
      view.redo.disabled = !drawing.canRedo;
      view.clear.disabled = drawing.isEmpty;
      view.problem.replaceChildren();
      if (!drawing.isEmpty) return reader.read(() => drawing.blob(), isDrawing);
      reader.stop();
      return forget(EMPTY);
    },
  });
  view.undo.addEventListener('click', () => drawing.undo());
  view.redo.addEventListener('click', () => drawing.redo());
  view.clear.addEventListener('click', () => {
    drawing.clear();
    announce('Cleared.');
  });

  /** @param {Blob} file that was chosen, dropped or pasted */
  async function take(file) {
    view.problem.replaceChildren();
    try {
      drawing.show(await createImageBitmap(file, { imageOrientation: 'from-image' }));
      announce('The picture is read.');
    } catch {
      // A format that the browser does not know; the program may.
      if (file.size <= MAX_BYTES) reader.read(async () => new Blob([file], { type: 'image/unknown' }), false);
      else view.problem.replaceChildren(errorState(new Error('The browser cannot read this picture, and it is larger than 1 MB.')));
    }
  }

  listenForPictures(section, view, take);
  forget(EMPTY);
  return {};
}

const EMPTY = 'Nothing is drawn.';

/** @param {any} model @returns the parts of the upper half */
function makeView(model) {
  const canvas = element('canvas', {
    role: 'application', 'aria-label': 'Drawing area', 'aria-describedby': 'hand-keys',
  });
  const invitation = element('p.invitation', { 'aria-hidden': 'true' }, `Draw a ${isDigits(model) ? 'digit' : 'character'} here`);
  const pad = element('div.pad.blank', {}, canvas, invitation);
  const undo = element('button.quiet', { type: 'button', disabled: true }, 'Undo');
  const redo = element('button.quiet', { type: 'button', disabled: true }, 'Redo');
  const clear = element('button.quiet', { type: 'button', disabled: true }, 'Clear');
  const file = element('input.unseen', { type: 'file', accept: 'image/*', id: 'hand-file', tabindex: '-1', 'aria-hidden': 'true' });
  const camera = element('input.unseen', { type: 'file', accept: 'image/*', capture: 'environment', tabindex: '-1', 'aria-hidden': 'true' });
  const open = element('button', { type: 'button', onclick: () => file.click() }, 'Picture …');
  const photo = element('button.touch', { type: 'button', onclick: () => camera.click() }, 'Camera …');
  const help = element('p.small.muted', { id: 'hand-keys' }, 'Or paste or drop a picture. Keys: arrows move, space puts the pen down and lifts it.');
  const seen = element('canvas.digit', { role: 'img', 'aria-label': 'What the program sees' });
  const seenBox = element('div.seen', {}, seen);
  const notices = element('ul.notices.small.muted');
  const bars = new Bars(model.class_names);
  const verdict = element('p.verdict', { 'aria-hidden': 'true' });
  const problem = element('div.problem');
  const reading = canRead(model) ? element(`div.reading${hasWords(model) ? '.words' : ''}`, {}, verdict, bars.list) : emptyState('This model cannot read.', DISTILLED);
  const top = element('div.read', {},
    element('div.draw-here', {}, heading('Draw'), pad, element('div.tools', {}, undo, redo, clear, element('span.rest'), photo, open, file, camera), help),
    element('div.sees', {}, heading('What the program sees'), seenBox, element('p.small.muted.size', {}, `${model.image_size} × ${model.image_size} pixels`), notices),
    element('div.reads', {}, heading('What the model reads'), reading, problem),
  );
  /** @param {string[]} sentences */
  const say = (sentences) => notices.replaceChildren(...sentences.map((each) => element('li', {}, ...marked(each))));
  return { top, canvas, pad, undo, redo, clear, file, camera, seen, bars, verdict, problem, say };
}

/** @param {string} text */
const heading = (text) => element('h3', {}, text);

/** @param {any} model @returns {boolean} */
const canRead = (model) => model.can.includes('classify');

/** @param {any} model @returns {boolean} whether its classes have names and not characters */
const hasWords = (model) => model.class_names.some((/** @type {string} */ name) => name.length > 2);

/** @param {any} model @returns {boolean} */
function isDigits(model) {
  return model.class_names.join('') === '0123456789';
}

/**
 * @param {HTMLElement} section
 * @param {{file: HTMLInputElement, camera: HTMLInputElement, pad: HTMLElement}} view
 * @param {(file: Blob) => void} take
 */
function listenForPictures(section, { file, camera, pad }, take) {
  for (const input of [file, camera]) {
    input.addEventListener('change', () => {
      if (input.files?.length) take(input.files[0]);
      input.value = ''; // so that the same file may be chosen again
    });
  }
  document.addEventListener('paste', (event) => {
    const pasted = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith('image/'));
    if (section.hidden || !pasted) return;
    event.preventDefault();
    take(pasted);
  });
  section.addEventListener('dragover', (event) => {
    event.preventDefault();
    pad.classList.add('target');
  });
  section.addEventListener('dragleave', () => pad.classList.remove('target'));
  section.addEventListener('drop', (event) => {
    event.preventDefault();
    pad.classList.remove('target');
    const dropped = event.dataTransfer?.files[0];
    if (dropped) take(dropped);
  });
}
