// The phrase around each word: presets and one's own. Refuses to know what the service does with it.

import { make, need } from "./dom.js";

/** Preset names of the service, in the order in which people want them. */
const presets = [
  ["", "as suits the model"],
  ["plain", "the word alone"],
  ["photo", "“a photo of a …”"],
  ["openai-7", "7 phrases, averaged"],
  ["openai-80", "80 phrases, averaged"],
];
const own = "own";

/** @param {string} template */
export const hasOnePlace = (template) => template.split("{}").length === 2;

/** @param {import("./state.js").Store} store */
export function setUpTemplates(store) {
  const choice = need("template", HTMLSelectElement);
  const field = need("own-template-field", HTMLLabelElement);
  const text = need("own-template", HTMLInputElement);
  const hint = need("own-template-hint", HTMLSpanElement);
  choice.append(...presets.map(([value, name]) => make("option", { value }, name)),
    make("option", { value: own }, "your own…"));

  const { template } = store.get();
  const known = presets.some(([value]) => value === template);
  choice.value = known ? template : own;
  if (!known) text.value = template;

  function read() {
    const isOwn = choice.value === own;
    const valid = hasOnePlace(text.value);
    field.hidden = !isOwn;
    hint.hidden = !isOwn || valid;
    text.setAttribute("aria-invalid", String(isOwn && !valid));
    if (!isOwn) store.set({ template: choice.value });
    else if (valid) store.set({ template: text.value });
  }
  choice.addEventListener("change", () => {
    read();
    if (choice.value === own) text.select();
  });
  text.addEventListener("input", read);
  read();
  store.listen((state, before) => {
    if (state.set !== before.set) choice.options[0].textContent = state.set ? "as the set says" : "as suits the model";
    if (state.template === "" && before.template !== "") { // taken into a set, or a set was chosen
      choice.value = "";
      read();
    }
  });
}
