// The room of the runs: a list beside one run, or beside several that are compared; live while they train.
import { commandLine } from './dialog.js';
import { element, emptyState, errorState } from './dom.js';
import { runView } from './run_view.js';
import { comparison } from './runs_compare.js';
import { follow, Records } from './runs_feed.js';
import { runList } from './runs_list.js';

const MILLISECONDS_OF_AGES = 20_000;

/** @typedef {import('./runs_feed.js').Run} Run */
/** @typedef {import('./runs_feed.js').Listing} Listing */

/**
 * @param {HTMLElement} section the room's place in the page
 * @param {{model: any, announce: (text: string) => void}} page
 * @returns {{show: () => void, hide: () => void}}
 */
export function mount(section, { announce }) {
  const folder = element('p.muted.small.folder');
  const hint = element('p.muted.small', {}, 'Tick several to compare them.');
  const list = runList(select);
  const stage = element('div.stage');
  const side = element('div.controls', {}, element('div', {}, element('h2', {}, 'Runs'), folder), list.element, hint);
  const split = element('div.split.runs', {}, side, stage);
  const records = new Records(draw);
  /** @type {Listing | null} */
  let listing = null;
  /** @type {string[]} the runs that are shown */
  let chosen = [];
  /** @type {{key: string, view: any}} */
  let shown = { key: '', view: null };
  let isShown = false;
  const feed = follow(take);

  /** @param {Listing} next */
  function take(next) {
    tellChanges(listing?.runs || [], next.runs, announce);
    listing = next;
    chosen = chosen.filter((name) => next.runs.some((run) => run.name === name));
    if (!chosen.length && next.runs.length) chosen = [(next.runs.find((run) => run.state === 'training') || next.runs[0]).name];
    draw();
  }

  /** @param {string[]} names in the order of the list */
  function select(names) {
    chosen = (listing?.runs || []).map((run) => run.name).filter((name) => names.includes(name));
    draw();
    const { top } = stage.getBoundingClientRect();
    if (names.length === 1 && (top < 0 || top > innerHeight / 2)) stage.scrollIntoView();
  }

  function draw() {
    if (!listing) return;
    if (listing.problem || !listing.runs.length) {
      section.replaceChildren(listing.problem ? errorState({ message: listing.problem }) : nothing(listing, announce));
      return;
    }
    if (split.parentElement !== section) section.replaceChildren(split);
    folder.textContent = `in ${listing.folder}`;
    hint.hidden = listing.runs.length < 2;
    list.set(listing.runs, chosen);
    const runs = listing.runs.filter((run) => chosen.includes(run.name));
    const known = new Map(runs.map((run) => [run.name, records.of(run)]));
    const key = JSON.stringify(chosen.length > 1 ? chosen : chosen[0]);
    if (shown.key !== key) {
      shown = { key, view: runs.length > 1 ? comparison() : runView(announce) };
      stage.replaceChildren(shown.view.element);
    }
    if (runs.length > 1) shown.view.show(runs, known);
    else shown.view.show(runs[0], known.get(runs[0].name));
  }

  // A hidden page takes none of the few connections that a browser has for one server.
  const listen = () => (isShown && !document.hidden ? feed.open() : feed.close());
  document.addEventListener('visibilitychange', listen);
  setInterval(() => isShown && draw(), MILLISECONDS_OF_AGES); // so that `3 min ago` becomes `4 min ago`
  section.append(emptyState('Loading the runs …'));
  return {
    show() {
      isShown = true;
      listen();
    },
    hide() {
      isShown = false;
      listen();
    },
  };
}

/** @param {Listing} listing @param {(text: string) => void} announce @returns {HTMLElement} how to begin */
function nothing(listing, announce) {
  return element('div.state.first', {},
    element('h2', {}, 'No runs yet'),
    element('p.muted', {}, 'A training leaves a run in ', element('code', {}, listing.folder), '. This command starts one of 15 minutes; it appears here at once.'),
    commandLine(listing.start, announce),
  );
}

/** @param {Run[]} before @param {Run[]} after @param {(text: string) => void} announce tells a screen reader of states, not of steps */
function tellChanges(before, after, announce) {
  const states = new Map(before.map((run) => [run.name, run.state]));
  const changed = after.filter((run) => before.length && states.get(run.name) !== run.state);
  if (changed.length) announce(changed.map((run) => `${run.name}: ${run.state}`).join('. '));
}
