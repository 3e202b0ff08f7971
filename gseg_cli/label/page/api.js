/** The server, one function per route. */

/**
 * @typedef {{seed: number, rev: number, labelled: number, prediction: string | null, stage: string | null,
 *   doubt: number | null, title: string, window: import("./raster.js").Rectangle}} Sample of a GAN, or a photo;
 *   labelled: share 0..1 of the picture, window: what the picture takes of its square
 */
/**
 * @typedef {{rev: number, x: number, y: number, w: number, h: number, labels: string, can_undo: boolean,
 *   can_redo: boolean}} Patch labels of a rectangle, in base64
 */

const PAUSE = 3000; // milliseconds before events are asked for again

/** The server did not answer. */
export class Offline extends Error {}

/** The server answered that it will not. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the server answered ${status}`);
    Object.assign(this, { status, hint: body.hint ?? "" });
  }
}

async function ask(method, path, body = undefined) {
  const raw = body instanceof Uint8Array;
  const headers = body === undefined ? {} : { "Content-Type": raw ? "application/octet-stream" : "application/json" };
  const sent = raw || body === undefined ? body : JSON.stringify(body);
  const answer = await fetch(`/api/${path}`, { method, headers, body: sent }).catch((error) => {
    throw new Offline(error.message);
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

const json = async (method, path, body) => {
  const answer = await ask(method, path, body);
  return answer.status === 204 ? null : whole(answer.json());
};

/** The line may break while an answer is under way. @template T @param {Promise<T>} body @returns {Promise<T>} */
const whole = (body) =>
  body.catch((error) => {
    throw new Offline(error.message);
  });

export const project = () => json("GET", "project");
export const next = () => json("GET", "next");
export const addSamples = (count) => json("POST", "samples", { count });
export const addClass = (name, color) => json("POST", "classes", { name, color });
export const changeClass = (index, changed) => json("PATCH", `classes/${index}`, changed);
const imageAddress = (seed) => `/api/samples/${seed}/image`;

/**
 * classes: stands for what the indices mean, and is sent with each change.
 * @returns {Promise<{labels: Uint8Array, rev: number, canUndo: boolean, canRedo: boolean, classes: string}>}
 */
export async function labels(seed) {
  const answer = await ask("GET", `samples/${seed}/labels`);
  const [rev, undo, redo] = ["X-Rev", "X-Can-Undo", "X-Can-Redo"].map((name) => Number(answer.headers.get(name)));
  const state = { rev, canUndo: undo === 1, canRedo: redo === 1, classes: answer.headers.get("X-Classes") };
  return { labels: new Uint8Array(await whole(answer.arrayBuffer())), ...state };
}

/** Save a rectangle of labels. @param {import("./raster.js").Rectangle} where @param {Uint8Array} pixels */
export const draw = ({ seed, rev, classes }, where, pixels) =>
  json("PUT", `samples/${seed}/labels?${new URLSearchParams({ rev, classes, ...where })}`, pixels);

/** @param {"undo" | "redo" | "accept"} action @returns {Promise<Patch | null>} null when there was nothing to do */
export const change = ({ seed, rev, classes }, action, more) =>
  json("POST", `samples/${seed}/${action}?${new URLSearchParams({ classes })}`, { rev, ...more });

/** @returns {Promise<import("./painter.js").Prediction>} */
export const prediction = async (seed, id) => halves(await ask("GET", `samples/${seed}/prediction/${id}`));

/** The same at the size of a thumbnail. */
export async function smallPrediction(seed, id) {
  const answer = await ask("GET", `samples/${seed}/small/${id}`);
  return { size: Number(answer.headers.get("X-Size")), ...(await halves(answer)) };
}

async function halves(answer) {
  const bytes = new Uint8Array(await whole(answer.arrayBuffer()));
  return { labels: bytes.subarray(0, bytes.length / 2), confidence: bytes.subarray(bytes.length / 2) };
}

/**
 * What happens on the server, until the page goes.
 * @param {Record<string, (data: any) => void>} handlers by the name of the event; `open` and `lost` tell of the line
 */
export function listen({ open, lost, ...handlers }) {
  const source = new EventSource("/api/events");
  const again = () => {
    window.removeEventListener("pagehide", leave);
    listen({ open, lost, ...handlers });
  };
  const leave = () => {
    source.close();
    lost();
    // The browser's own button brings the page back as it was, without loading it anew.
    window.addEventListener("pageshow", again, { once: true });
  };
  source.addEventListener("open", open);
  source.addEventListener("error", () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(again, PAUSE);
  });
  for (const [name, handle] of Object.entries(handlers))
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  window.addEventListener("pagehide", leave);
}

/** @param {string} text base64 */
export const unpack = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** @returns {Promise<HTMLImageElement>} */
export async function loadImage(seed) {
  const image = Object.assign(new Image(), { src: imageAddress(seed) });
  await image.decode().catch(async () => {
    await ask("GET", `samples/${seed}/image`); // says what is wrong
    throw new Refused(200, { error: "The picture cannot be shown" });
  });
  return image;
}
