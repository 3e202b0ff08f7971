/** Starts the page. */

import { GESTURES, actionsOf } from "./actions.js";
import * as api from "./api.js";
import { Desk } from "./desk.js";
import { bindDialogs, openDialog, openDone } from "./dialogs.js";
import { byId } from "./dom.js";
import { placeIcons } from "./icons.js";
import { bindButtons, bindKeys, fillHelp } from "./keys.js";
import { Painter } from "./painter.js";
import { Palette } from "./palette.js";
import { bindPanel, remembered } from "./panel.js";
import { UNLABELLED } from "./raster.js";
import { showHint, showMessage, showReadout, showSample, showSaved, showTeacher, toast } from "./status.js";
import { Strip } from "./strip.js";
import { Sync } from "./sync.js";

/** What is shown when something changes. @returns {import("./desk.js").Views} */
function viewsOf(get) {
  return {
    sample: () => onSample(get()),
    turning: (seed) => get().strip.showTurning(seed),
    samples: () => get().strip.draw(),
    adding: () => get().strip.showAdding(),
    thumbnail: (sample) => get().strip.update(sample),
    classes: () => get().palette.draw(),
    proposal: () => onProposal(get()),
    prediction: (milliseconds) => onPrediction(get().desk, milliseconds),
    toast,
    editName: (index) => get().palette.editName(index),
    editColor: (index) => get().palette.editColor(index),
    help: () => openDialog("help"),
    done: () => openDone(get().desk.project),
  };
}

function onSample({ desk, strip }) {
  const { sheet } = desk;
  showMessage("");
  showSample(desk.sample);
  onHover(desk);
  strip.mark();
  enable("undo", sheet.canUndo || desk.sync.waiting > 0);
  enable("redo", sheet.canRedo);
  showHint(hintOf(desk));
}

/** For the first minute. */
function hintOf({ project, painter, sheet, shown, isSlow }) {
  const begun = project.samples.filter((sample) => sample.labelled > 0);
  if (!begun.length) return "Pick a class and paint a few strokes inside it";
  if (!shown && isSlow) return "The prediction is on its way";
  if (shown || begun.length > 1 || begun[0].seed !== sheet?.seed) return "";
  const classes = new Set(painter.labels.filter((label) => label !== UNLABELLED)).size;
  if (classes === 1) return "Now paint another class: with two, the prediction begins";
  return classes ? "The first prediction is on its way" : "";
}

function onProposal({ desk, strip }) {
  byId("why").textContent = desk.proposal?.why ?? "";
  enable("next", Boolean(desk.proposal));
  strip.mark();
}

function onPrediction(desk, milliseconds) {
  showTeacher(desk.shown, milliseconds, desk.isSlow);
  showHint(hintOf(desk));
  onHover(desk);
  for (const id of ["accept", "accept-class", "accept-sure"]) enable(id, Boolean(desk.shown));
}

function onHover(desk) {
  showReadout(desk.under(desk.painter.cursor), desk.project.classes);
}

const enable = (id, is) => (document.querySelector(`[data-action=${id}]`).disabled = !is);

/** The lines to the server: what was saved, and what it tells. */
function connect(desk, sync, strip) {
  let line = true;
  const saved = () => showSaved(sync, line);
  sync.addEventListener("state", () => (saved(), desk.sheet && onSample({ desk, strip })));
  saved();
  api.listen({
    open: () => (line || desk.refresh(), (line = true), saved()),
    lost: () => ((line = false), saved()),
    labels: (told) => desk.heard(told),
    learning: ({ on }) => desk.learning(on),
    prediction: (told) => desk.predicted(told),
    next: (told) => desk.propose(told),
    student: ({ photos }) => toast(`A student has learned from ${photos} photos`, "It helps to predict the others."),
    student_failed: () => toast("No student could learn from the photos", "Go on without it; the terminal says why."),
    samples: () => desk.refresh(),
    classes: () => desk.refresh(),
  });
  window.addEventListener("beforeunload", (event) => sync.waiting && event.preventDefault());
}

function showView(painter) {
  const scale = painter.view.scale / (window.devicePixelRatio || 1);
  byId("zoom").textContent = painter.image ? `${Math.round(100 * scale)} %` : "";
}

/** A button that was clicked does not keep the space bar. */
function freeKeys() {
  window.addEventListener("click", ({ detail }) => {
    if (detail && document.activeElement.matches("button, input[type=range]")) document.activeElement.blur();
  });
}

function build(project) {
  const painter = new Painter(byId("stage"));
  const sync = new Sync(project.size);
  const parts = {};
  const desk = (parts.desk = new Desk(project, painter, sync, viewsOf(() => parts)));
  painter.setClasses(project.classes);
  bindPanel(desk);
  parts.palette = new Palette(desk);
  parts.strip = new Strip(desk);
  parts.strip.draw();
  const actions = actionsOf(desk);
  bindButtons(actions);
  bindKeys(actions, (held) => painter.pointers.space(held));
  fillHelp([...actions, ...GESTURES]);
  painter.addEventListener("hover", () => onHover(desk));
  painter.addEventListener("view", () => showView(painter));
  painter.set({ diameter: Math.max(5, project.size / 64), ...remembered() });
  return { ...parts, painter, sync };
}

async function openFirst(desk, project) {
  const asked = project.samples.find(({ seed }) => `#${seed}` === window.location.hash);
  const first = asked ?? project.samples[0];
  if (!first) return showMessage("No samples yet", "They appear here as soon as the GAN has drawn them.");
  await desk.open(first.seed);
  showView(desk.painter);
  desk.propose(await api.next());
}

async function start() {
  placeIcons(document);
  bindDialogs();
  freeKeys();
  const project = await api.project();
  byId("project-name").textContent = project.name;
  document.title = `${project.name} · gseg label`;
  const { desk, sync, strip } = build(project);
  showTeacher(null, null, false);
  desk.learning(project.learning);
  connect(desk, sync, strip);
  await openFirst(desk, project);
}

start().catch((error) => {
  if (error instanceof api.Refused) showMessage(error.message, error.hint);
  else if (error instanceof api.Offline) showMessage("The server does not answer", "Start it again and reload.");
  else showMessage("This page has an error", `${error}`);
  if (!(error instanceof api.Refused || error instanceof api.Offline)) throw error;
});
