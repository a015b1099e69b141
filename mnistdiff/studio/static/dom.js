// Elements in one line, and the blocks for states that every room shows.

/**
 * @param {string} tag with classes: `p.note.wide`
 * @param {Record<string, any>} [attributes] `onclick` and others that start with `on` are listeners; true is an empty
 *   attribute, false and null none
 * @param {...(Node | string)} children
 * @returns {any} the element
 */
export function element(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** @param {string} sentence @param {string} [hint] @returns {HTMLElement} what a room shows while it has nothing */
export function emptyState(sentence, hint = '') {
  return element(
    'div.state',
    {},
    element('p', {}, sentence),
    ...(hint ? [element('p.muted', {}, ...marked(hint))] : []),
  );
}

/** @param {any} error of api.js @returns {HTMLElement} the server's sentence and its hint */
export function errorState(error) {
  const hint = error.hint ? [element('p.muted', {}, ...marked(error.hint))] : [];
  return element('div.state.failed', { role: 'alert' }, element('p', {}, ...marked(sentence(error.message))), ...hint);
}

/** @param {string} text @returns {string} with a capital letter and a full stop */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?…]$/.test(text) ? '' : '.'}`;
}

/** @param {string} text @returns {(Node | string)[]} the text, with what stands in backticks as code */
export function marked(text) {
  return text.split('`').map((part, i) => (i % 2 ? element('code', {}, part) : part));
}

/**
 * A labelled slider that shows its value.
 * @param {string} label
 * @param {{min: number, max: number, step?: number, value: number, text?: (value: number) => string,
 *   onchange: (value: number) => void, help?: string}} options `onchange` is called while the slider moves
 * @returns {{row: HTMLElement, input: HTMLInputElement, set: (value: number) => void}}
 */
export function slider(label, { min, max, step = 1, value, text = String, onchange, help = '' }) {
  const shown = element('span.value', { 'aria-hidden': 'true' }); // an output would take the label for itself
  const input = element('input', { type: 'range', min, max, step, value });
  const show = () => {
    shown.textContent = text(Number(input.value));
    input.setAttribute('aria-valuetext', shown.textContent);
    const from = Number(input.min);
    input.style.setProperty('--part', `${(100 * (Number(input.value) - from)) / (Number(input.max) - from || 1)}%`);
  };
  input.addEventListener('input', () => {
    show();
    onchange(Number(input.value));
  });
  show();
  const row = element('label.field', help ? { title: help } : {}, element('span.name', {}, label), shown, input);
  return {
    row,
    input,
    set(next) {
      input.value = String(next);
      show();
    },
  };
}

/**
 * A group of choices of which one is taken (radio buttons that look like one bar).
 * @param {string} legend
 * @param {[string, string | Node][]} choices value and label
 * @param {string} value
 * @param {(value: string) => void} onchange
 * @returns {{row: HTMLFieldSetElement, set: (value: string) => void}}
 */
export function choice(legend, choices, value, onchange) {
  const name = `choice-${legend.toLowerCase().replace(/\W+/g, '-')}`;
  const options = choices.map(([key, label]) =>
    element(
      'label',
      {},
      element('input', { type: 'radio', name, value: key, checked: key === value, onchange: () => onchange(key) }),
      element('span', {}, label),
    ),
  );
  const row = element('fieldset.choice', {}, element('legend', {}, legend), element('div.bar', {}, ...options));
  return {
    row,
    set(next) {
      for (const input of row.querySelectorAll('input')) input.checked = input.value === next;
    },
  };
}
