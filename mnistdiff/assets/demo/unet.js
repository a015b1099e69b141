/** The network `unet` of `engine/network/unet.py`: (x_t, t, label) -> prediction, for one image. */

import { Convolution, GroupNorm, Plane, Scratch, add, linear, shuffle, silu, strideOf, unshuffle } from './layers.js';

const HEADS = 4;
const TIME_WIDTH = 64;
const MAX_PERIOD = 10000;
const QUERIES_AT_ONCE = 256;

/** Sinusoids of the timestep (Vaswani et al. 2017, Section 3.5), in float32 as in Python. */
function timestepEmbedding(t) {
  const half = TIME_WIDTH / 2;
  const out = new Float32Array(TIME_WIDTH);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(Math.exp(Math.fround(Math.fround(-Math.log(MAX_PERIOD) / half) * i)));
    const angle = Math.fround(t * frequency);
    out[i] = Math.cos(angle);
    out[half + i] = Math.sin(angle);
  }
  return out;
}

/** Two convolutions and a skip connection; time and label scale and shift the second normalisation. */
class ResidualBlock {
  constructor(net, name, size) {
    this.kernel = net.kernel;
    this.norm1 = net.norm(`${name}.norm_1`);
    this.conv1 = net.convolution(`${name}.conv_1`, size);
    this.norm2 = net.norm(`${name}.norm_2`);
    this.conv2 = net.convolution(`${name}.conv_2`, size);
    this.scaleShift = net.parameters(`${name}.scale_shift`);
    this.inside = this.conv1.output();
    this.result = this.conv2.output();
  }

  /** Adds the residual to x, in place. */
  run(x, embedding) {
    this.norm1.run(x, this.inside);
    this.conv1.run(this.inside, this.result);
    this.norm2.run(this.result, this.inside, linear(...this.scaleShift, embedding));
    this.conv2.run(this.inside, this.result);
    add(this.kernel, this.result, x);
  }
}

/** Self-attention over all positions of the image, with 4 heads. */
class SelfAttention {
  constructor(net, name, channels, size) {
    const { kernel } = net;
    Object.assign(this, { kernel, width: channels / HEADS, pixels: size * size });
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

  /** Adds what the positions see of each other to x, in place. */
  run(x) {
    this.norm.run(x, this.normalised, undefined, false);
    this.expand.run(this.normalised, this.all);
    for (let head = 0; head < HEADS; head++) this.attend(head);
    this.project.run(this.mixed, this.result);
    add(this.kernel, this.result, x);
  }

  attend(head) {
    const { kernel, width, pixels, all } = this;
    const part = (number) => all.place + (number * HEADS + head) * width * all.stride; // query, key, value
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

  /** The softmax of each column of the scores, over the keys. */
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

/** Double height and width by a pixel shuffle, and merge the skip connection of this level. */
class Upsample {
  constructor(net, name, size) {
    this.kernel = net.kernel;
    this.expand = net.convolution(`${name}.expand`, size);
    this.merge = net.convolution(`${name}.merge`, 2 * size);
    this.wide = this.expand.output();
    this.both = new Plane(net.kernel, this.merge.channels, 2 * size);
    this.result = this.merge.output();
  }

  run(x, skip) {
    const { both, kernel } = this;
    const channels = both.channels / 2;
    this.expand.run(x, this.wide);
    shuffle(kernel, this.wide, 2, channels, (c, at, value) => {
      kernel.numbers[both.place + c * both.stride + at] = value;
    });
    kernel.numbers.copyWithin(both.place + channels * both.stride, skip.place, skip.place + channels * skip.stride);
    this.merge.run(both, this.result);
    return this.result;
  }
}

/** The network with its weights. */
export class UNet {
  /**
   * @param {import('./kernel.js').Kernel} kernel
   * @param {{channels: number[], down_blocks: number[], up_blocks: number[], patch_size: number, image_size: number}}
   *   settings of the training
   * @param {Map<string, {data: Float32Array, shape: number[]}>} weights by the names of PyTorch
   */
  constructor(kernel, settings, weights) {
    Object.assign(this, { kernel, settings, weights, scratch: new Scratch(kernel) });
    const sizes = settings.channels.map((_, level) => settings.image_size / settings.patch_size / 2 ** level);
    const level = (way, number, count) =>
      Array.from({ length: count }, (_, block) => new ResidualBlock(this, `${way}.${number}.${block}`, sizes[number]));
    this.embedTime = [this.parameters('embed_time.0'), this.parameters('embed_time.2')];
    this.patches = new Plane(kernel, settings.patch_size ** 2, sizes[0]);
    this.stem = this.convolution('stem', sizes[0]);
    this.down = settings.down_blocks.map((count, number) => level('down', number, count));
    this.downsample = sizes.slice(1).map((_, number) => this.convolution(`downsample.${number}`, sizes[number]));
    this.planes = [this.stem, ...this.downsample].map((convolution) => convolution.output());
    this.attention = new SelfAttention(this, 'attention', settings.channels.at(-1), sizes.at(-1));
    this.upsample = sizes.slice(1).map((size, number) => new Upsample(this, `upsample.${number}`, size));
    this.up = settings.up_blocks.map((count, number) => level('up', number, count));
    this.lastNorm = this.norm('norm');
    this.head = this.convolution('head', sizes[0]);
    this.last = new Plane(kernel, settings.channels[0], sizes[0]);
    this.pixels = this.head.output();
  }

  parameters(name) {
    return [this.weights.get(`${name}.weight`), this.weights.get(`${name}.bias`)];
  }

  convolution(name, size) {
    return new Convolution(this.kernel, this.scratch, ...this.parameters(name), size);
  }

  norm(name) {
    return new GroupNorm(this.kernel, ...this.parameters(name));
  }

  /** The condition that all blocks see: timestep and label. */
  embedding(t, label) {
    const [first, second] = this.embedTime;
    const time = linear(...second, linear(...first, timestepEmbedding(t)).map(silu));
    const labels = this.weights.get('embed_label.weight').data;
    return time.map((value, i) => silu(value + labels[label * time.length + i]));
  }

  /**
   * Evaluate the network once.
   * @param {Float32Array} image x_t, H * W pixels
   * @param {number} t timestep
   * @param {number} label the number of classes means 'no label'
   * @returns {Float32Array} the prediction, H * W
   */
  predict(image, t, label) {
    const { kernel, settings, planes } = this;
    const embedding = this.embedding(t, label);
    unshuffle(kernel, image, settings.image_size, settings.patch_size, this.patches);
    this.stem.run(this.patches, planes[0]);
    this.down.forEach((blocks, number) => {
      if (number > 0) this.downsample[number - 1].run(planes[number - 1], planes[number]);
      for (const block of blocks) block.run(planes[number], embedding);
    });
    let x = planes.at(-1);
    this.attention.run(x);
    for (let number = planes.length - 1; number >= 0; number--) {
      for (const block of this.up[number]) block.run(x, embedding);
      if (number > 0) x = this.upsample[number - 1].run(x, planes[number - 1]);
    }
    this.lastNorm.run(x, this.last);
    this.head.run(this.last, this.pixels);
    const out = new Float32Array(image.length);
    shuffle(kernel, this.pixels, settings.patch_size, 1, (_, at, value) => {
      out[at] = value;
    });
    return out;
  }
}
