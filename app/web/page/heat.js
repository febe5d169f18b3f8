// Where in a picture a word is: warmth over the picture, and the same in words. Refuses to know how it is asked for.

import { make } from "./dom.js";
import { explain as inWords } from "./words.js";

const calm = 120; // ms that the pointer rests on a word before anything is asked

/** Warmth from none to all: red, green, blue, opacity; as the service's overlays have it. */
const warmth = [[0, 0, 60, 0.4], [110, 0, 110, 0.45], [220, 40, 40, 0.5], [255, 160, 0, 0.55], [255, 255, 120, 0.6]];

/** @typedef {import("./state.js").Picture} Picture */
/**
 * @typedef {object} Explanation
 * @property {number[]} box   left, top, right, bottom: the part of the picture that the grid covers, in its pixels
 * @property {number} rows
 * @property {number} columns
 * @property {{ label: string, relevance: number[][] }[]} labels
 */

/**
 * @param {HTMLImageElement} image
 * @param {(picture: Picture) => Promise<Explanation>} ask
 */
export function newHeat(image, ask) {
  const map = make("canvas", { class: "heat", "aria-hidden": "true" });
  const pane = make("div", { class: "pane" }, image, map);
  const note = make("p", { class: "hint heat-note", role: "status" }); // keeps its place while it says nothing
  /** @type {Picture | null} */
  let picture = null;
  /** @type {string | null} */
  let wanted = null;
  /** @type {number[] | null} */
  let box = null;
  let timer = 0;
  map.hidden = true;
  const moved = new ResizeObserver(place);
  moved.observe(image);
  moved.observe(pane);

  /** @param {string | null} label to show; null: none */
  function point(label) {
    if (label === wanted) return;
    clearTimeout(timer);
    wanted = label;
    map.hidden = true;
    note.textContent = "";
    if (label !== null) timer = window.setTimeout(() => void look(label), calm);
  }

  /** @param {string} label */
  async function look(label) {
    if (picture === null || picture.status !== "ready") return;
    const asked = picture.rankedFor;
    try {
      const found = await ask(picture);
      if (wanted === label && picture.rankedFor === asked) show(found, label);
    } catch (error) {
      if (wanted === label) note.textContent = inWords(error);
    }
  }

  /**
   * @param {Explanation} found
   * @param {string} label
   */
  function show(found, label) {
    const grid = found.labels.find((one) => one.label === label)?.relevance;
    if (!grid) {
      note.textContent = `Only the best ${found.labels.length} words are looked for in the picture.`;
      return;
    }
    const all = found.labels.flatMap(({ relevance }) => relevance.flat());
    paint(map, grid, Math.min(...all), Math.max(...all));
    box = found.box;
    map.hidden = false;
    place();
    note.textContent = `“${label}” is strongest ${whereabouts(grid)}.`;
  }

  /** Lay the map over what it covers of the picture as it is shown now. */
  function place() {
    if (map.hidden || box === null || !picture?.width) return;
    const shown = image.getBoundingClientRect();
    const around = pane.getBoundingClientRect();
    const scale = Math.min(shown.width / picture.width, shown.height / picture.height);
    const left = shown.left - around.left + (shown.width - picture.width * scale) / 2;
    const top = shown.top - around.top + (shown.height - picture.height * scale) / 2;
    map.style.left = `${left + box[0] * scale}px`;
    map.style.top = `${top + box[1] * scale}px`;
    map.style.width = `${(box[2] - box[0]) * scale}px`;
    map.style.height = `${(box[3] - box[1]) * scale}px`;
  }

  /** @param {Picture} now */
  function draw(now) {
    const anew = picture !== null && picture.rankedFor !== now.rankedFor;
    picture = now;
    if (!anew) return;
    const label = wanted;
    point(null);
    point(label);
  }

  return { pane, note, point, draw };
}

/**
 * One pixel a place; the browser smooths it when it stretches the map.
 * @param {HTMLCanvasElement} map
 * @param {number[][]} grid
 * @param {number} coldest
 * @param {number} warmest
 */
function paint(map, grid, coldest, warmest) {
  map.height = grid.length;
  map.width = grid[0].length;
  const span = warmest - coldest || 1;
  const colours = grid.flat().flatMap((value) => colour((value - coldest) / span));
  map.getContext("2d")?.putImageData(new ImageData(Uint8ClampedArray.from(colours), map.width, map.height), 0, 0);
}

/** @param {number} share between 0 and 1 */
function colour(share) {
  const at = share * (warmth.length - 1);
  const below = Math.min(Math.floor(at), warmth.length - 2);
  const [low, high] = [warmth[below], warmth[below + 1]];
  return low.map((from, i) => (from + (high[i] - from) * (at - below)) * (i === 3 ? 255 : 1));
}

/** @param {number[][]} grid */
function whereabouts(grid) {
  const flat = grid.flat();
  const most = flat.indexOf(Math.max(...flat));
  const third = (/** @type {number} */ at, /** @type {number} */ of) => Math.floor((3 * (at + 0.5)) / of);
  const down = third(Math.floor(most / grid[0].length), grid.length);
  const across = third(most % grid[0].length, grid[0].length);
  return ["at the top", "in the middle", "at the bottom"][down] + [" left", "", " right"][across];
}
