/**
 * What pointers mean: a mouse, a pen or one finger draws; space, the middle button or two fingers move the picture.
 * Once a pen was seen, fingers only move it, so that a resting hand paints nothing.
 */

const ERASER_BUTTON = 5; // the other end of a pen
const LINE_HEIGHT = 16; // pixels, for wheels that count in lines
const NOTCH = 60; // pixels of wheel for one step

/**
 * @typedef {object} Gestures
 * @property {(event: PointerEvent, erases: boolean) => void} down
 * @property {(events: PointerEvent[]) => void} draw
 * @property {() => void} up
 * @property {() => void} cancel
 * @property {(event: PointerEvent | null) => void} hover
 * @property {(dx: number, dy: number) => void} pan in pixels of CSS
 * @property {(factor: number, x: number, y: number) => void} pinch
 * @property {(direction: number, event: WheelEvent) => void} wheel
 * @property {(moving: boolean) => void} hand is the picture about to be moved?
 */

export class Pointers {
  #down = new Map();
  #mode = "idle"; // or "draw", "pan", "pinch"
  #penSeen = false;
  #space = false;
  #turned = 0;

  /** @param {HTMLElement} element @param {Gestures} gestures */
  constructor(element, gestures) {
    this.element = element;
    this.gestures = gestures;
    element.addEventListener("pointerdown", (event) => this.#onDown(event));
    element.addEventListener("pointermove", (event) => this.#onMove(event));
    element.addEventListener("pointerup", (event) => this.#onUp(event, "up"));
    element.addEventListener("pointercancel", (event) => this.#onUp(event, "cancel"));
    element.addEventListener("pointerleave", () => gestures.hover(null));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    window.addEventListener("blur", () => this.space(false));
  }

  /** Is the space bar held? */
  space(held) {
    this.#space = held;
    this.gestures.hand(held);
  }

  /** Let the rest of this gesture do nothing. */
  abandon() {
    if (this.#mode === "draw") this.#mode = "idle";
  }

  #onDown(event) {
    event.preventDefault();
    document.activeElement?.blur(); // a name that is being typed is complete then
    this.element.setPointerCapture(event.pointerId);
    this.#penSeen ||= event.pointerType === "pen";
    if (event.pointerType === "touch") this.#down.set(event.pointerId, event);
    if (this.#down.size === 2) this.#startPinch();
    else if (this.#mode === "idle") this.#start(event);
  }

  #start(event) {
    const moves = this.#space || event.button === 1 || (this.#penSeen && event.pointerType === "touch");
    const draws = event.button === 0 || event.button === ERASER_BUTTON;
    if (!moves && !draws) return;
    this.#mode = moves ? "pan" : "draw";
    this.pointer = event.pointerId;
    this.last = event;
    if (moves) this.gestures.hand(true);
    else this.gestures.down(event, event.button === ERASER_BUTTON);
  }

  #startPinch() {
    if (this.#mode === "draw") this.gestures.cancel();
    this.#mode = "pinch";
    this.gestures.hover(null);
    this.#fingers = fingers(this.#down);
  }

  #fingers = null;

  #onMove(event) {
    if (this.#down.has(event.pointerId)) this.#down.set(event.pointerId, event);
    if (this.#mode === "pinch") return this.#movePinch();
    if (event.pointerType !== "touch" || this.#mode === "draw") this.gestures.hover(event);
    if (this.#mode === "idle" || event.pointerId !== this.pointer) return;
    if (this.#mode === "pan") this.gestures.pan(event.clientX - this.last.clientX, event.clientY - this.last.clientY);
    else this.gestures.draw(coalesced(event));
    this.last = event;
  }

  #movePinch() {
    if (this.#down.size < 2) return;
    const [before, now] = [this.#fingers, fingers(this.#down)];
    this.gestures.pan(now.x - before.x, now.y - before.y);
    this.gestures.pinch(now.apart / before.apart, now.x, now.y);
    this.#fingers = now;
  }

  #onUp(event, how) {
    this.#down.delete(event.pointerId);
    if (this.#mode === "pinch") {
      if (this.#down.size === 0) this.#mode = "idle";
    } else if (event.pointerId === this.pointer && this.#mode !== "idle") {
      if (this.#mode === "draw") this.gestures[how]();
      this.#mode = "idle";
      this.gestures.hand(this.#space);
    }
    if (event.pointerType === "touch") this.gestures.hover(null);
  }

  #onWheel(event) {
    event.preventDefault();
    const length = (event.deltaY || event.deltaX) * (event.deltaMode === 0 ? 1 : LINE_HEIGHT);
    if (Math.sign(length) !== Math.sign(this.#turned)) this.#turned = 0;
    this.#turned += length * (event.ctrlKey ? 4 : 1); // a pinch on a touch pad comes as small turns with ctrl
    if (Math.abs(this.#turned) < NOTCH) return;
    this.gestures.wheel(-Math.sign(this.#turned), event);
    this.#turned = 0;
  }
}

function coalesced(event) {
  const events = event.getCoalescedEvents?.() ?? [];
  return events.length ? events : [event];
}

function fingers(down) {
  const [a, b] = [...down.values()];
  return {
    x: (a.clientX + b.clientX) / 2,
    y: (a.clientY + b.clientY) / 2,
    apart: Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)),
  };
}
