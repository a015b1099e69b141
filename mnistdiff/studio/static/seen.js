// The picture that "Your hand" has seen last, for the other rooms.

/** @typedef {{pixels: Uint8Array, label: number | null}} Seen grey levels, and the class that was read, if any */

/** Dispatches `change`. */
class Current extends EventTarget {
  /** @type {Seen | null} */
  seen = null;

  /** @param {Seen | null} seen */
  set(seen) {
    this.seen = seen;
    this.dispatchEvent(new Event('change'));
  }
}

export const current = new Current();

/** @param {Uint8Array} bytes @returns {string} base64 */
export function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}
