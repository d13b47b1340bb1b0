// What the page needs to know of a column's type, from the name that PostgreSQL prints for it.

const NUMBER = /^(smallint|integer|bigint|numeric|real|double precision|oid)\b(?!.*\])/;
const TIME = /^(timestamp|date)\b(?!.*\])/;
const SHORT = [
  [/^timestamp(\(\d\))? with time zone/, "timestamptz$1"],
  [/^timestamp(\(\d\))? without time zone/, "timestamp$1"],
  [/^time(\(\d\))? with time zone/, "timetz$1"],
  [/^time(\(\d\))? without time zone/, "time$1"],
  [/^character varying/, "varchar"],
  [/^character/, "char"],
  [/^double precision/, "float8"],
  [/^real/, "float4"],
];
const MOMENT = /^(\d+)(.*?)(?:\+00:00|Z)?( BC)?$/;

export const isNumber = (type) => NUMBER.test(type);
export const isTime = (type) => TIME.test(type);

/** `timestamp with time zone` is `timestamptz` to whoever has a narrow column. */
export function shortName(type) {
  const [long, short] = SHORT.find(([pattern]) => pattern.test(type)) ?? [/^/, ""];
  return type.replace(long, short);
}

/**
 * A value that `<` puts in the order of the type: a number, bigint or string; `null` comes before all.
 * Whole numbers are exact whatever their length. `text` is what `readable` returns.
 */
export function rank(text, type) {
  if (text === null) return null;
  if (isNumber(type)) return rankNumber(text);
  return isTime(type) ? rankTime(text) : text;
}

function rankNumber(text) {
  if (/^-?\d{16,}$/.test(text)) return BigInt(text);
  return text === "NaN" ? Infinity : Number(text); // PostgreSQL sorts NaN above all numbers
}

/** Text in ISO form sorts by itself, but for years before Christ or with five digits. */
function rankTime(text) {
  if (text.endsWith("infinity")) return text[0] === "-" ? "" : "~";
  const parts = MOMENT.exec(text);
  if (!parts) return text;
  const [, digits, rest, bc] = parts;
  const year = bc ? 1 - Number(digits) : Number(digits);
  return String(year + 10_000).padStart(6, "0") + rest.replace(" ", "T");
}

/** -1, 0 or 1, for what `rank` returns. */
export function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return -1;
  return b === null || a > b ? 1 : -1;
}
