/** Where the picture lies on the screen: steps of zoom, whole from 2 on, so that every pixel is square; whole offsets. */

const STEPS = [1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1, 4 / 3, 5 / 3, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64];
const MARGIN = 16; // pixels of the screen around a picture that is fitted
const KEPT = 64; // pixels of the picture that cannot be pushed off the screen

/** Lengths are device pixels. */
export class View {
  width = 1;
  height = 1;
  size = 1;
  window = { x: 0, y: 0, w: 1, h: 1 }; // what the picture takes of its square
  scale = 1;
  x = 0;
  y = 0;
  fitted = true;

  /** The screen has another size. A picture that was fitted is fitted again. */
  resize(width, height) {
    const [dx, dy] = [(width - this.width) / 2, (height - this.height) / 2];
    Object.assign(this, { width, height });
    if (this.fitted) this.fit();
    else this.pan(dx, dy);
  }

  /** Show the whole picture in the middle, as large as the steps allow. */
  fit() {
    const { x, y, w, h } = this.window;
    const room = Math.min((this.width - 2 * MARGIN) / w, (this.height - 2 * MARGIN) / h);
    this.scale = STEPS.findLast((step) => step <= room) ?? STEPS[0];
    this.x = Math.round((this.width - w * this.scale) / 2 - x * this.scale);
    this.y = Math.round((this.height - h * this.scale) / 2 - y * this.scale);
    this.fitted = true;
  }

  /** One step larger or smaller; the point of the screen stays where it is. */
  step(direction, x = this.width / 2, y = this.height / 2) {
    const larger = STEPS.find((step) => step > this.scale * 1.001) ?? this.scale;
    const smaller = STEPS.findLast((step) => step < this.scale * 0.999) ?? this.scale;
    this.zoom((direction > 0 ? larger : smaller) / this.scale, x, y);
  }

  /** Any factor, as two fingers ask for it. */
  zoom(factor, x, y) {
    const scale = Math.min(STEPS.at(-1), Math.max(STEPS[0], this.scale * factor));
    const at = this.toPicture(x, y);
    this.scale = scale;
    this.#place(x - at.x * scale, y - at.y * scale);
  }

  pan(dx, dy) {
    this.#place(this.x + dx, this.y + dy);
  }

  /** @returns {import("./raster.js").Point} */
  toPicture(x, y) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  #place(x, y) {
    const length = this.size * this.scale;
    const kept = Math.min(KEPT, length);
    this.x = Math.round(Math.min(this.width - kept, Math.max(kept - length, x)));
    this.y = Math.round(Math.min(this.height - kept, Math.max(kept - length, y)));
    this.fitted = false;
  }
}
