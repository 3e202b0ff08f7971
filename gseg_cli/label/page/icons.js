/** Icons as inline SVG, drawn on 20 x 20 with the colour of the text. */

const PATHS = {
  brush: "M13.5 3.5l3 3-6.7 6.7-3-3zM6.5 10.5l3 3c-.6 2.3-2.7 3.2-6 3 1-1 .6-2.5 1-4 .3-1.2 1-1.8 2-2z",
  eraser: "M8 16.5l-4.7-4.7a1 1 0 010-1.4L10.4 3.3a1 1 0 011.4 0l4.9 4.9a1 1 0 010 1.4L9.8 16.5zM6.8 6.9l6.3 6.3M8 16.5h9",
  polygon: "M10 3l6.5 5-2.5 8H6L3.5 8z",
  fill: "M9 3l7 7-5.5 5.5a1.4 1.4 0 01-2 0L3.5 10.5a1.4 1.4 0 010-2zM3.3 10h12.5M17 13.5c1 1.5 1.3 2.2 1.3 2.8a1.3 1.3 0 01-2.6 0c0-.6.3-1.3 1.3-2.8z",
  undo: "M7.5 4L3.5 8l4 4M3.5 8h8a4.5 4.5 0 010 9H8",
  redo: "M12.5 4l4 4-4 4M16.5 8h-8a4.5 4.5 0 000 9H12",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4",
  locked: "M5 9h10v7.5H5zM7 9V6.5a3 3 0 016 0V9",
  open: "M5 9h10v7.5H5zM7 9V6.5a3 3 0 015.8-1",
  next: "M4 10h11M11 5.5l4.5 4.5-4.5 4.5",
  help: "M7.5 7.5a2.5 2.5 0 113.5 2.3c-.7.3-1 .8-1 1.7M10 14.5v.2",
  copy: "M7 7h9.5v9.5H7zM13 7V3.5H3.5V13H7",
  close: "M5 5l10 10M15 5L5 15",
  pencil: "M4 16l.8-3.5L13.5 3.8l2.7 2.7L7.5 15.2z",
};

/** @param {keyof PATHS} name @returns {SVGSVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  svg.append(document.createElementNS(space, "path"));
  svg.firstChild.setAttribute("d", PATHS[name]);
  return svg;
}

/** Put icons where the page names them by data-icon. @param {ParentNode} root */
export function placeIcons(root) {
  for (const element of root.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
}
