// The runs as the server tells of them, live, and the metrics of those that are shown.
import { ApiError, get } from './api.js';

/**
 * @typedef {{step: number, loss: number, epoch?: number, images_seen?: number, lr?: number, images_per_second?: number,
 *   held_out_loss?: number}} Metrics
 * @typedef {{name: string, state: 'training' | 'stopped' | 'finished' | 'damaged', problem: string, dataset: string,
 *   num_train_images: number | null, step: number, total_steps: number | null, epoch: number, last: Metrics | null,
 *   seconds_left: number | null, started: number, written: number, previews: number[], checkpoints: string[],
 *   is_evaluated: boolean, settings: Record<string, unknown> | null, resume: string, evaluate: string}} Run
 * @typedef {{folder: string, start: string, problem: string, runs: Run[]}} Listing
 */

const RETRY_MILLISECONDS = 2000;
const MOST_RECORDS = 6000;

/** @param {string} name of a run @param {...(string | number)} parts @returns {string} an address of the API */
export const address = (name, ...parts) => ['/api/runs', encodeURIComponent(name), ...parts].join('/');

/**
 * Listen to what changes among the runs, from `open` to `close`, also after the server was away.
 * @param {(listing: Listing) => void} onchange called with all runs when any has changed
 */
export function follow(onchange) {
  /** @type {EventSource | null} */
  let source = null;
  let isOpen = false;
  /** @type {Listing} */
  let listing = { folder: '', start: '', problem: '', runs: [] };

  function listen() {
    if (!isOpen || source) return;
    const opened = new EventSource('/api/runs/events');
    source = opened;
    opened.addEventListener('runs', (event) => {
      listing = JSON.parse(event.data);
      onchange(listing);
    });
    opened.addEventListener('run', (event) => {
      const changed = JSON.parse(event.data);
      listing = { ...listing, runs: listing.runs.map((run) => (run.name === changed.name ? changed : run)) };
      onchange(listing);
    });
    // The browser itself does not try again after an answer such as 403.
    opened.addEventListener('error', () => {
      stop();
      setTimeout(listen, RETRY_MILLISECONDS);
    });
  }

  function stop() {
    source?.close();
    source = null;
  }

  return {
    open() {
      isOpen = true;
      listen();
    },
    close() {
      isOpen = false;
      stop();
    },
  };
}

/** The metrics of runs, of which only those that are new are fetched. */
export class Records {
  /** @param {() => void} onload called when there are new ones */
  constructor(onload) {
    this.onload = onload;
    /** @type {Map<string, {records: Metrics[], isLoading: boolean, problem: string}>} */
    this.byName = new Map();
  }

  /** @param {Run} run @returns {{records: Metrics[], problem: string}} what is here; the rest is fetched */
  of(run) {
    const known = this.byName.get(run.name) || { records: [], isLoading: false, problem: '' };
    this.byName.set(run.name, known);
    const newest = known.records.at(-1)?.step ?? -1;
    const last = run.last?.step ?? -1;
    if (!known.isLoading && last !== newest) this.load(run, known, last < newest || known.records.length > MOST_RECORDS ? -1 : newest);
    return known;
  }

  /** @param {Run} run @param {{records: Metrics[], isLoading: boolean, problem: string}} known @param {number} after -1 is all */
  async load(run, known, after) {
    known.isLoading = true;
    try {
      const { records } = await get(address(run.name, `records?after=${after}`));
      known.records = after < 0 ? records : [...known.records, ...records];
      known.problem = '';
    } catch (error) {
      if (error instanceof ApiError) known.problem = error.message;
      await new Promise((wake) => setTimeout(wake, RETRY_MILLISECONDS));
    }
    known.isLoading = false;
    this.onload();
  }
}
