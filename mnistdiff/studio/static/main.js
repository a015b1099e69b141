// The frame of the page: tabs, colours, whether the server is there, the live region.
import { get, server } from './api.js';
import { element, emptyState, errorState, marked } from './dom.js';

/** The module of each room. It is loaded when the room is first shown. */
const ROOMS = /** @type {Record<string, string>} */ ({
  draw: './draw.js',
  hand: './hand.js',
  explain: './explain.js',
  runs: './runs.js',
});
const PING_SECONDS = 3;
const PING_GONE_SECONDS = 1;

/** @typedef {{show?: () => void, hide?: () => void}} Room */
/** @type {Record<string, Promise<Room>>} */
const mounted = {};
/** @type {any} what `/api/model` says */
let model = null;

/** @param {string} id @returns {HTMLElement} */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role=tab]')]);

/** Say a sentence to a screen reader. @param {string} text */
function announce(text) {
  byId('live').textContent = '';
  requestAnimationFrame(() => {
    byId('live').textContent = text;
  }); // a sentence that is said again is heard again
}

/** @param {string} name @returns {Promise<Room>} */
async function mount(name) {
  const section = byId(`room-${name}`);
  section.replaceChildren(emptyState('Loading …'));
  try {
    const room = await import(ROOMS[name]);
    section.replaceChildren();
    return room.mount(section, { model, announce }) || {};
  } catch (error) {
    console.error(error);
    delete mounted[name];
    section.replaceChildren(errorState({ message: 'This room could not be loaded', hint: 'Load the page again.' }));
    return {};
  }
}

/** @param {string} name the room to show; the others are hidden */
async function show(name) {
  for (const tab of tabs) {
    const here = tab.dataset.room === name;
    const room = tab.dataset.room || '';
    const wasShown = !byId(`room-${room}`).hidden;
    tab.setAttribute('aria-selected', String(here));
    tab.tabIndex = here ? 0 : -1;
    byId(`room-${room}`).hidden = !here;
    if (!here && wasShown && room in mounted) mounted[room].then((left) => left.hide?.());
  }
  if (!model) return;
  mounted[name] ||= mount(name);
  const shown = await mounted[name];
  if (!byId(`room-${name}`).hidden) shown.show?.();
}

/** @returns {string} the room that the address names */
function named() {
  const name = location.hash.slice(1);
  return name in ROOMS ? name : 'draw';
}

/** @param {KeyboardEvent} event arrows, Home and End move among the tabs */
function moveAmongTabs(event) {
  const at = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}

/** @param {boolean} dark */
function setColours(dark) {
  document.documentElement.style.setProperty('color-scheme', dark ? 'dark' : 'light');
  byId('theme').setAttribute('aria-pressed', String(dark));
}

function followColours() {
  const system = matchMedia('(prefers-color-scheme: dark)');
  setColours(system.matches);
  system.addEventListener('change', () => setColours(system.matches));
  byId('theme').addEventListener('click', () => setColours(byId('theme').getAttribute('aria-pressed') !== 'true'));
}

/** @param {string} sentence shown above the rooms; none hides it @param {...Node} more */
function tell(sentence, ...more) {
  const banner = byId('gone');
  if (banner.dataset.sentence === sentence) return;
  banner.dataset.sentence = sentence;
  banner.replaceChildren(...(sentence ? [element('p', {}, ...marked(sentence)), ...more] : []));
  banner.hidden = !sentence;
}

/** Show the model's name, or why there is none. */
async function loadModel() {
  const loaded = await get('/api/model');
  if (model && model.sha256 !== loaded.sha256) {
    tell(
      'The server has another model now.',
      element('button', { type: 'button', onclick: () => location.reload() }, 'Load it'),
    );
    return;
  }
  tell('');
  const isFirst = !model;
  model = loaded;
  byId('model').replaceChildren(
    element('span', {}, `${model.name} · ${model.dataset} · ${model.sha256}`),
    ...model.notices.map((/** @type {string} */ notice) => element('span', {}, notice)),
  );
  if (isFirst) await show(named());
  else announce('The server is back.');
}

/** Ask the server now and then whether it is there. */
async function watch() {
  let isGone = false;
  server.addEventListener('gone', () => {
    isGone = true;
    tell(
      `The server does not answer. Start it again: \`mnistdiff studio --port ${location.port}\`. This page stays as it is.`,
    );
  });
  server.addEventListener('denied', () => {
    isGone = true;
    tell('The server was started again. Open the address that it printed: then this page works again, too.');
  });
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 1000 * (isGone ? PING_GONE_SECONDS : PING_SECONDS)));
    try {
      await get('/api/ping');
      if (isGone) await loadModel();
      isGone = false;
    } catch {
      // The events above have told.
    }
  }
}

async function start() {
  followColours();
  for (const tab of tabs) {
    tab.addEventListener('click', () => {
      location.hash = tab.dataset.room || '';
    });
    tab.addEventListener('keydown', moveAmongTabs);
  }
  addEventListener('hashchange', () => show(named()));
  byId(`room-${named()}`).replaceChildren(emptyState('Loading the model …'));
  show(named());
  watch();
  try {
    await loadModel();
  } catch (error) {
    byId(`room-${named()}`).replaceChildren(errorState(error));
  }
}

start();
