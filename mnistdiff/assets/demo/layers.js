/** The layers of the networks, for one image. */

import { Plane, strideOf } from './planes.js';

/** @typedef {import('./kernel.js').Kernel} Kernel */
/** @typedef {{data: Float32Array, shape: number[]}} Tensor */

const EPSILON = 1e-5; // of the normalisation, as in PyTorch

/**
 * x times the logistic function of x.
 * @param {number} x
 */
export const silu = (x) => x / (1 + Math.exp(-x));

/** Memory for unfolded images, shared by all convolutions of a network. */
export class Scratch {
  /** @param {Kernel} kernel */
  constructor(kernel) {
    this.kernel = kernel;
    this.count = 0;
    this.place = 0;
  }

  /** @param {number} count numbers that have to find room */
  require(count) {
    if (count > this.count) {
      this.count = count;
      this.place = this.kernel.allocate(count);
    }
  }
}

/** A convolution: 1x1, 3x3 with a border of zeros, or 2x2 without overlap. */
export class Convolution {
  /**
   * @param {Kernel} kernel
   * @param {Scratch} scratch
   * @param {Tensor} weight (out, in, height, width)
   * @param {Tensor | undefined} bias (out)
   * @param {number} size of the input
   */
  constructor(kernel, scratch, weight, bias, size) {
    const [rows, channels, side] = weight.shape;
    this.kernel = kernel;
    this.scratch = scratch;
    this.rows = rows;
    this.channels = channels;
    this.side = side;
    this.size = size;
    this.border = side === 3 ? 1 : 0;
    this.outSize = side === 2 ? size / 2 : size;
    this.depth = channels * side * side;
    this.groups = (rows + 3) >> 2;
    this.a = kernel.allocate(this.groups * 4 * this.depth);
    this.bias = kernel.allocate(this.groups * 4);
    kernel.pack(this.a, rows, this.depth, weight.data, 0, this.depth, 1);
    if (bias) kernel.numbers.set(bias.data, this.bias);
    if (side > 1) scratch.require(this.depth * strideOf(this.outSize));
  }

  /** A new plane for the output. */
  output() {
    return new Plane(this.kernel, this.rows, this.outSize);
  }

  /**
   * @param {Plane} x
   * @param {Plane} out
   */
  run(x, out) {
    const stride = strideOf(this.outSize);
    const from = this.side === 1 ? x.place : this.unfold(x);
    this.kernel.multiply(this, from, stride, out.place, stride, stride);
  }

  /**
   * The pixels that each output pixel sees, as columns (im2col).
   * @param {Plane} x
   */
  unfold(x) {
    const { side, border } = this;
    const stride = strideOf(this.outSize);
    let row = this.scratch.place;
    for (let channel = 0; channel < this.channels; channel++) {
      const image = x.place + channel * x.stride;
      for (let dy = -border; dy < side - border; dy++) {
        for (let dx = -border; dx < side - border; dx++, row += stride) {
          if (side === 3) this.shift(image, row, dy, dx);
          else this.thin(image, row, dy, dx);
        }
      }
    }
    return this.scratch.place;
  }

  /**
   * An image moved by at most a pixel, with zeros where it leaves the frame.
   * @param {number} from
   * @param {number} to
   * @param {number} dy
   * @param {number} dx
   */
  shift(from, to, dy, dx) {
    const { numbers } = this.kernel;
    const { size } = this;
    const count = size * size;
    const offset = dy * size + dx;
    numbers.copyWithin(to + Math.max(-offset, 0), from + Math.max(offset, 0), from + count + Math.min(offset, 0));
    if (dy < 0) numbers.fill(0, to, to + size);
    if (dy > 0) numbers.fill(0, to + count - size, to + count);
    if (dx === 0) return;
    for (let edge = to + (dx < 0 ? 0 : size - 1); edge < to + count; edge += size) numbers[edge] = 0;
  }

  /**
   * Every second pixel of an image, in both directions.
   * @param {number} from
   * @param {number} to
   * @param {number} dy of the first
   * @param {number} dx of the first
   */
  thin(from, to, dy, dx) {
    const { numbers } = this.kernel;
    const { size, outSize } = this;
    for (let y = 0; y < outSize; y++) {
      const line = from + (2 * y + dy) * size + dx;
      for (let i = 0; i < outSize; i++) numbers[to++] = numbers[line + 2 * i];
    }
  }
}

/** Group normalisation in up to 8 groups, and what follows it: a scale and a shift for each channel, and SiLU. */
export class GroupNorm {
  /**
   * @param {Kernel} kernel
   * @param {Tensor} weight
   * @param {Tensor} bias
   */
  constructor(kernel, weight, bias) {
    this.kernel = kernel;
    this.weight = weight.data;
    this.bias = bias.data;
    const channels = this.weight.length;
    this.groups = channels % 8 === 0 ? 8 : 4; // gcd(8, channels): channels are multiples of 4
  }

  /**
   * @param {Plane} x
   * @param {Plane} out
   * @param {Float32Array} [scaleShift] (2 C): out = silu(normalised * (1 + scale) + shift)
   * @param {boolean} [activated] whether SiLU follows
   */
  run(x, out, scaleShift, activated = true) {
    const channels = this.weight.length;
    const each = channels / this.groups;
    for (let first = 0; first < channels; first += each) {
      const [mean, inverse] = this.statistics(x, first, each);
      for (let c = first; c < first + each; c++) {
        const scale = scaleShift ? 1 + scaleShift[c] : 1;
        const shift = scaleShift ? scaleShift[channels + c] : 0;
        const factor = this.weight[c] * inverse * scale;
        this.line(x.place + c * x.stride, out.place + c * out.stride, x.size * x.size, {
          factor,
          shift: (this.bias[c] - mean * this.weight[c] * inverse) * scale + shift,
          activated,
        });
      }
    }
  }

  /**
   * @param {number} from place of a channel
   * @param {number} to
   * @param {number} count of pixels
   * @param {{factor: number, shift: number, activated: boolean}} how
   */
  line(from, to, count, { factor, shift, activated }) {
    const { numbers } = this.kernel;
    for (let i = 0; i < count; i++) {
      const value = numbers[from + i] * factor + shift;
      numbers[to + i] = activated ? value / (1 + Math.exp(-value)) : value;
    }
  }

  /**
   * Mean, and 1 / standard deviation, of some channels.
   * @param {Plane} x
   * @param {number} first
   * @param {number} each
   */
  statistics(x, first, each) {
    const { numbers } = this.kernel;
    const pixels = x.size * x.size;
    let sum = 0;
    let squares = 0;
    for (let c = first; c < first + each; c++) {
      const start = x.place + c * x.stride;
      for (let i = start; i < start + pixels; i++) sum += numbers[i];
    }
    const mean = sum / (each * pixels);
    for (let c = first; c < first + each; c++) {
      const start = x.place + c * x.stride;
      for (let i = start; i < start + pixels; i++) squares += (numbers[i] - mean) ** 2;
    }
    return [mean, 1 / Math.sqrt(squares / (each * pixels) + EPSILON)];
  }
}

/**
 * A linear layer of a vector: W x + b.
 * @param {Tensor} weight
 * @param {Tensor | undefined} bias
 * @param {Float32Array} x
 */
export function linear(weight, bias, x) {
  const [rows, columns] = weight.shape;
  const out = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = bias ? bias.data[row] : 0;
    for (let column = 0, at = row * columns; column < columns; column++, at++) sum += weight.data[at] * x[column];
    out[row] = sum;
  }
  return out;
}
