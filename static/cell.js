// How one value looks in the grid.

import { readable } from "./rowtext.js";
import { isNumber, isTime } from "./type.js";

const LONGEST = 200; // characters in a cell; the style cuts at the column's width
const LONGEST_TITLE = 2_000;

/** Make `td` show the raw JSON text of a value of `type`. */
export function showCell(td, raw, type) {
  const text = readable(raw);
  const shown = text === null ? "NULL" : forPeople(text, type);
  td.textContent = cut(shown, LONGEST);
  td.classList.toggle("null", text === null);
  if (text !== null && (shown !== text || text.length > 24)) td.title = cut(text, LONGEST_TITLE);
  else td.removeAttribute("title");
}

/** The class of a column's cells. */
export const classOf = (type) => (isNumber(type) ? "number" : isTime(type) ? "time" : "text");

/** `2026-11-22T19:10:00.123456+00:00` is read as `2026-11-22 19:10:00.123`; the title has all of it. */
function forPeople(text, type) {
  if (!isTime(type)) return text;
  return text.replace(/\+00:00$/, "").replace("T", " ").replace(/(\.\d{3})\d+/, "$1");
}

function cut(text, longest) {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
