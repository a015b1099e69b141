// A line plot as SVG: axes with round ticks, a legend that needs no colour, a readout for pointer and keyboard, a table.
import { axes, layout, line, lookOf, stroke, svg, upright } from './curves.js';
import { element } from './dom.js';
import { number } from './scale.js';

/** @typedef {import('./curves.js').Places} Places */
/**
 * @typedef {{label: string, log?: boolean, low?: number, high?: number, text?: (value: number) => string}} Axis
 * @typedef {{name: string, points: [number, number][], look?: number, dash?: number, dots?: boolean}} Series `points`
 *   are pairs (x, y), x increasing; `look` is the colour, 0 to 5, `dash` the line, 0 (solid) to 5: by default its place
 * @typedef {{element: HTMLElement, set: (series: Series[]) => void, mark: (x: number | null) => void,
 *   log: (on: boolean) => void}} Plot
 */

const MOST_ROWS = 200;
let made = 0;

/**
 * A plot that fills the width of its place.
 * @param {{title: string, x: Axis, y: Axis, height?: number, empty?: string, tools?: Node, onpick?: (x: number) => void}} options
 *   `empty` is shown without points; `tools` stand beside the title; `onpick` is called with the x that the user clicks at or moves to
 * @returns {Plot} `set` replaces the series; `mark` draws a vertical line, which stays; `log` changes the y axis
 */
export function plot({ title, x, y, height = 260, empty = 'No values yet.', tools, onpick = () => {} }) {
  const parts = frame(title, x.label, tools);
  /** @type {{series: Series[], y: Axis, mark: number | null, at: number | null, places: Places | null}} */
  const now = { series: [], y, mark: null, at: null, places: null };

  function draw() {
    const width = parts.area.clientWidth;
    if (!width) return;
    const xs = [...new Set(now.series.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => a - b);
    parts.input.disabled = !xs.length;
    parts.input.max = String(Math.max(xs.length - 1, 0));
    now.places = xs.length ? layout(now.series, xs, x, now.y, width, height) : null;
    const image = drawing({ title, text: described(now.series, x, now.y, empty), width, height });
    if (now.places) {
      const places = now.places;
      image.append(...axes(places, x, now.y, width, height), ...now.series.map((one, at) => line(one, at, places)));
      if (now.mark !== null) image.append(upright(places, now.mark, 'mark', height));
    } else image.append(svg('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, empty));
    image.append(svg('g', { class: 'pointer' }));
    parts.area.querySelector('svg')?.remove();
    parts.area.prepend(image);
    parts.table(now.series, x, now.y);
    parts.details.hidden = !xs.length;
    point(now.at);
  }

  /** @param {number | null} at show the values at this x; null shows none */
  function point(at) {
    now.at = at;
    const group = parts.area.querySelector('.pointer');
    if (!group || !now.places) return;
    const { places } = now;
    const found = at === null ? [] : valuesAt(now.series, at);
    group.replaceChildren(...(at === null ? [] : [upright(places, at, 'at', height)]));
    group.append(...found.map(({ value, look, where }) => svg('circle', { class: `dot ${look}`, r: 4, cx: places.x(where), cy: places.y(value) })));
    const texts = found.map(({ name, value }) => `${name} ${(y.text || number)(value)}`);
    const where = at === null ? '' : `${x.label} ${(x.text || number)(at)}`;
    parts.readout.replaceChildren(element('b', {}, where), ...texts.map((text) => element('span', {}, text)));
    parts.input.setAttribute('aria-valuetext', [where, ...texts].join(', '));
  }

  listen(parts, now, point, onpick);
  new ResizeObserver(draw).observe(parts.area);
  return {
    element: parts.figure,
    set(series) {
      now.series = series;
      parts.legend.replaceChildren(...(series.length > 1 ? series.map(legendEntry) : []));
      draw();
    },
    mark(at) {
      now.mark = at;
      draw();
    },
    log(on) {
      now.y = { ...y, log: on };
      draw();
    },
  };
}

/**
 * Have pointer and keyboard move the readout.
 * @param {ReturnType<typeof frame>} parts @param {{places: Places | null}} now @param {(at: number | null) => void} point
 * @param {(x: number) => void} onpick
 */
function listen({ area, input }, now, point, onpick) {
  /** @param {MouseEvent} event @returns {number | null} the nearest x that has a value */
  const nearest = (event) => {
    if (!now.places) return null;
    const { xs, x } = now.places;
    const at = event.clientX - area.getBoundingClientRect().left;
    return xs.reduce((best, value) => (Math.abs(x(value) - at) < Math.abs(x(best) - at) ? value : best), xs[0]);
  };
  const chosen = () => now.places?.xs[Math.min(Number(input.value), now.places.xs.length - 1)] ?? null;
  area.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => point(nearest(event)));
  area.addEventListener('pointerleave', () => point(null));
  area.addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const at = nearest(event);
    if (at !== null) onpick(at);
  });
  input.addEventListener('input', () => {
    const at = chosen();
    point(at);
    if (at !== null) onpick(at);
  });
  input.addEventListener('focus', () => point(chosen()));
  input.addEventListener('blur', () => point(null));
}

/** @param {{title: string, text: string, width: number, height: number}} of @returns {Element} an image with its name and its description */
function drawing({ title, text, width, height }) {
  const id = `plot-${(made += 1)}`;
  const attributes = { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-labelledby': `${id}-title`, 'aria-describedby': `${id}-desc` };
  return svg('svg', attributes, svg('title', { id: `${id}-title` }, title), svg('desc', { id: `${id}-desc` }, text));
}

/** @param {string} title @param {string} xLabel @param {Node | string} [tools] the elements around a plot, and what fills its table */
function frame(title, xLabel, tools = '') {
  const input = element('input.reader', { type: 'range', min: 0, max: 0, value: 0, 'aria-label': `${title}: values by ${xLabel}` });
  const area = element('div.area', {}, input);
  const legend = element('ul.legend');
  const readout = element('p.readout');
  const body = element('div.rows', { tabindex: 0, role: 'region', 'aria-label': `${title}, table` });
  const details = element('details', {}, element('summary', {}, 'Values as a table'), body);
  const figure = element('figure.plot', {}, element('figcaption', {}, element('h3', {}, title), tools), legend, area, readout, details);
  let fill = () => {};
  details.addEventListener('toggle', () => fill());
  return {
    figure,
    details,
    area,
    input,
    legend,
    readout,
    /** @param {Series[]} series @param {Axis} x @param {Axis} y */
    table(series, x, y) {
      fill = () => body.replaceChildren(...(details.open ? [tableOf(series, x, y)] : []));
      fill();
    },
  };
}

/** @param {Series} one @param {number} at @returns {HTMLElement} */
function legendEntry(one, at) {
  return element('li', {}, svg('svg', { width: 32, height: 12, 'aria-hidden': 'true' }, stroke(one, at, 'M0 6H32')), one.name);
}

/** @param {Series[]} series @param {number} at @returns {{name: string, value: number, look: string, where: number}[]} */
function valuesAt(series, at) {
  return series.flatMap((one, place) => {
    const [first, last] = [one.points[0], one.points[one.points.length - 1]];
    if (!first || at < first[0] || at > last[0]) return [];
    const [where, value] = one.points.reduce((best, point) => (Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best), first);
    return [{ name: one.name, value, look: lookOf(one, place), where }];
  });
}

/** @param {Series[]} series @param {Axis} x @param {Axis} y @param {string} empty @returns {string} the plot in words */
function described(series, x, y, empty) {
  const lines = series.filter((one) => one.points.length).map(({ name, points }) => {
    const [from, to] = [points[0], points[points.length - 1]];
    return `${name}: ${(y.text || number)(from[1])} at ${x.label} ${(x.text || number)(from[0])}, ${(y.text || number)(to[1])} at ${(x.text || number)(to[0])}.`;
  });
  return lines.length ? `${y.label} by ${x.label}. ${lines.join(' ')}` : empty;
}

/** @param {Series[]} series @param {Axis} x @param {Axis} y @returns {HTMLElement} at most `MOST_ROWS` rows, evenly spaced */
function tableOf(series, x, y) {
  const values = series.map((one) => new Map(one.points));
  const all = [...new Set(values.flatMap((one) => [...one.keys()]))].sort((a, b) => a - b);
  const every = Math.ceil(all.length / MOST_ROWS);
  const rows = all.filter((_, k) => k % every === 0 || k === all.length - 1).map((at) =>
    element('tr', {}, element('th', { scope: 'row' }, (x.text || number)(at)), ...values.map((one) => element('td', {}, one.has(at) ? (y.text || number)(/** @type {number} */ (one.get(at))) : ''))),
  );
  const head = [x.label, ...series.map((one) => one.name)].map((name) => element('th', { scope: 'col' }, name));
  return element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows));
}
