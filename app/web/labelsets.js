// Label sets: choose, edit, save, and give one an example. Shown only where the service offers them.

import { Refused, request } from "./api.js";
import { make, need, say } from "./dom.js";
import { isEdited } from "./state.js";
import { explain } from "./words.js";

const path = "v1/label-sets";
/** @param {string} name */
const pathOf = (name) => `${path}/${encodeURIComponent(name)}`;

/** @typedef {import("./state.js").LabelSet} LabelSet */
/** @typedef {import("./state.js").State} State */

/**
 * @param {any} body  a set as the service gives it: each label is an object with its word and what else is known of it
 * @param {string | null} etag
 * @returns {LabelSet}
 */
function readSet(body, etag) {
  const labels = body.labels.map((/** @type {any} */ { label }) => label);
  return { name: body.name, labels, reject: body.reject, etag, body };
}

/**
 * What a set may be called: a–z, 0–9, - and _, at most 64 of them.
 * @param {string} name
 */
export function setName(name) {
  const plain = name.normalize("NFKD").toLowerCase().replace(/[^\w\s-]/g, "").trim().replace(/\s+/g, "-");
  return plain.replace(/^[-_]+/, "").slice(0, 64);
}

/**
 * @param {import("./state.js").Store} store
 * @param {(error: unknown) => boolean} troubled
 */
export function setUpLabelSets(store, troubled) {
  const choice = need("set-choice", HTMLSelectElement);
  const save = need("set-save", HTMLButtonElement);
  const form = need("set-form", HTMLFormElement);
  const name = need("set-name", HTMLInputElement);
  const note = need("set-note", HTMLParagraphElement);

  async function list() {
    if (!store.get().offers.labelSets) return;
    try {
      const { body } = await request(path);
      const names = body.data.map((/** @type {any} */ set) => set.name);
      choice.replaceChildren(make("option", { value: "" }, "none"),
        ...names.map((/** @type {string} */ one) => make("option", {}, one)));
      choice.value = store.get().set?.name ?? "";
    } catch (error) {
      if (!troubled(error)) say(note, explain(error));
    }
  }

  async function choose() {
    say(note, "");
    if (choice.value === "") return store.set({ set: null });
    await attempt(async () => {
      const { body, etag } = await request(pathOf(choice.value));
      const set = readSet(body, etag);
      take(set);
    });
  }

  /**
   * Work with `set` as it is kept: its words, its phrase, its "none of these".
   * @param {LabelSet} set
   */
  function take(set) {
    store.set({ set, labels: set.labels, template: "", reject: set.reject });
  }

  /**
   * @param {string} name
   * @param {Record<string, string>} condition
   */
  async function put(name, condition) {
    const json = asKept(store.get());
    const { body, etag } = await request(pathOf(name), { method: "PUT", json, headers: condition });
    take(readSet(body, etag));
    say(note, `Saved “${name}”.`);
    await list();
  }

  /** @param {() => Promise<void>} work */
  async function attempt(work) {
    try {
      await work();
    } catch (error) {
      if (troubled(error)) return;
      const overtaken = error instanceof Refused && error.status === 412;
      say(note, overtaken ? "A set of this name has been saved meanwhile. Choose it again to see it." : explain(error));
    }
  }

  choice.addEventListener("change", () => void choose());
  save.addEventListener("click", () => void attempt(async () => {
    const { set } = store.get();
    if (set) await put(set.name, set.etag ? { "if-match": set.etag } : {});
  }));
  need("set-save-as", HTMLButtonElement).addEventListener("click", () => { form.hidden = false; name.focus(); });
  need("set-cancel", HTMLButtonElement).addEventListener("click", () => { form.hidden = true; choice.focus(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const plain = setName(name.value);
    if (plain === "") return name.focus();
    form.hidden = true;
    void attempt(() => put(plain, { "if-none-match": "*" }));
  });
  store.listen((state, before) => {
    if (state.labels !== before.labels) say(note, "");
    need("sets", HTMLDivElement).hidden = !state.offers.labelSets;
    save.hidden = !hasChanges(state);
  });

  /**
   * @param {import("./state.js").Picture} picture
   * @param {string} label
   * @returns {Promise<string>} what to say about it
   */
  async function addExample({ file }, label) {
    const { set } = store.get();
    if (!set) return "";
    const form = new FormData();
    form.append("images", file, file.name);
    try {
      await request(`${pathOf(set.name)}/labels/${encodeURIComponent(label)}/examples`, { form });
      const { body, etag } = await request(pathOf(set.name));
      const pictures = store.get().pictures.map((picture) => ({ ...picture, rankedFor: "" })); // all may rank anew
      store.set({ set: readSet(body, etag), pictures });
    } catch (error) {
      return troubled(error) ? "" : explain(error);
    }
    return `Added to ${label}.`;
  }

  return { list, addExample };
}

/** @param {State} state */
function hasChanges(state) {
  const { set, template, reject } = state;
  return set !== null && (isEdited(state) || template !== "" || reject !== set.reject);
}

/**
 * What is on the page, as a set to keep; what the page does not show of a set stays as it was.
 * @param {State} state
 */
function asKept({ set, labels, template, reject }) {
  const { domain, mode, threshold, reject_threshold, template: old, labels: known } = /** @type {any} */ (set?.body ?? {});
  const details = new Map((known ?? []).map((/** @type {any} */ each) => [each.label, each]));
  return {
    domain, mode, threshold, reject_threshold, reject,
    template: template === "" ? old : [template],
    labels: labels.map((label) => details.get(label) ?? label),
  };
}
