/** One stroke while it is drawn: it changes the labels in place and can be taken back. */

import { UNLABELLED, bounds } from "./raster.js";

/** @typedef {{label: number, pixels: Int32Array}} Drawn a stroke that is done: these pixels now have that label */

export class Stroke {
  #seen;
  #pixels = [];
  #before = [];
  #told = 0;

  /**
   * @param {Uint8Array} labels of the picture, changed by `add` @param {number} size its side
   * @param {number} label what is painted @param {(before: number, index: number) => boolean} allowed may this pixel be painted over?
   */
  constructor(labels, size, label, allowed) {
    Object.assign(this, { labels, size, label, allowed });
    this.#seen = new Uint8Array(labels.length);
  }

  add = (index) => {
    if (this.#seen[index]) return;
    this.#seen[index] = 1;
    const before = this.labels[index];
    if (before === this.label || !this.allowed(before, index)) return;
    this.#pixels.push(index);
    this.#before.push(before);
    this.labels[index] = this.label;
  };

  /** What was added since the last call, as a rectangle; null when nothing was. */
  dirty() {
    const added = this.#pixels.slice(this.#told);
    this.#told = this.#pixels.length;
    return added.length ? bounds(added, this.size) : null;
  }

  takeBack() {
    this.#pixels.forEach((index, i) => (this.labels[index] = this.#before[i]));
  }

  /** Go on over other labels. @param {Uint8Array} labels */
  moveTo(labels) {
    this.labels = labels;
    this.#before = this.#pixels.map((index) => labels[index]);
    for (const index of this.#pixels) labels[index] = this.label;
  }

  /** @returns {Drawn | null} null when it changed nothing */
  done() {
    return this.#pixels.length ? { label: this.label, pixels: Int32Array.from(this.#pixels) } : null;
  }
}

/** @returns {(before: number, index: number) => boolean} what may be painted over; never what lies beside the picture */
export function rule(label, { onlyUnlabelled, locked }, inside) {
  const erases = label === UNLABELLED;
  return (before, index) =>
    !locked.includes(before) && (erases || !onlyUnlabelled || before === UNLABELLED) && inside(index);
}
