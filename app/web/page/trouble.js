// What concerns the whole page: the service is gone, or it wants a key. Tells when the trouble is over.

import { Gone, Refused, isReady, key } from "./api.js";
import { need, say } from "./dom.js";

const firstWait = 1; // s until the first new try; doubled up to the longest
const longestWait = 15; // s

/**
 * @param {() => void} resume  called when the service is back or the key has been given
 * @returns {(error: unknown) => boolean} takes an error if it is one of these
 */
export function setUpTrouble(resume) {
  const gone = setUpOutage(resume);
  const askForKey = setUpKey(resume);
  return (error) => {
    if (error instanceof Gone) gone(error.why);
    else if (error instanceof Refused && error.status === 401) askForKey();
    else return false;
    return true;
  };
}

/** @param {() => void} resume */
function setUpOutage(resume) {
  const banner = need("outage", HTMLDivElement);
  const title = need("outage-title", HTMLElement);
  const text = need("outage-text", HTMLSpanElement);
  let timer = 0;
  let wait = firstWait;

  async function probe() {
    clearTimeout(timer);
    say(text, "Trying…");
    if (await isReady()) {
      banner.hidden = true;
      wait = firstWait;
      resume();
      return;
    }
    wait = Math.min(longestWait, wait * 2);
    count(wait);
  }

  /** @param {number} seconds */
  function count(seconds) {
    if (seconds <= 0) return void probe();
    say(text, `Your pictures and words are still here. Trying again in ${seconds} s.`);
    timer = window.setTimeout(() => count(seconds - 1), 1000);
  }

  need("outage-retry", HTMLButtonElement).addEventListener("click", () => void probe());

  /** @param {string} why */
  return (why) => {
    if (!banner.hidden) return;
    banner.hidden = false;
    say(title, why === "stopping" ? "Candid is shutting down." : "Candid does not answer.");
    count(wait);
  };
}

/** @param {() => void} resume */
function setUpKey(resume) {
  const form = need("key-form", HTMLFormElement);
  const field = need("key", HTMLInputElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(value)) { // what a header can carry: no space, no letter beyond ASCII
      field.setAttribute("aria-invalid", "true");
      return field.focus();
    }
    key.set(value);
    form.hidden = true;
    resume();
  });

  return () => {
    if (!form.hidden) return;
    const refused = key.get() !== "";
    say(need("key-text", HTMLLabelElement), refused
      ? "The service refused this key. Check it and try again."
      : "This service asks for an API key.");
    form.classList.toggle("notice-bad", refused);
    field.setAttribute("aria-invalid", String(refused));
    key.set("");
    form.hidden = false;
    field.focus();
    field.select();
  };
}
