/** Binds the table of actions to the keyboard and to buttons, and shows it. */

import { byId, make } from "./dom.js";

const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);
const SYMBOLS = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", PageUp: "Page up", PageDown: "Page down",
};

/** @param {import("./actions.js").Action[]} actions @param {(held: boolean) => void} space */
export function bindKeys(actions, space) {
  const byKey = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));
  window.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || isText(event.target)) return;
    if (event.key === " " && !isButton(event.target)) return event.preventDefault(), space(true);
    const action = byKey.get(nameOf(event)) ?? byKey.get(digitOf(event));
    if (!action || (event.key === "Enter" && isButton(event.target))) return;
    if (isSlider(event.target) && event.key.startsWith("Arrow")) return;
    event.preventDefault();
    if (!event.repeat || action.repeats) action.run();
  });
  window.addEventListener("keyup", (event) => event.key === " " && space(false));
}

/** Buttons that name an action by data-action run it, and say so with its key. */
export function bindButtons(actions, root = document) {
  const byId = new Map(actions.map((action) => [action.id, action]));
  for (const button of root.querySelectorAll("[data-action]")) {
    const action = byId.get(button.dataset.action);
    button.addEventListener("click", () => action.run());
    button.title = `${action.title} (${shown(action.keys[0])})`;
    if (!button.textContent.trim()) button.setAttribute("aria-label", action.title);
    button.setAttribute("aria-keyshortcuts", action.keys.map((key) => key.replace("Ctrl", "Control")).join(" "));
  }
}

/** Fill the overview of keys. */
export function fillHelp(actions) {
  const rows = merged(actions);
  const groups = [...new Set(actions.map((action) => action.group))];
  byId("keys").replaceChildren(
    ...groups.map((group) =>
      make("section", {}, make("h3", { textContent: group }), ...rows.filter((row) => row.group === group).map(keyRow)),
    ),
  );
}

/** One row for the nine classes, and one for all actions of the same title. */
function merged(actions) {
  const rows = new Map([["class", { group: "Classes", title: "Choose a class", keys: ["1", "…", "9"] }]]);
  for (const { group, title, keys } of actions.filter(({ id }) => !/^class-\d$/.test(id))) {
    const row = rows.get(title);
    rows.set(title, { group, title, keys: [...(row?.keys ?? []), ...keys] });
  }
  return [...rows.values()];
}

function keyRow({ title, keys }) {
  const caps = make("span", {}, ...keys.map(cap));
  return make("div", { className: "key-row" }, make("span", { textContent: title }), caps);
}

const cap = (key) => (key === "…" ? " … " : make("kbd", { textContent: shown(key) }));

/** @param {string} key as in the table @returns {string} as on the keyboard */
export function shown(key) {
  const parts = key.length > 1 && key.includes("+") ? key.split("+") : [key];
  const named = parts.map((part) => (part === "Ctrl" && MAC ? "⌘" : SYMBOLS[part] ?? capital(part)));
  return named.join(MAC ? "" : "+");
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** The name of a key as the table has it. Shift is named with letters and Ctrl only: signs differ by keyboard. */
function nameOf(event) {
  const ctrl = event.ctrlKey || event.metaKey;
  if (event.getModifierState("AltGraph")) return event.key; // where [ and ] need it
  if (event.altKey) return "";
  const letter = letterOf(event);
  if (!letter) return `${ctrl ? "Ctrl+" : ""}${event.key}`;
  const key = event.shiftKey && !ctrl ? letter.toUpperCase() : letter;
  return `${ctrl ? "Ctrl+" : ""}${event.shiftKey ? "Shift+" : ""}${key}`;
}

/** In lower case, also under Caps Lock; where keys type no Latin letters, what is printed beside theirs. */
function letterOf({ key, code }) {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^\P{ASCII}$/u.test(key) ? /^Key([A-Z])$/.exec(code)?.[1].toLowerCase() : undefined;
}

/** The digit on a key that types another sign without Shift, as in France. */
function digitOf({ code, altKey, ctrlKey, metaKey, shiftKey }) {
  return altKey || ctrlKey || metaKey || shiftKey ? "" : /^Digit([1-9])$/.exec(code)?.[1];
}

const isText = (target) => target.matches?.("input:not([type=range], [type=checkbox], [type=color]), textarea");
const isButton = (target) => target.matches?.("button, summary, a, input[type=checkbox], input[type=color]");
const isSlider = (target) => target.matches?.("input[type=range]");
