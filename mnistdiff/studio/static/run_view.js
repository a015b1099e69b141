// One run: how far it is, its curves, previews, checkpoints, evaluation, settings.
import { commandLine } from './dialog.js';
import { element } from './dom.js';
import { plot } from './plot.js';
import { checkpoints, evaluation, previews, settings } from './run_files.js';
import { progressOf, stateOf } from './runs_list.js';
import { number, whole } from './scale.js';
import { ago, duration, loss } from './words.js';

/** @typedef {import('./runs_feed.js').Run} Run */
/** @typedef {import('./runs_feed.js').Metrics} Metrics */

/** @param {Metrics[]} records @param {keyof Metrics} field @param {keyof Metrics} [by] @returns {[number, number][]} the points of a curve */
export function points(records, field, by = 'step') {
  return records.flatMap((record) => (record[field] === undefined || record[by] === undefined ? [] : [/** @type {[number, number]} */ ([record[by], record[field]])]));
}

/**
 * @param {(text: string) => void} announce
 * @returns {{element: HTMLElement, show: (run: Run, known: {records: Metrics[], problem: string}) => void}}
 */
export function runView(announce) {
  const head = element('header.run-head');
  const curves = lossCurves();
  const rate = plot({ title: 'Learning rate', x: { label: 'step', text: whole }, y: { label: 'learning rate', low: 0 }, height: 180 });
  const speed = plot({ title: 'Speed', x: { label: 'step', text: whole }, y: { label: 'images/s', low: 0 }, height: 180 });
  const pictures = previews();
  const files = [checkpoints(), evaluation(announce), settings()];
  const next = element('div.next');
  const sight = element('div.sight', {}, curves.element, pictures.element);
  const view = element('article.one-run', {}, head, next, sight, element('div.pair', {}, rate.element, speed.element), ...files.map((one) => one.element));
  let drawn = '';
  let told = '';
  return {
    element: view,
    show(run, { records, problem }) {
      head.replaceChildren(...heading(run, records));
      if (told !== `${run.state} ${run.problem}`) next.replaceChildren(...whatNext(run, announce));
      told = `${run.state} ${run.problem}`;
      const now = `${records.length} ${records.at(-1)?.step} ${problem}`;
      if (now !== drawn) {
        curves.show(records, problem);
        rate.set([{ name: 'learning rate', points: points(records, 'lr') }]);
        speed.set([{ name: 'images/s', points: points(records, 'images_per_second') }]);
      }
      drawn = now;
      for (const one of [pictures, ...files]) one.show(run);
    },
  };
}

/** The loss of training and of held-out images, on a scale that can be changed. */
function lossCurves() {
  const box = element('input', { type: 'checkbox', checked: true });
  const tools = element('label.check', {}, box, 'Logarithmic scale');
  const curve = plot({ title: 'Loss', x: { label: 'step', text: whole }, y: { label: 'loss', log: true }, height: 300, empty: 'No record yet: the first comes after log_every steps.', tools });
  box.addEventListener('change', () => curve.log(box.checked));
  const note = element('p.muted.small');
  return {
    element: element('div.loss', {}, curve.element, note),
    /** @param {Metrics[]} records @param {string} problem */
    show(records, problem) {
      const held = points(records, 'held_out_loss');
      curve.set([{ name: 'training', points: points(records, 'loss') }, ...(held.length ? [{ name: 'held out', points: held, dots: held.length < 40 }] : [])]);
      note.textContent = problem;
    },
  };
}

/** @param {Run} run @param {Metrics[]} records @returns {Node[]} name, state and numbers */
function heading(run, records) {
  const { last } = run;
  const held = points(records, 'held_out_loss').at(-1);
  /** @type {[string, string][]} */
  const facts = [
    ['step', run.total_steps === null ? '–' : `${whole(run.step)} of ${whole(run.total_steps)}`],
    ['epoch', whole(run.epoch)],
    ['loss', last ? loss(last.loss) : '–'],
    ...(held ? [/** @type {[string, string]} */ (['held-out loss', loss(held[1])])] : []),
    ['learning rate', last?.lr === undefined ? '–' : number(last.lr)],
    ['images/s', last?.images_per_second === undefined ? '–' : whole(last.images_per_second)],
    ...(run.state === 'training' ? [/** @type {[string, string]} */ (['time left', run.seconds_left === null ? '–' : duration(run.seconds_left)])] : []),
  ];
  const what = [run.dataset, run.settings ? `preset ${run.settings.preset}` : '', `started ${ago(run.started)}`, `last written ${ago(run.written)}`];
  return [
    element('div.title', {}, element('h2', {}, run.name), stateOf(run)),
    element('p.muted.small', {}, what.filter(Boolean).join(' · ')),
    ...(run.total_steps === null || run.state === 'finished' ? [] : [progressOf(run)]),
    ...(run.settings ? [element('dl.run-facts', {}, ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))))] : []),
  ];
}

/** @param {Run} run @param {(text: string) => void} announce @returns {Node[]} what is wrong, or how to go on */
function whatNext(run, announce) {
  const problem = run.problem ? [element('div.state.failed', {}, element('p', {}, run.problem))] : [];
  if (run.state === 'training' && !run.settings) return [...problem, element('p.muted', {}, 'The training has begun. It shows its numbers after its first save.')];
  if (run.state !== 'stopped') return problem;
  return [...problem, element('p.muted', {}, 'The training was stopped or killed. The command continues it:'), commandLine(run.resume, announce)];
}
