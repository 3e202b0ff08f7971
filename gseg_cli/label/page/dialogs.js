/** What is shown over the page: the keys, and the end. */

import { byId, make } from "./dom.js";
import { icon } from "./icons.js";

/** @param {string} id */
export function openDialog(id) {
  const dialog = byId(id);
  if (!dialog.open) dialog.showModal();
}

/** A click beside a dialog closes it. */
export function bindDialogs() {
  for (const dialog of document.querySelectorAll("dialog"))
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("help").addEventListener("keydown", (event) => event.key === "?" && byId("help").close());
}

/** What was saved, and what to type next. */
export function openDone({ samples, missing, commands, noun, folder }) {
  const labelled = samples.filter((sample) => sample.labelled > 0).length;
  const count = labelled === 1 ? `1 ${noun}` : `${labelled} ${noun}s`;
  const nowhere = missing.length ? ` Labelled nowhere, so never predicted: ${missing.join(", ")}.` : "";
  byId("done-text").textContent = labelled
    ? `${count} of ${samples.length} labelled, saved in ${folder}.${nowhere} Stop the server with Ctrl-C, then type:`
    : "Nothing is labelled yet. Paint a few strokes first; each is saved as you paint.";
  byId("commands").replaceChildren(...(labelled ? Object.values(commands).map(commandRow) : []));
  openDialog("done");
}

function commandRow(command) {
  const label = make("span", { textContent: "Copy" });
  const code = make("code", { textContent: command });
  const copy = make("button", { type: "button", className: "button" }, icon("copy"), label);
  copy.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(command).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(code);
    label.textContent = copied ? "Copied" : "Press Ctrl+C";
  });
  return make("div", { className: "command" }, code, copy);
}
