/** The samples, or photos, in a row: picture, small prediction, share labelled, and which one is proposed next. */

import * as api from "./api.js";
import { byId, make, percent } from "./dom.js";
import { icon } from "./icons.js";
import { Layer, colorWords } from "./layers.js";

const SIDE = 144; // pixels of a thumbnail, twice what is shown

export class Strip {
  #cells = new Map();
  #near = new IntersectionObserver((entries) => this.#onNear(entries), { rootMargin: "300px" });

  /** @param {import("./desk.js").Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.element = byId("strip");
    this.more = make("button", { type: "button", className: "more", data: { action: "more-samples" } }, icon("plus"));
    this.element.addEventListener("wheel", (event) => this.#scroll(event), { passive: true });
  }

  draw() {
    const { samples } = this.desk.project;
    for (const { seed } of samples) if (!this.#cells.has(seed)) this.#cells.set(seed, this.#cell(seed));
    this.element.replaceChildren(...samples.map(({ seed }) => this.#cells.get(seed).element), this.more);
    for (const sample of samples) this.update(sample, true);
    this.mark();
  }

  /** Are further samples being drawn? */
  showAdding() {
    this.more.disabled = this.desk.adding;
    this.more.setAttribute("aria-busy", this.desk.adding);
  }

  /** Which sample is on its way into view? */
  showTurning(seed) {
    for (const [one, { element }] of this.#cells) element.setAttribute("aria-busy", one === seed);
  }

  /** One sample changed. @param {api.Sample} sample @param {boolean} again draw even what is shown already */
  update(sample, again = false) {
    const cell = this.#cells.get(sample.seed);
    if (!cell) return;
    cell.element.style.setProperty("--labelled", sample.labelled);
    cell.element.classList.toggle("begun", sample.labelled > 0);
    cell.caption.textContent = percent(sample.labelled);
    cell.element.setAttribute("aria-label", `${sample.title}, ${percent(sample.labelled)} labelled`);
    cell.element.title = `${sample.title}: ${percent(sample.labelled)} labelled`;
    if (cell.near && (again || cell.shown !== sample.prediction)) this.#fetch(cell, sample);
  }

  /** Which sample is in view, and which is proposed. */
  mark() {
    const { sheet, proposal } = this.desk;
    for (const [seed, { element }] of this.#cells) {
      const current = seed === sheet?.seed;
      if (current && element.getAttribute("aria-current") !== "true") element.scrollIntoView({ inline: "nearest", block: "nearest" });
      element.setAttribute("aria-current", current);
      element.classList.toggle("proposed", seed === proposal?.seed);
    }
  }

  #cell(seed) {
    const canvas = make("canvas", { width: SIDE, height: SIDE });
    const caption = make("span", { className: "share" });
    const tag = make("span", { className: "tag", textContent: "next" });
    const element = make("button", { type: "button", className: "cell", data: { seed } }, canvas, tag, caption);
    element.addEventListener("click", () => this.desk.go(seed));
    this.#near.observe(element);
    return { seed, element, canvas, caption, near: false, image: null, small: null, shown: null, busy: false };
  }

  async #onNear(entries) {
    for (const { target, isIntersecting } of entries) {
      const cell = this.#cells.get(Number(target.dataset.seed));
      if (!isIntersecting || cell.near) continue;
      cell.near = true;
      cell.image = await api.loadImage(cell.seed).catch(() => null);
      this.#paint(cell);
      const sample = this.#sampleOf(cell);
      if (sample) this.update(sample);
    }
  }

  /** The newest prediction of a sample; what comes while one is fetched is skipped but the last. */
  async #fetch(cell, sample) {
    if (cell.busy) return;
    cell.busy = true;
    do {
      cell.shown = sample.prediction;
      cell.small = cell.shown === null ? null : await api.smallPrediction(cell.seed, cell.shown).catch(() => cell.small);
      this.#paint(cell);
    } while (cell.shown !== sample.prediction);
    cell.busy = false;
  }

  #sampleOf(cell) {
    return this.desk.project.samples.find(({ seed }) => seed === cell.seed);
  }

  #paint(cell) {
    const { canvas, image, small } = cell;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.globalAlpha = 1;
    context.clearRect(0, 0, SIDE, SIDE);
    if (image) this.#paintImage(context, image, this.#sampleOf(cell)?.window);
    if (!small?.size) return;
    const words = colorWords(this.desk.project.classes);
    const layer = new Layer(small.size);
    layer.redraw((i) => words[small.labels[i]]);
    context.globalAlpha = 0.55;
    context.drawImage(layer.canvas, 0, 0, SIDE, SIDE);
  }

  /** Without what fills its square up. */
  #paintImage(context, image, where) {
    if (!where) return;
    const scale = SIDE / this.desk.project.size;
    const area = new Path2D();
    area.rect(where.x * scale, where.y * scale, where.w * scale, where.h * scale);
    context.save();
    context.clip(area);
    context.drawImage(image, 0, 0, SIDE, SIDE);
    context.restore();
  }

  #scroll(event) {
    if (!event.shiftKey && event.deltaY) this.element.scrollLeft += event.deltaY;
  }
}
