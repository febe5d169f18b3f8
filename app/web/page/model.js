// The model in use: which, what it is good for, and how to get a larger one. Refuses to know the rankings.

import { copies, make, need, say } from "./dom.js";

const small = "This is the small model that ships with Candid, so that everything works at once. It knows about a "
  + "thousand kinds of things; of people, rare words and text in pictures it is often wrong.";
/** @type {[number, string][]} zero-shot top-1 on ImageNet-1k in percent, from which on it may be said */
const strengths = [
  [80, "Among the most accurate there are: fine distinctions and rare words, too."],
  [70, "A good all-rounder: everyday things, and many fine distinctions such as breeds and makes."],
  [0, "Good with everyday things; fine distinctions such as breeds and makes often fail."],
];
const unknown = "How good it is has not been stated: “candid evaluate” measures it on pictures of yours.";
const several = "It was trained to say of each word whether it holds, so several may.";
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
    note: goodFor(row),
    facts: facts.filter(([, value]) => value).map(([name, value]) => [name, String(value)]),
    embedded: row.id === "embedded",
    explains: Boolean(row.explain),
  };
}

/**
 * What a model is good for, in words.
 * @param {any} row of GET /v1/models
 */
function goodFor({ id, note, imagenet_top1: accuracy, kind }) {
  if (id === "embedded") return small;
  const strength = typeof accuracy === "number" ? strengths.find(([least]) => accuracy >= least)?.[1] : unknown;
  return [note, strength, kind === "sigmoid" ? several : ""].filter(Boolean).join(" ");
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
  say(need("model-note", HTMLParagraphElement), used.note);
  need("model-facts", HTMLElement).replaceChildren(
    ...used.facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  need("model-larger", HTMLDivElement).hidden = !used.embedded;
}
