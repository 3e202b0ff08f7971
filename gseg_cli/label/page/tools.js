/** The four tools. Each gets points of the picture while a pointer is down, and draws by the painter's stroke. */

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
    const near = (corner) => Math.hypot(point.x - corner.x, point.y - corner.y) < reach;
    if (this.points.length > 2 && [this.points[0], this.points.at(-1)].some(near)) this.finish();
    else this.points.push(point);
  }

  move() {}

  up() {}

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
    const { painter } = this;
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    if (Math.min(x, y) < 0 || Math.max(x, y) >= painter.size || !painter.inside(y * painter.size + x)) return;
    const stroke = painter.begin(painter.settings.label);
    flood(painter.colors, painter.size, y * painter.size + x, painter.settings.tolerance, painter.inside, stroke.add);
    painter.end();
  }

  move() {}

  up() {}
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
