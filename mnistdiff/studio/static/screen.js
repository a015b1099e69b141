// The screen of the Draw room: the images, and the steps of their drawing under a slider.
import { choice, element, slider } from './dom.js';
import { Player } from './drawing.js';
import { Wall } from './wall.js';

/**
 * @typedef {import('./picture.js').Picture} Picture
 * @typedef {import('./drawing.js').Drawing} Drawing
 * @typedef {import('./drawing.js').Frame} Frame
 */

const isStill = matchMedia('(prefers-reduced-motion: reduce)');

/** @param {string} text @param {string} index @returns {HTMLElement} */
const subscript = (text, index) => element('span', {}, text, element('sub', {}, index));

export class Screen {
  /**
   * @param {number} size of an image
   * @param {{onopen: (picture: Picture) => void, onkeep: (pictures: Picture[]) => void}} listeners
   */
  constructor(size, { onopen, onkeep }) {
    this.#size = size;
    this.wall = new Wall('Drawn images', { onopen });
    this.#player = new Player(
      (index) => this.#show(index),
      () => this.#settle(),
    );
    this.#scrubber = slider('Step', {
      min: 0,
      max: 1,
      value: 1,
      text: (number) => this.#named(number),
      onchange: (number) => {
        this.#player.stop();
        this.#paint(number);
      },
    });
    this.#replay = element('button', { type: 'button', disabled: true, onclick: () => this.#play(0, false) }, 'Replay');
    this.#keep = element(
      'button',
      { type: 'button', disabled: true, onclick: () => onkeep(this.wall.pictures) },
      'Keep all',
    );
    const views = choice(
      'Shown',
      [
        ['x_t', subscript('x', 't')],
        ['x_0', subscript('predicted x', '0')],
      ],
      this.#view,
      (view) => {
        this.#view = view === 'x_0' ? 'x_0' : 'x_t';
        this.#paint(Number(this.#scrubber.input.value));
      },
    );
    views.row.querySelector('legend')?.classList.add('unseen');
    this.root = element(
      'div.screen',
      {},
      this.wall.root,
      element('div.steps', {}, this.#scrubber.row, views.row, element('div.tools', {}, this.#replay, this.#keep)),
    );
  }

  #size;
  #player;
  #scrubber;
  #replay;
  #keep;
  /** @type {'x_t' | 'x_0'} */
  #view = 'x_t';
  /** @type {Drawing | null} */
  #drawing = null;
  /** @type {Drawing | null} */
  #expected = null;

  /** @param {Drawing} drawing @returns {boolean} */
  shows(drawing) {
    return this.#drawing === drawing;
  }

  /**
   * Show a drawing, whose first frame is there.
   * @param {Drawing} drawing
   * @param {number} columns of the wall
   * @param {number} holdMs how long the images before stay, unless all images are there
   */
  begin(drawing, columns, holdMs) {
    this.#drawing = drawing;
    this.wall.resize(drawing.frames[0].x_t.length / (this.#size * this.#size), columns);
    this.wall.name([]);
    this.#scrubber.input.max = String(drawing.frames[0].of);
    this.#replay.disabled = true;
    this.#keep.disabled = true;
    this.#play(holdMs, isStill.matches);
  }

  /** Say that images are being drawn until these have been shown. @param {Drawing | null} drawing null: none is */
  expect(drawing) {
    this.#expected = drawing;
    this.wall.root.setAttribute('aria-busy', String(drawing !== null));
  }

  #settle() {
    if (this.#drawing === this.#expected && this.#drawing?.drawn) this.expect(null);
  }

  /** A frame has arrived. */
  grow() {
    this.#player.wake();
  }

  /** All images are there. @param {Picture[]} pictures */
  finish(pictures) {
    this.wall.name(pictures);
    this.#replay.disabled = false;
    this.#keep.disabled = false;
    this.grow();
    this.#player.end();
  }

  /** @param {number} holdMs @param {boolean} still */
  #play(holdMs, still) {
    this.#player.play(this.#drawing?.frames || [], still ? Infinity : holdMs);
  }

  /** @param {number} index of a frame */
  #show(index) {
    const number = this.#drawing?.frames[index].number || 0;
    this.#scrubber.set(number);
    this.#paint(number);
  }

  /** @param {number} number of a step @returns {Frame | undefined} of many steps, not all are there */
  #frame(number) {
    return this.#drawing?.frames.findLast((frame) => frame.number <= number);
  }

  /** @param {number} number of a step */
  #paint(number) {
    const frame = this.#frame(number);
    if (frame) this.wall.show(frame[this.#view], this.#size);
  }

  /** @param {number} number of a step @returns {string} */
  #named(number) {
    const frame = this.#frame(number);
    if (!frame) return '';
    if (frame.number === 0) return 'noise';
    return frame.number === frame.of ? `${frame.of} of ${frame.of}` : `${frame.number} of ${frame.of}, t = ${frame.t}`;
  }
}
