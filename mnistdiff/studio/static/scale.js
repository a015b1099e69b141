// The scales of a plot: ranges, ticks, and numbers to read.

/** @typedef {{low: number, high: number, log: boolean}} Range */

/**
 * @param {number[]} values @param {{log?: boolean, low?: number, high?: number}} axis bounds that are given are kept
 * @returns {Range} that holds the values; on a logarithmic scale only those above 0
 */
export function range(values, { log = false, low, high }) {
  const kept = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  let least = low ?? Math.min(...kept, kept.length ? Infinity : 1);
  let most = high ?? Math.max(...kept, kept.length ? -Infinity : 1);
  if (!(most > least)) [least, most] = log ? [least / 2, least * 2] : [least - 0.5, least + 0.5];
  const room = log ? (most / least) ** 0.04 : (most - least) * 0.04;
  if (low === undefined) least = log ? least / room : least >= 0 ? Math.max(0, least - room) : least - room;
  if (high === undefined) most = log ? most * room : most + room;
  return { low: least, high: most, log };
}

/** @param {Range} of @param {number} from @param {number} to @returns {(value: number) => number} values to pixels */
export function scale({ low, high, log }, from, to) {
  const place = log ? Math.log : Number;
  return (value) => from + ((place(value) - place(low)) / (place(high) - place(low))) * (to - from);
}

/** @param {Range} of @param {number} count about as many @returns {number[]} round values in the range */
export function ticks({ low, high, log }, count) {
  return log && high / low > 4 ? logTicks(low, high, count) : linearTicks(low, high, count);
}

/** @param {number} low @param {number} high @param {number} count @returns {number[]} */
function linearTicks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= 0.75 * rough) ?? 10);
  const found = [];
  // Counted in whole steps: sums of 0.1 are not round.
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

/** @param {number} low @param {number} high @param {number} count @returns {number[]} */
function logTicks(low, high, count) {
  for (const factors of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of factors) found.push(Number((factor * 10 ** power).toPrecision(12)));
    }
    const inside = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    if (inside.length <= Math.max(count, 2) * 1.5) return inside;
    if (factors.length === 1) return inside.filter((_, k) => k % Math.ceil(inside.length / count) === 0);
  }
  return [];
}

/** @param {number} value @returns {string} with four digits: `12,500`, `0.03125`, `2.5e-6` */
export function number(value) {
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(2).replace(/\.?0+e/, 'e');
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(4)));
}

/** @param {number} value @returns {string} a number of steps */
export const whole = (value) => Math.round(value).toLocaleString('en');
