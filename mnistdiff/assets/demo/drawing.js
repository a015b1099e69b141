/** The canvas that one draws on. */

import { centred, resized, toBytes } from './centring.js';

const SIDE = 448; // a multiple of 28, 32 and 64
const PEN = 34; // wide: two pixels of 28
const STROKE = 2.1; // width of the strokes of MNIST, in pixels
const KEY_STEP = 16;
/** @typedef {[number, number]} Point */

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Drawing with mouse, pen, finger and keys. */
export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onchange
   */
  constructor(canvas, onchange) {
    canvas.width = canvas.height = SIDE;
    this.canvas = canvas;
    this.onchange = onchange;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
    /** @type {Point[][]} */
    this.strokes = [];
    /** @type {{levels: Uint8Array, size: number} | undefined} */
    this.picture = undefined;
    /** @type {number | undefined} */
    this.pointer = undefined;
    /** @type {Point} */
    this.pen = [SIDE / 2, SIDE / 4]; // of the keyboard
    this.isDown = false;
    canvas.addEventListener('pointerdown', (event) => this.start(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    canvas.addEventListener('pointerup', () => this.end());
    canvas.addEventListener('pointercancel', () => this.end());
    canvas.addEventListener('keydown', (event) => this.key(event));
    for (const name of ['focus', 'blur']) canvas.addEventListener(name, () => this.lift());
    this.paint();
  }

  get isEmpty() {
    return !this.strokes.length && !this.picture;
  }

  /** @param {PointerEvent} event */
  start(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture?.(event.pointerId);
    this.pointer = event.pointerId;
    this.strokes.push([this.at(event)]);
    this.paint();
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.pointerId !== this.pointer) return;
    const points = event.getCoalescedEvents?.() ?? [];
    this.strokes[this.strokes.length - 1]?.push(...(points.length ? points : [event]).map((each) => this.at(each)));
    this.paint();
    this.onchange();
  }

  end() {
    if (this.pointer === undefined) return;
    this.pointer = undefined;
    this.onchange();
  }

  /** @param {PointerEvent} event @returns {Point} place in the canvas */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  /**
   * Space sets the pen down or lifts it, arrows move it.
   * @param {KeyboardEvent} event
   */
  key(event) {
    if (event.key === ' ') {
      this.isDown = !this.isDown;
      if (this.isDown) this.strokes.push([this.pen]);
    } else if (event.key in ARROWS) {
      const by = event.shiftKey ? 2 * KEY_STEP : KEY_STEP;
      const [x, y] = ARROWS[event.key];
      const inside = (/** @type {number} */ place) => Math.min(Math.max(place, 0), SIDE);
      this.pen = [inside(this.pen[0] + by * x), inside(this.pen[1] + by * y)];
      if (this.isDown) this.strokes[this.strokes.length - 1]?.push(this.pen);
    } else {
      return;
    }
    event.preventDefault();
    this.paint();
    this.onchange();
  }

  lift() {
    this.isDown = false;
    this.paint();
  }

  undo() {
    if (this.strokes.length) this.strokes.pop();
    else this.picture = undefined;
    this.change();
  }

  clear() {
    this.strokes = [];
    this.picture = undefined;
    this.change();
  }

  /**
   * Show an image instead of what was drawn.
   * @param {Uint8Array} levels
   * @param {number} size
   */
  show(levels, size) {
    this.strokes = [];
    this.picture = { levels, size };
    this.change();
  }

  change() {
    this.isDown = false;
    this.paint();
    this.onchange();
  }

  paint() {
    const { context } = this;
    this.ink();
    if (document.activeElement !== this.canvas || this.pointer !== undefined || !this.canvas.matches(':focus-visible'))
      return;
    context.fillStyle = this.isDown ? '#6f8cff' : '#9a9da6';
    context.beginPath();
    context.arc(this.pen[0], this.pen[1], PEN / 4, 0, 2 * Math.PI);
    context.fill();
  }

  /**
   * Paint what was drawn, without the mark of the pen.
   * @param {number} [width] of the pen
   */
  ink(width = PEN) {
    const { context } = this;
    context.fillStyle = '#000';
    context.fillRect(0, 0, SIDE, SIDE);
    if (this.picture) this.inkOf(this.picture);
    Object.assign(context, { lineWidth: width, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
    for (const [first, ...others] of this.strokes) {
      context.beginPath();
      context.moveTo(first[0], first[1]);
      for (const [x, y] of others.length ? others : [first]) context.lineTo(x, y);
      context.stroke();
    }
  }

  /** @param {{levels: Uint8Array, size: number}} picture */
  inkOf({ levels, size }) {
    const cell = SIDE / size;
    levels.forEach((level, i) => {
      this.context.fillStyle = `rgb(${level} ${level} ${level})`;
      this.context.fillRect((i % size) * cell, Math.floor(i / size) * cell, cell, cell);
    });
  }

  /**
   * The width of the pen with which the drawing has strokes of two pixels, once it is scaled to a box.
   * @param {number} inkSize of the box
   */
  penFor(inkSize) {
    const points = this.strokes.flat();
    if (this.picture || points.length === 0) return PEN;
    const [across, down] = [0, 1].map((axis) => points.map((point) => point[axis]));
    const span = Math.max(Math.max(...across) - Math.min(...across), Math.max(...down) - Math.min(...down));
    return Math.max((span * STROKE) / (inkSize - STROKE), 1);
  }

  /**
   * Grey levels of the drawing, SIDE * SIDE.
   * @param {number} [width] of the pen
   */
  levels(width) {
    this.ink(width);
    const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
    this.paint();
    return Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i]);
  }

  /**
   * The drawing whole.
   * @param {number} size of the model's images
   */
  whole(size) {
    return toBytes(resized(this.levels(), { left: 0, top: 0, width: SIDE, height: SIDE }, size, size));
  }

  /**
   * The drawing as MNIST has its digits.
   * @param {number} size of the model's images
   * @param {number} inkSize of the box around the ink
   */
  centred(size, inkSize) {
    return toBytes(centred(this.levels(this.penFor(inkSize)), SIDE, size, inkSize));
  }
}
