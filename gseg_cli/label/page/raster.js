/** Pixel work on label maps: a Uint8Array of size * size, row by row. Nothing here knows a canvas. */

export const UNLABELLED = 255;

/** @typedef {{x: number, y: number}} Point in pixels of the picture; 0.5 is the middle of the first */
/** @typedef {{x: number, y: number, w: number, h: number}} Rectangle in whole pixels */

/**
 * The rows of a brush: those pixels whose middle lies within the disc.
 * @param {number} diameter in pixels, from 1
 * @returns {{y: number, from: number, to: number}[]} offsets from the pixel that `brushPixel` names; `to` is not in it
 */
export function brushRows(diameter) {
  const first = -Math.floor(diameter / 2);
  const middle = diameter % 2 ? 0 : 0.5;
  return Array.from({ length: diameter }, (_, row) => {
    const reach = Math.sqrt((diameter / 2) ** 2 - (first + row + middle) ** 2);
    return { y: first + row, from: Math.ceil(-reach - middle), to: Math.floor(reach - middle) + 1 };
  });
}

/**
 * The pixel a brush is placed on; one of even diameter lies around a corner.
 * @param {Point} point @param {number} diameter
 */
export function brushPixel(point, diameter) {
  const place = diameter % 2 ? Math.floor : Math.round;
  return { x: place(point.x), y: place(point.y) };
}

/**
 * Visit the pixels of a brush that lie in the picture.
 * @param {Point} at a whole pixel @param {ReturnType<typeof brushRows>} rows
 * @param {number} size @param {(index: number) => void} visit
 */
export function stamp(at, rows, size, visit) {
  for (const row of rows) {
    const y = at.y + row.y;
    if (y < 0 || y >= size) continue;
    const to = Math.min(size, at.x + row.to);
    for (let x = Math.max(0, at.x + row.from); x < to; x++) visit(y * size + x);
  }
}

/**
 * Bresenham's line, both ends included.
 * @param {Point} from @param {Point} to @param {(at: Point) => void} visit
 */
export function line(from, to, visit) {
  const dx = Math.abs(to.x - from.x);
  const dy = -Math.abs(to.y - from.y);
  let { x, y } = from;
  for (let error = dx + dy; ; ) {
    visit({ x, y });
    if (x === to.x && y === to.y) return;
    const twice = 2 * error;
    if (twice >= dy) (error += dy), (x += Math.sign(to.x - from.x));
    if (twice <= dx) (error += dx), (y += Math.sign(to.y - from.y));
  }
}

/**
 * Visit the pixels whose middle lies in a polygon, by the even-odd rule.
 * @param {Point[]} points @param {number} size @param {(index: number) => void} visit
 */
export function fillPolygon(points, size, visit) {
  for (let y = 0; y < size; y++) {
    const crossings = crossed(points, y + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const to = Math.min(size, Math.ceil(crossings[i + 1] - 0.5));
      for (let x = Math.max(0, Math.ceil(crossings[i] - 0.5)); x < to; x++) visit(y * size + x);
    }
  }
}

/** Where the edges of a polygon cross a row, from left to right. */
function crossed(points, y) {
  const found = [];
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length];
    if (a.y <= y !== b.y <= y) found.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  });
  return found.sort((a, b) => a - b);
}

/**
 * Visit the pixels that hang together with one of them and have its colour.
 * @param {Uint8ClampedArray} colors RGBA @param {number} size @param {number} start index of the pixel
 * @param {number} tolerance levels by which each channel may differ
 * @param {(index: number) => boolean} inside which pixels count @param {(index: number) => void} visit
 */
export function flood(colors, size, start, tolerance, inside, visit) {
  const seen = new Uint8Array(size * size);
  const todo = [start];
  const add = (index) => {
    if (!seen[index] && inside(index) && alike(colors, index, start, tolerance)) (seen[index] = 1), todo.push(index);
  };
  seen[start] = 1;
  while (todo.length) {
    const index = todo.pop();
    const x = index % size;
    visit(index);
    if (x > 0) add(index - 1);
    if (x + 1 < size) add(index + 1);
    if (index >= size) add(index - size);
    if (index + size < seen.length) add(index + size);
  }
}

function alike(colors, a, b, tolerance) {
  for (let c = 0; c < 3; c++) if (Math.abs(colors[4 * a + c] - colors[4 * b + c]) > tolerance) return false;
  return true;
}

/**
 * The smallest rectangle around pixels.
 * @param {ArrayLike<number>} pixels indices, at least one @param {number} size @returns {Rectangle}
 */
export function bounds(pixels, size) {
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let i = 0; i < pixels.length; i++) {
    const x = pixels[i] % size;
    const y = (pixels[i] - x) / size;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
}

/** The pixels of a rectangle. @param {Uint8Array} labels @param {number} size @param {Rectangle} where */
export function cut(labels, size, { x, y, w, h }) {
  const out = new Uint8Array(w * h);
  for (let row = 0; row < h; row++) {
    const start = (y + row) * size + x;
    out.set(labels.subarray(start, start + w), row * w);
  }
  return out;
}

/** Put the pixels of a rectangle in place. */
export function paste(labels, size, { x, y, w, h }, pixels) {
  for (let row = 0; row < h; row++) labels.set(pixels.subarray(row * w, (row + 1) * w), (y + row) * size + x);
}

/**
 * The share of pixels of a rectangle that have a label, 0..1.
 * @param {Uint8Array} labels @param {number} size side in pixels @param {Rectangle} where
 */
export function share(labels, size, { x, y, w, h }) {
  let count = 0;
  for (let row = y; row < y + h; row++)
    for (let column = x; column < x + w; column++) count += labels[row * size + column] !== UNLABELLED;
  return count / (w * h);
}
