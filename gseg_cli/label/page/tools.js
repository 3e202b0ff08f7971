/**
 * The four tools. Each gets points of the picture while a pointer is down, and draws by the painter's stroke. Polygon and
 * fill act when it is lifted: the first of two fingers, which move the picture, does nothing.
 */

import { UNLABELLED, brushPixel, brushRows, fillPolygon, flood, line, stamp } from "./raster.js";

/** Discs along lines, so that fast movement leaves no gaps. */
class Brush {
  constructor(painter, label) {
    Object.assign(this, { painter, label });
  }

  down(point) {
    this.diameter = this.painter.settings.diameter;
    this.rows = brushRows(this.diameter);
    this.stroke = this.painter.begin(this.label());
    this.last = brushPixel(point, this.diameter);
    this.move(point);
  }

  move(point) {
    const at = brushPixel(point, this.diameter);
    line(this.last, at, (step) => stamp(step, this.rows, this.painter.size, this.stroke.add));
    this.last = at;
  }

  up() {
    this.painter.end();
  }
}

/** Corners by clicks; it is filled by Enter, or by a click on its first or its last corner, as a double click is. */
class Polygon {
  points = [];

  constructor(painter) {
    this.painter = painter;
  }

  down(point, reach) {
    Object.assign(this, { point, reach });
  }

  move(point) {
    this.point = point;
  }

  up() {
    const near = (corner, reach) => Math.hypot(this.point.x - corner.x, this.point.y - corner.y) < reach;
    const { points, reach } = this;
    if (points.length > 2 && (near(points[0], reach.first) || near(points.at(-1), reach.last))) this.finish();
    else points.push(this.point);
  }

  finish() {
    const { painter, points } = this;
    this.points = [];
    if (points.length < 3) return;
    fillPolygon(points, painter.size, painter.begin(painter.settings.label).add);
    painter.end();
  }

  back() {
    this.points.pop();
  }

  cancel() {
    this.points = [];
  }
}

/** The area around a pixel that has its colour. */
class Fill {
  constructor(painter) {
    this.painter = painter;
  }

  down(point) {
    this.point = point;
  }

  move(point) {
    this.point = point;
  }

  up() {
    const { painter, point } = this;
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    if (Math.min(x, y) < 0 || Math.max(x, y) >= painter.size || !painter.inside(y * painter.size + x)) return;
    const stroke = painter.begin(painter.settings.label);
    flood(painter.colors, painter.size, y * painter.size + x, painter.settings.tolerance, painter.inside, stroke.add);
    painter.end();
  }
}

/** @param {import("./painter.js").Painter} painter */
export function makeTools(painter) {
  return {
    brush: new Brush(painter, () => painter.settings.label),
    eraser: new Brush(painter, () => UNLABELLED),
    polygon: new Polygon(painter),
    fill: new Fill(painter),
  };
}
