/** The canvas that one draws on, and the image that the model sees of it. */

const SIDE = 280;
const PEN = 21; // wide: two pixels of 28
const KEY_STEP = 10;
const INK = 51; // grey level from which a pixel belongs to the digit, as in `preprocess.py`
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Drawing with mouse, pen, finger and keys. */
export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onchange
   */
  constructor(canvas, onchange) {
    canvas.width = canvas.height = SIDE;
    Object.assign(this, { canvas, onchange, strokes: [], picture: undefined, pen: [SIDE / 2, SIDE / 4], isDown: false });
    this.context = canvas.getContext('2d', { willReadFrequently: true });
    canvas.addEventListener('pointerdown', (event) => this.start(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => this.end());
    canvas.addEventListener('keydown', (event) => this.key(event));
    for (const name of ['focus', 'blur']) canvas.addEventListener(name, () => this.lift());
    this.paint();
  }

  get isEmpty() {
    return !this.strokes.length && !this.picture;
  }

  start(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture?.(event.pointerId);
    this.pointer = event.pointerId;
    this.strokes.push([this.at(event)]);
    this.paint();
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const points = event.getCoalescedEvents?.() ?? [];
    this.strokes.at(-1)?.push(...(points.length ? points : [event]).map((each) => this.at(each)));
    this.paint();
    this.onchange();
  }

  end() {
    if (this.pointer === undefined) return;
    this.pointer = undefined;
    this.onchange();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  /** Space sets the pen down or lifts it, arrows move it. */
  key(event) {
    if (event.key === ' ') {
      this.isDown = !this.isDown;
      if (this.isDown) this.strokes.push([[...this.pen]]);
    } else if (event.key in ARROWS) {
      const by = event.shiftKey ? 2 * KEY_STEP : KEY_STEP;
      this.pen = this.pen.map((place, axis) => Math.min(Math.max(place + ARROWS[event.key][axis] * by, 0), SIDE));
      if (this.isDown) this.strokes.at(-1)?.push([...this.pen]);
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
    this.show(undefined);
  }

  /** Show an image instead of what was drawn. */
  show(levels, size) {
    this.strokes = [];
    this.picture = levels && { levels, size };
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
    if (document.activeElement !== this.canvas || this.pointer !== undefined || !this.canvas.matches(':focus-visible')) return;
    context.fillStyle = this.isDown ? '#6f8cff' : '#9a9da6';
    context.beginPath();
    context.arc(...this.pen, PEN / 4, 0, 2 * Math.PI);
    context.fill();
  }

  /** Paint what was drawn, without the mark of the pen. */
  ink() {
    const { context } = this;
    context.fillStyle = '#000';
    context.fillRect(0, 0, SIDE, SIDE);
    if (this.picture) this.ofPicture();
    Object.assign(context, { lineWidth: PEN, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
    for (const [first, ...others] of this.strokes) {
      context.beginPath();
      context.moveTo(...first);
      for (const point of others.length ? others : [first]) context.lineTo(...point);
      context.stroke();
    }
  }

  ofPicture() {
    const { levels, size } = this.picture;
    const cell = SIDE / size;
    levels.forEach((level, i) => {
      this.context.fillStyle = `rgb(${level} ${level} ${level})`;
      this.context.fillRect((i % size) * cell, Math.floor(i / size) * cell, cell + 1, cell + 1);
    });
  }

  /** Grey levels of the drawing, SIDE * SIDE. */
  levels() {
    this.ink();
    const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
    this.paint();
    return Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i]);
  }

  /** The drawing whole, in the size of the model's images. */
  whole(size) {
    return toBytes(resized(this.levels(), { left: 0, top: 0, width: SIDE, height: SIDE }, size, size));
  }

  /** The drawing as MNIST has its digits: in a box of `inkSize` pixels, its centre of mass in the middle. */
  centred(size, inkSize) {
    return toBytes(centred(this.levels(), SIDE, size, inkSize));
  }
}

const toBytes = (levels) => Uint8Array.from(levels, (level) => Math.min(Math.floor(level + 0.5), 255));

/** The smallest box around the ink, or undefined. */
function boxOf(levels, side) {
  let [left, top, right, bottom] = [side, side, -1, -1];
  for (let i = 0; i < levels.length; i++) {
    if (levels[i] <= INK) continue;
    const x = i % side;
    const y = Math.floor(i / side);
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return right < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * A digit in the size and position that MNIST gives it (LeCun et al. 1998, Section III.A).
 * @param {Float32Array} levels of side * side pixels, white on black
 * @returns {Float32Array} size * size pixels; black for an empty drawing
 */
export function centred(levels, side, size, inkSize) {
  const out = new Float32Array(size * size);
  const box = boxOf(levels, side);
  if (!box) return out;
  const scale = inkSize / Math.max(box.width, box.height);
  const width = Math.max(1, Math.round(box.width * scale));
  const height = Math.max(1, Math.round(box.height * scale));
  const small = resized(levels, box, width, height);
  let [sum, ofX, ofY] = [0, 0, 0];
  small.forEach((level, i) => {
    sum += level;
    ofX += level * (i % width);
    ofY += level * Math.floor(i / width);
  });
  const place = (centre, length) => Math.min(Math.max(Math.round((size - 1) / 2 - centre / sum), 0), size - length);
  const [left, top] = [place(ofX, width), place(ofY, height)];
  small.forEach((level, i) => {
    out[(top + Math.floor(i / width)) * size + left + (i % width)] = level;
  });
  return out;
}

/** A part of an image, resized by the mean over the area of each pixel. */
function resized(levels, box, width, height) {
  const side = Math.sqrt(levels.length);
  const narrow = new Float32Array(width * box.height);
  const out = new Float32Array(width * height);
  mean(box.width, width, (to, from, share) => {
    for (let y = 0; y < box.height; y++) narrow[y * width + to] += share * levels[(box.top + y) * side + box.left + from];
  });
  mean(box.height, height, (to, from, share) => {
    for (let x = 0; x < width; x++) out[to * width + x] += share * narrow[from * width + x];
  });
  return out;
}

/** Call `take(to, from, share)` for the shares that `count` places have in `fewer` places of their mean. */
function mean(count, fewer, take) {
  const span = count / fewer;
  for (let to = 0; to < fewer; to++) {
    const [start, stop] = [to * span, (to + 1) * span];
    for (let from = Math.floor(start); from < Math.min(Math.ceil(stop), count); from++) {
      take(to, from, (Math.min(from + 1, stop) - Math.max(from, start)) / span);
    }
  }
}
