/** The attention of the network `unet`. */

import { Plane, add, strideOf } from './planes.js';

const HEADS = 4;
const QUERIES_AT_ONCE = 256;

/** Self-attention over all positions of the image, with 4 heads. */
export class SelfAttention {
  /**
   * @param {import('./unet.js').UNet} net
   * @param {string} name
   * @param {number} channels
   * @param {number} size
   */
  constructor(net, name, channels, size) {
    const { kernel } = net;
    this.kernel = kernel;
    this.width = channels / HEADS;
    this.pixels = size * size;
    this.norm = net.norm(`${name}.norm`);
    this.expand = net.convolution(`${name}.query_key_value`, size);
    this.project = net.convolution(`${name}.project`, size);
    this.normalised = new Plane(kernel, channels, size);
    this.all = this.expand.output();
    this.mixed = new Plane(kernel, channels, size);
    this.result = this.project.output();
    this.keyGroups = (this.pixels + 3) >> 2;
    this.valueGroups = (this.width + 3) >> 2;
    this.columns = Math.min(QUERIES_AT_ONCE, strideOf(size));
    this.keys = kernel.allocate(this.keyGroups * 4 * this.width);
    this.values = kernel.allocate(this.valueGroups * 4 * this.pixels);
    this.scores = kernel.allocate(this.keyGroups * 4 * this.columns);
    this.mix = kernel.allocate(this.valueGroups * 4 * this.columns);
    this.zeros = kernel.allocate(Math.max(this.keyGroups, this.valueGroups) * 4);
  }

  /**
   * Add what the positions see of each other to x, in place.
   * @param {Plane} x
   */
  run(x) {
    this.norm.run(x, this.normalised, undefined, false);
    this.expand.run(this.normalised, this.all);
    for (let head = 0; head < HEADS; head++) this.attend(head);
    this.project.run(this.mixed, this.result);
    add(this.kernel, this.result, x);
  }

  /** @param {number} head */
  attend(head) {
    const { kernel, width, pixels, all } = this;
    // Query, key and value are one after the other, each with the channels of all heads.
    const part = (/** @type {number} */ number) => all.place + (number * HEADS + head) * width * all.stride;
    kernel.pack(this.keys, pixels, width, kernel.numbers, part(1), 1, all.stride);
    kernel.pack(this.values, width, pixels, kernel.numbers, part(2), all.stride, 1);
    const keys = { a: this.keys, bias: this.zeros, groups: this.keyGroups, depth: width };
    const values = { a: this.values, bias: this.zeros, groups: this.valueGroups, depth: pixels };
    for (let first = 0; first < pixels; first += this.columns) {
      const columns = Math.min(this.columns, all.stride - first);
      kernel.multiply(keys, part(0) + first, all.stride, this.scores, this.columns, columns);
      this.softmax(columns);
      kernel.multiply(values, this.scores, this.columns, this.mix, this.columns, columns);
      for (let row = 0; row < width; row++) {
        const from = this.mix + row * this.columns;
        const to = this.mixed.place + (head * width + row) * this.mixed.stride + first;
        kernel.numbers.copyWithin(to, from, from + columns);
      }
    }
  }

  /**
   * The softmax of each column of the scores, over the keys.
   * @param {number} columns
   */
  softmax(columns) {
    const { scores, pixels } = this;
    const { numbers } = this.kernel;
    const scale = 1 / Math.sqrt(this.width);
    for (let column = scores; column < scores + columns; column++) {
      let largest = -Infinity;
      let sum = 0;
      const end = column + pixels * this.columns;
      for (let i = column; i < end; i += this.columns) largest = Math.max(largest, numbers[i]);
      for (let i = column; i < end; i += this.columns) {
        numbers[i] = Math.exp((numbers[i] - largest) * scale);
        sum += numbers[i];
      }
      for (let i = column; i < end; i += this.columns) numbers[i] /= sum;
    }
  }
}
