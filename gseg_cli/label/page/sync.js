/**
 * Keeps sheets and server the same. Painting never waits: what was done is sent in order, one change at a time, and
 * sent again until the server answers.
 */

import * as api from "./api.js";
import { Sheet } from "./sheet.js";

const PAUSE = 1000; // milliseconds before the next try, then longer
const LONGEST_PAUSE = 5000;
const TRY_AGAIN = [403, 503]; // until the address that a new server printed is opened in any tab; until the disk takes it

/**
 * Events: "state"; "change" (detail: Sheet), the shown labels differ from what was painted; "unchanged", there was
 * nothing to undo, redo or accept; "conflict" (detail: Sheet), it was changed elsewhere and what waited is lost;
 * "gone" (detail: Sheet), there is no such sample any more; "refused" (detail: Refused).
 */
export class Sync extends EventTarget {
  #sheets = new Map();
  #jobs = [];
  #running = false;
  /** @type {"offline" | "unsaved" | null} why what waits is not sent */ trouble = null;

  /** @param {number} size side of the samples in pixels */
  constructor(size) {
    super();
    this.size = size;
  }

  /** How many changes the server has yet to hear of. */
  get waiting() {
    return this.#jobs.length;
  }

  /** The newest labels of a sample. @returns {Promise<Sheet>} */
  async open(seed) {
    const sheet = this.#sheets.get(seed) ?? new Sheet(seed, this.size);
    this.#sheets.set(seed, sheet);
    await this.#follow(sheet);
    return sheet;
  }

  /** Somebody changed a sample, or what indices mean; does the page know? */
  async heard(seed, rev, classes = undefined) {
    const sheet = this.#sheets.get(seed);
    const known = rev <= sheet?.rev && (classes ?? sheet.classes) === sheet.classes;
    if (!sheet?.saved || known || !(await this.#follow(sheet))) return false;
    this.#tell("change", sheet);
    return true;
  }

  /** Take what the server has, unless there is something to send: then the server says whether that was stale. */
  async #follow(sheet) {
    const free = () => !this.#jobs.some((job) => job.sheet === sheet);
    const found = free() && (await api.labels(sheet.seed));
    if (!found || !free()) return false;
    sheet.load(found);
    return true;
  }

  /** @param {Sheet} sheet @param {import("./stroke.js").Drawn} drawn */
  stroke(sheet, drawn) {
    sheet.waiting.push(drawn);
    const send = async () => {
      const { where, pixels } = sheet.rectangleOf(drawn);
      return [await api.draw(sheet, where, pixels), (answer) => sheet.acknowledge(answer)];
    };
    this.#add({ sheet, send, painted: true });
  }

  /** @param {"undo" | "redo" | "accept"} action @param {object} more what is sent besides the revision */
  change(sheet, action, more = {}) {
    const send = async () => {
      const patch = await api.change(sheet, action, more);
      return [patch, (answer) => this.#patch(sheet, answer)];
    };
    this.#add({ sheet, send, painted: false });
  }

  #patch(sheet, patch) {
    sheet.patch(patch, patch, api.unpack(patch.labels));
    this.#tell("change", sheet);
  }

  #add(job) {
    this.#jobs.push({ ...job, version: job.sheet.version });
    this.#tell("state");
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    for (let pause = PAUSE; this.#jobs.length; ) {
      const done = await this.#try(this.#jobs[0]);
      if (done) this.#jobs.shift(), (this.trouble = null);
      this.#tell("state");
      if (!done) await new Promise((resolve) => setTimeout(resolve, pause));
      pause = done ? PAUSE : Math.min(LONGEST_PAUSE, 1.5 * pause);
    }
    this.#running = false;
  }

  /** @returns {Promise<boolean>} false when it has to be tried again */
  async #try(job) {
    try {
      if (job.version === job.sheet.version) await this.#send(job);
    } catch (error) {
      if (error instanceof api.Offline) return (this.trouble = "offline"), false;
      if (!(error instanceof api.Refused)) throw error;
      if (!TRY_AGAIN.includes(error.status)) return this.#refused(job, error);
      this.trouble = "unsaved";
      return this.#tell("refused", error), false;
    }
    return true;
  }

  async #send({ sheet, send }) {
    const [answer, apply] = await send();
    if (answer) apply(answer);
    else this.#tell("unchanged");
  }

  /** Nothing is merged: the page takes what the server has. */
  async #refused({ sheet, painted }, error) {
    const stale = error.status === 409;
    try {
      if (stale || painted) sheet.load(await api.labels(sheet.seed));
    } catch (failed) {
      if (failed instanceof api.Offline) return (this.trouble = "offline"), false;
      if (!(failed instanceof api.Refused)) throw failed;
      if (failed.status === 404) return this.#gone(sheet), true;
    }
    this.#tell("change", sheet);
    this.#tell(stale ? "conflict" : "refused", stale ? sheet : error);
    return true;
  }

  /** All that waits for it is void. */
  #gone(sheet) {
    sheet.version += 1;
    this.#sheets.delete(sheet.seed);
    this.#tell("gone", sheet);
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
