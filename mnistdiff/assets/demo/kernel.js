/**
 * Memory and the matrix product: all convolutions and attentions are computed by it.
 *
 * A matrix of weights is stored in groups of 4 rows, `a[group][k][row]`, so that both kernels read it in order. Places
 * in memory are indices of float32 numbers.
 */

const PAGE = 65536;

/**
 * @typedef {object} Product c = a b + bias
 * @property {number} a place of the left matrix, in groups of 4 rows
 * @property {number} bias place of a number for each row of `a`
 * @property {number} groups of 4 rows
 * @property {number} depth columns of `a`, rows of `b`
 */

/** Memory that grows, and the product of matrices in it. */
export class Kernel {
  /** @param {Uint8Array<ArrayBuffer>} [code] of the WebAssembly module; without it, JavaScript computes */
  constructor(code) {
    this.used = 16;
    this.memory = new WebAssembly.Memory({ initial: 1 });
    this.numbers = new Float32Array(this.memory.buffer);
    this.fast = code ? this.compile(code) : undefined;
  }

  /** Whether WebAssembly computes. */
  get isFast() {
    return this.fast !== undefined;
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} code
   * @returns {((...numbers: number[]) => void) | undefined} the product; none where the browser has no SIMD
   */
  compile(code) {
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { page: { memory: this.memory } });
      return /** @type {(...numbers: number[]) => void} */ (exports.multiply);
    } catch {
      return undefined;
    }
  }

  /**
   * Places for numbers, which are 0.
   * @param {number} count
   */
  allocate(count) {
    const place = this.used;
    this.used += (count + 15) & ~15;
    const missing = this.used * 4 - this.memory.buffer.byteLength;
    if (missing > 0) {
      this.memory.grow(Math.ceil(missing / PAGE));
      this.numbers = new Float32Array(this.memory.buffer);
    }
    return place;
  }

  /**
   * Store a matrix as the left one of a product.
   * @param {number} place of 4 * depth numbers for each group of 4 rows
   * @param {number} rows
   * @param {number} depth columns
   * @param {ArrayLike<number>} from numbers: row r, column k is at start + r * rowStride + k * columnStride
   * @param {number} start
   * @param {number} rowStride
   * @param {number} columnStride
   */
  pack(place, rows, depth, from, start, rowStride, columnStride) {
    const { numbers } = this;
    for (let row = 0; row < rows; row++) {
      let to = place + (row >> 2) * 4 * depth + (row & 3);
      let at = start + row * rowStride;
      for (let k = 0; k < depth; k++, to += 4, at += columnStride) numbers[to] = from[at];
    }
  }

  /**
   * c = a b + bias.
   * @param {Product} left
   * @param {number} b place of the right matrix
   * @param {number} bStride numbers from one row of b to the next
   * @param {number} c place of the result, of groups * 4 rows
   * @param {number} cStride numbers from one row of c to the next
   * @param {number} columns of b and c, a multiple of 8
   */
  multiply(left, b, bStride, c, cStride, columns) {
    const { a, bias, groups, depth } = left;
    if (this.fast) this.fast(4 * a, 4 * b, 4 * c, 4 * bias, groups, depth, columns, 4 * bStride, 4 * cStride);
    else multiply(this.numbers, left, b, bStride, c, cStride, columns);
  }
}

/**
 * The product in JavaScript: a block of 4 rows and 2 columns at a time.
 * @param {Float32Array} m memory
 * @param {Product} left
 * @param {number} b
 * @param {number} bStride
 * @param {number} c
 * @param {number} cStride
 * @param {number} columns
 */
function multiply(m, { a, bias, groups, depth }, b, bStride, c, cStride, columns) {
  for (let j = 0; j < columns; j += 2) {
    for (let g = 0; g < groups; g++) {
      let c00 = m[bias + 4 * g];
      let c10 = m[bias + 4 * g + 1];
      let c20 = m[bias + 4 * g + 2];
      let c30 = m[bias + 4 * g + 3];
      let [c01, c11, c21, c31] = [c00, c10, c20, c30];
      let pa = a + g * 4 * depth;
      let pb = b + j;
      for (let k = 0; k < depth; k++, pa += 4, pb += bStride) {
        const b0 = m[pb];
        const b1 = m[pb + 1];
        c00 += m[pa] * b0;
        c01 += m[pa] * b1;
        c10 += m[pa + 1] * b0;
        c11 += m[pa + 1] * b1;
        c20 += m[pa + 2] * b0;
        c21 += m[pa + 2] * b1;
        c30 += m[pa + 3] * b0;
        c31 += m[pa + 3] * b1;
      }
      let pc = c + 4 * g * cStride + j;
      for (const [left, right] of [
        [c00, c01],
        [c10, c11],
        [c20, c21],
        [c30, c31],
      ]) {
        m[pc] = left;
        m[pc + 1] = right;
        pc += cStride;
      }
    }
  }
}
