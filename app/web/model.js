// The model in use: which, what it is good for, and how to get a larger one. Refuses to know the rankings.

import { copies, make, need, say } from "./dom.js";

const small = "This is the small model that ships with Candid. It is quick and knows everyday things; "
  + "fine distinctions, rare words and text in pictures are beyond it.";
const larger = "candid serve --model ViT-B-32-256/datacomp_s34b_b86k";

/**
 * A row of GET /v1/models as the page shows it.
 * @param {any} row
 * @returns {import("./state.js").Model}
 */
export function readModel(row) {
  const accuracy = typeof row.imagenet_top1 === "number" ? `${row.imagenet_top1.toFixed(1)} % right` : "";
  /** @type {[string, unknown][]} */
  const facts = [
    ["Name", row.id],
    ["Architecture", row.architecture],
    ["ImageNet-1k, zero-shot", accuracy],
    ["Licence", row.licence],
    ["Parameters", row.parameters ? `${Math.round(row.parameters / 1e6)} million` : ""],
    ["Looks at", row.image_size ? `${row.image_size} × ${row.image_size} pixels` : ""],
    ["Runs on", [row.device, row.precision].filter(Boolean).join(", ")],
  ];
  return {
    id: String(row.id),
    note: String(row.note ?? ""),
    facts: facts.filter(([, value]) => value).map(([name, value]) => [name, String(value)]),
    embedded: row.id === "embedded" || row.architecture === "embedded",
  };
}

/** @param {import("./state.js").Store} store */
export function setUpModel(store) {
  const choice = need("model-choice", HTMLSelectElement);
  choice.addEventListener("change", () => store.set({ model: choice.value }));
  const code = need("model-larger", HTMLDivElement).querySelector("code");
  if (code) code.textContent = larger;
  copies(need("larger-copy", HTMLButtonElement), () => larger);

  store.listen((state, before) => {
    if (state.models !== before.models || state.model !== before.model) draw(state, choice);
  });
}

/**
 * @param {import("./state.js").State} state
 * @param {HTMLSelectElement} choice
 */
function draw({ models, model }, choice) {
  const used = models.find(({ id }) => id === model);
  if (!used) return;
  const several = models.length > 1;
  need("model-picker", HTMLLabelElement).hidden = !several;
  need("model-link", HTMLAnchorElement).hidden = several;
  say(need("model-name", HTMLSpanElement), used.id);
  choice.replaceChildren(...models.map(({ id }) => make("option", { value: id }, id)));
  choice.value = model;
  say(need("model-note", HTMLParagraphElement), used.embedded ? small : used.note);
  need("model-facts", HTMLElement).replaceChildren(
    ...used.facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  need("model-larger", HTMLDivElement).hidden = !used.embedded;
}
