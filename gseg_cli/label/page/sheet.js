/** The labels of one sample: as the server has them, and the strokes it has yet to hear of. */

import { bounds, cut, paste } from "./raster.js";

export class Sheet {
  /** @type {import("./stroke.js").Drawn[]} */ waiting = [];
  version = 0; // counts the times that it was loaded; what waited before is void
  title = ""; // of the sample

  /** @param {number} seed @param {number} size side in pixels */
  constructor(seed, size) {
    Object.assign(this, { seed, size });
  }

  /** Begin again with what the server has: labels, rev, canUndo, canRedo, classes. */
  load({ labels, ...state }) {
    Object.assign(this, { ...state, saved: labels, waiting: [], version: this.version + 1 });
  }

  /** What the person sees: the strokes that wait lie over what is saved. */
  get shown() {
    const labels = this.saved.slice();
    for (const stroke of this.waiting) apply(labels, stroke);
    return labels;
  }

  /** The rectangle to send for a stroke. */
  rectangleOf(stroke) {
    const labels = this.saved.slice();
    apply(labels, stroke);
    const where = bounds(stroke.pixels, this.size);
    return { where, pixels: cut(labels, this.size, where) };
  }

  /** The server has the stroke that waited longest. */
  acknowledge(answer) {
    apply(this.saved, this.waiting.shift());
    this.#state(answer);
  }

  /** The server changed a rectangle. @param {import("./raster.js").Rectangle} where @param {Uint8Array} pixels */
  patch(answer, where, pixels) {
    paste(this.saved, this.size, where, pixels);
    this.#state(answer);
  }

  #state(answer) {
    Object.assign(this, { rev: answer.rev, canUndo: answer.can_undo, canRedo: answer.can_redo });
  }
}

function apply(labels, { label, pixels }) {
  for (const index of pixels) labels[index] = label;
}
