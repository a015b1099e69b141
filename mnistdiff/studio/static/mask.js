// A brush that rubs out pixels of a small picture: the mask of what is missing.
import { paintCursor } from './canvas.js';
import { History } from './history.js';
import { listen } from './pen.js';

/** @typedef {import('./pen.js').Point} Point */

/** Radius of the brush, as a share of the canvas: three pixels of 28 wide. */
const BRUSH = 1.6 / 28;
const MISSING = 'rgb(157 177 255 / 0.82)';
const SCREEN = 560;

export class Mask {
  /** @type {History<Point[]>} */
  #history = new History();
  /** @type {Point[] | null} */
  #stroke = null;
  /** @type {{at: Point, isDown: boolean} | null} */
  #cursor = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} size of the picture, in pixels a side
   * @param {{onchange: () => void}} options told of every change
   */
  constructor(canvas, size, { onchange }) {
    this.canvas = canvas;
    this.size = size;
    this.onchange = onchange;
    /** @type {HTMLCanvasElement | null} */
    this.picture = null;
    canvas.width = SCREEN;
    canvas.height = SCREEN;
    listen(canvas, {
      begin: (point) => { this.#stroke = [point]; this.paint(); },
      move: (point) => { this.#stroke?.push(point); this.paint(); },
      end: () => this.#end(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      cursor: (at, isDown) => { this.#cursor = at && { at: { ...at }, isDown }; this.paint(); },
    });
    this.paint();
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  get isEmpty() {
    return !this.missing().some(Boolean);
  }

  undo() {
    if (this.#history.undo()) this.#changed();
  }

  redo() {
    if (this.#history.redo()) this.#changed();
  }

  /** Nothing is missing; this can be undone. An empty stroke stands for it. */
  clear() {
    if (this.isEmpty) return;
    this.#history.push([]);
    this.#changed();
  }

  /** @param {HTMLCanvasElement | null} picture to rub out; another one begins without a mask */
  show(picture) {
    this.picture = picture;
    this.#history = new History();
    this.#changed();
  }

  /** @returns {Uint8Array} 255 where the picture is missing, size * size */
  missing() {
    const { size } = this;
    const mask = new Uint8Array(size * size);
    const strokes = [...this.#history.items, ...(this.#stroke ? [this.#stroke] : [])];
    for (const points of strokes) {
      if (!points.length) mask.fill(0);
      points.forEach((to, i) => {
        const from = points[Math.max(0, i - 1)];
        const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) * size * 2));
        for (let k = 1; k <= steps; k += 1) {
          stamp(mask, size, from.x + ((to.x - from.x) * k) / steps, from.y + ((to.y - from.y) * k) / steps);
        }
      });
    }
    return mask;
  }

  #end() {
    if (this.#stroke) this.#history.push(this.#stroke);
    this.#stroke = null;
    this.#changed();
  }

  #changed() {
    this.paint();
    this.onchange();
  }

  /** Show the picture, and the mask over it. */
  paint() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'));
    context.imageSmoothingEnabled = false;
    context.fillStyle = '#0b0b0d';
    context.fillRect(0, 0, SCREEN, SCREEN);
    if (this.picture) context.drawImage(this.picture, 0, 0, SCREEN, SCREEN);
    context.fillStyle = MISSING;
    const pixel = SCREEN / this.size;
    this.missing().forEach((isMissing, i) => {
      if (isMissing) context.fillRect((i % this.size) * pixel, Math.floor(i / this.size) * pixel, pixel, pixel);
    });
    if (this.#cursor) paintCursor(context, this.#cursor.at, SCREEN, this.#cursor.isDown);
  }
}

/** @param {Uint8Array} mask @param {number} size @param {number} x @param {number} y rub out a disk */
function stamp(mask, size, x, y) {
  const [left, right, top, bottom] = [x - BRUSH, x + BRUSH, y - BRUSH, y + BRUSH].map((edge) => Math.floor(edge * size));
  for (let row = Math.max(0, top); row <= Math.min(size - 1, bottom); row += 1) {
    for (let column = Math.max(0, left); column <= Math.min(size - 1, right); column += 1) {
      const isInside = Math.hypot((column + 0.5) / size - x, (row + 0.5) / size - y) <= BRUSH;
      if (isInside) mask[row * size + column] = 255;
    }
  }
}
