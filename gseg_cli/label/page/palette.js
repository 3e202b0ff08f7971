/** The list of classes: choose, lock, rename, recolour, add. */

import { byId, make } from "./dom.js";
import { icon } from "./icons.js";

export class Palette {
  #editing = false;

  /** @param {import("./desk.js").Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.element = byId("palette");
    desk.painter.addEventListener("settings", () => this.mark());
    this.draw();
  }

  draw() {
    if (this.#editing) return; // nobody's name is cut off while it is typed
    this.rows = this.desk.project.classes.map((one, index) => this.#row(one, index));
    const empty = make("p", { className: "empty", textContent: "No classes yet. Add the first with C." });
    this.element.replaceChildren(...(this.rows.length ? this.rows : [empty]));
    this.mark();
  }

  /** Show which class is painted, and which are locked. */
  mark() {
    const { label, locked } = this.desk.painter.settings;
    this.rows.forEach((row, index) => {
      const [current, fast] = [index === label, locked.includes(index)];
      if (current && !row.classList.contains("current")) row.scrollIntoView({ block: "nearest" });
      row.classList.toggle("current", current);
      row.classList.toggle("fast", fast);
      row.querySelector(".name")?.setAttribute("aria-pressed", current);
      const lock = row.querySelector(".lock");
      lock.setAttribute("aria-pressed", fast);
      lock.replaceChildren(icon(fast ? "locked" : "open"));
    });
  }

  /** Ask for the name of a class, or of a new one when index is null. */
  editName(index) {
    const input = make("input", { className: "edit", maxLength: 60, spellcheck: false });
    input.setAttribute("aria-label", "Name of the class");
    input.value = this.desk.project.classes[index]?.name ?? "";
    input.placeholder = "Name of the new class";
    if (index === null) this.element.append(input);
    else this.rows[index].querySelector(".name").replaceWith(input);
    this.#editing = true;
    this.#finish(input, index);
    input.focus();
    input.select();
    input.scrollIntoView({ block: "nearest" });
  }

  editColor(index) {
    this.rows[index].querySelector("input[type=color]").click();
  }

  #finish(input, index) {
    let over = false;
    const end = (keep) => {
      if (over) return;
      over = true;
      this.#editing = false;
      const name = input.value.trim();
      this.draw();
      if (keep && name && name !== this.desk.project.classes[index]?.name) this.desk.saveClass(index, { name });
    };
    input.addEventListener("blur", () => end(true));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") event.preventDefault(), end(event.key === "Enter");
    });
  }

  #row({ name, color }, index) {
    const { desk } = this;
    const swatch = make("input", { type: "color", value: color, className: "swatch", title: "Another colour" });
    swatch.setAttribute("aria-label", `Colour of ${name}`);
    swatch.addEventListener("change", () => desk.saveClass(index, { color: swatch.value }));
    const choose = make("button", { type: "button", className: "name", title: name }, make("span", { textContent: name }));
    choose.addEventListener("click", () => desk.chooseClass(index));
    // Sooner, because the row is drawn anew before the click where it ends the typing of a name.
    choose.addEventListener("pointerdown", ({ pointerType }) => pointerType === "mouse" && desk.chooseClass(index));
    choose.addEventListener("dblclick", () => desk.renameClass(index));
    const pencil = { type: "button", className: "row-button rename", title: "Rename (R)" };
    const rename = make("button", pencil, icon("pencil"));
    rename.setAttribute("aria-label", `Rename ${name}`);
    rename.addEventListener("click", () => desk.renameClass(index));
    const lock = make("button", { type: "button", className: "row-button lock", title: "Keep its pixels (L)" });
    lock.setAttribute("aria-label", `Lock ${name}`);
    lock.addEventListener("click", () => desk.toggleLock(index));
    const key = index < 9 ? make("kbd", { textContent: index + 1 }) : make("span", { className: "no-key" });
    return make("div", { className: "class-row" }, swatch, choose, rename, lock, key);
  }
}
