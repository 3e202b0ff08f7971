/** The quiet line at the top, notes that pass, and what stands in for a picture. */

import { byId, make, percent } from "./dom.js";

const NOTE_LASTS = 7000; // milliseconds
const TROUBLES = { offline: "Offline", unsaved: "Not saved" };
const STAGES = { ridge: "first answer", mlp: "refined" };

/** @param {import("./sync.js").Sync} sync @param {boolean} line do events come? */
export function showSaved(sync, line) {
  const trouble = line ? sync.trouble : "offline";
  const saved = byId("saved");
  saved.dataset.state = trouble ?? (sync.waiting ? "saving" : "saved");
  const waits = sync.waiting === 1 ? "1 change waits" : `${sync.waiting} changes wait`;
  if (trouble) saved.textContent = `${TROUBLES[trouble]}${sync.waiting ? `: ${waits}` : ""}`;
  else saved.textContent = sync.waiting ? "Saving…" : "Saved";
}

/**
 * @param {{stage: string} | null} shown @param {number | null} milliseconds of the last answer, null: as before
 * @param {boolean} isSlow has the next one been waited for a while?
 */
export function showTeacher(shown, milliseconds, isSlow) {
  const teacher = byId("teacher");
  if (milliseconds) teacher.dataset.milliseconds = Math.round(milliseconds);
  const time = teacher.dataset.milliseconds ? ` · ${teacher.dataset.milliseconds} ms` : "";
  teacher.dataset.stage = shown?.stage ?? "none";
  if (isSlow) teacher.textContent = "Predicting…";
  else teacher.textContent = shown ? `Prediction: ${STAGES[shown.stage] ?? shown.stage}${time}` : "No prediction yet";
}

/** @param {import("./api.js").Sample | undefined} sample */
export function showSample(sample) {
  byId("sample-title").replaceChildren(
    ...(sample
      ? [make("b", { textContent: sample.title }), " ", make("span", { textContent: `${percent(sample.labelled)} labelled` })]
      : []),
  );
}

/** What lies under the cursor. @param {ReturnType<import("./desk.js").Desk["under"]>} here */
export function showReadout(here, classes) {
  const name = (label) => classes[label]?.name;
  const parts = here ? [`${here.x}, ${here.y}`, name(here.label) ?? "unlabelled"] : [];
  if (here && name(here.predicted)) parts.push(`predicted ${name(here.predicted)} ${percent(here.confidence / 255)}`);
  byId("readout").textContent = parts.join(" · ");
}

/** @param {string} text @param {string} hint */
export function toast(text, hint = "") {
  const note = make("div", { className: "toast" }, make("b", { textContent: text }), hint ? make("span", { textContent: hint }) : null);
  byId("toasts").replaceChildren(note);
  note.addEventListener("click", () => note.remove());
  setTimeout(() => note.remove(), NOTE_LASTS);
}

/** @param {string} text empty to take it away */
export function showHint(text) {
  byId("hint").hidden = !text;
  byId("hint").textContent = text;
}

/** Instead of a picture. @param {string} text empty to take it away */
export function showMessage(text, hint = "") {
  const message = byId("message");
  message.hidden = !text;
  message.replaceChildren(make("b", { textContent: text }), hint);
}
