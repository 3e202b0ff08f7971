/** Draws picture, prediction, labels, grid and cursor on the screen. */

import { Layer, colorWords, doubtWords, stripes } from "./layers.js";
import { UNLABELLED, brushPixel, brushRows } from "./raster.js";

const GRID_FROM = 12; // device pixels of a pixel from which on its edges are drawn
const WASH = 0.3; // opacity of the prediction between its stripes, of that of labels
const STRIPES = 0.75; // and of the stripes
const EDGE = 0.9; // opacity of the line around what was painted
const CORNER = 3.5; // radius of a polygon's corner on the screen
const CLOSING = 6; // and of the first one, once a click there closes it
const DOUBT_WORDS = doubtWords();

export class Scene {
  #stripes = null;
  #brushes = new Map();
  #composed = ""; // what `still` shows

  /** @param {HTMLCanvasElement} canvas @param {import("./view.js").View} view */
  constructor(canvas, view) {
    const sheet = () => document.createElement("canvas").getContext("2d");
    Object.assign(this, { canvas, view, context: canvas.getContext("2d"), still: sheet(), over: sheet() });
  }

  /**
   * Another picture.
   * @param {number} size @param {CanvasImageSource} image
   * @param {import("./raster.js").Rectangle} where what the picture takes of its square
   */
  open(size, image, where) {
    Object.assign(this, { size, image, window: where, labels: new Layer(size), prediction: new Layer(size), doubt: new Layer(size) });
    this.#composed = "";
  }

  /** Redraw the layers where the painter's labels, prediction or classes changed. */
  refresh(painter, where = undefined) {
    const { labels, prediction, classes } = painter;
    this.#composed = "";
    const words = (this.words = where && this.words ? this.words : colorWords(classes));
    this.labels.redraw((i) => words[labels[i]], where);
    if (!prediction) return;
    this.prediction.redraw((i) => (labels[i] === UNLABELLED ? words[prediction.labels[i]] : 0), where);
    if (!where) this.doubt.redraw((i) => DOUBT_WORDS[prediction.confidence[i]]);
  }

  /** @param {import("./painter.js").Painter} painter */
  draw(painter) {
    const { context, canvas, still } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.image) return;
    this.#compose(painter);
    context.drawImage(still.canvas, 0, 0);
    this.#drawPolygon(painter);
    if (painter.cursor) this.#drawCursor(painter);
  }

  /** All that stays while only the cursor moves. */
  #compose({ settings, prediction }) {
    const { view, canvas, still } = this;
    const { hidden, opacity, doubt } = settings;
    const wanted = JSON.stringify([view, hidden, opacity, settings.prediction, doubt]);
    if (wanted === this.#composed) return;
    this.#composed = wanted;
    const { width, height } = canvas;
    for (const one of [still, this.over]) Object.assign(one.canvas, { width, height });
    still.imageSmoothingEnabled = view.scale < 2; // between whole steps some pixels would be drawn twice as wide as others
    this.over.imageSmoothingEnabled = false;
    this.#inWindow(() => this.#paste(still, this.image));
    if (!hidden) this.#drawLabels(opacity, prediction && settings.prediction, prediction && doubt);
    if (view.scale >= GRID_FROM * ratio()) this.#inWindow(() => this.#drawGrid());
    if (!hidden) this.#drawEdge();
  }

  /** Nothing beside the picture: what fills its square up is lighter than a dark photo. */
  #inWindow(draw) {
    const { still, view } = this;
    const { x, y, w, h } = this.window;
    const area = new Path2D();
    area.rect(view.x + x * view.scale, view.y + y * view.scale, w * view.scale, h * view.scale);
    still.save();
    still.clip(area);
    draw();
    still.restore();
  }

  #drawLabels(opacity, prediction, doubt) {
    const { still } = this;
    if (prediction) this.#drawPrediction(opacity, doubt);
    still.globalAlpha = opacity;
    this.#paste(still, this.labels.canvas);
    still.globalAlpha = 1;
    if (doubt) this.#paste(still, this.doubt.canvas);
  }

  #paste(context, source, dx = 0, dy = 0) {
    const { view, size } = this;
    context.drawImage(source, view.x + dx, view.y + dy, size * view.scale, size * view.scale);
  }

  /** A light wash with stripes, so that it is told from what was painted. */
  #drawPrediction(opacity, washOnly) {
    const { still, over } = this;
    still.globalAlpha = opacity * WASH;
    this.#paste(still, this.prediction.canvas);
    if (washOnly) return;
    over.globalCompositeOperation = "copy";
    this.#paste(over, this.prediction.canvas);
    this.#stripes ??= over.createPattern(stripes(ratio()), "repeat");
    this.#keepOf(over, "destination-in", this.#stripes);
    still.globalAlpha = opacity * STRIPES;
    still.drawImage(over.canvas, 0, 0);
  }

  /** A light line around what was painted. */
  #drawEdge() {
    const { still, over } = this;
    const width = Math.max(1, Math.round(ratio()));
    over.globalCompositeOperation = "copy";
    this.#paste(over, this.labels.canvas, -width, 0);
    over.globalCompositeOperation = "source-over";
    for (const [dx, dy] of [[width, 0], [0, -width], [0, width]]) this.#paste(over, this.labels.canvas, dx, dy);
    over.globalCompositeOperation = "destination-out";
    this.#paste(over, this.labels.canvas);
    this.#keepOf(over, "source-in", "white");
    still.globalAlpha = EDGE;
    still.drawImage(over.canvas, 0, 0);
    still.globalAlpha = 1;
  }

  #keepOf(context, operation, style) {
    context.globalCompositeOperation = operation;
    context.fillStyle = style;
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  }

  #drawGrid() {
    const { still, view, size, canvas } = this;
    const end = size * view.scale;
    still.beginPath();
    for (let i = 0; i <= size; i++) {
      const [x, y] = [view.x + i * view.scale + 0.5, view.y + i * view.scale + 0.5];
      if (x >= 0 && x <= canvas.width) still.moveTo(x, view.y), still.lineTo(x, view.y + end);
      if (y >= 0 && y <= canvas.height) still.moveTo(view.x, y), still.lineTo(view.x + end, y);
    }
    still.strokeStyle = "rgb(0 0 0 / 28%)";
    still.lineWidth = 1;
    still.stroke();
  }

  #drawPolygon({ tools, cursor, classes, settings }) {
    const { points } = tools.polygon;
    if (!points.length) return;
    const path = new Path2D();
    for (const { x, y } of cursor ? [...points, cursor] : points) path.lineTo(x, y);
    path.closePath();
    this.#inPicture(() => {
      this.context.fillStyle = `${classes[settings.label]?.color ?? "#ffffff"}55`;
      this.context.fill(path, "evenodd");
      this.#outline(path);
      points.forEach((point, index) => this.#corner(point, index === 0 && points.length > 2 ? CLOSING : CORNER));
    });
  }

  #corner({ x, y }, radius) {
    const dot = new Path2D();
    dot.arc(x, y, (radius * ratio()) / this.view.scale, 0, 2 * Math.PI);
    this.context.fillStyle = "white";
    this.context.fill(dot);
    this.#outline(dot);
  }

  #drawCursor({ cursor, settings, erasing }) {
    const brushes = erasing || settings.tool === "brush" || settings.tool === "eraser";
    const diameter = brushes ? settings.diameter : 1;
    const at = brushPixel(cursor, diameter);
    this.#inPicture(() => {
      this.context.translate(at.x, at.y);
      this.#outline(this.#brush(diameter));
    });
  }

  /** Draw in pixels of the picture. */
  #inPicture(draw) {
    const { context, view } = this;
    context.save();
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    draw();
    context.restore();
  }

  /** Light within dark, to be seen on everything. */
  #outline(path) {
    const { context, view } = this;
    for (const [width, color] of [[3, "rgb(0 0 0 / 55%)"], [1.25, "white"]]) {
      context.lineWidth = (width * ratio()) / view.scale;
      context.strokeStyle = color;
      context.stroke(path);
    }
  }

  /** The edge of exactly those pixels that the brush paints. */
  #brush(diameter) {
    if (!this.#brushes.has(diameter)) this.#brushes.set(diameter, brushPath(diameter));
    return this.#brushes.get(diameter);
  }
}

function brushPath(diameter) {
  const rows = brushRows(diameter);
  const path = new Path2D();
  for (const { y, to } of rows) path.lineTo(to, y), path.lineTo(to, y + 1);
  for (const { y, from } of rows.toReversed()) path.lineTo(from, y + 1), path.lineTo(from, y);
  path.closePath();
  return path;
}

function ratio() {
  return window.devicePixelRatio || 1;
}
