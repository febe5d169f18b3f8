// Words of the service's own, for those who type none: a choice beside the starters.

import { request } from "./api.js";
import { make, need } from "./dom.js";

/** @param {import("./state.js").Store} store */
export function setUpVocabularies(store) {
  const choice = need("vocabulary", HTMLSelectElement);
  choice.addEventListener("change", () => store.set({ vocabulary: choice.value }));
  store.listen((state) => { choice.value = state.vocabulary; });

  return {
    /** Ask the service which there are. */
    async list() {
      const { body } = await request("v1/vocabularies");
      const offered = body.data.map((/** @type {{ name: string, labels: number }} */ { name, labels }) => (
        make("option", { value: name }, `${name} (${labels} words)`)));
      choice.replaceChildren(make("option", { value: "" }, "choose…"), ...offered);
      choice.value = store.get().vocabulary;
      need("vocabulary-field", HTMLLabelElement).hidden = offered.length === 0;
    },
  };
}
