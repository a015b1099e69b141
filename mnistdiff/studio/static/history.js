// What was done, in order, with undo and redo.

/** @template T */
export class History {
  /** @type {T[]} */
  #all = [];
  #count = 0;

  /** @returns {T[]} what is in force, the oldest first */
  get items() {
    return this.#all.slice(0, this.#count);
  }

  get canUndo() {
    return this.#count > 0;
  }

  get canRedo() {
    return this.#count < this.#all.length;
  }

  /** @param {T} item what was undone before is forgotten */
  push(item) {
    this.#all.length = this.#count;
    this.#all.push(item);
    this.#count += 1;
  }

  /** @returns {boolean} whether there was something */
  undo() {
    if (!this.canUndo) return false;
    this.#count -= 1;
    return true;
  }

  /** @returns {boolean} whether there was something */
  redo() {
    if (!this.canRedo) return false;
    this.#count += 1;
    return true;
  }
}
