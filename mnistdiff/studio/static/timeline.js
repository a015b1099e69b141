// The curves over the timesteps, above the slider that moves along them.
import { element } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 1000;
const HEIGHT = 200;

/** @param {string} name @param {Record<string, string | number>} attributes */
function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

export class Timeline {
  /**
   * @param {number} timesteps T
   * @param {(t: number) => void} onchange
   */
  constructor(timesteps, onchange) {
    this.last = Math.max(1, timesteps - 1);
    this.lines = new Map();
    this.plot = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', class: 'curves', 'aria-hidden': 'true' });
    for (const share of [0, 0.5, 1]) {
      this.plot.append(svg('line', { x1: 0, x2: WIDTH, y1: this.#y(share), y2: this.#y(share), class: 'rule' }));
    }
    for (const name of ['loss', 'sigma', 'alpha']) {
      const line = svg('polyline', { class: `curve of-${name}`, points: '' });
      this.lines.set(name, line);
      this.plot.append(line);
    }
    this.marker = svg('line', { y1: 0, y2: HEIGHT, class: 'marker' });
    this.plot.append(this.marker);
    this.input = element('input', { type: 'range', min: 0, max: timesteps - 1, step: 1, 'aria-label': 'Timestep t' });
    this.input.addEventListener('input', () => {
      this.#mark();
      onchange(Number(this.input.value));
    });
    const frame = element('div.frame', {});
    frame.append(this.plot);
    this.#listen(frame, onchange);
    this.element = element('div.timeline', {}, frame, this.input,
      element('div.ends.small.muted', { 'aria-hidden': 'true' }, element('span', {}, 'image'), element('span', {}, 'noise')));
  }

  /** @param {number} t */
  set(t) {
    this.input.value = String(t);
    this.#mark();
  }

  /**
   * @param {string} name alpha, sigma or loss
   * @param {[number, number][]} points t and value, 0 to 1
   */
  curve(name, points) {
    const text = points.map(([t, value]) => `${this.#x(t).toFixed(1)},${this.#y(value).toFixed(1)}`).join(' ');
    this.lines.get(name).setAttribute('points', text);
  }

  /** @param {number} t */
  #x(t) {
    return (WIDTH * t) / this.last;
  }

  /** @param {number} value 0 to 1 */
  #y(value) {
    return 4 + (HEIGHT - 8) * (1 - value);
  }

  #mark() {
    const t = Number(this.input.value);
    this.marker.setAttribute('x1', String(this.#x(t)));
    this.marker.setAttribute('x2', String(this.#x(t)));
    this.input.setAttribute('aria-valuetext', `t = ${t}`);
    this.input.style.setProperty('--part', `${(100 * t) / this.last}%`);
  }

  /** The curves move the slider, too. @param {HTMLElement} frame @param {(t: number) => void} onchange */
  #listen(frame, onchange) {
    const follow = (/** @type {PointerEvent} */ event) => {
      if (!(event.buttons & 1)) return;
      const box = this.plot.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      this.set(Math.round(share * this.last));
      onchange(Number(this.input.value));
    };
    frame.addEventListener('pointerdown', (event) => {
      frame.setPointerCapture(event.pointerId);
      follow(event);
    });
    frame.addEventListener('pointermove', follow);
  }
}
