/** Sliders and switches of the panel follow the painter's settings, and set them. */

import { byId } from "./dom.js";

const REMEMBERED = ["diameter", "tolerance", "opacity", "prediction", "doubt"];
const STORE = "gseg-label";

/** @param {import("./desk.js").Desk} desk */
export function bindPanel(desk) {
  const { painter } = desk;
  const slide = (id, settingsAt) =>
    byId(id).addEventListener("input", ({ target }) => painter.set(settingsAt(Number(target.value))));
  slide("size", (part) => ({ diameter: diameterAt(part, desk.largestBrush) }));
  slide("tolerance", (tolerance) => ({ tolerance }));
  slide("opacity", (percent) => ({ opacity: percent / 100 }));
  painter.addEventListener("settings", () => {
    show(painter.settings, desk.largestBrush);
    const kept = REMEMBERED.map((key) => [key, painter.settings[key]]);
    localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(kept)));
  });
}

/** What this person chose the last time. @returns {Partial<import("./painter.js").Settings>} */
export function remembered() {
  return JSON.parse(localStorage.getItem(STORE) ?? "{}");
}

function show({ tool, diameter, tolerance, opacity, hidden, prediction, doubt, onlyUnlabelled }, largest) {
  slider("size", partAt(diameter, largest), `${diameter} px`);
  slider("tolerance", tolerance, tolerance);
  slider("opacity", Math.round(100 * opacity), `${Math.round(100 * opacity)} %`);
  byId("size-row").hidden = tool === "fill" || tool === "polygon";
  byId("tolerance-row").hidden = tool !== "fill";
  byId("polygon-row").hidden = tool !== "polygon";
  for (const name of ["brush", "eraser", "polygon", "fill"])
    pressed(document.querySelector(`[data-action=${name}]`), tool === name);
  pressed(byId("show-labels"), !hidden);
  pressed(byId("show-prediction"), prediction && !hidden);
  pressed(byId("show-doubt"), doubt && !hidden);
  pressed(byId("only-unlabelled"), onlyUnlabelled);
}

function slider(id, value, text) {
  byId(id).value = value;
  byId(id).setAttribute("aria-valuetext", text); // not the slider's own steps
  byId(`${id}-value`).textContent = text;
}

const pressed = (element, is) => element.setAttribute("aria-pressed", is);

// Small brushes need fine steps, large ones do not: the slider goes by squares.
const diameterAt = (part, largest) => 1 + Math.round((part / 100) ** 2 * (largest - 1));
const partAt = (diameter, largest) => 100 * Math.sqrt(Math.min(1, (diameter - 1) / (largest - 1)));
