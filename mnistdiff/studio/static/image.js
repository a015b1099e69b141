// Grey levels on a canvas.

/**
 * Paint one square image. 0 is black, 255 is white.
 * @param {HTMLCanvasElement} canvas becomes `size` pixels wide and high
 * @param {ArrayLike<number>} pixels grey levels of one or several images of size * size
 * @param {number} [size]
 * @param {number} [index] which of the images
 */
export function paint(canvas, pixels, size = 28, index = 0) {
  if (canvas.width !== size) canvas.width = size;
  if (canvas.height !== size) canvas.height = size;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const image = context.createImageData(size, size);
  const colours = new Uint32Array(image.data.buffer); // 4 bytes each, alpha the highest: all machines of today
  const start = index * size * size;
  for (let i = 0; i < size * size; i += 1) colours[i] = 0xff000000 | (pixels[start + i] * 0x010101);
  context.putImageData(image, 0, 0);
}

/**
 * @param {ArrayLike<number>} pixels
 * @param {number} [size]
 * @param {number} [index]
 * @param {string} [name] what a screen reader says
 * @returns {HTMLCanvasElement} a canvas of class `digit` that shows the image
 */
export function canvasOf(pixels, size = 28, index = 0, name = '') {
  const canvas = document.createElement('canvas');
  canvas.className = 'digit';
  if (name) {
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', name);
  }
  paint(canvas, pixels, size, index);
  return canvas;
}
