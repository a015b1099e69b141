// The files of a run: previews under a slider, the sheets of its checkpoints, its evaluation, its settings.
import { get } from './api.js';
import { commandLine } from './dialog.js';
import { element, errorState, slider } from './dom.js';
import { address } from './runs_feed.js';
import { number, whole } from './scale.js';
import { percent, setting, size } from './words.js';

/** @typedef {import('./runs_feed.js').Run} Run */

/** @param {[string, Node | string][]} rows @returns {HTMLElement} names and values */
export function sheet(rows) {
  return element('dl.sheet', {}, ...rows.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))));
}

/** @param {Run} run @param {number} epoch @returns {HTMLImageElement} its preview grid, enlarged by a whole factor */
export function previewOf(run, epoch) {
  const image = element('img.preview', { src: address(run.name, 'preview', epoch), alt: `${run.name} after epoch ${epoch}: a few samples of each class`, decoding: 'async' });
  image.addEventListener('load', () => {
    const room = image.parentElement?.clientWidth || image.naturalWidth;
    const factor = Math.max(1, Math.min(3, Math.floor(room / image.naturalWidth)));
    image.style.setProperty('width', `${Math.min(factor * image.naturalWidth, room)}px`);
  });
  image.addEventListener('error', () => image.replaceWith(element('p.muted', {}, 'This preview cannot be read.')));
  return image;
}

/** Previews of the epochs: the newest, until another is chosen. @returns {{element: HTMLElement, show: (run: Run) => void}} */
export function previews() {
  const place = element('div.picture');
  const under = element('div');
  const figure = element('section.previews', {}, element('h3', {}, 'Previews'), place, under);
  let shown = '';
  let at = -1;
  let count = 0;
  return {
    element: figure,
    show(run) {
      const epochs = run.previews;
      const isNewest = at < 0 || at >= count - 1;
      figure.hidden = !epochs.length;
      if (!epochs.length) return;
      const picture = (/** @type {number} */ index) => {
        at = index;
        const name = `${run.name} ${run.started} ${epochs[index]}`;
        if (name !== shown) place.replaceChildren(previewOf(run, epochs[index]));
        shown = name;
      };
      picture(isNewest ? epochs.length - 1 : Math.min(at, epochs.length - 1));
      if (count === epochs.length && under.firstChild) return;
      const hadFocus = under.contains(document.activeElement);
      count = epochs.length;
      const bar = slider('Epoch', { min: 0, max: count - 1, value: at, text: (index) => `${epochs[index]} of ${epochs[count - 1]}`, onchange: picture });
      bar.input.disabled = count < 2;
      under.replaceChildren(bar.row);
      if (hadFocus) bar.input.focus();
    },
  };
}

/** The checkpoints, each with a sheet that is read when it is opened. @returns {{element: HTMLElement, show: (run: Run) => void}} */
export function checkpoints() {
  const list = element('div.files', { tabindex: 0, role: 'region', 'aria-label': 'Checkpoints' });
  const section = element('section', {}, element('h3', {}, 'Checkpoints'), list);
  let shown = '';
  return {
    element: section,
    show(run) {
      const now = JSON.stringify(run.checkpoints);
      section.hidden = !run.checkpoints.length;
      if (now === shown) return;
      shown = now;
      const open = new Set([...list.querySelectorAll('details[open]')].map((one) => /** @type {HTMLElement} */ (one).dataset.file));
      list.replaceChildren(...run.checkpoints.map((file) => checkpoint(run.name, file, open.has(file))));
    },
  };
}

/** @param {string} name @param {string} file @param {boolean} isOpen @returns {HTMLElement} */
function checkpoint(name, file, isOpen) {
  const place = element('div');
  const details = element('details', { 'data-file': file, open: isOpen }, element('summary.mono', {}, file), place);
  details.addEventListener('toggle', async () => {
    if (!details.open) return;
    place.replaceChildren(element('p.muted', {}, 'Reading …'));
    try {
      place.replaceChildren(sheet(sheetRows(await get(address(name, 'checkpoints', encodeURIComponent(file))))));
    } catch (error) {
      place.replaceChildren(errorState(error));
    }
  });
  return details;
}

/** @param {any} d what `mnistdiff inspect --json` prints @returns {[string, string][]} */
function sheetRows(d) {
  const kind = d.kind === 'training' ? 'complete state: resume and sample' : 'averaged weights: sample';
  const held = d.held_out;
  return [
    ['kind', `${kind} (${size(d.bytes)}, format ${d.format_version})`],
    ['step', `${whole(d.step)} of ${whole(d.total_steps)}`],
    ['epoch', whole(d.epoch)],
    ['images seen', `${whole(d.images_seen)} (${whole(d.num_train_images)} to train on)`],
    ['loss', d.loss === null ? 'none yet' : `${d.loss.toFixed(5)} (mean of the last steps)`],
    ...(held ? [/** @type {[string, string]} */ (['held out', `loss ${held.loss.toFixed(5)} at step ${whole(held.step)} (${whole(held.num_images)} images); the least was ${held.best_loss.toFixed(5)} at step ${whole(held.best_step)}`])] : []),
    ['classes', d.class_names.length ? `${d.class_names.length}: ${d.class_names.join(', ')}` : 'unknown here'],
    ['parameters', whole(d.parameters)],
    ['weights', [d.has_ema ? 'ema' : '', d.has_raw ? 'raw' : ''].filter(Boolean).join(', ')],
    ['settings', Object.entries(d.settings).map(([key, value]) => `${key}=${setting(value)}`).join(', ')],
    ['written by', Object.entries(d.fingerprint).map(([key, value]) => `${key} ${value}`).join(', ')],
    ['SHA-256', `${d.sha256} (${d.digest_valid ? 'valid' : 'INVALID'})`],
  ];
}

/**
 * The evaluation in the folder, or the command that makes one.
 * @param {(text: string) => void} announce @returns {{element: HTMLElement, show: (run: Run) => void}}
 */
export function evaluation(announce) {
  const place = element('div.evaluation');
  const section = element('section', {}, element('h3', {}, 'Evaluation'), place);
  let shown = '';
  return {
    element: section,
    async show(run) {
      const now = `${run.is_evaluated} ${run.state} ${run.state === 'training' ? '' : run.written}`;
      section.hidden = !run.is_evaluated && run.state !== 'finished';
      if (now === shown) return;
      shown = now;
      if (!run.is_evaluated) {
        place.replaceChildren(element('p.muted', {}, 'This run has not been evaluated. The command saves the result in its folder:'), commandLine(run.evaluate, announce));
        return;
      }
      try {
        place.replaceChildren(...report(await get(address(run.name, 'evaluation')), run));
      } catch (error) {
        place.replaceChildren(errorState(error));
      }
    },
  };
}

/** @param {any} found an evaluation report @param {Run} run @returns {Node[]} */
function report(found, run) {
  const classifiers = Object.entries(found.classifiers);
  const name = (/** @type {number} */ label) => found.class_names[label] ?? String(label);
  /** @type {[string, (metrics: any) => string][]} */
  const rows = [
    ['accuracy', (m) => `${percent(m.accuracy.share)} (${percent(m.accuracy.low)} to ${percent(m.accuracy.high)})`],
    ['accuracy of real test images', (m) => percent(m.accuracy_of_test_images.share)],
    ['class with the lowest accuracy', (m) => `${name(m.lowest_digit)}: ${percent(m.accuracy_by_digit[m.lowest_digit].share)}`],
    ['fcd', (m) => number(m.fcd)],
    ['fcd of real test images', (m) => (m.fcd_real === null ? 'unknown' : number(m.fcd_real))],
    ...(['precision', 'recall', 'density', 'coverage'].map((key) => /** @type {[string, (metrics: any) => string]} */ ([key, (m) => (m.prdc ? number(m.prdc[key]) : 'not measured')]))),
  ];
  const head = element('tr', {}, element('th', { scope: 'col' }, 'classifier'), ...classifiers.map(([key]) => element('th', { scope: 'col' }, key)));
  const body = rows.map(([key, value]) => element('tr', {}, element('th', { scope: 'row' }, key), ...classifiers.map(([, metrics]) => element('td', {}, value(metrics)))));
  const table = element('div.wide', { tabindex: 0, role: 'region', 'aria-label': 'Evaluation, table' }, element('table', {}, element('thead', {}, head), element('tbody', {}, ...body)));
  const { model, sampling } = found;
  const lines = [`${whole(found.num_images)} images of step ${whole(model.step)} (SHA-256 ${model.sha256.slice(0, 12)}), sampler ${sampling.sampler}, steps ${sampling.steps}, guidance ${sampling.guidance}, seed ${sampling.seed}.`];
  if (model.step !== run.step) lines.push(`The run has gone on since, to step ${whole(run.step)}.`);
  if (found.cas) lines.push(`CAS ${percent(found.cas.score)}; with real images ${percent(found.cas.score_of_real_images)}.`);
  if (found.memorization) lines.push(`${whole(found.memorization.images.copies)} copies of training images.`);
  return [table, ...[...lines, ...found.notices].map((line) => element('p.muted.small', {}, line))];
}

/** @returns {{element: HTMLElement, show: (run: Run) => void}} all settings of a run */
export function settings() {
  const place = element('div');
  const details = element('details.settings', {}, element('summary', {}, 'Settings'), place);
  return {
    element: details,
    show(run) {
      details.hidden = !run.settings;
      if (!place.firstChild && run.settings) place.append(sheet(Object.entries(run.settings).map(([name, value]) => [name, setting(value)])));
    },
  };
}

