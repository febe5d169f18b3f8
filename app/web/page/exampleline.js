// "Add this picture as an example of …": one card's line for it. Refuses to know where examples are kept.

import { make, say } from "./dom.js";
import { isEdited } from "./state.js";

/** @typedef {import("./state.js").Picture} Picture */
/** @typedef {import("./state.js").State} State */

/**
 * @typedef {object} Acts
 * @property {() => void} prepare   ask for the saved set that examples need
 * @property {(picture: Picture, label: string) => Promise<import("./examples.js").Outcome>} add
 */

/**
 * @param {Picture} picture
 * @param {Acts} acts
 */
export function newExampleLine(picture, acts) {
  const begin = make("button", { type: "button", class: "quiet" }, "Use as an example of…");
  const choice = make("select", { "aria-label": `Word that ${picture.name} is an example of` });
  const add = make("button", { type: "button" }, "Add");
  const line = make("span", { class: "row" }, make("span", { class: "hint" }, "Add this picture as an example of"), choice, add);
  const said = make("span", { class: "hint", role: "status" });
  const undo = make("button", { type: "button", class: "quiet", "aria-label": `Undo: ${picture.name} as an example` }, "Undo");
  const root = make("div", { class: "example" }, begin, line, said, undo);
  let drawn = "";
  /** @type {(() => Promise<string>) | null} */
  let takeBack = null;

  /** @param {import("./examples.js").Outcome} outcome */
  function tell(outcome) {
    say(said, outcome.text);
    takeBack = outcome.undo;
    undo.hidden = takeBack === null;
  }

  begin.addEventListener("click", acts.prepare);
  let adding = false; // rather than a disabled button, which would drop the focus
  add.addEventListener("click", async () => {
    if (adding) return;
    adding = true;
    tell(await acts.add(picture, choice.value));
    adding = false;
  });
  undo.addEventListener("click", async () => {
    if (takeBack) tell({ text: await takeBack(), undo: null });
    add.focus(); // "Undo" is gone, and the focus must not go with it
  });
  tell({ text: "", undo: null });

  /**
   * @param {Picture} now
   * @param {State} state
   */
  function draw(now, state) {
    const { set, labels } = state;
    const kept = set !== null && !isEdited(state); // examples belong to a set as it is saved
    root.hidden = labels.length === 0 || now.status !== "ready";
    begin.hidden = kept;
    line.hidden = !kept;
    if (!kept) tell({ text: "", undo: null });
    const counts = /** @type {Record<string, number>} */ (set?.body.examples ?? {});
    const words = JSON.stringify([labels, counts]);
    if (drawn === words) return;
    drawn = words;
    const chosen = choice.value;
    choice.replaceChildren(...labels.map((label) => make("option", { value: label }, withCount(label, counts[label]))));
    if (labels.includes(chosen)) choice.value = chosen;
  }

  return { root, draw };
}

/**
 * @param {string} label
 * @param {number | undefined} count of its examples
 */
function withCount(label, count) {
  return count ? `${label} (has ${count})` : label;
}
