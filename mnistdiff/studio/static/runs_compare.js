// Several runs side by side: one plot, a table of what differs, their newest previews.
import { choice, element } from './dom.js';
import { plot } from './plot.js';
import { previewOf } from './run_files.js';
import { points } from './run_view.js';
import { stateOf } from './runs_list.js';
import { number, whole } from './scale.js';
import { loss, setting } from './words.js';

/** @typedef {import('./runs_feed.js').Run} Run */
/** @typedef {import('./runs_feed.js').Metrics} Metrics */

/** @type {Record<string, {title: string, log: boolean, dots: boolean}>} */
const CURVES = {
  loss: { title: 'Loss', log: true, dots: false },
  held_out_loss: { title: 'Held-out loss', log: true, dots: true },
  lr: { title: 'Learning rate', log: false, dots: false },
  images_per_second: { title: 'Images/s', log: false, dots: false },
};

/** @returns {{element: HTMLElement, show: (runs: Run[], known: Map<string, {records: Metrics[]}>) => void}} */
export function comparison() {
  /** @type {{field: keyof Metrics, by: keyof Metrics, runs: Run[], known: Map<string, {records: Metrics[]}>}} */
  const now = { field: 'loss', by: 'step', runs: [], known: new Map() };
  const place = element('div');
  const table = element('div.wide', { tabindex: 0, role: 'region', 'aria-label': 'What differs, table' });
  const pictures = element('div.side-by-side');
  const title = element('h2');
  /** @type {import('./plot.js').Plot | null} */
  let curve = null;

  function draw() {
    curve?.set(now.runs.map((run, at) => ({
      name: run.name,
      points: points(now.known.get(run.name)?.records || [], now.field, now.by),
      look: at,
      dash: at,
      dots: CURVES[now.field].dots,
    })));
  }

  /** A plot has its axes for good. */
  function change() {
    const { title: name, log } = CURVES[now.field];
    const label = now.by === 'step' ? 'step' : 'images seen';
    curve = plot({ title: name, x: { label, text: whole }, y: { label: name.toLowerCase(), log, ...(log ? {} : { low: 0 }) }, height: 340, empty: 'These runs have no such values.' });
    place.replaceChildren(curve.element);
    draw();
  }

  const tools = element('div.tools', {},
    choice('Curve', Object.entries(CURVES).map(([field, { title: name }]) => [field, name]), 'loss', (field) => { now.field = /** @type {keyof Metrics} */ (field); change(); }).row,
    choice('Along', [['step', 'Steps'], ['images_seen', 'Images seen']], 'step', (by) => { now.by = /** @type {keyof Metrics} */ (by); change(); }).row,
  );
  change();
  return {
    element: element('article.several', {}, title, tools, place, pictures, element('section', {}, element('h3', {}, 'What differs'), table)),
    show(runs, known) {
      Object.assign(now, { runs, known });
      title.textContent = `${runs.length} runs`;
      draw();
      table.replaceChildren(differences(runs, known));
      const shown = runs.filter((run) => run.previews.length);
      const key = shown.map((run) => `${run.name} ${run.previews.at(-1)}`).join();
      if (pictures.dataset.shown === key) return;
      pictures.dataset.shown = key;
      pictures.replaceChildren(...shown.map((run) => {
        const epoch = /** @type {number} */ (run.previews.at(-1));
        return element('figure', {}, element('figcaption', {}, element('h3', {}, `${run.name}, epoch ${epoch}`)), previewOf(run, epoch));
      }));
    },
  };
}

/** @param {Run[]} runs @param {Map<string, {records: Metrics[]}>} known @returns {HTMLElement} a row for each fact, and for each setting that differs */
function differences(runs, known) {
  const least = (/** @type {Run} */ run) => {
    const held = points(known.get(run.name)?.records || [], 'held_out_loss').map(([, value]) => value);
    return held.length ? loss(Math.min(...held)) : '–';
  };
  /** @type {[string, (run: Run) => Node | string][]} */
  const facts = [
    ['state', stateOf],
    ['data set', (run) => run.dataset || '–'],
    ['step', (run) => (run.total_steps === null ? '–' : `${whole(run.step)} of ${whole(run.total_steps)}`)],
    ['images seen', (run) => (run.last?.images_seen === undefined ? '–' : whole(run.last.images_seen))],
    ['loss', (run) => (run.last ? loss(run.last.loss) : '–')],
    ['least held-out loss', least],
    ['images/s', (run) => (run.last?.images_per_second === undefined ? '–' : number(run.last.images_per_second))],
  ];
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.settings || {})))];
  const value = (/** @type {Run} */ run, /** @type {string} */ name) => (run.settings ? setting(run.settings[name] ?? null) : '–');
  const differing = names.filter((name) => new Set(runs.filter((run) => run.settings).map((run) => value(run, name))).size > 1);
  const cells = (/** @type {string} */ name, /** @type {(run: Run) => Node | string} */ of, kind = '') =>
    element('tr', {}, element(`th${kind}`, { scope: 'row' }, name), ...runs.map((run) => element('td', {}, of(run))));
  return element('table', {},
    element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'run'), ...runs.map((run) => element('th', { scope: 'col' }, run.name)))),
    element('tbody', {}, ...facts.map(([name, of]) => cells(name, of))),
    element('tbody', {}, ...differing.map((name) => cells(name, (run) => value(run, name), '.mono'))),
  );
}
