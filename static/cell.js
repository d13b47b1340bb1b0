// How one value looks in the grid.

import { readable } from "./client/json.js";
import { isNumber, isTime } from "./client/types.js";

const LONGEST = 200; // characters in a cell; the style cuts at the column's width
const LONGEST_TITLE = 2_000;
const SIGNS = { "\n": "↵", "\r": "␍", "\t": "⇥" };

/** Make `td` show the raw JSON text of a value of `type`; `before` is the raw text of the value it had, for the title. */
export function showCell(td, raw, type, before) {
  const text = readable(raw);
  const shown = text === null ? "NULL" : forPeople(text, type);
  td.textContent = cut(shown, LONGEST);
  td.classList.toggle("null", text === null);
  td.classList.toggle("blank", text !== null && text.trim() === "");
  const was = before === undefined ? "" : `was ${cut(readable(before) ?? "NULL", LONGEST)}\n`;
  const whole = text !== null && (shown !== text || text.length > 24) ? cut(text, LONGEST_TITLE) : "";
  if (was || whole) td.title = was + whole;
  else td.removeAttribute("title");
}

/** The class of a column's cells. */
export const classOf = (type) => (isNumber(type) ? "number" : isTime(type) ? "time" : "text");

/** `2026-11-22T19:10:00.123456+00:00` is read as `2026-11-22 19:10:00.123`; an empty text, blanks at its ends and line ends are shown. */
export function forPeople(text, type) {
  if (isTime(type)) return text.replace(/\+00:00$/, "").replace("T", " ").replace(/(\.\d{3})\d+/, "$1");
  if (text === "") return "''";
  return text.replace(/[\n\r\t]/g, (sign) => SIGNS[sign]).replace(/^ +| +$/g, (blanks) => "␣".repeat(blanks.length));
}

function cut(text, longest) {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
