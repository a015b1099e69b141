// Numbers in words, as the command line writes them.

/** @param {number} seconds @returns {string} `45 s`, `12 min`, `3 h 20 min` */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** @param {number} time in seconds since 1970 @returns {string} `3 min ago`, `2026-11-28 20:04` */
export function ago(time) {
  const seconds = Math.max(0, Date.now() / 1000 - time);
  if (seconds < 5) return 'now';
  if (seconds < 20 * 3600) return `${duration(seconds)} ago`;
  const date = new Date(1000 * time);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** @param {number} bytes @returns {string} `209.2 kB`, `13.3 MB` */
export function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} value @returns {string} a loss with four decimals */
export const loss = (value) => value.toFixed(4);

/** @param {number} value in [0, 1] @returns {string} */
export const percent = (value) => `${(100 * value).toFixed(2)} %`;

/** @param {unknown} value of a setting @returns {string} */
export function setting(value) {
  if (value === null || (Array.isArray(value) && !value.length)) return 'none';
  if (Array.isArray(value)) return value.map(setting).join(', ');
  if (typeof value === 'object') return Object.entries(/** @type {object} */ (value)).map(([key, one]) => `${key} ${setting(one)}`).join(', ');
  return String(value);
}
