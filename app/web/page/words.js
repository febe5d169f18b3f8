// What went wrong, in words that say what to do. Knows the service's error codes; refuses to know where they appear.

import { Gone, Refused } from "./api.js";

const readable = "JPEG, PNG, WebP, GIF, BMP or AVIF";

/** @type {Record<string, string>} */
const byReason = {
  empty: "This file is empty. Choose the picture again; it may not have finished copying.",
  not_an_image: `This file is not a picture that Candid can read. Choose a ${readable} file.`,
  format_not_allowed: `Candid does not read this kind of picture. Save it as ${readable} and add it again.`,
  damaged: "This picture is damaged and cannot be read to its end. Try another copy of it.",
  too_many_pixels: "This picture has more pixels than this service takes. Make it smaller and add it again.",
  too_many_bytes: "This file is larger than this service takes. Make the picture smaller and add it again.",
  too_costly: "This picture is stored in a way that takes too long to read. Save it anew as a plain JPEG or PNG.",
};

/** @type {Record<string, string>} */
const byCode = {
  body_too_large: byReason.too_many_bytes,
  overloaded: "The service is busy just now. Wait a moment and try again.",
  deadline_exceeded: "The service took too long and gave up. Try again in a moment.",
  encoder_failed: "The model stopped working on the service's side. Whoever runs it will find the reason in its log.",
  unauthorized: "The service wants an API key first.",
  store_unavailable: "Label sets cannot be kept or read just now; everything else works. Whoever runs the service will "
    + "find the reason in its log.",
  internal_error: "Something broke inside the service. Try again; if it stays, tell whoever runs it.",
};

/**
 * @param {unknown} error
 * @param {string} [fileName]
 * @returns {string}
 */
export function explain(error, fileName = "") {
  if (error instanceof Gone) {
    return "The connection broke while this picture was sent. It may be larger than the service takes.";
  }
  if (!(error instanceof Refused)) return error instanceof Error ? error.message : String(error);
  if (/\.(heic|heif)$/i.test(fileName) && error.code === "image_rejected") {
    return "This is a HEIC picture, which Candid does not read. Export it as JPEG and add it again.";
  }
  return byReason[error.reason ?? ""] ?? byCode[error.code] ?? overLimit(error) ?? error.message;
}

/**
 * Too many words, or too long a one; null when it is something else.
 * @param {Refused} error
 */
function overLimit({ field, message }) {
  const [, most, limit] = message.match(/at most (\d+)\D*\(limit: (\w+)\)/) ?? [];
  const place = Number(field?.match(/\[(\d+)\]/)?.[1] ?? 0) + 1;
  if (limit === "max_labels") return `These are too many words: this service takes ${most} at once. Take some away.`;
  if (limit === "max_label_chars") return `Word ${place} is too long: this service takes ${most} characters. Shorten it.`;
  return null;
}

/** @param {number} share between 0 and 1 */
export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  if (value > 99.95 && value < 100) return "> 99.9 %";
  return `${value.toFixed(1)} %`;
}
