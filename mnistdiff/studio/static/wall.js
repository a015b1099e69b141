// Images side by side: buttons in a grid that arrow keys walk through, and that can be dragged out as PNG.
import { element } from './dom.js';
import { paint } from './image.js';

/** @typedef {import('./picture.js').Picture} Picture */

/** @param {DragEvent} event @param {Picture} picture @param {HTMLCanvasElement} canvas */
export function dragOut(event, picture, canvas) {
  if (!event.dataTransfer) return;
  const address = picture.blob ? URL.createObjectURL(picture.blob) : canvas.toDataURL('image/png');
  canvas.parentElement?.addEventListener('dragend', () => URL.revokeObjectURL(address), { once: true });
  event.dataTransfer.effectAllowed = 'copy';
  event.dataTransfer.setData('DownloadURL', `image/png:${picture.fileName}:${address}`);
  event.dataTransfer.setData('text/plain', picture.title);
}

export class Wall {
  /**
   * @param {string} label what a screen reader calls it
   * @param {{onopen: (picture: Picture) => void, ondelete?: (picture: Picture) => void}} listeners
   */
  constructor(label, { onopen, ondelete = () => {} }) {
    this.root = element('div.wall', {
      role: 'group',
      'aria-label': label,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    });
    /** @type {Picture[]} empty while the images are being drawn */
    this.pictures = [];
    this.columns = 1;
    this.#open = onopen;
    this.#delete = ondelete;
  }

  #open;
  #delete;

  /** @returns {HTMLButtonElement[]} */
  get tiles() {
    return /** @type {any} */ ([...this.root.children]);
  }

  /** @param {number} count of tiles @param {number} columns */
  resize(count, columns) {
    this.columns = columns;
    this.root.style.setProperty('--columns', String(columns));
    this.root.style.setProperty('--ratio', String(columns / Math.ceil(count / columns)));
    while (this.root.children.length > count) this.root.lastElementChild?.remove();
    while (this.root.children.length < count) this.root.append(this.#tile());
    this.#makeReachable(
      Math.max(
        0,
        this.tiles.findIndex((tile) => tile.tabIndex === 0),
      ),
    );
  }

  /** Paint all tiles. @param {ArrayLike<number>} pixels of all images @param {number} size */
  show(pixels, size) {
    this.tiles.forEach((tile, i) => paint(canvasIn(tile), pixels, size, i));
  }

  /** Name the tiles and paint each. @param {Picture[]} pictures @param {number} columns */
  display(pictures, columns) {
    this.resize(pictures.length, columns);
    this.name(pictures);
    this.tiles.forEach((tile, i) => paint(canvasIn(tile), pictures[i].pixels, pictures[i].size));
  }

  /** Name the tiles. @param {Picture[]} pictures none: the tiles cannot be opened */
  name(pictures) {
    this.pictures = pictures;
    this.tiles.forEach((tile, i) => {
      tile.setAttribute('aria-label', pictures[i]?.title || 'Being drawn');
      tile.draggable = i in pictures;
    });
  }

  #tile() {
    const canvas = element('canvas.digit', { width: 28, height: 28 });
    const tile = element('button.tile', { type: 'button', tabindex: -1, 'aria-label': 'Being drawn' }, canvas);
    /** @param {(picture: Picture) => void} act */
    const withPicture = (act) => {
      const picture = this.pictures[this.tiles.indexOf(tile)];
      if (picture) act(picture);
    };
    tile.addEventListener('click', () => withPicture(this.#open));
    tile.addEventListener('focus', () => this.#makeReachable(this.tiles.indexOf(tile)));
    tile.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
      if (event.pointerType === 'mouse')
        withPicture((picture) => {
          picture.png().catch(() => {});
        }); // for dragging out
    });
    tile.addEventListener('dragstart', (/** @type {DragEvent} */ event) =>
      withPicture((picture) => dragOut(event, picture, canvas)),
    );
    return tile;
  }

  /** One tile is reached by Tab, the others by arrows. @param {number} index */
  #makeReachable(index) {
    this.tiles.forEach((tile, i) => {
      tile.tabIndex = i === index ? 0 : -1;
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.tiles.indexOf(/** @type {any} */ (event.target));
    if (event.key === 'Delete' && this.pictures[at]) this.#delete(this.pictures[at]);
    const to = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - this.columns,
      ArrowDown: at + this.columns,
      Home: 0,
      End: this.tiles.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.tiles[to]?.focus();
  }
}

/** @param {HTMLElement} tile @returns {HTMLCanvasElement} */
function canvasIn(tile) {
  return /** @type {HTMLCanvasElement} */ (tile.firstElementChild);
}
