// Pictures as examples of a kept set's words: added, and taken back. Refuses to know elements.

import { request } from "./api.js";
import { pathOf, readSet } from "./labelsets.js";
import { explain } from "./words.js";

/** @typedef {{ text: string, undo: (() => Promise<string>) | null }} Outcome   what to say, and how to take it back */

/**
 * @param {import("./state.js").Store} store
 * @param {(error: unknown) => boolean} troubled
 */
export function setUpExamples(store, troubled) {
  /**
   * @param {import("./state.js").Picture} picture
   * @param {string} label
   * @returns {Promise<Outcome>}
   */
  async function add({ file }, label) {
    const name = store.get().set?.name;
    if (name === undefined) return { text: "", undo: null };
    const path = `${pathOf(name)}/labels/${encodeURIComponent(label)}/examples`;
    const form = new FormData();
    form.append("images", file, file.name);
    try {
      const { id, duplicate } = (await request(path, { form })).body.results[0];
      await readAgain(name);
      if (duplicate) return { text: `It is an example of ${label} already.`, undo: null };
      return { text: `Added to ${label}.`, undo: () => takeBack(name, `${path}/${id}`) };
    } catch (error) {
      return { text: told(error), undo: null };
    }
  }

  /**
   * @param {string} name of the set
   * @param {string} path of the example
   */
  async function takeBack(name, path) {
    try {
      await request(path, { method: "DELETE" });
      await readAgain(name);
      return "Taken back.";
    } catch (error) {
      return told(error);
    }
  }

  /**
   * The set's new version makes every picture be ranked anew.
   * @param {string} name
   */
  async function readAgain(name) {
    const { body, etag } = await request(pathOf(name));
    if (store.get().set?.name === name) store.set({ set: readSet(body, etag) });
  }

  /** @param {unknown} error */
  const told = (error) => (troubled(error) ? "" : explain(error));

  return { add };
}
