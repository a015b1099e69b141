// What is to be drawn: a text field, a button for each class, and the keys of the keyboard.
import { element } from './dom.js';

/** A key within this time after another continues the word; later it begins a new one. */
const WORD_MS = 900;
/** After this time without a key, what was typed is sent even if it names no class: the server says what is wrong. */
const PATIENCE_MS = 800;
const MOST_LETTERS = 64;

export class Prompt {
  /** @param {string[]} names of the classes @param {() => void} onchange */
  constructor(names, onchange) {
    this.#names = names;
    this.#changed = onchange;
    this.#areLetters = names.every((name) => [...name].length === 1);
    const areDigits = names.every((name) => /^[0-9]$/.test(name));
    this.field = /** @type {HTMLInputElement} */ (
      element('input', {
        type: 'text',
        id: 'prompt',
        value: names[Math.min(7, names.length - 1)],
        autocomplete: 'off',
        spellcheck: 'false',
        maxlength: MOST_LETTERS,
        inputmode: areDigits ? 'numeric' : 'text',
        oninput: (/** @type {InputEvent} */ event) => event.isComposing || this.#typed(),
        oncompositionend: () => this.#typed(),
        onfocus: () => this.field.select(),
        onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === 'Enter' && this.#send(),
      })
    );
    const label = areDigits ? 'A digit or a number' : this.#areLetters ? 'A class or a word' : 'A class';
    this.#chips = names.map((name) =>
      element('button.chip', { type: 'button', 'aria-pressed': 'false', onclick: () => this.#become(name) }, name),
    );
    this.root = element(
      'div.prompt',
      {},
      element('label', { for: 'prompt' }, label),
      this.field,
      element(
        this.#areLetters ? 'div.chips.letters' : 'div.chips',
        { role: 'group', 'aria-label': 'Classes' },
        ...this.#chips,
      ),
    );
    this.#mark();
  }

  #names;
  #changed;
  #areLetters;
  #chips;
  #timer = 0;
  #lastKey = -Infinity;

  /** @returns {string} */
  get text() {
    return this.field.value.trim();
  }

  /** @returns {number} the label whose class name was typed, else -1 */
  get #label() {
    const exact = this.#names.indexOf(this.text);
    return exact >= 0 ? exact : this.#names.findIndex((name) => name.toLowerCase() === this.text.toLowerCase());
  }

  /** @returns {boolean} whether each letter is a class */
  get #isWord() {
    return this.#areLetters && this.text !== '' && [...this.text].every((letter) => this.#names.includes(letter));
  }

  /** @returns {{text: string} | {labels: number[]}} this part of the body of `/api/draw` */
  get request() {
    return this.#label >= 0 ? { labels: [this.#label] } : { text: this.text };
  }

  /**
   * @param {number} images about how many are wanted
   * @returns {{n: number, columns: number}} repetitions, and columns of the wall
   */
  layout(images) {
    const letters = this.#label >= 0 || !this.#areLetters ? 1 : [...this.text].length;
    if (letters === 1) return { n: images, columns: Math.ceil(Math.sqrt(images)) };
    return { n: Math.max(1, Math.floor(images / letters)), columns: letters };
  }

  /**
   * Hear keys that are pressed anywhere while no field has the focus.
   * @param {HTMLElement} section only while it is shown
   */
  listen(section) {
    document.addEventListener('keydown', (event) => {
      const isCommand = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
      if (section.hidden || isCommand || isField(event.target) || document.querySelector('dialog[open]')) return;
      if (!this.#areLetters || !this.#names.includes(event.key)) return;
      event.preventDefault();
      const now = performance.now();
      const isContinued = now - this.#lastKey < WORD_MS && [...this.text].length < MOST_LETTERS;
      this.#lastKey = now;
      this.#become(isContinued ? this.text + event.key : event.key);
    });
  }

  /** @param {string} text */
  #become(text) {
    this.field.value = text;
    this.#send();
  }

  #typed() {
    clearTimeout(this.#timer);
    if (this.#label >= 0 || this.#isWord || this.text === '') this.#send();
    else this.#timer = setTimeout(() => this.#send(), PATIENCE_MS);
  }

  #send() {
    clearTimeout(this.#timer);
    this.#mark();
    this.#changed();
  }

  #mark() {
    this.#chips.forEach((chip, i) => chip.setAttribute('aria-pressed', String(i === this.#label)));
  }
}

/** @param {EventTarget | null} target @returns {boolean} whether keys are typed into it */
function isField(target) {
  return (
    target instanceof Element &&
    target.matches('input[type=text], input[type=number], input[type=search], textarea, select, [contenteditable]')
  );
}
