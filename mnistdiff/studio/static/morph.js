// One image becomes another: noise and label are interpolated, and each frame is drawn.
import { pixels, stream } from './api.js';
import { commandLine, openDialog } from './dialog.js';
import { element, errorState, slider } from './dom.js';
import { canvasOf, paint } from './image.js';

/** @typedef {import('./picture.js').Picture} Picture */

const FRAMES = 24;
const FRAMES_PER_SECOND = 12;

/**
 * @param {Picture} start
 * @param {Picture} end
 * @param {(text: string) => void} announce
 */
export function openMorph(start, end, announce) {
  const abort = new AbortController();
  const place = element('div.morph', {}, element('p.muted', { role: 'status' }, 'Drawing the images between them …'));
  /** @type {Film | null} */
  let film = null;
  openDialog(`${start.name} becomes ${end.name}`, [place], () => {
    abort.abort();
    film?.pause();
  });
  draw();

  async function draw() {
    try {
      const done = await stream('/api/morph', requestOf(start, end), { signal: abort.signal });
      film = new Film(pixels(done.images), start, end);
      const same = JSON.stringify(start.settings) === JSON.stringify(end.settings);
      const note = same ? [] : [element('p.muted.small', {}, 'All are drawn with the settings of the first.')];
      place.replaceChildren(film.root, ...note, commandLine(done.command, announce));
      if (!matchMedia('(prefers-reduced-motion: reduce)').matches) film.play();
      announce(`${film.count} images from ${start.title} to ${end.title}.`);
    } catch (error) {
      if (!abort.signal.aborted) place.replaceChildren(errorState(error));
    }
  }
}

/** @param {Picture} start @param {Picture} end @returns {Record<string, any>} */
function requestOf(start, end) {
  return {
    start: start.label,
    end: end.label,
    seed: start.seed,
    end_seed: end.seed,
    frames: FRAMES,
    settings: start.request.settings,
  };
}

/** Frames under a slider; playing runs forwards and backwards. */
class Film {
  /** @param {Uint8Array} images @param {Picture} start @param {Picture} end */
  constructor(images, start, end) {
    this.#images = images;
    this.#size = start.size;
    this.count = images.length / (start.size * start.size);
    this.#canvas = canvasOf(images, start.size, 0, `From ${start.title} to ${end.title}`);
    this.#slider = slider('Image', {
      min: 1,
      max: this.count,
      value: 1,
      text: (value) => `${value} of ${this.count}`,
      onchange: (value) => {
        this.pause();
        this.#show(value - 1);
      },
    });
    this.#button = element(
      'button',
      { type: 'button', onclick: () => (this.#timer ? this.pause() : this.play()) },
      'Play',
    );
    const ends = [0, this.count - 1].map((i) => canvasOf(images, start.size, i, i ? end.title : start.title));
    this.root = element(
      'div.film',
      {},
      ends[0],
      this.#canvas,
      ends[1],
      element('div.play', {}, this.#button, this.#slider.row),
    );
  }

  #images;
  #size;
  #canvas;
  #slider;
  #button;
  #at = 0;
  #direction = 1;
  #timer = 0;

  /** @param {number} index */
  #show(index) {
    this.#at = index;
    this.#slider.set(index + 1);
    paint(this.#canvas, this.#images, this.#size, index);
  }

  play() {
    this.#button.textContent = 'Pause';
    this.#timer = setInterval(() => {
      const next = this.#at + this.#direction;
      if (next < 0 || next >= this.count) this.#direction = -this.#direction;
      else this.#show(next);
    }, 1000 / FRAMES_PER_SECOND);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#button.textContent = 'Play';
  }
}
