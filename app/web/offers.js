// What this service offers besides ranking words: found out from its own description, or by asking where it has none.

import { request } from "./api.js";

/** @returns {Promise<import("./state.js").State["offers"]>} */
export async function learnOffers() {
  const description = await answer("openapi.json");
  if (description === null) return { ...(await probe()), docs: false };
  const paths = Object.keys(description.paths ?? {});
  return {
    docs: true,
    labelSets: paths.some((path) => /^\/v1\/label-sets\/\{\w+\}$/.test(path)),
    examples: paths.some((path) => /\/labels\/\{\w+\}\/examples$/.test(path)),
    reject: JSON.stringify(description).includes('"reject":{'),
  };
}

/** Services may keep their description to themselves; a list of label sets tells that the rest is there too. */
async function probe() {
  const there = (await answer("v1/label-sets")) !== null;
  return { labelSets: there, examples: there, reject: there };
}

/** @param {string} path */
async function answer(path) {
  try {
    return (await request(path)).body;
  } catch {
    return null;
  }
}
