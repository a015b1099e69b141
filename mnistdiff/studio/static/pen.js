// A pen on a canvas: mouse, pen and finger, or the arrow keys. Places are in units of the canvas, 0 to 1.

/** @typedef {{x: number, y: number, pressure: number}} Point */
/**
 * @typedef {object} Pen
 * @property {(point: Point) => void} begin
 * @property {(point: Point) => void} move
 * @property {() => void} end
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {(point: Point | null, isDown: boolean) => void} cursor where the keyboard's pen is; null hides it
 */

const STEP = 1 / 28;
const FINE_STEP = 1 / 112;
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});

/** @param {HTMLCanvasElement} canvas is made focusable @param {Pen} pen what is done with it */
export function listen(canvas, pen) {
  canvas.tabIndex = 0;
  listenToPointer(canvas, pen);
  listenToKeys(canvas, pen);
}

/** @param {HTMLCanvasElement} canvas @param {Pen} pen */
function listenToPointer(canvas, pen) {
  /** @type {number | null} */
  let drawing = null;
  /** @param {PointerEvent} event @returns {Point} */
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const pressure = event.pointerType === 'pen' && event.pressure > 0 ? event.pressure : 0.5;
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, pressure };
  };
  canvas.addEventListener('pointerdown', (event) => {
    if (drawing !== null || event.button > 0) return;
    drawing = event.pointerId;
    canvas.setPointerCapture(event.pointerId);
    pen.cursor(null, false);
    pen.begin(place(event));
  });
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerId !== drawing) return;
    const all = event.getCoalescedEvents?.() || [];
    for (const each of all.length ? all : [event]) pen.move(place(each));
  });
  for (const name of /** @type {const} */ (['pointerup', 'pointercancel'])) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== drawing) return;
      drawing = null;
      pen.end();
    });
  }
}

/** @param {HTMLCanvasElement} canvas @param {Pen} pen */
function listenToKeys(canvas, pen) {
  const at = { x: 0.5, y: 0.5, pressure: 0.5 };
  let isDown = false;
  const lift = () => {
    if (isDown) pen.end();
    isDown = false;
  };
  canvas.addEventListener('keydown', (event) => {
    const arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey) {
      const key = event.key.toLowerCase();
      if (key !== 'z' && key !== 'y') return;
      lift();
      if (key === 'y' || event.shiftKey) pen.redo();
      else pen.undo();
    } else if (arrow) {
      const step = event.shiftKey ? FINE_STEP : STEP;
      at.x = Math.min(1, Math.max(0, at.x + step * arrow[0]));
      at.y = Math.min(1, Math.max(0, at.y + step * arrow[1]));
      if (isDown) pen.move({ ...at });
    } else if (event.key === ' ' || event.key === 'Enter') {
      if (isDown) lift();
      else {
        isDown = true;
        pen.begin({ ...at });
      }
    } else if (event.key === 'Escape' && isDown) {
      lift();
    } else {
      return;
    }
    event.preventDefault();
    pen.cursor(at, isDown);
  });
  canvas.addEventListener('focus', () => { if (canvas.matches(':focus-visible')) pen.cursor(at, isDown); });
  canvas.addEventListener('blur', () => {
    lift();
    pen.cursor(null, false);
  });
}
