// The service, as functions. Knows addresses, the key and the error envelope; refuses to know elements.

const base = new URL("./", document.baseURI);
const keyName = "candid-key";
const patience = 4; // times that a request is sent again while the service says that it is busy

/** The service answered, with an error. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, message?: string, field?: string | null, reason?: string | null }} error
   */
  constructor(status, error) {
    super(error.message ?? `The service answered ${status}.`);
    this.status = status;
    this.code = error.code ?? "";
    this.field = error.field ?? null;
    this.reason = error.reason ?? null;
  }
}

/** Nobody answered, or somebody on the way did (a proxy without its service). */
export class Gone extends Error {
  /** @param {string} why one of "silent", "stopping" */
  constructor(why) {
    super("The service does not answer.");
    this.why = why;
  }
}

let held = ""; // where the browser forbids storage, the key lives as long as the page

export const key = {
  /** @returns {string} */
  get() {
    try {
      return sessionStorage.getItem(keyName) ?? held;
    } catch {
      return held;
    }
  },
  /** @param {string} value "" forgets it */
  set(value) {
    held = value;
    try {
      sessionStorage.setItem(keyName, value);
    } catch {
      // kept in `held`
    }
  },
};

/** @param {string} path */
export const address = (path) => new URL(path, base).href;

/**
 * @typedef {object} Ask
 * @property {string} [method]
 * @property {unknown} [json]
 * @property {FormData} [form]
 * @property {AbortSignal} [signal]
 * @property {Record<string, string>} [headers]
 */

/**
 * @param {string} path
 * @param {Ask} [ask]
 * @returns {Promise<{ body: any, etag: string | null }>}
 */
export async function request(path, ask = {}) {
  for (let turn = 1; ; turn += 1) {
    const response = await send(path, ask);
    const body = await readJson(response);
    if (response.ok) return { body, etag: response.headers.get("etag") };
    const error = body?.error;
    if (response.status === 503 && error?.code === "overloaded" && turn <= patience) {
      await pause(1000 * turn * (Number(response.headers.get("retry-after")) || 1), ask.signal);
      continue;
    }
    if (response.status === 503 && error?.code === "shutting_down") throw new Gone("stopping");
    if ([502, 503, 504].includes(response.status) && !error) throw new Gone("silent");
    throw new Refused(response.status, error ?? {});
  }
}

/**
 * @param {string} path
 * @param {Ask} ask
 */
async function send(path, ask) {
  const headers = new Headers({ accept: "application/json", ...ask.headers });
  if (key.get()) headers.set("authorization", `Bearer ${key.get()}`);
  if (ask.json !== undefined) headers.set("content-type", "application/json");
  const body = ask.json !== undefined ? JSON.stringify(ask.json) : ask.form;
  const method = ask.method ?? (body === undefined ? "GET" : "POST");
  try {
    return await fetch(address(path), { method, headers, body, signal: ask.signal, cache: "no-store" });
  } catch (error) {
    if (ask.signal?.aborted) throw error;
    throw new Gone("silent");
  }
}

/** @param {Response} response */
async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null; // cut off on the way, or not ours: the status says enough
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 */
function pause(milliseconds, signal) {
  return new Promise((go, stop) => {
    const timer = setTimeout(go, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); stop(signal.reason); }, { once: true });
  });
}

/** Whether the service would answer now. */
export const isReady = () => isThere("readyz", "GET");

/** Whether the service shows its docs page. */
export const hasDocs = () => isThere("docs", "HEAD");

/**
 * @param {string} path
 * @param {string} method
 */
async function isThere(path, method) {
  try {
    return (await fetch(address(path), { method, cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/**
 * Send one picture, get its embedding.
 * @param {File} file
 * @param {string} model
 * @param {AbortSignal} signal
 */
export async function embedPicture(file, model, signal) {
  const form = new FormData();
  form.append("images", file, file.name);
  form.append("encoding_format", "base64");
  if (model) form.append("model", model);
  const { body } = await request("v1/embeddings/images", { form, signal });
  const [first] = body.data;
  if (first.error) throw new Refused(422, first.error);
  return { vector: first.embedding, width: first.width ?? 0, height: first.height ?? 0 };
}

/**
 * Where in a picture its best words are. The picture itself is sent again: its embedding does not say.
 * @param {File} file
 * @param {Record<string, unknown>} question
 * @returns {Promise<import("./heat.js").Explanation>}
 */
export async function explainPicture(file, question) {
  const form = new FormData();
  form.append("images", file, file.name);
  for (const [field, value] of Object.entries({ ...question, explain: true, explain_top_k: 10 })) {
    form.append(field, Array.isArray(value) ? JSON.stringify(value) : String(value));
  }
  const { body } = await request("v1/classify", { form });
  return body.results[0].explanation;
}

/**
 * Rank words for pictures whose embeddings we have.
 * @param {Record<string, unknown>} question
 * @param {AbortSignal} signal
 */
export async function classify(question, signal) {
  return (await request("v1/classify", { json: question, signal })).body;
}
