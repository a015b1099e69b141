// The list of runs: a button that shows a run, and a box that puts it beside others.
import { element } from './dom.js';
import { whole } from './scale.js';
import { duration, loss } from './words.js';

/** @typedef {import('./runs_feed.js').Run} Run */

export const MOST_COMPARED = 6;
const SIGNS = { training: '●', stopped: '■', finished: '✓', damaged: '!' };

/** @param {Run} run @returns {HTMLElement} its state: a sign and a word */
export function stateOf(run) {
  return element(`span.state-of.${run.state}`, {}, element('span.sign', { 'aria-hidden': 'true' }, SIGNS[run.state]), run.state);
}

/** @param {Run} run @returns {HTMLElement} how far it is */
export function progressOf(run) {
  return element('progress', { max: run.total_steps || 1, value: run.step, 'aria-label': `${run.name}: steps done` });
}

/** @param {Run} run @returns {string} its position and its loss, in a line */
function described(run) {
  const steps = run.total_steps === null ? 'no step yet' : `step ${whole(run.step)} of ${whole(run.total_steps)}`;
  const left = run.seconds_left === null ? '' : ` · ${duration(run.seconds_left)} left`;
  return `${steps}${run.last ? ` · loss ${loss(run.last.loss)}` : ''}${left}`;
}

/**
 * @param {(names: string[]) => void} onselect called with the runs to show
 * @returns {{element: HTMLElement, set: (runs: Run[], chosen: string[]) => void}}
 */
export function runList(onselect) {
  const list = element('ul.run-list');
  /** @type {Map<string, ReturnType<typeof row>>} */
  const rows = new Map();
  return {
    element: list,
    set(runs, chosen) {
      for (const name of rows.keys()) if (!runs.some((run) => run.name === name)) rows.delete(name);
      for (const run of runs) {
        if (!rows.has(run.name)) rows.set(run.name, row(run.name, onselect));
        rows.get(run.name)?.show(run, chosen, runs.length > 1);
      }
      const order = runs.map((run) => /** @type {any} */ (rows.get(run.name)).element);
      // Only where the order has changed: an element that is moved loses the focus.
      if (order.length === list.children.length && order.every((one, k) => one === list.children[k])) return;
      const focused = /** @type {HTMLElement} */ (document.activeElement);
      list.replaceChildren(...order);
      if (list.contains(focused)) focused.focus();
    },
  };
}

/** @param {string} name @param {(names: string[]) => void} onselect */
function row(name, onselect) {
  /** @type {string[]} */
  let shown = [];
  const box = element('input', { type: 'checkbox', 'aria-label': `Compare ${name}`, title: 'Compare' });
  const button = element('button.run', { type: 'button', onclick: () => onselect([name]) });
  box.addEventListener('change', () => onselect(box.checked ? [...shown, name] : shown.filter((one) => one !== name)));
  const item = element('li', {}, element('label.pick', {}, box), button);
  return {
    element: item,
    /** @param {Run} run @param {string[]} chosen @param {boolean} hasOthers */
    show(run, chosen, hasOthers) {
      shown = chosen;
      const isChosen = chosen.includes(name);
      box.checked = isChosen;
      box.disabled = (isChosen && chosen.length === 1) || (!isChosen && chosen.length >= MOST_COMPARED);
      box.parentElement.hidden = !hasOthers;
      item.classList.toggle('chosen', isChosen);
      button.setAttribute('aria-pressed', String(isChosen));
      const isUnderWay = run.state === 'training' || (run.state === 'stopped' && run.total_steps);
      const lines = run.state === 'damaged' ? [element('span.muted', {}, 'It cannot be read.')] : [element('span.muted', {}, described(run))];
      button.replaceChildren(
        element('span.top-line', {}, element('b', {}, name), stateOf(run)),
        ...(run.dataset ? [element('span.muted', {}, `${run.dataset} · ${run.settings?.preset}`)] : []),
        ...lines,
        ...(isUnderWay ? [progressOf(run)] : []),
      );
    },
  };
}
