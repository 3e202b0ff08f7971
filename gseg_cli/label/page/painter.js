/** A picture and the labels painted on it: canvas, tools, zoom. It knows no server. */

import { Pointers } from "./pointer.js";
import { Scene } from "./scene.js";
import { Stroke, rule } from "./stroke.js";
import { makeTools } from "./tools.js";
import { View } from "./view.js";

const CLOSE = 9; // pixels of the screen around the first corner of a polygon that close it, or around the last
const FINGER = 24; // the same around the first one for fingers, which hide what they point at
export const LARGEST = 400; // diameter of a brush in pixels

/** @typedef {{name: string, color: string}} ClassOf colour as "#rrggbb" */
/** @typedef {{labels: Uint8Array, confidence: Uint8Array}} Prediction both of size * size pixels */
/**
 * @typedef {object} Settings
 * @property {"brush" | "eraser" | "polygon" | "fill"} tool
 * @property {number} label the class to paint
 * @property {number} diameter of brush and eraser in pixels
 * @property {number} tolerance of the fill, in levels of 255
 * @property {number} opacity 0..1
 * @property {boolean} hidden show the bare picture
 * @property {boolean} prediction show it @property {boolean} doubt show it
 * @property {boolean} onlyUnlabelled paint over nothing
 * @property {number[]} locked classes that nothing paints over
 */

/** @type {Settings} */
const DEFAULTS = {
  tool: "brush", label: 0, diameter: 5, tolerance: 24, opacity: 0.65, hidden: false, prediction: true, doubt: false,
  onlyUnlabelled: false, locked: [],
};

/**
 * Events: "stroke" (detail: Drawn), "lifted" (no tool is held any more), "settings", "view", and "hover" (detail: Point
 * or null).
 */
export class Painter extends EventTarget {
  size = 0;
  labels = new Uint8Array();
  /** @type {ClassOf[]} */ classes = [];
  /** @type {Prediction | null} */ prediction = null;
  /** @type {import("./raster.js").Point | null} */ cursor = null;
  /** @type {Settings} */ settings = { ...DEFAULTS };
  erasing = false; // by the other end of a pen
  #stroke = null;
  #held = null; // the tool, while a pointer is down
  #drawn = 0;
  #ratio = 1; // device pixels per pixel of CSS that the canvas has

  /** @param {HTMLElement} element what the canvas fills */
  constructor(element) {
    super();
    this.element = element;
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas.style, { position: "absolute", inset: "0", width: "100%", height: "100%" });
    Object.assign(this.canvas.style, { touchAction: "none", cursor: "none" });
    element.append(this.canvas);
    this.view = new View();
    this.scene = new Scene(this.canvas, this.view);
    this.tools = makeTools(this);
    this.pointers = new Pointers(this.canvas, this.#gestures());
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize(); // the observer's first call comes a frame later
  }

  /**
   * Show another picture.
   * @param {number} size its side in pixels @param {CanvasImageSource | null} image @param {Uint8Array} labels
   * @param {import("./raster.js").Rectangle} where what the picture takes of its square
   */
  open(size, image, labels, where) {
    this.cancel();
    const another = size !== this.size;
    Object.assign(this, { size, image, window: where, labels: labels.slice(), prediction: null });
    this.colors = image ? pixelsOf(image, size) : null;
    this.scene.open(size, image, where);
    Object.assign(this.view, { size, window: where });
    if (another || this.view.fitted) this.view.fit();
    this.#refresh();
  }

  /** Other labels of the same picture; a stroke that is being drawn goes on over them. @param {Uint8Array} labels */
  setLabels(labels) {
    this.labels = labels.slice();
    this.#stroke?.moveTo(this.labels);
    this.#refresh();
  }

  /** @param {ClassOf[]} classes */
  setClasses(classes) {
    this.classes = classes;
    this.#refresh();
  }

  /** @param {Prediction | null} prediction */
  setPrediction(prediction) {
    this.prediction = prediction;
    this.#refresh();
  }

  /** @param {Partial<Settings>} changed */
  set(changed) {
    if (changed.tool && changed.tool !== this.settings.tool) this.cancel();
    this.settings = { ...this.settings, ...changed };
    this.settings.diameter = Math.min(LARGEST, Math.max(1, Math.round(this.settings.diameter)));
    this.settings.opacity = Math.min(1, Math.max(0, this.settings.opacity));
    this.settings.tolerance = Math.min(255, Math.max(0, Math.round(this.settings.tolerance)));
    this.draw();
    this.#tell("settings");
  }

  /** A little larger or smaller: by one pixel, or by a sixth where that is more. */
  resizeBrush(direction) {
    const { diameter } = this.settings;
    this.set({ diameter: diameter + direction * Math.max(1, Math.round(diameter / 6)) });
  }

  zoom(direction) {
    const at = this.cursor && this.#onScreen(this.cursor);
    this.view.step(direction, at?.x, at?.y);
    this.#moved();
  }

  /** @param {number} dx @param {number} dy in pixels of CSS */
  pan(dx, dy) {
    const ratio = window.devicePixelRatio || 1;
    this.view.pan(dx * ratio, dy * ratio);
    this.#moved();
  }

  fit() {
    this.view.fit();
    this.#moved();
  }

  /** Is a stroke or a polygon begun? */
  get busy() {
    return Boolean(this.#stroke) || this.tools.polygon.points.length > 0;
  }

  /** Wait until no pointer draws. */
  async lifted() {
    while (this.#held) await new Promise((resolve) => this.addEventListener("lifted", resolve, { once: true }));
  }

  /** Give up what is begun. */
  cancel() {
    this.tools.polygon.cancel();
    this.pointers.abandon();
    this.#lift();
  }

  /** Give up what the pointer that is down does; the corners of a polygon stay. */
  #lift() {
    this.#held = null;
    this.#stroke?.takeBack();
    if (this.#stroke) this.#refresh();
    this.#stroke = null;
    this.draw();
    this.#tell("lifted");
  }

  /** Close the polygon. */
  finish() {
    this.tools.polygon.finish();
    this.draw();
  }

  /** Take the last corner of the polygon back. */
  back() {
    this.tools.polygon.back();
    this.draw();
  }

  /** For tools: is a pixel part of the picture, and not beside it? @param {number} index */
  inside = (index) => {
    const { x, y, w, h } = this.window;
    const [column, row] = [index % this.size, Math.floor(index / this.size)];
    return column >= x && column < x + w && row >= y && row < y + h;
  };

  /** For tools: begin a stroke that paints a label. */
  begin(label) {
    this.#stroke = new Stroke(this.labels, this.size, label, rule(label, this.settings, this.inside));
    return this.#stroke;
  }

  /** For tools: the stroke is complete. */
  end() {
    this.#showStroke();
    const drawn = this.#stroke?.done();
    this.#stroke = null;
    if (drawn) this.#tell("stroke", drawn);
  }

  /** Draw in the next frame. */
  draw() {
    this.#drawn ||= requestAnimationFrame(() => {
      this.#drawn = 0;
      this.scene.draw(this);
    });
  }

  #gestures() {
    return {
      down: (event, erases) => this.#down(event, erases),
      draw: (events) => this.#move(events),
      up: () => this.#up(),
      cancel: () => this.#lift(),
      hover: (event) => this.#hover(event),
      pan: (dx, dy) => this.pan(dx, dy),
      pinch: (factor, x, y) => this.#pinch(factor, x, y),
      wheel: (direction, event) => this.#wheel(direction, event),
      hand: (moving) => (this.canvas.style.cursor = moving ? "grab" : "none"),
    };
  }

  #tool() {
    return this.tools[this.erasing ? "eraser" : this.settings.tool];
  }

  #down(event, erases) {
    if (!this.image) return this.pointers.abandon();
    if (this.settings.hidden) this.set({ hidden: false }); // nobody should paint blindly
    this.erasing = erases;
    this.#hover(event);
    if (!erases && !this.classes[this.settings.label] && this.settings.tool !== "eraser") return;
    this.#held = this.#tool();
    this.#held.down(this.#at(event), this.#reach(event));
    this.#showStroke();
  }

  #move(events) {
    for (const event of events) this.#held?.move(this.#at(event));
    this.#showStroke();
  }

  #up() {
    this.#held?.up();
    this.#held = null;
    this.erasing = false;
    this.draw();
    this.#tell("lifted");
  }

  /** How near to its first and to its last corner a polygon is closed, in pixels of the picture. */
  #reach({ pointerType }) {
    const pixel = (window.devicePixelRatio || 1) / this.view.scale;
    return { first: (pointerType === "touch" ? FINGER : CLOSE) * pixel, last: CLOSE * pixel };
  }

  #hover(event) {
    this.cursor = event && this.#at(event);
    this.draw();
    this.#tell("hover", this.cursor);
  }

  #pinch(factor, x, y) {
    const at = this.#device(x, y);
    this.view.zoom(factor, at.x, at.y);
    this.#moved();
  }

  #wheel(direction, event) {
    if (event.altKey || event.shiftKey) return this.resizeBrush(direction);
    const at = this.#device(event.clientX, event.clientY);
    this.view.step(direction, at.x, at.y);
    this.#hover(event);
    this.#moved();
  }

  #moved() {
    this.draw();
    this.#tell("view");
  }

  #showStroke() {
    const where = this.#stroke?.dirty();
    if (where) this.scene.refresh(this, where);
    this.draw();
  }

  #refresh() {
    if (!this.size) return;
    this.scene.refresh(this);
    this.draw();
  }

  #resize() {
    const ratio = (this.#ratio = window.devicePixelRatio || 1);
    const { width, height } = this.element.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.view.resize(this.canvas.width, this.canvas.height);
    this.scene.draw(this);
    this.#tell("view");
  }

  #device(clientX, clientY) {
    const ratio = window.devicePixelRatio || 1;
    if (ratio !== this.#ratio) this.#resize(); // on another screen: the element is as large, so no observer tells
    const box = this.canvas.getBoundingClientRect();
    return { x: (clientX - box.left) * ratio, y: (clientY - box.top) * ratio };
  }

  #at(event) {
    const at = this.#device(event.clientX, event.clientY);
    return this.view.toPicture(at.x, at.y);
  }

  #onScreen({ x, y }) {
    return { x: x * this.view.scale + this.view.x, y: y * this.view.scale + this.view.y };
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** RGBA of a picture. */
function pixelsOf(image, size) {
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, size, size);
  return context.getImageData(0, 0, size, size).data;
}
