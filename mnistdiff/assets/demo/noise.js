/**
 * Standard normal noise by seed, the same numbers as `engine/randomness.py` takes from NumPy.
 *
 * The generator is Philox4x64-10 (Salmon et al. 2011), keyed by (seed, stream), with the draw in the counter. Its
 * numbers become normal by the ziggurat of Marsaglia & Tsang 2000 with 256 layers, in float32 as in NumPy. The numbers
 * are those of NumPy bit for bit, but for the tail beyond 3.65: there the last bit depends on the logarithm of the C
 * library that NumPy calls.
 */

const SAMPLING_NOISE = 5n; // Stream.SAMPLING_NOISE
const MASK = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const ROUNDS = 10;

/** Random 32-bit integers. */
export class Philox {
  /**
   * @param {bigint} seed 0 ... 2**64 - 1
   * @param {bigint} stream purpose of the numbers
   * @param {bigint} position of the generator in its stream
   */
  constructor(seed, stream, position) {
    this.key = [seed, stream];
    this.counter = [0n, position, 0n, 0n];
    this.words = new BigUint64Array(4);
    this.halves = new Uint32Array(this.words.buffer); // the lower half of each word first: all browsers' order
    this.next = this.halves.length;
  }

  /** The next integer, 0 ... 2**32 - 1. */
  uint32() {
    if (this.next === this.halves.length) this.refill();
    return this.halves[this.next++];
  }

  /** The next number in [0, 1), a float32. */
  float32() {
    return (this.uint32() >>> 8) / 16777216;
  }

  refill() {
    this.counter[0] += 1n;
    let [x0, x1, x2, x3] = this.counter;
    let [k0, k1] = this.key;
    for (let round = 0; round < ROUNDS; round++) {
      const a = MULTIPLIERS[0] * x0;
      const b = MULTIPLIERS[1] * x2;
      x0 = (b >> 64n) ^ x1 ^ k0;
      x2 = (a >> 64n) ^ x3 ^ k1;
      x1 = b & MASK;
      x3 = a & MASK;
      k0 = (k0 + WEYL[0]) & MASK;
      k1 = (k1 + WEYL[1]) & MASK;
    }
    this.words.set([x0, x1, x2, x3]);
    this.next = 0;
  }
}

const RIGHT = 3.6541528853610088; // where the tail begins
const ZIGGURAT = ziggurat();

/** The layers of the ziggurat: widths and acceptance bounds for integers of 23 bits, and densities. */
function ziggurat() {
  const density = (/** @type {number} */ x) => Math.exp(-0.5 * x * x);
  const area = 0.004928673233974658; // of each layer; the lowest has the tail
  const edges = new Float64Array(257);
  edges[256] = area / density(RIGHT);
  edges[255] = RIGHT;
  for (let i = 254; i > 0; i--) edges[i] = Math.sqrt(-2 * Math.log(area / edges[i + 1] + density(edges[i + 1])));
  const scale = 2 ** 23;
  const width = new Float32Array(256);
  const bound = new Uint32Array(256);
  const height = new Float32Array(256);
  for (let i = 0; i < 256; i++) {
    const edge = i === 0 ? edges[256] : edges[i];
    width[i] = edge / scale;
    bound[i] = Math.round(((i === 0 ? RIGHT : edges[i - 1]) / edge) * scale);
    height[i] = i === 0 ? 1 : density(edges[i]);
  }
  return { width, bound, height };
}

/**
 * One standard normal number, a float32.
 * @param {Philox} random
 */
export function normal(random) {
  const { width, bound, height } = ZIGGURAT;
  const f = Math.fround;
  for (;;) {
    const bits = random.uint32();
    const layer = bits & 0xff;
    const inside = bits >>> 9;
    const x = f((bits & 0x100 ? -1 : 1) * f(inside * width[layer]));
    if (inside < bound[layer]) return x;
    if (layer === 0) return tail(random, (inside & 0x100) !== 0);
    const rise = f(f(height[layer - 1] - height[layer]) * random.float32());
    if (f(rise + height[layer]) < Math.exp(-0.5 * x * x)) return x;
  }
}

/**
 * A number beyond `RIGHT` (Marsaglia 1964).
 * @param {Philox} random
 * @param {boolean} isNegative
 */
function tail(random, isNegative) {
  const f = Math.fround;
  const right = f(RIGHT);
  for (;;) {
    const beyond = f(-f(1 / RIGHT) * f(Math.log1p(-random.float32())));
    const y = -f(Math.log1p(-random.float32()));
    if (f(y + y) > f(beyond * beyond)) return isNegative ? -f(right + beyond) : f(right + beyond);
  }
}

/**
 * The noise of an image, as `sampling_noise` of the Python code.
 * @param {number} seed of the image, 0 ... 2**32 - 1
 * @param {number} draw 0 for x_T, 1, 2, ... for the noise of later steps
 * @param {number} count of pixels
 */
export function samplingNoise(seed, draw, count) {
  const random = new Philox(BigInt(seed), SAMPLING_NOISE, BigInt(draw));
  return Float32Array.from({ length: count }, () => normal(random));
}
