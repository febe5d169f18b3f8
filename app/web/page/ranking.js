// One ranking as bars: words, probabilities, similarities. Rows keep their identity, so that they move rather than jump.

import { make } from "./dom.js";
import { percent } from "./words.js";

const shown = 8; // rows before "show all": what fits beside a picture without scrolling

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @typedef {import("./state.js").Ranked} Ranked */

/** @param {(label: string | null) => void} point  a word is pointed at, or none any more */
export function createRanking(point) {
  const list = make("ol", { class: "bars" });
  const more = make("button", { type: "button", class: "quiet more" });
  const root = make("div", { class: "ranking" }, header(), list, more);
  /** @type {Map<string, HTMLLIElement>} */
  const rows = new Map();
  let all = false;
  /** @type {Ranked[]} */
  let current = [];

  more.addEventListener("click", () => {
    all = !all;
    update();
  });

  /**
   * @param {Ranked[]} ranking
   * @param {boolean} points   whether the model can say where a word is
   */
  function draw(ranking, points) {
    root.classList.toggle("points", points);
    for (const button of list.querySelectorAll("button")) button.disabled = !points;
    if (ranking === current) return;
    current = ranking;
    update();
  }

  function update() {
    const visible = all ? current : current.slice(0, shown);
    const before = new Map([...rows].map(([label, row]) => [label, row.offsetTop]));
    for (const [label, row] of rows) {
      if (!visible.some((ranked) => ranked.label === label)) {
        row.remove();
        rows.delete(label);
      }
    }
    for (const ranked of visible) {
      const row = rows.get(ranked.label) ?? newRow(ranked.label, point, !root.classList.contains("points"));
      rows.set(ranked.label, row);
      fill(row, ranked);
    }
    const order = visible.map((ranked) => /** @type {HTMLLIElement} */ (rows.get(ranked.label)));
    if (order.some((row, index) => list.children[index] !== row)) list.replaceChildren(...order);
    order.forEach((row, index) => row.classList.toggle("first", visible[index].holds ?? index === 0));
    for (const [label, top] of before) slide(rows.get(label), top);
    more.hidden = current.length <= shown;
    more.textContent = all ? "Show the best only" : `Show all ${current.length} words`;
  }

  return { root, draw };
}

function header() {
  return make("p", { class: "bars-head", "aria-hidden": "true" },
    make("span", {}, "word"), make("span", {}, "similarity"), make("span", {}, "probability"));
}

/**
 * @param {string} label
 * @param {(label: string | null) => void} point
 * @param {boolean} disabled
 */
function newRow(label, point, disabled) {
  const word = make("button", { type: "button", class: "label" }, label);
  word.disabled = disabled;
  const row = make("li", {},
    word,
    make("span", { class: "similarity" }),
    make("span", { class: "probability" }),
    make("span", { class: "bar", "aria-hidden": "true" }, make("i")));
  const ask = () => { if (!word.disabled) point(label); };
  row.addEventListener("mousemove", ask); // not "mouseenter": a row that glides under a resting mouse is not meant
  row.addEventListener("mouseleave", () => { if (!word.disabled) point(null); });
  word.addEventListener("focus", ask);
  word.addEventListener("click", ask); // a finger's tap, which some browsers do not take for focus
  word.addEventListener("blur", () => { if (!word.disabled) point(null); });
  return row;
}

/**
 * @param {HTMLLIElement} row
 * @param {Ranked} ranked
 */
function fill(row, { similarity, probability }) {
  const [, alike, likely, bar] = /** @type {HTMLElement[]} */ ([...row.children]);
  alike.replaceChildren(make("span", { class: "unseen" }, "similarity "), similarity.toFixed(3).replace("-", "−"));
  likely.replaceChildren(make("span", { class: "unseen" }, "probability "), percent(probability));
  bar.style.setProperty("--share", String(probability));
}

/**
 * Let a row glide from where it was to where it is.
 * @param {HTMLLIElement | undefined} row
 * @param {number} top
 */
function slide(row, top) {
  if (!row || still.matches || row.offsetTop === top) return;
  row.animate([{ transform: `translateY(${top - row.offsetTop}px)` }, { transform: "none" }],
    { duration: 280, easing: "cubic-bezier(.2, .7, .2, 1)" });
}
