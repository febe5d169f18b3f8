// Label sets: choose, edit, save, delete.

import { Refused, request } from "./api.js";
import { make, need, say } from "./dom.js";
import { isEdited } from "./state.js";
import { explain } from "./words.js";

const path = "v1/label-sets";
/** @param {string} name */
export const pathOf = (name) => `${path}/${encodeURIComponent(name)}`;

/** @typedef {import("./state.js").LabelSet} LabelSet */
/** @typedef {import("./state.js").State} State */

/**
 * @param {any} body  a set as the service gives it: each label is an object with its word and what else is known of it
 * @param {string | null} etag
 * @returns {LabelSet}
 */
export function readSet(body, etag) {
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
  const remove = need("set-delete", HTMLButtonElement);
  const form = need("set-form", HTMLFormElement);
  const name = need("set-name", HTMLInputElement);
  const note = need("set-note", HTMLParagraphElement);

  async function list() {
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

  /**
   * @param {() => Promise<void>} work
   * @param {string} [overtaken]  what to say when the set is not what the page believes
   */
  async function attempt(work, overtaken = "This set has been saved meanwhile, elsewhere. Choose it again to see it.") {
    try {
      await work();
    } catch (error) {
      if (troubled(error)) return;
      say(note, error instanceof Refused && error.status === 412 ? overtaken : explain(error));
    }
  }

  /** @param {string} [why]  what to say while a name is asked for */
  function askForName(why = "") {
    say(note, why);
    form.hidden = false;
    name.focus();
  }

  function forget() {
    const { set } = store.get();
    if (!set || !window.confirm(`Delete the label set “${set.name}” with its examples?`)) return;
    void attempt(async () => {
      await request(pathOf(set.name), { method: "DELETE", headers: unchanged(set) });
      store.set({ set: null });
      await list();
      say(note, `Deleted “${set.name}”. Its words are still here.`);
      choice.focus();
    });
  }

  choice.addEventListener("change", () => void choose());
  save.addEventListener("click", () => void attempt(async () => {
    const { set } = store.get();
    if (set) await put(set.name, unchanged(set));
  }));
  remove.addEventListener("click", forget);
  need("set-save-as", HTMLButtonElement).addEventListener("click", () => askForName());
  need("set-cancel", HTMLButtonElement).addEventListener("click", () => { form.hidden = true; choice.focus(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const plain = setName(name.value);
    if (plain === "") return name.focus();
    void attempt(async () => {
      await put(plain, { "if-none-match": "*" });
      form.hidden = true;
      choice.focus();
    }, `There is a set “${plain}” already. Take another name, or choose that set and change it.`);
  });
  store.listen((state, before) => {
    if (state.labels !== before.labels) say(note, "");
    save.hidden = !hasChanges(state);
    remove.hidden = state.set === null;
  });

  /** Ask for what is missing before a picture can become an example: a set that holds the words of now. */
  function prepare() {
    if (store.get().set === null) return askForName("Examples are kept in a label set: give these words a name first.");
    say(note, "Save the changes first: examples are kept with the words of the set.");
    save.focus();
  }

  return { list, prepare };
}

/**
 * The condition that a set is still the version that the page shows.
 * @param {LabelSet} set
 * @returns {Record<string, string>}
 */
const unchanged = ({ etag }) => (etag ? { "if-match": etag } : {});

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
