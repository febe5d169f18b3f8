// What the page knows, in one place. Holds data and tells who listens; refuses to know elements and requests.

/**
 * @typedef {{ label: string, similarity: number, probability: number, holds?: boolean }} Ranked
 *
 * @typedef {object} Picture
 * @property {string} id
 * @property {string} name
 * @property {File} file
 * @property {string} url              an object URL, for showing it
 * @property {"waiting" | "sending" | "ready" | "failed"} status
 * @property {string | number[] | null} vector   its embedding as the service gave it
 * @property {string | null} vectorModel         the model that made the embedding
 * @property {number} width            pixels; 0 until the service has told
 * @property {number} height
 * @property {string} problem          what went wrong and what to do, in words
 * @property {boolean} hopeless         sending it again cannot help
 * @property {Ranked[] | null} ranking
 * @property {string} rankedFor        the question (see ranker.js) that the ranking answers
 * @property {{ rejected: boolean, score: number } | null} rejection   "none of these", when asked for
 *
 * @typedef {object} Model
 * @property {string} id
 * @property {string} note
 * @property {string[][]} facts        pairs of a name and a value
 * @property {boolean} embedded
 * @property {boolean} explains       it can say where in a picture a word is
 *
 * @typedef {object} LabelSet
 * @property {string} name
 * @property {string[]} labels
 * @property {boolean} reject
 * @property {string | null} etag
 * @property {Record<string, unknown>} body   the set as the service holds it, so that saving loses nothing
 *
 * @typedef {object} State
 * @property {string[]} labels
 * @property {string} vocabulary       the service's own words, while there are no labels; "" for none
 * @property {string} template         a preset's name, "" for the model's default, or a phrase with one {}
 * @property {Picture[]} pictures
 * @property {Model[]} models
 * @property {string} model            the chosen one's id; "" until known
 * @property {LabelSet | null} set     the label set in use
 * @property {boolean} reject          ask for "none of these"
 * @property {boolean} docs            whether the service shows its docs page
 * @property {{ multi: boolean, calibrated: boolean }} reading   how the last answer's probabilities are to be read
 * @property {string[]} warnings       what the service says about the words: cut, twice
 * @property {string} question         why the words cannot be ranked; "" when they can
 */

/** @returns {State} */
export function firstState() {
  return {
    labels: [], vocabulary: "", template: "", pictures: [], models: [], model: "", set: null, reject: false,
    docs: true, reading: { multi: false, calibrated: false }, warnings: [], question: "",
  };
}

/**
 * Whether there is anything to compare pictures with.
 * @param {State} state
 */
export const hasWords = ({ labels, vocabulary }) => labels.length > 0 || vocabulary !== "";

/**
 * Whether the words have left the label set that they came from.
 * @param {State} state
 */
export function isEdited({ set, labels }) {
  return set !== null && (set.labels.length !== labels.length || set.labels.some((label, i) => label !== labels[i]));
}

/** @param {State} initial */
export function createStore(initial) {
  let state = initial;
  /** @type {((state: State, before: State) => void)[]} */
  const listeners = [];

  /** @param {Partial<State>} change */
  function set(change) {
    const before = state;
    state = { ...state, ...change };
    for (const listener of listeners) listener(state, before);
  }

  return {
    get: () => state,
    set,
    /**
     * @param {string} id
     * @param {Partial<Picture>} change
     */
    setPicture(id, change) {
      set({ pictures: state.pictures.map((p) => (p.id === id ? { ...p, ...change } : p)) });
    },
    /** @param {(state: State, before: State) => void} listener */
    listen(listener) {
      listeners.push(listener);
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */
