/**
 * Images of several channels in memory.
 *
 * A plane of C channels is stored as C rows of `stride` numbers, of which the first height * width are the pixels; the
 * rest, up to a multiple of 8, is filled with anything.
 */

/** @typedef {import('./kernel.js').Kernel} Kernel */

/**
 * Numbers from one channel to the next.
 * @param {number} size height and width of the image
 */
export const strideOf = (size) => (size * size + 7) & ~7;

/** Channels (rounded up to a multiple of 4) of an image. */
export class Plane {
  /**
   * @param {Kernel} kernel
   * @param {number} channels
   * @param {number} size height and width
   */
  constructor(kernel, channels, size) {
    this.channels = channels;
    this.size = size;
    this.stride = strideOf(size);
    this.place = kernel.allocate(((channels + 3) & ~3) * this.stride);
  }
}

/**
 * to = to + from.
 * @param {Kernel} kernel
 * @param {Plane} from
 * @param {Plane} to
 */
export function add(kernel, from, to) {
  const { numbers } = kernel;
  const count = to.channels * to.stride;
  for (let i = 0; i < count; i++) numbers[to.place + i] += numbers[from.place + i];
}

/**
 * Fold patches of pixels into channels (pixel unshuffle).
 * @param {Kernel} kernel
 * @param {Float32Array} image
 * @param {number} size of the image
 * @param {number} by side of a patch
 * @param {Plane} out
 */
export function unshuffle(kernel, image, size, by, out) {
  const { numbers } = kernel;
  const coarse = size / by;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const channel = (y % by) * by + (x % by);
      numbers[out.place + channel * out.stride + Math.floor(y / by) * coarse + Math.floor(x / by)] =
        image[y * size + x];
    }
  }
}

/**
 * Unfold groups of channels into patches of pixels (pixel shuffle).
 * @param {Kernel} kernel
 * @param {Plane} from
 * @param {number} by side of a patch
 * @param {number} channels of the result
 * @param {(channel: number, pixel: number, value: number) => void} store
 */
export function shuffle(kernel, from, by, channels, store) {
  const { numbers } = kernel;
  const size = from.size * by;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const channel = c * by * by + (y % by) * by + (x % by);
        const at = Math.floor(y / by) * from.size + Math.floor(x / by);
        store(c, y * size + x, numbers[from.place + channel * from.stride + at]);
      }
    }
  }
}
