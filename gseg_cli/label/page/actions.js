/** All that can be done, with its keys: the same table binds them, labels the buttons, and is shown by `?`. */

/**
 * @typedef {object} Action
 * @property {string} id what buttons name by data-action
 * @property {string} group @property {string} title
 * @property {string[]} keys as "Ctrl+Shift+z": modifiers in this order, then what the key types; Ctrl is Cmd on a Mac
 * @property {() => void} run
 * @property {boolean} [repeats] as long as the key is held
 */

/** Keys and gestures that are no actions, for the overview. */
export const GESTURES = [
  { group: "View", title: "Zoom at the cursor", keys: ["Wheel", "Pinch"] },
  { group: "View", title: "Drag the picture", keys: ["Space+drag", "Middle button", "Two fingers"] },
  { group: "Tools", title: "Brush size", keys: ["Alt+wheel", "Shift+wheel"] },
  { group: "Tools", title: "Erase", keys: ["Other end of the pen"] },
];

/** @param {import("./desk.js").Desk} desk @returns {Action[]} */
export function actionsOf(desk) {
  const { painter } = desk;
  const label = () => painter.settings.label;
  const tool = (name) => () => painter.set({ tool: name });
  const toggle = (name) => () => painter.set({ [name]: !painter.settings[name] });
  const add = (name, amount) => () => painter.set({ [name]: painter.settings[name] + amount });
  const act = (group, id, title, keys, run, repeats = false) => ({ group, id, title, keys, run, repeats });
  return [
    act("Tools", "brush", "Brush", ["b"], tool("brush")),
    act("Tools", "eraser", "Eraser", ["e"], tool("eraser")),
    act("Tools", "polygon", "Polygon", ["p"], tool("polygon")),
    act("Tools", "fill", "Fill by colour", ["f"], tool("fill")),
    act("Tools", "smaller", "Smaller brush", ["["], () => painter.resizeBrush(-1), true),
    act("Tools", "larger", "Larger brush", ["]"], () => painter.resizeBrush(1), true),
    act("Tools", "less-tolerance", "Fill less", ["Shift+T"], add("tolerance", -4), true),
    act("Tools", "more-tolerance", "Fill more", ["t"], add("tolerance", 4), true),
    act("Tools", "close", "Close the polygon", ["Enter"], () => painter.finish()),
    act("Tools", "back", "Take its last corner back", ["Backspace"], () => painter.back(), true),
    act("Tools", "cancel", "Give up what is begun", ["Escape"], () => painter.cancel()),
    ...Array.from({ length: 9 }, (_, index) =>
      act("Classes", `class-${index}`, `Class ${index + 1}`, [String(index + 1)], () => desk.chooseClass(index)),
    ),
    act("Classes", "class-before", "Class before", [","], () => desk.stepClass(-1), true),
    act("Classes", "class-after", "Class after", ["."], () => desk.stepClass(1), true),
    act("Classes", "pick", "Class under the cursor", ["i"], () => desk.pickClass()),
    act("Classes", "lock", "Lock the class", ["l"], () => desk.toggleLock(label())),
    act("Classes", "only-unlabelled", "Paint only where unlabelled", ["u"], toggle("onlyUnlabelled")),
    act("Classes", "add-class", "Add a class", ["c"], () => desk.addClass()),
    act("Classes", "rename-class", "Rename the class", ["r", "F2"], () => desk.renameClass(label())),
    act("Classes", "recolour-class", "Recolour the class", ["Shift+R"], () => desk.recolourClass(label())),
    act("Labels", "undo", "Undo", ["Ctrl+z"], () => desk.undo(), true),
    act("Labels", "redo", "Redo", ["Ctrl+Shift+z", "Ctrl+y"], () => desk.redo(), true),
    act("Labels", "accept", "Accept the prediction", ["a"], () => desk.accept("all")),
    act("Labels", "accept-class", "Accept the current class", ["Shift+A"], () => desk.accept("class")),
    act("Labels", "accept-sure", "Accept where it is sure", ["s"], () => desk.accept("sure")),
    act("View", "zoom-in", "Zoom in", ["+", "="], () => painter.zoom(1), true),
    act("View", "zoom-out", "Zoom out", ["-"], () => painter.zoom(-1), true),
    act("View", "fit", "Show the whole picture", ["0"], () => painter.fit()),
    act("View", "left", "Move the picture", ["ArrowLeft"], () => painter.pan(64, 0), true),
    act("View", "right", "Move the picture", ["ArrowRight"], () => painter.pan(-64, 0), true),
    act("View", "up", "Move the picture", ["ArrowUp"], () => painter.pan(0, 64), true),
    act("View", "down", "Move the picture", ["ArrowDown"], () => painter.pan(0, -64), true),
    act("View", "hide", "Hide all labels", ["h"], toggle("hidden")),
    act("View", "prediction", "Show the prediction", ["v"], toggle("prediction")),
    act("View", "doubt", "Show doubt", ["d"], toggle("doubt")),
    act("View", "less-opacity", "More of the picture", ["Shift+O"], add("opacity", -0.1), true),
    act("View", "more-opacity", "More of the labels", ["o"], add("opacity", 0.1), true),
    act("Pictures", "next", "The one proposed next", ["n"], () => desk.goNext()),
    act("Pictures", "sample-before", "The one before", ["j", "PageUp"], () => desk.stepSample(-1)),
    act("Pictures", "sample-after", "The one after", ["k", "PageDown"], () => desk.stepSample(1)),
    act("Pictures", "more-samples", `More ${desk.project.noun}s`, ["m"], () => desk.moreSamples()),
    act("Pictures", "done", "Done", ["q"], () => desk.done()),
    act("Pictures", "help", "All keys", ["?"], () => desk.help()),
  ];
}
