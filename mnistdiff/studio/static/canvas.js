// The canvas that is drawn on: strokes and a picture under them, with undo; sharp on every screen.
import { History } from './history.js';
import { listen } from './pen.js';

/** @typedef {import('./pen.js').Point} Point */
/** @typedef {{points: Point[]} | {picture: ImageBitmap} | {isClear: true}} Mark */

/** Width of a stroke as a share of the canvas, at pressure 0.5: strokes of the data are two or three of 28 pixels. */
const STROKE = 0.075;
const EXPORT_SIDE = 280;
/** Longest side of a picture that is sent, in pixels. */
const PICTURE_SIDE = 1024;
/** What the server takes. */
export const MAX_BYTES = 1_000_000;
const PAPER = '#0b0b0d';

export class Drawing {
  /** @type {History<Mark>} */
  #history = new History();
  /** @type {{points: Point[]} | null} */
  #stroke = null;
  /** @type {{at: Point, isDown: boolean} | null} */
  #cursor = null;
  #isPainting = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{onchange: (isDrawing: boolean) => void}} options told of every change, and whether a stroke is being drawn
   */
  constructor(canvas, { onchange }) {
    this.canvas = canvas;
    this.onchange = onchange;
    listen(canvas, {
      begin: (point) => this.#begin(point),
      move: (point) => this.#move(point),
      end: () => this.#end(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      cursor: (at, isDown) => {
        this.#cursor = at && { at: { ...at }, isDown };
        this.#repaint();
      },
    });
    new ResizeObserver(() => this.#repaint()).observe(canvas);
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** @returns {boolean} whether nothing is drawn */
  get isEmpty() {
    const { picture, strokes } = this.#content();
    return !picture && !strokes.length;
  }

  undo() {
    if (this.#history.undo()) this.#changed(false);
  }

  redo() {
    if (this.#history.redo()) this.#changed(false);
  }

  clear() {
    if (this.isEmpty) return;
    this.#history.push({ isClear: true });
    this.#changed(false);
  }

  /** @param {ImageBitmap} picture takes the place of all that is drawn */
  show(picture) {
    this.#history.push({ picture });
    this.#changed(false);
  }

  /** @returns {Promise<Blob>} what is drawn, as a picture file: light ink on dark paper, or the picture and its strokes */
  async blob() {
    const { picture, strokes } = this.#content();
    const [width, height] = picture ? sizeToSend(picture, strokes.length > 0) : [EXPORT_SIDE, EXPORT_SIDE];
    const sheet = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (sheet.getContext('2d'));
    context.fillStyle = 'black';
    context.fillRect(0, 0, width, height);
    if (picture) context.drawImage(picture, 0, 0, width, height);
    const side = Math.max(width, height);
    context.translate((width - side) / 2, (height - side) / 2); // as on the screen, where the picture is in the middle
    paintStrokes(context, strokes, side, inkOn(picture));
    if (width * height <= EXPORT_SIDE ** 2) return sheet.convertToBlob({ type: 'image/png' });
    const fine = await sheet.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
    return fine.size <= MAX_BYTES ? fine : sheet.convertToBlob({ type: 'image/jpeg', quality: 0.5 });
  }

  /** @param {Point} point */
  #begin(point) {
    this.#stroke = { points: [point] };
    this.#changed(true);
  }

  /** @param {Point} point */
  #move(point) {
    this.#stroke?.points.push(point);
    this.#changed(true);
  }

  #end() {
    if (this.#stroke) this.#history.push(this.#stroke);
    this.#stroke = null;
    this.#changed(false);
  }

  /** @param {boolean} isDrawing */
  #changed(isDrawing) {
    this.#repaint();
    this.onchange(isDrawing);
  }

  /** @returns {{picture: ImageBitmap | null, strokes: Point[][]}} since the last time that all was cleared */
  #content() {
    /** @type {ImageBitmap | null} */
    let picture = null;
    /** @type {Point[][]} */
    let strokes = [];
    for (const mark of this.#history.items) {
      if ('isClear' in mark) [picture, strokes] = [null, []];
      else if ('picture' in mark) [picture, strokes] = [mark.picture, []];
      else strokes.push(mark.points);
    }
    if (this.#stroke) strokes.push(this.#stroke.points);
    return { picture, strokes };
  }

  #repaint() {
    if (this.#isPainting) return;
    this.#isPainting = true;
    requestAnimationFrame(() => {
      this.#isPainting = false;
      this.#paint();
    });
  }

  #paint() {
    const { canvas } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (canvas.width !== side) [canvas.width, canvas.height] = [side, side];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    context.fillStyle = PAPER;
    context.fillRect(0, 0, side, side);
    const { picture, strokes } = this.#content();
    if (picture) {
      const scale = side / Math.max(picture.width, picture.height);
      const [width, height] = [picture.width * scale, picture.height * scale];
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
    }
    paintStrokes(context, strokes, side, inkOn(picture));
    if (this.#cursor) paintCursor(context, this.#cursor.at, side, this.#cursor.isDown);
  }
}

/**
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Point[][]} strokes
 * @param {number} side of the canvas in pixels
 * @param {string} ink
 */
function paintStrokes(context, strokes, side, ink) {
  context.strokeStyle = ink;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  for (const points of strokes) {
    let width = 0;
    points.forEach((to, i) => {
      const [before, from] = [points[Math.max(0, i - 2)], points[Math.max(0, i - 1)]];
      if (to.pressure !== width) {
        // One path for as long as the width remains: edges of several would show where they overlap.
        if (i) context.stroke();
        width = to.pressure;
        context.lineWidth = STROKE * side * (0.5 + width);
        context.beginPath();
        context.moveTo((side * (before.x + from.x)) / 2, (side * (before.y + from.y)) / 2);
      }
      // From the middle of one segment to the middle of the next: no corners.
      context.quadraticCurveTo(side * from.x, side * from.y, (side * (from.x + to.x)) / 2, (side * (from.y + to.y)) / 2);
      if (i === points.length - 1) context.lineTo(side * to.x, side * to.y);
    });
    context.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Point} at
 * @param {number} side
 * @param {boolean} isDown
 */
export function paintCursor(context, at, side, isDown) {
  const radius = (STROKE * side) / 2;
  for (const [colour, width] of /** @type {[string, number][]} */ ([['black', 4], ['#9db1ff', 2]])) {
    context.strokeStyle = colour;
    context.lineWidth = width * devicePixelRatio;
    context.beginPath();
    context.arc(side * at.x, side * at.y, radius * (isDown ? 1.1 : 1.6), 0, 2 * Math.PI);
    context.stroke();
  }
}

/** @param {ImageBitmap | null} picture @returns {string} the colour of ink that is seen on it */
function inkOn(picture) {
  if (!picture) return 'white';
  const small = new OffscreenCanvas(8, 8);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext('2d'));
  context.drawImage(picture, 0, 0, 8, 8);
  const { data } = context.getImageData(0, 0, 8, 8);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / 64 > 127 ? 'black' : 'white';
}

/** @param {ImageBitmap} picture @param {boolean} hasStrokes @returns {[number, number]} */
function sizeToSend({ width, height }, hasStrokes) {
  const longest = Math.max(width, height);
  const wanted = Math.min(PICTURE_SIDE, hasStrokes ? Math.max(longest, EXPORT_SIDE) : longest);
  return [Math.max(1, Math.round((width * wanted) / longest)), Math.max(1, Math.round((height * wanted) / longest))];
}
