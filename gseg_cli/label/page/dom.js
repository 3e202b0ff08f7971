/** Small help with elements. */

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag @param {Record<string, any>} properties of the element; `data` and `aria` hold attributes
 * @param {...(Node | string | null)} children
 */
export function make(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {number} share 0..1 @returns {string} short, and 0 only for nothing */
export function percent(share) {
  if (share > 0 && share < 0.01) return "<1 %";
  if (share < 1 && share > 0.99) return "99 %";
  return `${Math.round(100 * share)} %`;
}
