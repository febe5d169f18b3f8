// The same request as a curl command. Refuses to know the key: the command reads it from the environment.

/**
 * A word for a POSIX shell: as it stands when harmless, in single quotes otherwise.
 * @param {string} text
 */
export function shell(text) {
  return /^[A-Za-z0-9_.,:/@=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * A file for curl's -F: quoted in curl's own way when its name has a comma, a semicolon or a quote.
 * @param {string} name
 */
function upload(name) {
  const quoted = /[,;"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
  return shell(`images=@${quoted}`);
}

/**
 * @param {object} what
 * @param {string} what.url
 * @param {string[]} what.pictures   file names
 * @param {Record<string, unknown>} what.question
 * @param {boolean} what.keyed
 */
export function curlCommand({ url, pictures, question, keyed }) {
  const parts = [`curl ${shell(url)}`];
  if (keyed) parts.push('-H "Authorization: Bearer $CANDID_API_KEY"');
  for (const name of pictures.length > 0 ? pictures : ["picture.jpg"]) parts.push(`-F ${upload(name)}`);
  for (const [field, value] of Object.entries(question)) {
    for (const one of fieldValues(field, value)) parts.push(`--form-string ${shell(`${field}=${one}`)}`);
  }
  return parts.join(" \\\n  ");
}

/**
 * One word alone, or with a comma in it, would be read as a comma-separated list: such words go as a JSON array.
 * @param {string} field
 * @param {unknown} value
 */
function fieldValues(field, value) {
  if (!Array.isArray(value)) return [String(value)];
  const plain = value.length > 1 && !value.some((word) => /[,[\]]/.test(word));
  return field === "labels" && plain ? value : [JSON.stringify(value)];
}
