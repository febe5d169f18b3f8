// Keeps every ranking up to date with the words: embeddings and words go out, a picture only when it is asked where
// in it a word is. Refuses to know elements.

import { Refused, classify, explainPicture } from "./api.js";
import { hasWords, isEdited } from "./state.js";
import { explain } from "./words.js";

const calm = 90; // ms without a change before words are sent: shorter than a pause in typing, longer than a key repeat
const slow = 2000; // ms before asking again what took too long: the service goes on encoding words meanwhile
const takesLong = "The service is still reading: new words take a while the first time. It is asked again.";
const together = 32; // embeddings in one request, at first; halved where a service takes fewer

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Picture} Picture */

/**
 * What to ask about a picture, without the picture; null while there are no words.
 * @param {State} state
 * @returns {Record<string, unknown> | null}
 */
export function question(state) {
  const { labels, vocabulary, template, set, model, reject } = state;
  if (!hasWords(state) || model === "") return null;
  const used = labels.length === 0 || isEdited(state) ? null : set;
  const own = labels.length === 0 ? { vocabulary, mode: "multi" } : { labels };
  const words = used ? { label_set: used.name } : own;
  return {
    ...words, model,
    ...(template === "" ? {} : { template }),
    ...(reject !== (used?.reject ?? false) ? { reject } : {}),
  };
}

/**
 * @param {import("./state.js").Store} store
 * @param {(error: unknown) => boolean} troubled
 */
export function setUpRanker(store, troubled) {
  let timer = 0;
  /** @type {AbortController | null} */
  let underWay = null;
  let asked = ""; // the question under way
  let most = together;
  let refused = ""; // the last question that the service would not answer: not to be asked again

  /** @type {State | null} */
  let readFrom = null;
  let read = "";

  /** The question as text, with the set's version, so that an edited set is asked about anew. */
  function asText() {
    const state = store.get();
    if (state !== readFrom) { // asked for by every card: once a state is enough
      readFrom = state;
      read = JSON.stringify([question(state), state.set?.etag ?? null]);
    }
    return read;
  }

  /** @param {string} text */
  function unanswered(text) {
    const { pictures, model } = store.get();
    return pictures.filter((p) => p.status === "ready" && p.vectorModel === model && p.rankedFor !== text);
  }

  function look() {
    const text = asText();
    if (underWay && asked !== text) {
      underWay.abort(); // its answer is stale before it comes
      underWay = null;
    }
    clearTimeout(timer);
    if (underWay || question(store.get()) === null || text === refused) return;
    if (unanswered(text).length > 0) timer = window.setTimeout(ask, calm);
  }

  async function ask() {
    const text = asText();
    const body = question(store.get());
    const pictures = unanswered(text).slice(0, most);
    if (body === null || pictures.length === 0) return;
    const abort = new AbortController();
    underWay = abort;
    asked = text;
    try {
      const answer = await classify({ ...body, embeddings: pictures.map((p) => p.vector) }, abort.signal);
      if (underWay !== abort) return;
      underWay = null;
      settle(pictures, answer, text);
    } catch (error) {
      if (underWay !== abort) return;
      underWay = null;
      const tooMany = pictures.length > 1 && error instanceof Refused && /^(embeddings|images)/.test(error.field ?? "");
      if (tooMany) {
        most = Math.floor(pictures.length / 2);
        return look();
      }
      refused = text;
      const late = error instanceof Refused && error.code === "deadline_exceeded";
      if (late) setTimeout(resume, slow);
      if (!troubled(error)) store.set({ question: late ? takesLong : explain(error) });
      return;
    }
    look();
  }

  /**
   * @param {Picture[]} pictures
   * @param {any} answer
   * @param {string} text
   */
  function settle(pictures, { results, warnings, mode, calibrated }, text) {
    const answers = new Map(pictures.map((picture, index) => [picture.id, results[index]]));
    store.set({
      question: "",
      warnings,
      reading: { multi: mode === "multi", calibrated: calibrated === true },
      pictures: store.get().pictures.map((picture) => {
        const answer = answers.get(picture.id);
        if (!answer) return picture;
        return { ...picture, ranking: answer.ranking, rankedFor: text, rejection: answer.rejection ?? null };
      }),
    });
  }

  store.listen((state, before) => {
    const changed = ["labels", "vocabulary", "template", "set", "model", "reject", "pictures"]
      .some((name) => state[/** @type {keyof State} */ (name)] !== before[/** @type {keyof State} */ (name)]);
    if (changed) look();
  });

  /** Ask again what went unanswered, once the trouble is over. */
  function resume() {
    refused = "";
    look();
  }

  /** @type {WeakMap<File, { text: string, answer: Promise<import("./heat.js").Explanation> }>} */
  const explained = new WeakMap();

  /**
   * Where in a picture its words are; asked for once a question.
   * @param {Picture} picture
   */
  function explanation({ file }) {
    const text = asText();
    const known = explained.get(file);
    if (known?.text === text) return known.answer;
    const answer = explainPicture(file, question(store.get()) ?? {});
    explained.set(file, { text, answer });
    answer.catch(() => explained.delete(file)); // to be asked again
    return answer;
  }

  return {
    resume,
    explanation,
    /** @param {Picture} picture */
    isCurrent: (picture) => picture.rankedFor === asText(),
  };
}
