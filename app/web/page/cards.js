// The pictures as they are shown: each in its frame, with its ranking or with what to do about it.

import { make, need, say } from "./dom.js";
import { newExampleLine } from "./exampleline.js";
import { newHeat } from "./heat.js";
import { createRanking } from "./ranking.js";
import { hasWords } from "./state.js";

/** @typedef {import("./state.js").Picture} Picture */
/** @typedef {import("./state.js").State} State */

/**
 * @param {object} acts
 * @param {(id: string) => void} acts.remove
 * @param {(id: string) => void} acts.again
 * @param {import("./exampleline.js").Acts} acts.examples
 * @param {(picture: Picture) => boolean} acts.isCurrent
 * @param {(picture: Picture) => Promise<import("./heat.js").Explanation>} acts.explain
 */
export function setUpCards(acts) {
  const list = need("cards", HTMLUListElement);
  /** @type {Map<string, ReturnType<typeof newCard>>} */
  const cards = new Map();

  /** @param {State} state */
  return function draw(state) {
    const { pictures } = state;
    for (const [id, card] of cards) {
      if (!pictures.some((picture) => picture.id === id)) {
        card.root.remove();
        cards.delete(id);
      }
    }
    pictures.forEach((picture, index) => {
      const card = cards.get(picture.id) ?? newCard(picture, acts);
      if (!cards.has(picture.id)) list.append(card.root);
      cards.set(picture.id, card);
      card.draw(picture, state, index + 1);
    });
    list.hidden = pictures.length === 0;
    list.classList.toggle("alone", pictures.length === 1);
  };
}

/**
 * @param {Picture} picture
 * @param {Parameters<typeof setUpCards>[0]} acts
 */
function newCard(picture, acts) {
  const image = make("img", {
    src: picture.url, alt: `Preview of ${picture.name}`, draggable: "false", decoding: "async", loading: "lazy",
  });
  const number = make("b");
  const size = make("span", { class: "size" });
  const cross = make("button", { type: "button", class: "remove", "aria-label": `Remove ${picture.name}` }, "×");
  const status = make("p", { class: "status" });
  const again = make("button", { type: "button", class: "quiet" }, "Try again");
  const verdict = make("p", { class: "verdict" });
  const heat = newHeat(image, acts.explain);
  const ranking = createRanking(heat.point);
  const example = newExampleLine(picture, acts.examples);
  const root = make("li", { class: "card" },
    make("figure", { class: "frame" }, heat.pane, cross,
      make("figcaption", {}, number, make("span", { class: "name" }, picture.name), size)),
    make("div", { class: "answer" }, status, again, verdict, ranking.root, heat.note, example.root));

  image.addEventListener("error", () => root.classList.add("unseeable"));
  cross.addEventListener("click", () => {
    const next = root.nextElementSibling ?? root.previousElementSibling;
    acts.remove(picture.id);
    const target = next?.querySelector(".remove") ?? document.getElementById("choose");
    if (target instanceof HTMLElement) target.focus(); // the focus must not fall off the page
  });
  again.addEventListener("click", () => acts.again(picture.id));

  /** @type {unknown[]} */
  let drawn = [];

  /**
   * @param {Picture} now
   * @param {State} state
   * @param {number} place
   */
  function draw(now, state, place) {
    const current = acts.isCurrent(now);
    const { labels, vocabulary, set, question } = state;
    const shows = [now, place, current, labels, vocabulary, set, question, canExplain(state)];
    if (shows.every((value, index) => value === drawn[index])) return; // another picture's news
    drawn = shows;
    root.dataset.status = now.status;
    number.textContent = String(place);
    size.textContent = now.width ? `${now.width} × ${now.height}` : "";
    say(status, statusText(now, state));
    status.classList.toggle("problem", now.status === "failed");
    again.hidden = now.status !== "failed" || now.hopeless;
    const ranks = now.ranking !== null && now.status !== "failed" && hasWords(state);
    ranking.root.hidden = !ranks;
    heat.draw(now);
    if (ranks) ranking.draw(now.ranking ?? [], canExplain(state));
    root.setAttribute("aria-busy", String(ranks && !current));
    const rejected = ranks && now.rejection?.rejected === true;
    root.classList.toggle("rejected", rejected);
    say(verdict, rejected ? "None of these: the picture fits no word much better than unrelated ones." : "");
    example.draw(now, state);
  }

  return { root, draw };
}

/**
 * Whether the model in use can say where in a picture a word is.
 * @param {State} state
 */
export function canExplain({ models, model }) {
  return models.some(({ id, explains }) => id === model && explains);
}

/**
 * @param {Picture} picture
 * @param {State} state
 */
function statusText({ status, problem, ranking }, state) {
  if (status === "failed") return problem;
  if (!hasWords(state)) return "Type a word above, and this picture gets its ranking.";
  if (status === "waiting" && ranking === null) return "Waiting for its turn…";
  if (status === "sending" && ranking === null) return "Looking at the picture…";
  if (ranking === null && state.question === "") return "Comparing it with your words…";
  return "";
}
