// News for those who hear the page: said once, and only the top of a ranking.

import { need } from "./dom.js";
import { percent } from "./words.js";

/** @param {string} text */
export function announce(text) {
  need("says", HTMLParagraphElement).textContent = text;
}

/**
 * @param {import("./state.js").Picture[]} now
 * @param {import("./state.js").Picture[]} before
 */
export function announceNews(now, before) {
  if (now === before) return;
  const old = new Map(before.map((picture) => [picture.id, picture]));
  const failed = now.find((p) => p.status === "failed" && old.get(p.id)?.status !== "failed");
  if (failed) return announce(`${failed.name}: ${failed.problem}`);
  const ranked = now.filter((p) => p.ranking && p.ranking !== old.get(p.id)?.ranking);
  const top = ranked[0]?.ranking?.[0];
  if (ranked.length > 1) announce(`${ranked.length} pictures ranked.`);
  else if (top) announce(`${ranked[0].name}: ${top.label}, ${percent(top.probability)}.`);
}
