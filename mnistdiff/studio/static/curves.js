// The parts of a plot as SVG: where values lie, axes, lines.
import { number, range, scale, ticks } from './scale.js';

/** @typedef {import('./plot.js').Axis} Axis */
/** @typedef {import('./plot.js').Series} Series */
/** @typedef {ReturnType<typeof layout>} Places where values lie, in pixels */

const MARGIN = { top: 28, right: 24, bottom: 44, left: 60 };
const DASHES = ['', '7 4', '2 4', '11 4 2 4', '16 5', '5 2 1 2'];
const LOOKS = 6;

/** @param {string} tag @param {Record<string, string | number>} [attributes] @param {...(Node | string)} children */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * @param {Series[]} series @param {number[]} xs @param {Axis} x @param {Axis} y @param {number} width
 * @param {number} height
 */
export function layout(series, xs, x, y, width, height) {
  const across = { low: xs[0], high: xs[xs.length - 1], ...x };
  if (across.low === across.high) Object.assign(across, across.low ? { low: 0, high: 2 * across.low } : { high: 1 });
  const xRange = range(xs, across);
  const yRange = range(series.flatMap((one) => one.points.map((point) => point[1])), y);
  return {
    xs,
    x: scale(xRange, MARGIN.left, width - MARGIN.right),
    y: scale(yRange, height - MARGIN.bottom, MARGIN.top),
    xTicks: ticks(xRange, (width - MARGIN.left - MARGIN.right) / 96),
    yTicks: ticks(yRange, (height - MARGIN.top - MARGIN.bottom) / 36),
  };
}

/**
 * @param {Places} places @param {Axis} x @param {Axis} y @param {number} width @param {number} height
 * @returns {Node[]} grid lines, ticks and names of the axes
 */
export function axes(places, x, y, width, height) {
  const bottom = height - MARGIN.bottom;
  const across = places.yTicks.flatMap((value) => [
    svg('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: places.y(value), y2: places.y(value) }),
    svg('text', { x: MARGIN.left - 8, y: places.y(value) + 4, 'text-anchor': 'end' }, (y.text || number)(value)),
  ]);
  const names = places.xTicks.map(x.text || number);
  // Whole numbers have fewer names than a short axis has ticks.
  const along = places.xTicks.filter((_, k) => names[k] !== names[k - 1]).flatMap((value) => [
    svg('line', { class: 'tick', x1: places.x(value), x2: places.x(value), y1: bottom, y2: bottom + 5 }),
    svg('text', { x: places.x(value), y: bottom + 20, 'text-anchor': 'middle' }, (x.text || number)(value)),
  ]);
  return [
    ...across,
    svg('line', { class: 'axis', x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    ...along,
    svg('text', { x: 0, y: 12 }, y.label),
    svg('text', { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, 'text-anchor': 'middle' }, x.label),
  ];
}

/** @param {Series} one @param {number} at its place @param {Places} places @returns {Node} */
export function line(one, at, places) {
  const points = one.points.filter((point) => Number.isFinite(places.y(point[1])));
  const path = points.map(([x, y], k) => `${k ? 'L' : 'M'}${places.x(x).toFixed(1)} ${places.y(y).toFixed(1)}`).join('');
  const look = lookOf(one, at);
  const group = svg('g', { class: 'series' }, stroke(one, at, path));
  // A line of one point is none.
  const dots = one.dots || points.length === 1 ? points : [];
  group.append(...dots.map(([x, y]) => svg('circle', { class: `dot ${look}`, r: 3, cx: places.x(x), cy: places.y(y) })));
  return group;
}

/** @param {Places} places @param {number} x @param {string} kind @param {number} height @returns {Node} */
export function upright(places, x, kind, height) {
  return svg('line', { class: kind, x1: places.x(x), x2: places.x(x), y1: MARGIN.top, y2: height - MARGIN.bottom });
}

/** @param {Series} one @param {number} at its place @returns {string} the class of its colour */
export const lookOf = (one, at) => `look-${(one.look ?? at) % LOOKS}`;

/** @param {Series} one @param {number} at its place @param {string} path @returns {Node} a line as it is drawn and as the legend shows it */
export function stroke(one, at, path) {
  return svg('path', { class: lookOf(one, at), d: path, 'stroke-dasharray': DASHES[(one.dash ?? at) % LOOKS] });
}
