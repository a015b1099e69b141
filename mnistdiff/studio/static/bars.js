// The probability of each class as a bar.
import { element } from './dom.js';

const FEW = 16;

/** Bars of all classes; of many classes those of the most probable. */
export class Bars {
  /** @param {string[]} names of the classes */
  constructor(names) {
    this.names = names;
    this.rows = names.map((name) => {
      const bar = element('span.fill');
      const share = element('span.share', {}, '–');
      const row = element('li', {}, element('span.name', {}, name), element('span.track', { 'aria-hidden': 'true' }, bar), share);
      return { row, bar, share };
    });
    this.list = element('ol.bars', { 'aria-label': 'Probability of each class' }, ...this.rows.map(({ row }) => row));
    if (names.length > FEW) this.list.classList.add('many');
    this.show(null);
  }

  /** @param {number[] | null} values probabilities of all classes; null for none yet */
  show(values) {
    this.list.classList.toggle('idle', !values);
    const best = values ? values.indexOf(Math.max(...values)) : -1;
    this.rows.forEach(({ row, bar, share }, i) => {
      bar.style.setProperty('--share', String(values ? values[i] : 0));
      share.textContent = values ? percent(values[i]) : '–';
      row.classList.toggle('best', i === best);
    });
    if (this.names.length > FEW) this.#sort(values);
  }

  /** @param {number[] | null} values */
  #sort(values) {
    const order = this.names.map((_, i) => i);
    if (values) order.sort((a, b) => values[b] - values[a]);
    this.list.replaceChildren(...order.slice(0, FEW).map((i) => this.rows[i].row));
  }
}

/** @param {number} share @returns {string} */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}
