/** What the person works on: the project, the sample in view and its prediction. Actions come here; views are told. */

import * as api from "./api.js";
import { LARGEST } from "./painter.js";
import { UNLABELLED, share } from "./raster.js";

const MORE = 5; // samples drawn at a time
const SLOW = 600; // milliseconds after which an answer that is waited for is spoken of

/**
 * @typedef {object} Views
 * @property {() => void} sample another sample is in view, or its labels changed
 * @property {(seed: number | null) => void} turning a sample is on its way into view, or none any more
 * @property {() => void} samples the list of samples changed
 * @property {(sample: api.Sample) => void} thumbnail one of them changed
 * @property {() => void} adding further ones are being drawn, or no longer
 * @property {() => void} classes @property {() => void} proposal
 * @property {(milliseconds: number | null) => void} prediction another one is shown; how long it took
 * @property {(text: string, hint?: string) => void} toast
 * @property {(index: number | null) => void} editName of a class, or of a new one
 * @property {(index: number) => void} editColor
 * @property {() => void} help @property {() => void} done
 */

export class Desk {
  /** @type {import("./sheet.js").Sheet | null} */ sheet = null;
  /** @type {{seed: number, why: string, class?: number} | null} */ proposal = null;
  shown = null; // {id, stage} of the prediction in view
  strokeAt = null; // when the change ended that has no answer yet
  isSlow = false; // has the next prediction been waited for a while?
  adding = false; // are further samples being drawn?
  #wanted = null;
  #learns = false;
  #patience = 0;
  #fetching = null;

  /** @param {Views} views */
  constructor(project, painter, sync, views) {
    Object.assign(this, { project, painter, sync, views });
    painter.addEventListener("stroke", ({ detail }) => this.#painted(detail));
    sync.addEventListener("change", ({ detail }) => this.#changed(detail));
    sync.addEventListener("unchanged", () => (this.strokeAt = null));
    sync.addEventListener("conflict", ({ detail }) => this.#conflict(detail));
    sync.addEventListener("gone", ({ detail }) => (this.#gone(detail), this.refresh()));
    sync.addEventListener("refused", ({ detail }) => this.views.toast(detail.message, detail.hint));
  }

  get sample() {
    return this.#sampleOf(this.sheet?.seed);
  }

  /** Bring a sample into view. */
  async open(seed) {
    this.#wanted = seed;
    this.views.turning(seed);
    // A stroke that is being drawn belongs to the picture in view.
    const came = Promise.all([this.sync.open(seed), api.loadImage(seed)]).finally(() => this.painter.lifted());
    const [sheet, image] = await came.finally(() => seed === this.#wanted && this.views.turning(null));
    if (seed !== this.#wanted) return;
    Object.assign(this, { sheet, shown: null, strokeAt: null });
    sheet.title = this.sample.title;
    this.painter.open(this.project.size, image, sheet.shown, this.sample.window);
    history.replaceState(null, "", `#${seed}`);
    this.#counted(sheet);
    await this.#showPrediction(this.sample);
  }

  /** The same for a click or a key. */
  async go(seed) {
    await this.#asked(() => this.open(seed));
  }

  chooseClass(index) {
    if (!this.project.classes[index]) return;
    const { tool } = this.painter.settings;
    this.painter.set({ label: index, tool: tool === "eraser" ? "brush" : tool });
  }

  stepClass(step) {
    const count = this.project.classes.length;
    if (count) this.chooseClass((this.painter.settings.label + step + count) % count);
  }

  /** What is painted under the cursor, or else predicted there. */
  pickClass() {
    const here = this.under(this.painter.cursor);
    const label = here && (here.label !== UNLABELLED ? here.label : here.predicted);
    if (label != null) this.chooseClass(label);
  }

  /**
   * What lies under a point.
   * @returns {{x: number, y: number, label: number, predicted?: number, confidence?: number} | null}
   */
  under(point) {
    const { size, labels, prediction } = this.painter;
    const [x, y] = point ? [Math.floor(point.x), Math.floor(point.y)] : [-1, -1];
    if (Math.min(x, y) < 0 || Math.max(x, y) >= size) return null;
    const at = y * size + x;
    return { x, y, label: labels[at], predicted: prediction?.labels[at], confidence: prediction?.confidence[at] };
  }

  toggleLock(index) {
    const { locked } = this.painter.settings;
    this.painter.set({ locked: locked.includes(index) ? locked.filter((one) => one !== index) : [...locked, index] });
  }

  addClass() {
    this.views.editName(null);
  }

  renameClass(index) {
    if (this.project.classes[index]) this.views.editName(index);
  }

  recolourClass(index) {
    if (this.project.classes[index]) this.views.editColor(index);
  }

  /** Write a name or a colour; index is null for a new class. */
  async saveClass(index, changed) {
    await this.#asked(async () => {
      const answer = await (index === null ? api.addClass(changed.name) : api.changeClass(index, changed));
      this.setClasses(answer.classes);
      if (index === null) this.chooseClass(answer.classes.length - 1);
    });
  }

  setClasses(classes) {
    const { label, locked } = this.painter.settings;
    const now = (index) => sameClass(index, this.project.classes, classes);
    if (this.project.classes !== classes) this.painter.set({ label: now(label), locked: locked.map(now) });
    this.project.classes = classes;
    this.painter.setClasses(classes);
    this.views.classes();
    this.views.samples();
  }

  undo() {
    if (this.painter.tools.polygon.points.length) this.painter.back();
    else if (this.painter.busy) this.painter.cancel();
    else if (this.sheet) this.#change("undo");
  }

  redo() {
    if (this.sheet && !this.painter.busy) this.#change("redo");
  }

  /** @param {"all" | "class" | "sure"} part */
  accept(part) {
    if (!this.shown || !this.sheet) return;
    const { label, onlyUnlabelled, locked } = this.painter.settings;
    const more = part === "class" ? { class: label } : {};
    this.#change("accept", { id: this.shown.id, part, only_unlabelled: onlyUnlabelled, locked, ...more });
  }

  async goNext() {
    if (!this.proposal) return;
    const { seed, class: missing } = this.proposal;
    if (missing != null) this.chooseClass(missing);
    await this.go(seed);
  }

  async stepSample(step) {
    const { samples } = this.project;
    const at = samples.findIndex(({ seed }) => seed === this.#wanted); // its picture may be on its way
    const sample = samples[(at + step + samples.length) % samples.length];
    if (sample) await this.go(sample.seed);
  }

  async moreSamples() {
    if (this.adding) return; // a large GAN takes its time
    this.#setAdding(true);
    const before = this.project.samples.length;
    await this.#asked(async () => {
      const { samples } = await api.addSamples(MORE);
      if (samples.length === before) this.views.toast(`There are no more ${this.project.noun}s`);
      this.setSamples(samples);
    });
    this.#setAdding(false);
  }

  #setAdding(is) {
    this.adding = is;
    this.views.adding();
  }

  setSamples(samples) {
    this.project.samples = samples;
    this.views.samples();
    if (this.sample || !samples.length) return;
    if (this.sheet) this.#gone(this.sheet);
    this.go(samples[0].seed);
  }

  help() {
    this.views.help();
  }

  async done() {
    await this.#asked(async () => {
      Object.assign(this.project, await api.project());
      this.views.done();
    });
  }

  /** Ask again for all that may have changed while the line was down. */
  async refresh() {
    await this.#asked(async () => {
      const project = await api.project();
      this.setClasses(project.classes);
      this.setSamples(project.samples);
      this.learning(project.learning);
      this.propose(await api.next());
      const { sample } = this;
      if (sample) await this.sync.heard(sample.seed, sample.rev, project.classes_key);
      if (sample) await this.#showPrediction(sample);
    });
  }

  /** @param {Desk["proposal"]} proposal */
  propose(proposal) {
    this.proposal = proposal;
    this.views.proposal();
  }

  /** The server told of other labels. */
  async heard({ seed, rev }) {
    const changed = await this.#asked(() => this.sync.heard(seed, rev));
    const isShown = changed && seed === this.sheet?.seed;
    if (isShown) this.views.toast("Changed in another tab", "Its newest labels are shown.");
  }

  /** The server told of a prediction. */
  async predicted({ seed, id, stage, doubt }) {
    const sample = this.#sampleOf(seed);
    if (!sample) return;
    Object.assign(sample, { prediction: id, stage, doubt });
    this.views.thumbnail(sample);
    if (seed === this.sheet?.seed) await this.#showPrediction(sample);
  }

  /** The server told whether it has yet to answer what was painted. */
  learning(on) {
    clearTimeout(this.#patience);
    this.#learns = on;
    if (on) this.#patience = setTimeout(() => this.#setSlow(true), SLOW);
    else if (this.#fetching === null) this.#setSlow(false);
  }

  #setSlow(is) {
    if (is === this.isSlow) return;
    this.isSlow = is;
    this.views.prediction(null);
  }

  /** The newest only: while one is fetched, those that come are skipped but the last. */
  async #showPrediction(sample) {
    if (this.#fetching === sample.seed) return;
    this.#fetching = sample.seed;
    let asked;
    do {
      asked = sample.prediction;
      if (asked !== (this.shown?.id ?? null)) await this.#fetchPrediction(sample);
    } while (sample === this.sample && sample.prediction !== asked);
    if (this.#fetching === sample.seed) this.#fetching = null;
    if (!this.#learns) this.#setSlow(false);
  }

  async #fetchPrediction({ seed, prediction: id, stage }) {
    const start = stage === "ridge" ? this.strokeAt : null;
    const found = id === null ? null : await api.prediction(seed, id).catch(missed);
    if (seed !== this.sheet?.seed || found === undefined) return;
    // Else it may be of before the last change. Asked here: a prediction can be there sooner than the word that the
    // stroke was saved.
    const answers = start !== null && start === this.strokeAt && this.sync.waiting === 0;
    this.shown = found && { id, stage };
    this.painter.setPrediction(found);
    this.views.prediction(found && answers ? this.#measure(start) : null);
  }

  #measure(start) {
    this.strokeAt = null;
    return performance.measure("answer", { start }).duration;
  }

  #painted(drawn) {
    this.strokeAt = performance.now();
    this.sync.stroke(this.sheet, drawn);
    this.#counted(this.sheet);
  }

  #change(action, more) {
    this.strokeAt = performance.now();
    this.sync.change(this.sheet, action, more);
  }

  #changed(sheet) {
    if (sheet === this.sheet) this.painter.setLabels(sheet.shown);
    this.#counted(sheet);
  }

  #conflict(sheet) {
    this.strokeAt = null;
    if (sheet === this.sheet) this.painter.cancel();
    this.views.toast(
      `${this.#sampleOf(sheet.seed)?.title ?? "A picture"} was changed elsewhere`,
      "Its newest labels are shown. What you painted last was not saved.",
    );
  }

  /** As when samples were made anew, and this is none of them. */
  #gone({ title, waiting }) {
    this.views.toast(`${title} is gone`, waiting.length ? "What you painted last on it was not saved." : "");
  }

  #counted(sheet) {
    const sample = this.#sampleOf(sheet.seed);
    if (!sample) return;
    const { size } = this.project;
    sample.labelled = share(sheet === this.sheet ? this.painter.labels : sheet.shown, size, sample.window);
    this.views.thumbnail(sample);
    if (sheet === this.sheet) this.views.sample();
  }

  #sampleOf(seed) {
    return this.project.samples.find((sample) => sample.seed === seed);
  }

  /** Do what asks the server; what it refuses is shown. */
  async #asked(act) {
    try {
      return await act();
    } catch (error) {
      if (error instanceof api.Offline) this.views.toast("The server does not answer", "Is gseg label still running?");
      else if (error instanceof api.Refused) this.views.toast(error.message, error.hint);
      else throw error;
    }
  }

  /** The largest brush that makes sense here. */
  get largestBrush() {
    return Math.min(LARGEST, Math.max(8, Math.round(this.project.size / 2)));
  }
}

/** Where a class is in another list: at the place of its name, or where it was, since it was renamed. */
function sameClass(index, before, after) {
  const found = after.findIndex(({ name }) => name === before[index]?.name);
  return found < 0 ? index : found;
}

/** A prediction that cannot be had is replaced soon; until then the last one stays. */
function missed(error) {
  if (!(error instanceof api.Refused || error instanceof api.Offline)) throw error;
}
