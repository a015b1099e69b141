// The pictures of "How it works": noise added, noise predicted, with their equations and functions.
import { pixels } from './api.js';
import { element } from './dom.js';
import { formula } from './formula.js';
import { paint } from './image.js';

const COLUMNS = /** @type {const} */ (['unconditional', 'conditional', 'guided']);

/**
 * @param {any} model
 * @param {any} schedule `/api/schedule`
 */
export function makeStage(model, schedule) {
  const size = model.image_size;
  const readings = element('dl.at-t');
  const forward = makeForward(schedule.equations);
  const matrix = makeMatrix(schedule.equations);
  const learning = makeLearning(schedule);
  /**
   * @param {any} found `/api/explain`
   * @param {Uint8Array} image
   * @param {number} label
   */
  function show(found, image, label) {
    readings.replaceChildren(
      reading('t', 't', String(found.t)), reading('alpha', 'α_t', found.alpha.toFixed(3), 'signal'),
      reading('sigma', 'σ_t', found.sigma.toFixed(3), 'noise'), reading('loss', '', found.loss.toFixed(4), 'loss'));
    forward.alpha.textContent = found.alpha.toFixed(2);
    forward.sigma.textContent = found.sigma.toFixed(2);
    paint(forward.image, image, size);
    paintSigned(forward.noise, found.eps, size);
    paint(forward.noisy, pixels(found.x_t), size);
    matrix.told.textContent = model.class_names[label];
    matrix.scale.textContent = found.guidance.toFixed(1);
    for (const name of COLUMNS) {
      paintSigned(matrix.eps[name], found.predicted_eps[name], size);
      paint(matrix.x_0[name], pixels(found.x_0[name]), size);
    }
    paintDifference(matrix.eps.difference, found.eps_difference, size);
    paintDifference(matrix.x_0.difference, found.x_0_difference, size);
    learning.loss.textContent = found.loss.toFixed(4);
    learning.without.textContent = found.unconditional_loss.toFixed(4);
  }
  return { readings, forward: forward.element, predictions: matrix.element, learning: learning.element, show };
}

/** @param {string} name @param {string} symbol @param {string} value @param {string} [word] */
function reading(name, symbol, value, word = '') {
  const term = element('dt', {}, ...(word ? [`${word} `] : []), ...(symbol ? [formula(symbol)] : []));
  return element(`div.of-${name}`, {}, term, element('dd', {}, value));
}

/** @param {string} name what a screen reader says */
function canvas(name) {
  return element('canvas.digit', { role: 'img', 'aria-label': name });
}

/**
 * @param {string} title
 * @param {HTMLElement[]} shown
 * @param {any[]} equations beside it
 */
function step(title, shown, equations) {
  return element('section.step', {}, element('div.shown', {}, element('h2', {}, title), ...shown), element('ul.sources', {}, ...equations.filter(Boolean).map(source)));
}

/** @param {any} equation @returns {HTMLElement} equation, paper and function, linked to the table of all of them */
function source({ text, source: paper, function: name, table }) {
  const [file, ...rest] = name.split(' ');
  const link = element('a', { href: table, target: '_blank', rel: 'noreferrer' }, element('code.function', {}, rest.join(' ')));
  return element('li', {}, formula(text), element('p.small.muted', {}, paper), element('p.small.muted', {}, link, ' in ', element('code', {}, file)));
}

/** @param {Record<string, any>} equations */
function makeForward(equations) {
  const [image, noise, noisy] = ['The image', 'The noise', 'The noisy image'].map(canvas);
  const [alpha, sigma] = [element('b'), element('b')];
  const figure = (/** @type {any[]} */ before, /** @type {HTMLElement} */ shown, /** @type {any[]} */ caption) =>
    element('div.term', {}, element('span.op', {}, ...before), element('figure', {}, shown, element('figcaption.small', {}, ...caption)));
  const row = element('div.sum', {},
    figure([alpha, ' ×'], image, ['image ', formula('x_0')]),
    figure(['+ ', sigma, ' ×'], noise, ['noise ', formula('ε')]),
    figure(['='], noisy, ['noisy image ', formula('x_t')]));
  return { element: step('Noise is added', [row], [equations.forward, equations.schedule]), image, noise, noisy, alpha, sigma };
}

/** @param {Record<string, any>} equations */
function makeMatrix(equations) {
  const names = [...COLUMNS, 'difference'];
  const told = element('b');
  const scale = element('b');
  const heads = [['without label'], ['told ', told], ['guided, ', formula('s'), ' = ', scale], ['what guidance adds']];
  /** @param {string} what @returns {Record<string, HTMLCanvasElement>} */
  const row = (what) => Object.fromEntries(names.map((name) => [name, canvas(`${what}, ${name}`)]));
  const eps = row('Predicted noise');
  const x_0 = row('Predicted image');
  const table = element('div.matrix', {},
    ...heads.map((head) => element('p.head.small', {}, ...head)),
    ...names.map((name) => eps[name]), element('p.line.small', {}, 'predicted noise ', formula('ε̂')),
    ...names.map((name) => x_0[name]), element('p.line.small', {}, 'predicted image ', formula('x̂_0')));
  const key = element('p.small.muted.key', {}, element('span.plus', {}, 'more'), element('span.minus', {}, 'less'), 'ink or noise in the last column');
  return { element: step('The network predicts the noise', [table, key], [equations.network, equations.target, equations.image, equations.guided]), eps, x_0, told, scale };
}

/** @param {any} schedule */
function makeLearning({ equations }) {
  const [loss, without] = [element('b'), element('b')];
  const text = element('p', {}, 'The loss of this image, noise and timestep is ', loss, ' with the label and ', without, ' without. Training makes it smaller, for all images, all noise and all timesteps.');
  return { element: step('What training makes smaller', [text], [equations.loss]), loss, without };
}

/** Noise as grey levels around the middle. @param {HTMLCanvasElement} shown @param {any} signed @param {number} size */
function paintSigned(shown, signed, size) {
  paint(shown, pixels(signed.pixels), size);
}

/** Differences: more ink is orange, less is blue, none is black. @param {HTMLCanvasElement} shown @param {any} signed @param {number} size */
function paintDifference(shown, signed, size) {
  [shown.width, shown.height] = [size, size];
  shown.title = `from −${signed.scale.toFixed(2)} to ${signed.scale.toFixed(2)}`;
  const context = /** @type {CanvasRenderingContext2D} */ (shown.getContext('2d'));
  const image = context.createImageData(size, size);
  pixels(signed.pixels).forEach((level, i) => {
    const share = (level - 128) / 127;
    const colour = share > 0 ? [255, 176, 84] : [110, 156, 255];
    for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = 11 + (colour[k] - 11) * Math.abs(share);
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}
