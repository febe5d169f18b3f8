// Words and phrase outlive a reload of this tab, and no more; pictures and embeddings are not kept anywhere.

const name = "candid-words";

/** @param {import("./state.js").State} state */
export function remember({ labels, template }) {
  try {
    sessionStorage.setItem(name, JSON.stringify({ labels, template }));
  } catch {
    // full, or forbidden by the browser: the page works without
  }
}

/** @returns {Partial<import("./state.js").State>} */
export function remembered() {
  try {
    const { labels, template } = JSON.parse(sessionStorage.getItem(name) ?? "{}");
    const words = Array.isArray(labels) ? labels.filter((label) => typeof label === "string") : [];
    return { labels: words, template: typeof template === "string" ? template : "" };
  } catch {
    return {};
  }
}
