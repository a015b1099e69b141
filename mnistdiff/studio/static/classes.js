// A choice of one class: radio buttons for few short names, else a list.
import { choice, element } from './dom.js';

const FEW = 12;

/**
 * @param {string} legend
 * @param {string[]} names of the classes
 * @param {(label: number) => void} [onchange]
 * @returns {{field: HTMLElement, label: () => number, set: (label: number) => void, clear: () => void}} `clear`
 *   shows none of them as chosen
 */
export function classPicker(legend, names, onchange = () => {}) {
  let label = 0;
  const take = (/** @type {string} */ value) => {
    label = Number(value);
    onchange(label);
  };
  if (names.length <= FEW && names.every((name) => name.length < 3)) {
    const bar = choice(legend, names.map((name, i) => [String(i), name]), '0', take);
    return { field: bar.row, label: () => label, set(next) { bar.set(String(label = next)); }, clear() { bar.set(''); } };
  }
  const list = element('select', { onchange: () => take(list.value) }, ...names.map((name, i) => element('option', { value: i }, name)));
  return {
    field: element('label.field', {}, element('span.name', {}, legend), list),
    label: () => label,
    set(next) { list.value = String(label = next); },
    clear() { list.value = ''; },
  };
}
