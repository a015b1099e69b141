/** The engine as the page sees it: requests whose replies come one by one. */

import { Engine } from './engine.js';

/** @typedef {import('./engine.js').Reply} Reply */
/** @typedef {import('./engine.js').Request} Request */

/**
 * In a worker: serve the page that started it.
 * @param {any} scope of the worker
 */
export function serve(scope) {
  const engine = new Engine((reply) => scope.postMessage(reply));
  scope.onmessage = (/** @type {MessageEvent<Request>} */ { data }) => engine.handle(data);
}

/**
 * An engine in a worker made of the page's own script, or in the page where a browser refuses that.
 * @param {string} script of the page
 * @param {(reply: Reply & {id: number}) => void} take
 * @returns {{send: (request: Request) => void, place: () => 'worker' | 'page'}}
 */
function connect(script, take) {
  /** @type {Request[]} */
  const unanswered = [];
  /** @type {Engine | undefined} */
  let here;
  const computeHere = () => {
    here = new Engine(take);
    for (const request of unanswered) here.handle(request);
  };
  /** @type {Worker | undefined} */
  let worker;
  try {
    worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
    worker.onerror = computeHere;
    worker.onmessage = ({ data }) => {
      if (worker) worker.onerror = null; // it has begun
      take(data);
    };
  } catch {
    computeHere();
  }
  return {
    send(request) {
      if (here) here.handle(request);
      else {
        if (worker?.onerror) unanswered.push(request);
        worker?.postMessage(request);
      }
    },
    place: () => (here ? 'page' : 'worker'),
  };
}

/** Requests to the engine. */
export class Compute {
  /** @param {string} script of the page */
  constructor(script) {
    this.count = 0;
    /** @type {Map<number, (reply: Reply) => void>} */
    this.listeners = new Map();
    /** @type {Record<string, number>} */
    this.newest = {};
    const { send, place } = connect(script, (reply) => this.listeners.get(reply.id)?.(reply));
    this.send = send;
    this.place = place;
  }

  /**
   * Ask for something; it ends an earlier request of this kind, whose listener hears no more.
   * @template {Request['kind']} Kind
   * @param {Kind} kind
   * @param {Omit<Request & {kind: Kind}, 'id' | 'kind'>} task
   * @param {(reply: Reply) => void} listener gets every reply; the last is `ready`, `done` or `failed`
   */
  ask(kind, task, listener) {
    const id = ++this.count;
    this.listeners.delete(this.newest[kind]);
    this.newest[kind] = id;
    this.listeners.set(id, listener);
    this.send(/** @type {any} */ ({ id, kind, ...task }));
  }
}
