// Words as chips: a text field that turns into a list. Refuses to know what the words are for.

import { make, need } from "./dom.js";

const separators = /[\n\r,;\t]+/;

/**
 * Cut a pasted or typed text into words: trimmed, no empty one, none twice.
 * @param {string} text
 * @param {readonly string[]} [known]
 */
export function split(text, known = []) {
  const seen = new Set(known);
  const words = text.split(separators).map((word) => word.trim().replace(/\s+/g, " "));
  return words.filter((word) => word !== "" && !seen.has(word) && seen.add(word));
}

/**
 * @param {object} chips
 * @param {() => string[]} chips.labels
 * @param {(labels: string[]) => void} chips.change
 * @param {(text: string) => void} chips.announce
 */
export function setUpChips({ labels, change, announce }) {
  const field = need("word", HTMLInputElement);
  const list = need("chip-list", HTMLUListElement);

  /** @param {string} text */
  function add(text) {
    const words = split(text, labels());
    const twice = split(text).find((word) => labels().includes(word));
    if (twice !== undefined) flash(list, labels().indexOf(twice));
    if (words.length === 0) return;
    change([...labels(), ...words]);
    announce(words.length === 1 ? `Added ${words[0]}.` : `Added ${words.length} words.`);
  }

  /** @param {number} index */
  function remove(index) {
    const word = labels()[index];
    if (word === undefined) return;
    change(labels().filter((_, i) => i !== index));
    announce(`Removed ${word}.`);
  }

  function take() {
    add(field.value);
    field.value = "";
  }

  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // Enter that ends an input method's composition is not ours
    const atStart = field.selectionStart === 0 && field.selectionEnd === 0;
    if (event.key === "Enter") { event.preventDefault(); take(); }
    else if (event.key === "Backspace" && field.value === "") remove(labels().length - 1);
    else if (event.key === "ArrowLeft" && atStart) focusChip(list, labels().length - 1);
  });
  field.addEventListener("input", () => {
    if (separators.test(field.value)) take(); // a comma typed, also on a phone, where keydown names no key
  });
  field.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!separators.test(text)) return;
    event.preventDefault();
    add(field.value + text);
    field.value = "";
  });
  field.addEventListener("blur", take);

  list.addEventListener("keydown", (event) => {
    const index = buttons(list).indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (event.key === "ArrowLeft") focusChip(list, Math.max(0, index - 1));
    else if (event.key === "ArrowRight" && index + 1 < labels().length) focusChip(list, index + 1);
    else if (event.key === "ArrowRight") field.focus();
    else if (event.key === "Delete" || event.key === "Backspace") removeAndStay(index);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) removeAndStay(buttons(list).indexOf(button));
  });
  need("chips", HTMLDivElement).addEventListener("pointerdown", (event) => {
    if (event.target !== event.currentTarget && event.target !== list) return;
    event.preventDefault(); // keeps the field from losing the focus that it gets here
    field.focus();
  });

  /** @param {number} index */
  function removeAndStay(index) {
    remove(index);
    if (labels().length === 0) field.focus();
    else focusChip(list, Math.min(index, labels().length - 1));
  }

  return { draw: () => draw(list, field, labels()), add };
}

/**
 * One stop for the Tab key, arrows between the chips: a hundred words are not a hundred stops.
 * @param {HTMLUListElement} list
 * @param {HTMLInputElement} field
 * @param {string[]} labels
 */
function draw(list, field, labels) {
  list.replaceChildren(...labels.map((label, index) => {
    const cross = make("button", {
      type: "button", "aria-label": `Remove ${label}`, tabindex: index === labels.length - 1 ? "0" : "-1",
    }, "×");
    return make("li", {}, make("span", {}, label), cross);
  }));
  list.hidden = labels.length === 0;
  const box = list.parentElement;
  if (box) box.scrollTop = box.scrollHeight; // many words scroll: the place to type at stays in sight
  field.placeholder = labels.length === 0 ? "cat, dog, a red bicycle" : labels.length === 1 ? "and what else?" : "";
}

/** @param {HTMLUListElement} list */
const buttons = (list) => [...list.querySelectorAll("button")];

/**
 * @param {HTMLUListElement} list
 * @param {number} index
 */
function focusChip(list, index) {
  const all = buttons(list);
  if (!all[index]) return;
  for (const button of all) button.tabIndex = -1;
  all[index].tabIndex = 0;
  all[index].focus();
}

/**
 * @param {HTMLUListElement} list
 * @param {number} index
 */
function flash(list, index) {
  const chip = list.children[index];
  chip?.classList.remove("flash");
  requestAnimationFrame(() => chip?.classList.add("flash"));
}
