// The ways in for pictures: dropped, pasted, chosen, photographed. Hands over files; refuses to know what becomes
// of them.

import { hasCamera, setUpCamera } from "./camera.js";
import { need, say } from "./dom.js";

/**
 * @param {(files: File[]) => void} take
 * @param {boolean} touch  a phone or tablet: its own camera program takes the photograph
 */
export function setUpIntake(take, touch) {
  const problem = need("drop-problem", HTMLParagraphElement);
  /** @param {Iterable<File>} files */
  const accept = (files) => {
    say(problem, "");
    take([...files]);
  };
  const photograph = need("photograph", HTMLButtonElement);
  chooseWith(need("choose", HTMLButtonElement), "files", accept);
  if (touch) chooseWith(photograph, "camera", accept);
  else photograph.addEventListener("click", setUpCamera(accept));
  photograph.hidden = !touch;
  if (!touch) void hasCamera().then((there) => { photograph.hidden = !there; });
  pasteAnywhere(accept);
  dropAnywhere(accept, (text) => say(problem, text));
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} inputId
 * @param {(files: Iterable<File>) => void} accept
 */
function chooseWith(button, inputId, accept) {
  const input = need(inputId, HTMLInputElement);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    accept(input.files ?? []);
    input.value = ""; // so that the same file can be chosen again after it was removed
  });
}

/** @param {(files: Iterable<File>) => void} accept */
function pasteAnywhere(accept) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return; // text: whoever has the focus takes it
    event.preventDefault();
    accept(files);
  });
}

/**
 * @param {(files: Iterable<File>) => void} accept
 * @param {(text: string) => void} complain
 */
function dropAnywhere(accept, complain) {
  let depth = 0; // enter and leave also come from every element inside
  /** @param {number} value */
  const over = (value) => {
    depth = Math.max(0, value);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", (event) => { if (!isOurOwn(event)) over(depth + 1); });
  document.addEventListener("dragleave", () => over(depth - 1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(0);
    const data = event.dataTransfer;
    if (!data || isOurOwn(event)) return;
    if (hasFolder(data)) complain("That was a folder. Open it and drop the pictures that are in it.");
    else if (data.files.length > 0) accept(data.files);
    else complain("That was a link, not a picture. Copy the picture itself and paste it here, or save it first.");
  });
}

/** @param {DataTransfer} data */
function hasFolder(data) {
  return [...data.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
}

/**
 * Text or a picture of this page that is dragged about on it.
 * @param {DragEvent} event
 */
function isOurOwn(event) {
  const types = [...(event.dataTransfer?.types ?? [])];
  return !types.includes("Files") && !types.includes("text/uri-list");
}
