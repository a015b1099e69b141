/** A drawing in the size and position that the model's images have. */

const INK = 51; // grey level above which a pixel belongs to the digit, as in `preprocess.py`

export const toBytes = (/** @type {Float32Array} */ levels) =>
  Uint8Array.from(levels, (level) => Math.min(Math.floor(level + 0.5), 255));

/** @typedef {{left: number, top: number, width: number, height: number}} Box */

/**
 * The smallest box around the ink, or undefined.
 * @param {Float32Array} levels
 * @param {number} side
 * @returns {Box | undefined}
 */
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
 * @param {Float32Array} levels white on black
 * @param {number} side of the drawing
 * @param {number} size
 * @param {number} inkSize
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
  const place = (/** @type {number} */ centre, /** @type {number} */ length) =>
    Math.min(Math.max(Math.round((size - 1) / 2 - centre / sum), 0), size - length);
  const [left, top] = [place(ofX, width), place(ofY, height)];
  small.forEach((level, i) => {
    out[(top + Math.floor(i / width)) * size + left + (i % width)] = level;
  });
  return out;
}

/**
 * A part of an image, resized by the mean over the area of each pixel.
 * @param {Float32Array} levels
 * @param {Box} box
 * @param {number} width
 * @param {number} height
 */
export function resized(levels, box, width, height) {
  const side = Math.sqrt(levels.length);
  const narrow = new Float32Array(width * box.height);
  const out = new Float32Array(width * height);
  mean(box.width, width, (to, from, share) => {
    for (let y = 0; y < box.height; y++)
      narrow[y * width + to] += share * levels[(box.top + y) * side + box.left + from];
  });
  mean(box.height, height, (to, from, share) => {
    for (let x = 0; x < width; x++) out[to * width + x] += share * narrow[from * width + x];
  });
  return out;
}

/**
 * Call `take` for the shares that places have in fewer places, each of which is their mean.
 * @param {number} count
 * @param {number} fewer
 * @param {(to: number, from: number, share: number) => void} take
 */
function mean(count, fewer, take) {
  const span = count / fewer;
  for (let to = 0; to < fewer; to++) {
    const [start, stop] = [to * span, (to + 1) * span];
    for (let from = Math.floor(start); from < Math.min(Math.ceil(stop), count); from++) {
      take(to, from, (Math.min(from + 1, stop) - Math.max(from, start)) / span);
    }
  }
}
