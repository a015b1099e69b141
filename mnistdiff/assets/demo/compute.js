/** The engine as the page sees it: requests whose replies come one by one. */

import { Engine } from './engine.js';

/** In a worker: serve the page that started it. */
export function serve(scope) {
  const engine = new Engine((reply) => scope.postMessage(reply));
  scope.onmessage = ({ data }) => engine.handle(data);
}

/**
 * The engine in a worker made of the page's own script, or in the page where a browser refuses that.
 * @param {string} script text of the page's script
 * @param {(reply: object) => void} reply
 */
function transport(script, reply) {
  const here = () => {
    const engine = new Engine(reply);
    return (message) => engine.handle(message);
  };
  const waiting = [];
  let send = (message) => waiting.push(message);
  const settle = (final) => {
    send = final;
    waiting.splice(0).forEach(send);
  };
  try {
    const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
    const sent = [];
    const toWorker = (message) => {
      sent.push(message);
      worker.postMessage(message);
    };
    worker.onmessage = ({ data }) => {
      sent.length = 0;
      reply(data);
    };
    worker.onerror = () => {
      worker.terminate();
      waiting.push(...sent);
      settle(here());
    };
    send = toWorker;
  } catch {
    settle(here());
  }
  return (message) => send(message);
}

/** Requests to the engine. */
export class Compute {
  constructor(script) {
    this.count = 0;
    this.listeners = new Map();
    this.send = transport(script, (reply) => this.take(reply));
  }

  take(reply) {
    const listener = this.listeners.get(reply.id);
    if (!listener) return;
    if (reply.type === 'done' || reply.type === 'failed' || reply.type === 'ready') this.listeners.delete(reply.id);
    listener(reply);
  }

  /** Give the engine the model; `listener` gets `ready` or `failed`. */
  load(parts, listener) {
    this.listeners.set(0, listener);
    this.send({ id: 0, kind: 'load', ...parts });
  }

  /**
   * Ask for work; it ends an earlier request of this kind, whose listener hears no more.
   * @param {'draw' | 'read' | 'complete'} kind
   * @param {object} task
   * @param {(reply: object) => void} listener gets every reply; the last is `done` or `failed`
   */
  ask(kind, task, listener) {
    const id = ++this.count;
    this.listeners.delete(this[kind]);
    this[kind] = id;
    this.listeners.set(id, listener);
    this.send({ id, kind, ...task });
  }
}
