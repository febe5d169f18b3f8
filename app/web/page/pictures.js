// The pictures' way from file to embedding: each is sent once a model, two at a time. Refuses to know how they look.

import { Gone, Refused, embedPicture } from "./api.js";
import { explain } from "./words.js";

const lanes = 2; // requests under way at once: enough to overlap, few enough to leave slots to others

/** @typedef {import("./state.js").Picture} Picture */

/**
 * @param {import("./state.js").Store} store
 * @param {(error: unknown) => boolean} troubled  takes what concerns the whole page (service gone, key refused)
 */
export function setUpPictures(store, troubled) {
  /** @type {Map<string, AbortController>} */
  const underWay = new Map();
  /** @type {Set<string>} */
  const broken = new Set(); // sent once already, and the connection broke
  let halted = false; // a trouble that concerns every picture: none is sent until it is over
  let count = 0;

  /** @param {File[]} files */
  function add(files) {
    const added = files.map((file) => newPicture(file, `picture-${(count += 1)}`));
    store.set({ pictures: [...store.get().pictures, ...added] });
    pump();
  }

  /** @param {string} id */
  function remove(id) {
    const gone = store.get().pictures.find((picture) => picture.id === id);
    if (!gone) return;
    underWay.get(id)?.abort();
    URL.revokeObjectURL(gone.url);
    store.set({ pictures: store.get().pictures.filter((picture) => picture.id !== id) });
  }

  /** @param {string} id */
  function again(id) {
    store.setPicture(id, { status: "waiting", problem: "" });
    pump();
  }

  /** Send what waits, as far as there are free lanes. */
  function pump() {
    const { pictures, model } = store.get();
    if (halted || model === "") return; // called again when the trouble is over, or the models are known
    for (const picture of pictures) {
      if (underWay.size >= lanes) return;
      if (picture.status === "waiting" && !underWay.has(picture.id)) void embed(picture, model);
    }
  }

  /**
   * @param {Picture} picture
   * @param {string} model
   */
  async function embed(picture, model) {
    const { id, file } = picture;
    const abort = new AbortController();
    underWay.set(id, abort);
    store.setPicture(id, { status: "sending" });
    try {
      const answer = await embedPicture(file, model, abort.signal);
      broken.delete(id);
      store.setPicture(id, { ...answer, status: "ready", vectorModel: model, rankedFor: "" });
    } catch (error) {
      if (!abort.signal.aborted) fail(id, file, error);
    } finally {
      if (underWay.get(id) === abort) underWay.delete(id);
    }
    pump();
  }

  /**
   * @param {string} id
   * @param {File} file
   * @param {unknown} error
   */
  function fail(id, file, error) {
    const again = error instanceof Gone && broken.has(id); // though the service was there: it is this picture
    if (error instanceof Gone) broken.add(id);
    if (again || !troubled(error)) return store.setPicture(id, failure(error, file));
    halted = true;
    store.setPicture(id, { status: "waiting" });
  }

  function resume() {
    halted = false;
    pump();
  }

  store.listen((state, before) => {
    if (state.model === before.model) return;
    for (const abort of underWay.values()) abort.abort();
    underWay.clear();
    store.set({ pictures: store.get().pictures.map(forgotten) });
    pump();
  });

  return { add, remove, again, resume };
}

/**
 * @param {File} file
 * @param {string} id
 * @returns {Picture}
 */
function newPicture(file, id) {
  return { id, name: file.name || "picture", file, url: URL.createObjectURL(file), ...unsent };
}

/**
 * @param {unknown} error
 * @param {File} file
 * @returns {Partial<Picture>}
 */
function failure(error, file) {
  const hopeless = error instanceof Refused && error.status < 500; // it is the picture's fault
  return { status: "failed", problem: explain(error, file.name), hopeless };
}

const unsent = Object.freeze({
  status: /** @type {const} */ ("waiting"), vector: null, vectorModel: null, width: 0, height: 0, problem: "",
  hopeless: false, ranking: null, rankedFor: "", rejection: null,
});

/**
 * The picture as it was before it was sent: another model has to see it anew.
 * @param {Picture} picture
 * @returns {Picture}
 */
function forgotten(picture) {
  return { ...picture, ...unsent, ranking: picture.ranking };
}
