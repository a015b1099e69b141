// The gallery: images that the user keeps, in the memory of this page.
import { element, emptyState } from './dom.js';
import { Wall } from './wall.js';

/** @typedef {import('./picture.js').Picture} Picture */

const MOST = 120;

export class Gallery {
  /** @param {{onopen: (picture: Picture) => void, announce: (text: string) => void}} page */
  constructor({ onopen, announce }) {
    /** @type {Picture[]} newest first */
    this.pictures = [];
    this.#announce = announce;
    this.#wall = new Wall('Gallery', { onopen, ondelete: (picture) => this.toggle(picture) });
    this.#clear = element(
      'button.quiet',
      { type: 'button', onclick: () => this.#become([], 'The gallery is empty.') },
      'Clear',
    );
    this.#empty = emptyState('Nothing kept yet', 'Open an image to keep it, or keep all.');
    this.root = element(
      'section.gallery',
      { 'aria-labelledby': 'gallery-title' },
      element('div.tools', {}, element('h2', { id: 'gallery-title' }, 'Gallery'), element('span.rest'), this.#clear),
      this.#empty,
      this.#wall.root,
    );
    this.#become([], '');
  }

  #announce;
  #wall;
  #clear;
  #empty;

  /** @param {Picture} picture @returns {boolean} */
  has(picture) {
    return this.pictures.some((kept) => kept.key === picture.key);
  }

  /** Keep images; beyond the bound the oldest leave. @param {Picture[]} pictures */
  keep(pictures) {
    const added = pictures.filter((picture) => !this.has(picture));
    this.#become(
      [...added, ...this.pictures].slice(0, MOST),
      added.length === 1 ? `${added[0].title} is kept.` : `${added.length} images are kept.`,
    );
  }

  /** Keep an image, or remove it if it is kept. @param {Picture} picture */
  toggle(picture) {
    if (!this.has(picture)) return this.keep([picture]);
    return this.#become(
      this.pictures.filter((kept) => kept.key !== picture.key),
      `${picture.title} is removed.`,
    );
  }

  /** @param {Picture[]} pictures @param {string} sentence */
  #become(pictures, sentence) {
    this.pictures = pictures;
    this.#wall.display(pictures, 4);
    this.#empty.hidden = pictures.length > 0;
    this.#clear.hidden = pictures.length === 0;
    if (sentence) this.#announce(sentence);
  }
}
