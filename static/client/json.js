// PostgreSQL's own JSON text, taken apart without changing a character of it. JSON.parse would round a bigint,
// turn 12.50 into 12.5 and reorder the keys of a json column, so values stay raw text until a person reads them.

const GAP = /[ \t\r\n,:]*/y;
const SCALAR = /[^ \t\r\n,:"[\]{}]+/y;
const STRUCTURE = /["[\]{}]/g;

/** The members of a JSON object: a Map from name to the raw JSON text of its value. */
export function members(text) {
  const parts = [...values(text, "{")];
  const found = new Map();
  for (let i = 0; i < parts.length; i += 2) found.set(JSON.parse(parts[i]), parts[i + 1]);
  return found;
}

/** The elements of a JSON array, as raw JSON text. */
export function elements(text) {
  return [...values(text, "[")];
}

/** What a person reads of a raw JSON value: a string without its quotes, `null` for null, the text of the rest. */
export function readable(raw) {
  if (raw === "null") return null;
  return raw[0] === '"' ? JSON.parse(raw) : raw;
}

function* values(text, opening) {
  let at = past(GAP, text, 0);
  if (text[at] !== opening) throw new SyntaxError(`no ${opening} at ${at}`);
  const last = text.trimEnd().length - 1;
  for (at = past(GAP, text, at + 1); at < last; at = past(GAP, text, at)) {
    const start = at;
    at = pastValue(text, start);
    yield text.slice(start, at);
  }
}

function pastValue(text, start) {
  if (text[start] === '"') return pastString(text, start);
  if (text[start] === "{" || text[start] === "[") return pastNested(text, start);
  return past(SCALAR, text, start);
}

function past(pattern, text, at) {
  pattern.lastIndex = at;
  if (!pattern.test(text)) throw new SyntaxError(`not JSON at ${at}`);
  return pattern.lastIndex;
}

function pastString(text, start) {
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
    if (end < 0) throw new SyntaxError(`the string at ${start} does not end`);
  } while (isEscaped(text, end));
  return end + 1;
}

function isEscaped(text, at) {
  let first = at;
  while (text[first - 1] === "\\") first -= 1;
  return (at - first) % 2 === 1;
}

/** Brackets are counted, so no depth is too deep. */
function pastNested(text, start) {
  let depth = 0;
  let at = start;
  do {
    STRUCTURE.lastIndex = at;
    const hit = STRUCTURE.exec(text);
    if (!hit) throw new SyntaxError(`the value at ${start} does not end`);
    if (hit[0] === '"') at = pastString(text, hit.index);
    else {
      depth += hit[0] === "{" || hit[0] === "[" ? 1 : -1;
      at = hit.index + 1;
    }
  } while (depth > 0);
  return at;
}

/**
 * The JavaScript value of raw JSON text. A number that a JavaScript number cannot hold exactly stays exact: a whole one
 * is a BigInt, any other its text. So no arithmetic goes wrong silently.
 */
export function value(raw) {
  const first = raw[0];
  if (first === '"') return JSON.parse(raw);
  if (first === "[") return elements(raw).map(value);
  if (first === "{") return Object.fromEntries([...members(raw)].map(([name, member]) => [name, value(member)]));
  if (first === "t" || first === "f" || first === "n") return JSON.parse(raw);
  return exactNumber(raw);
}

function exactNumber(raw) {
  const number = Number(raw);
  if (/^-?\d+$/.test(raw)) return Number.isSafeInteger(number) ? number : BigInt(raw);
  if (String(number) === raw) return number;
  const digits = raw.replace(/[eE].*/, "").replace(/[-.]/g, "").replace(/^0+|0+$/g, "");
  const isHeld = digits.length <= 15 && Number.isFinite(number) && (number !== 0 || digits === "");
  return isHeld ? number : raw;
}

