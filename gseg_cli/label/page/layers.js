/** What lies over the picture, one canvas of the picture's own size each. */

import { UNLABELLED } from "./raster.js";

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const DOUBT = [255, 138, 76];

/** A word of an ImageData. */
function word(red, green, blue, alpha) {
  const bytes = LITTLE_ENDIAN ? [alpha, blue, green, red] : [red, green, blue, alpha];
  return bytes.reduce((all, byte) => all * 256 + byte, 0);
}

/**
 * The words of the colours of all labels; 255 and what is no class are transparent.
 * @param {{color: string}[]} classes colours as "#rrggbb"
 */
export function colorWords(classes) {
  const words = new Uint32Array(256);
  classes.forEach(({ color }, index) => {
    const value = parseInt(color.slice(1), 16);
    words[index] = word(value >> 16, (value >> 8) & 255, value & 255, 255);
  });
  words[UNLABELLED] = 0;
  return words;
}

/** The words of confidence 0..255: the less of it, the more glow. */
export function doubtWords() {
  return Uint32Array.from({ length: 256 }, (_, confidence) => {
    const doubt = 1 - confidence / 255;
    return word(...DOUBT, Math.round(210 * Math.min(1, 1.5 * doubt)));
  });
}

/** A canvas whose pixels are redrawn by rectangles. */
export class Layer {
  /** @param {number} size side in pixels */
  constructor(size) {
    this.size = size;
    this.canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(size, size);
    this.words = new Uint32Array(this.image.data.buffer);
  }

  /**
   * @param {(index: number) => number} wordOf the word of a pixel
   * @param {import("./raster.js").Rectangle} where
   */
  redraw(wordOf, where = { x: 0, y: 0, w: this.size, h: this.size }) {
    for (let y = where.y; y < where.y + where.h; y++) {
      const start = y * this.size + where.x;
      for (let i = start; i < start + where.w; i++) this.words[i] = wordOf(i);
    }
    this.context.putImageData(this.image, 0, 0, where.x, where.y, where.w, where.h);
  }
}

/** Diagonal stripes on the screen; they mark what is predicted. @param {number} ratio device pixels per pixel of CSS */
export function stripes(ratio) {
  const side = Math.round(8 * ratio);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d");
  context.lineWidth = side * 0.3;
  context.beginPath();
  for (const shift of [-side, 0, side]) {
    context.moveTo(shift - side, 2 * side);
    context.lineTo(shift + 2 * side, -side);
  }
  context.stroke();
  return canvas;
}
