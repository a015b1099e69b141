// One image in a dialog: its settings, its provenance, the command that draws it, its PNG.
import { commandLine, openDialog } from './dialog.js';
import { element, errorState } from './dom.js';
import { canvasOf } from './image.js';

/** @typedef {import('./picture.js').Picture} Picture */

/**
 * @param {Picture} picture
 * @param {{announce: (text: string) => void, isKept: boolean, onkeep: () => void, onmorph: () => void}} page
 */
export function openDetail(picture, { announce, isKept, onkeep, onmorph }) {
  const large = element('div.large', {}, canvasOf(picture.pixels, picture.size, 0, picture.title));
  const save = element('a.button', { 'aria-disabled': 'true' }, 'Save PNG');
  const more = element('div.more', {}, element('p.muted.small', {}, 'Reading its provenance …'));
  /** @type {string[]} */
  const addresses = [];
  const keep = element(
    'button',
    {
      type: 'button',
      title: isKept ? 'Remove from the gallery' : 'Keep in the gallery',
      onclick: () => closing(onkeep),
    },
    isKept ? 'Remove' : 'Keep',
  );
  const morph = element('button', { type: 'button', onclick: () => closing(onmorph) }, 'Morph into …');
  const facts = element('div.facts', {}, factsOf(picture), element('div.tools', {}, save, keep, morph), more);
  const dialog = openDialog(picture.name, [element('div.detail', {}, large, facts)], () =>
    addresses.forEach((address) => URL.revokeObjectURL(address)),
  );
  /** @param {() => void} act */
  const closing = (act) => {
    dialog.close();
    act();
  };
  fill();

  async function fill() {
    try {
      const [blob, about] = await Promise.all([picture.png(), picture.about()]);
      const address = URL.createObjectURL(blob);
      addresses.push(address);
      large.replaceChildren(draggable(picture, address));
      save.setAttribute('href', address);
      save.setAttribute('download', picture.fileName);
      save.removeAttribute('aria-disabled');
      more.replaceChildren(commandLine(about.command, announce), provenanceOf(about.provenance));
    } catch (error) {
      more.replaceChildren(errorState(error));
    }
  }
}

/** @param {Picture} picture @param {string} address of its PNG @returns {HTMLElement} */
function draggable(picture, address) {
  const image = element('img.digit', { src: address, alt: picture.title, draggable: 'true' });
  image.addEventListener('dragstart', (/** @type {DragEvent} */ event) => {
    event.dataTransfer?.setData('DownloadURL', `image/png:${picture.fileName}:${address}`);
  });
  return image;
}

/** @param {Picture} picture @returns {HTMLElement} */
function factsOf({ seed, model, settings }) {
  const [from, to] = settings.guidance_interval;
  const guidance =
    from === 0 && to === 1
      ? `${settings.guidance}`
      : `${settings.guidance} from ${100 * from} to ${100 * to} % of the steps`;
  return definitions([
    ['Seed', `${seed}`],
    ['Model', model],
    ['Steps', `${settings.steps}`],
    ['Sampler', settings.sampler],
    ['Guidance', guidance],
  ]);
}

/** @param {Record<string, any>} provenance @returns {HTMLElement} all of it, folded */
function provenanceOf(provenance) {
  const { settings, ...others } = provenance;
  const rows = Object.entries({ ...others, ...settings }).map(
    ([name, value]) =>
      /** @type {[string, string]} */ ([name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
  return element('details', {}, element('summary', {}, 'Provenance in the PNG'), definitions(rows));
}

/** @param {[string, string][]} rows @returns {HTMLElement} */
function definitions(rows) {
  return element(
    'dl',
    {},
    ...rows.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
  );
}
