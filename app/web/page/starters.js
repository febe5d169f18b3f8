// A few words to begin with, for those who have none yet.

import { make, need } from "./dom.js";

/** @type {[string, string[]][]} */
const starters = [
  ["animals", ["cat", "dog", "horse", "bird", "fish"]],
  ["food", ["pizza", "salad", "bowl of soup", "cup of coffee", "cake"]],
  ["places", ["beach", "forest", "city street", "kitchen", "office"]],
  ["vehicles", ["car", "bicycle", "motorcycle", "airplane", "rocket"]],
];

/** @param {(labels: string[]) => void} use */
export function setUpStarters(use) {
  const box = need("starters", HTMLDivElement);
  for (const [name, words] of starters) {
    const button = make("button", { type: "button", class: "quiet" }, name);
    button.addEventListener("click", () => {
      use([...words]);
      need("word", HTMLInputElement).focus();
    });
    box.append(button);
  }
}
