// Requests to the server: JSON, pictures, streams of events.

/** An error that the server describes: a sentence, a hint and the field at fault (both may be empty). */
export class ApiError extends Error {
  /** @param {number} status @param {{message?: string, hint?: string, field?: string}} error */
  constructor(status, error) {
    super(error.message || `The server answered with status ${status}.`);
    this.status = status;
    this.hint = error.hint || '';
    this.field = error.field || '';
  }
}

/** The server did not answer. */
export class ServerGone extends Error {
  constructor() {
    super('The server does not answer.');
    this.hint = 'Start it again with `mnistdiff studio`.';
  }
}

/** Dispatches `gone` when a request gets no answer and `denied` when the server does not know this page's token. */
export const server = new EventTarget();

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>} a successful answer
 */
async function request(path, init) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', ...init });
  } catch (error) {
    throw failure(error);
  }
  if (response.ok) return response;
  if (response.status === 403) server.dispatchEvent(new Event('denied'));
  const answer = await response.json().catch(() => ({}));
  throw new ApiError(response.status, answer.error || {});
}

/** @param {unknown} error @returns {unknown} the error itself if the page has aborted the request, else ServerGone */
function failure(error) {
  if (isAbort(error)) return error;
  server.dispatchEvent(new Event('gone'));
  return new ServerGone();
}

/** @param {unknown} error @returns {boolean} whether the page itself has aborted the request */
export function isAbort(error) {
  return error instanceof DOMException && error.name === 'AbortError';
}

/**
 * @param {unknown} body an object is sent as JSON, a Blob as it is
 * @param {AbortSignal} [signal]
 * @returns {RequestInit}
 */
function posting(body, signal) {
  if (body instanceof Blob) return { method: 'POST', body, signal, headers: { 'Content-Type': body.type } };
  return { method: 'POST', body: JSON.stringify(body), signal, headers: { 'Content-Type': 'application/json' } };
}

/** @param {Response} response @returns {Promise<any>} the JSON, or a Blob of any other type */
function content(response) {
  return (response.headers.get('Content-Type') || '').includes('json') ? response.json() : response.blob();
}

/** @param {string} path @param {{signal?: AbortSignal}} [options] @returns {Promise<any>} */
export async function get(path, { signal } = {}) {
  return content(await request(path, { signal }));
}

/** @param {string} path @param {unknown} body @param {{signal?: AbortSignal}} [options] @returns {Promise<any>} */
export async function post(path, body, { signal } = {}) {
  return content(await request(path, posting(body, signal)));
}

/**
 * Post a body and pass each server-sent event of the answer to `onEvent`. Aborting the signal ends the computation.
 * @param {string} path
 * @param {unknown} body
 * @param {{onEvent?: (name: string, data: any) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the data of the event `done`; an event `failed` is thrown as ApiError
 */
export async function stream(path, body, { onEvent = () => {}, signal } = {}) {
  const response = await request(path, posting(body, signal));
  let result;
  for await (const { name, data } of events(response)) {
    if (name === 'failed') throw new ApiError(response.status, data.error || data);
    onEvent(name, data);
    if (name === 'done') result = data;
  }
  if (result !== undefined) return result;
  throw failure(new Error('The stream ended early.'));
}

/** @param {Response} response @returns {AsyncGenerator<{name: string, data: any}>} */
async function* events(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let isRead = false;
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error) => Promise.reject(failure(error)));
      isRead = done;
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() || '';
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    if (!isRead) reader.cancel().catch(() => {});
  }
}

/** @param {string} block the lines of one event @returns {{name: string, data: any} | null} null for a comment */
function parsed(block) {
  let name = 'message';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    if (line.startsWith('data:')) data += line.slice(5);
  }
  return data ? { name, data: JSON.parse(data) } : null;
}

/** @param {string} base64 @returns {Uint8Array} grey levels */
export function pixels(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
