// The page put together: state in the middle, each module around it with one job.

import { address, hasDocs, key, request } from "./api.js";
import { announce, announceNews } from "./announce.js";
import { canExplain, setUpCards } from "./cards.js";
import { setUpChips } from "./chips.js";
import { curlCommand } from "./curl.js";
import { copies, need, say } from "./dom.js";
import { setUpExamples } from "./examples.js";
import { setUpIntake } from "./intake.js";
import { setUpLabelSets } from "./labelsets.js";
import { remember, remembered } from "./memory.js";
import { readModel, setUpModel } from "./model.js";
import { setUpPictures } from "./pictures.js";
import { question, setUpRanker } from "./ranker.js";
import { setUpStarters } from "./starters.js";
import { createStore, firstState, hasWords } from "./state.js";
import { setUpTemplates } from "./templates.js";
import { setUpTrouble } from "./trouble.js";
import { setUpVocabularies } from "./vocabularies.js";
import { explain } from "./words.js";

const touch = navigator.maxTouchPoints > 0;
document.body.dataset.touch = String(touch);

const store = createStore({ ...firstState(), ...remembered() });
const troubled = setUpTrouble(resume);
const pictures = setUpPictures(store, troubled);
const ranker = setUpRanker(store, troubled);
const sets = setUpLabelSets(store, troubled);
const vocabularies = setUpVocabularies(store);
const chips = setUpChips({
  labels: () => store.get().labels, change: (labels) => store.set({ labels }), announce,
});
const drawCards = setUpCards({
  remove: pictures.remove, again: pictures.again, isCurrent: ranker.isCurrent, explain: ranker.explanation, examples: { prepare: sets.prepare, ...setUpExamples(store, troubled) },
});
setUpModel(store);
setUpTemplates(store);
setUpIntake(pictures.add, touch);
setUpStarters((labels) => store.set({ labels }));
const curl = need("curl", HTMLPreElement).querySelector("code");
copies(need("curl-copy", HTMLButtonElement), () => curl?.textContent ?? "");
need("clear-words", HTMLButtonElement).addEventListener("click", () => {
  store.set({ labels: [] });
  need("word", HTMLInputElement).focus();
});
const reject = need("reject", HTMLInputElement);
reject.addEventListener("change", () => store.set({ reject: reject.checked }));

store.listen((state, before) => {
  if (state.labels !== before.labels) chips.draw();
  if (state.labels !== before.labels || state.template !== before.template) remember(state);
  draw();
  announceNews(state.pictures, before.pictures);
});
chips.draw();
draw();
void begin();

function draw() {
  const state = store.get();
  drawCards(state);
  const ranked = state.pictures.some(({ ranking }) => ranking !== null) && hasWords(state);
  document.body.dataset.empty = String(state.pictures.length === 0);
  say(need("drop-title", HTMLParagraphElement), dropTitle(state.pictures.length));
  say(need("legend", HTMLParagraphElement), ranked ? legend(state.reading, canExplain(state)) : "");
  need("clear-words", HTMLButtonElement).hidden = state.labels.length < 2;
  need("starters", HTMLDivElement).hidden = state.labels.length > 0;
  need("vocabulary-row", HTMLDivElement).hidden = state.labels.length > 0;
  need("docs-link", HTMLAnchorElement).hidden = !state.docs;
  reject.checked = state.reject;
  say(need("word-error", HTMLParagraphElement), hasWords(state) ? state.question : "");
  say(need("word-warnings", HTMLParagraphElement), hasWords(state) ? state.warnings.join(" ") : "");
  if (curl) {
    curl.textContent = curlCommand({
      url: address("v1/classify"), keyed: key.get() !== "",
      pictures: state.pictures.filter((p) => p.status !== "failed").map((p) => p.name),
      question: curlQuestion(state),
    });
  }
}

/**
 * @param {import("./state.js").State["reading"]} reading
 * @param {boolean} points
 */
function legend({ multi, calibrated }, points) {
  const meaning = multi
    ? "Each word has a probability of its own; those that hold are coloured."
    : "Probability is shared out among your words and adds up to 100 %: it says which of them fits best, "
      + "not that any of them is right.";
  return `${meaning} ${calibrated ? "It was calibrated on labelled pictures. " : ""}`
    + "Similarity is the cosine between picture and word."
    + (points ? " Point at a word to see where in the picture it is." : "");
}

/** @param {number} count of pictures that are there */
function dropTitle(count) {
  if (touch) return count === 0 ? "Add a picture" : "Add another";
  return count === 0 ? "Drop pictures here" : "Drop more here";
}

/** @param {import("./state.js").State} state */
function curlQuestion(state) {
  const asked = question(state) ?? { labels: ["cat", "dog"] };
  if (state.models.length < 2) delete asked.model; // the only one need not be named
  return asked;
}

/** Learn what the service has; then send what waits. */
async function begin() {
  try {
    const { body } = await request("v1/models");
    const models = body.data.map(readModel);
    if (models.length === 0) return say(need("model-note", HTMLParagraphElement), "The service has no model loaded.");
    const kept = models.some((/** @type {import("./state.js").Model} */ one) => one.id === store.get().model);
    store.set({ models, model: kept ? store.get().model : models[0].id });
    store.set({ docs: await hasDocs() });
    await vocabularies.list();
    await sets.list();
  } catch (error) {
    if (!troubled(error)) say(need("model-note", HTMLParagraphElement), explain(error));
  }
}

async function resume() {
  await begin();
  pictures.resume();
  ranker.resume();
}
