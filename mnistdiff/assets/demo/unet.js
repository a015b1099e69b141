/** The network `unet` of `engine/network/unet.py`: (x_t, t, label) -> prediction, for one image. */

import { SelfAttention } from './attention.js';
import { Convolution, GroupNorm, Scratch, linear, silu } from './layers.js';
import { Plane, add, shuffle, unshuffle } from './planes.js';

/** @typedef {import('./kernel.js').Kernel} Kernel */
/** @typedef {import('./layers.js').Tensor} Tensor */

/**
 * The shape of the network.
 * @typedef {object} Shape
 * @property {number[]} channels of each level, finest first
 * @property {number[]} down_blocks of each level
 * @property {number[]} up_blocks of each level
 * @property {number} patch_size
 */

const TIME_WIDTH = 64;
const MAX_PERIOD = 10000;

/**
 * Sinusoids of the timestep (Vaswani et al. 2017, Section 3.5), in float32 as in Python.
 * @param {number} t
 */
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
  /**
   * @param {UNet} net
   * @param {string} name
   * @param {number} size
   */
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

  /**
   * Add the residual to x, in place.
   * @param {Plane} x
   * @param {Float32Array} embedding
   */
  run(x, embedding) {
    this.norm1.run(x, this.inside);
    this.conv1.run(this.inside, this.result);
    this.norm2.run(this.result, this.inside, linear(...this.scaleShift, embedding));
    this.conv2.run(this.inside, this.result);
    add(this.kernel, this.result, x);
  }
}

/** Double height and width by a pixel shuffle, and merge the skip connection of this level. */
class Upsample {
  /**
   * @param {UNet} net
   * @param {string} name
   * @param {number} size
   */
  constructor(net, name, size) {
    this.kernel = net.kernel;
    this.expand = net.convolution(`${name}.expand`, size);
    this.merge = net.convolution(`${name}.merge`, 2 * size);
    this.wide = this.expand.output();
    this.both = new Plane(net.kernel, this.merge.channels, 2 * size);
    this.result = this.merge.output();
  }

  /**
   * @param {Plane} x
   * @param {Plane} skip
   */
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
   * @param {Kernel} kernel
   * @param {Shape} settings
   * @param {number} size of the images
   * @param {Map<string, Tensor>} weights by the names of PyTorch
   */
  constructor(kernel, settings, size, weights) {
    this.kernel = kernel;
    this.settings = settings;
    this.size = size;
    this.weights = weights;
    this.scratch = new Scratch(kernel);
    const sizes = settings.channels.map((_, level) => size / settings.patch_size / 2 ** level);
    /** @param {string} way @param {number} number @param {number} count */
    const level = (way, number, count) =>
      Array.from({ length: count }, (_, block) => new ResidualBlock(this, `${way}.${number}.${block}`, sizes[number]));
    this.embedTime = [this.parameters('embed_time.0'), this.parameters('embed_time.2')];
    this.patches = new Plane(kernel, settings.patch_size ** 2, sizes[0]);
    this.stem = this.convolution('stem', sizes[0]);
    this.down = settings.down_blocks.map((count, number) => level('down', number, count));
    this.downsample = sizes.slice(1).map((_, number) => this.convolution(`downsample.${number}`, sizes[number]));
    this.planes = [this.stem, ...this.downsample].map((convolution) => convolution.output());
    const lowest = sizes.length - 1;
    this.attention = new SelfAttention(this, 'attention', settings.channels[lowest], sizes[lowest]);
    this.upsample = sizes.slice(1).map((each, number) => new Upsample(this, `upsample.${number}`, each));
    this.up = settings.up_blocks.map((count, number) => level('up', number, count));
    this.lastNorm = this.norm('norm');
    this.head = this.convolution('head', sizes[0]);
    this.last = new Plane(kernel, settings.channels[0], sizes[0]);
    this.pixels = this.head.output();
  }

  /** @param {string} name */
  tensor(name) {
    const found = this.weights.get(name);
    if (!found) throw new Error(`the page lacks the weight ${name}`);
    return found;
  }

  /** @param {string} name @returns {[Tensor, Tensor]} weight and bias */
  parameters(name) {
    return [this.tensor(`${name}.weight`), this.tensor(`${name}.bias`)];
  }

  /** @param {string} name @param {number} size */
  convolution(name, size) {
    return new Convolution(this.kernel, this.scratch, ...this.parameters(name), size);
  }

  /** @param {string} name */
  norm(name) {
    return new GroupNorm(this.kernel, ...this.parameters(name));
  }

  /**
   * The condition that all blocks see.
   * @param {number} t
   * @param {number} label
   */
  embedding(t, label) {
    const [first, second] = this.embedTime;
    const time = linear(...second, linear(...first, timestepEmbedding(t)).map(silu));
    const labels = this.tensor('embed_label.weight').data;
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
    unshuffle(kernel, image, this.size, settings.patch_size, this.patches);
    this.stem.run(this.patches, planes[0]);
    this.down.forEach((blocks, number) => {
      if (number > 0) this.downsample[number - 1].run(planes[number - 1], planes[number]);
      for (const block of blocks) block.run(planes[number], embedding);
    });
    let x = planes[planes.length - 1];
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
