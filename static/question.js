// What the page asks and how it shows the answer. It lives in the page's address, so that a view can be shared.

import { absolute } from "./client/address.js";
import { isTime } from "./client/types.js";
import { pathOf, quoted, rangeType } from "./catalog.js";

const ASKED = ["table", "last", "start", "end", "tz", "filter"];
const FIELDS = [...ASKED, "sort", "hide", "view"];
const NAMES = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is"];
const OPERATOR = new RegExp(`=(?:${NAMES.join("|")})\\.`);
const NEXT_CONDITION = new RegExp(`&(?=[^&=]+${OPERATOR.source})`);

/** The question in an address's query, as an object of non-empty texts. */
export function fromQuery(query) {
  const given = new URLSearchParams(query);
  return Object.fromEntries(FIELDS.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
}

/** The query that `fromQuery` reads back. */
export function toQuery(question) {
  const fields = FIELDS.filter((name) => question[name]).map((name) => [name, question[name]]);
  return `?${new URLSearchParams(fields)}`;
}

/** Do both ask the server for the same? The rest is how it is shown. */
export const asksSame = (a, b) => ASKED.every((name) => (a[name] ?? "") === (b[name] ?? ""));

/** Where the server streams the changes that answer `question`; the newest rows of `table` come first. */
export function changesUrl(table, question) {
  const url = absolute(`tables/${encodeURIComponent(pathOf(table))}/changes`);
  const order = orderOf(table).map(({ name }) => `${quoted(name)}.desc`);
  const given = [...rangeOf(table, question), ...conditionsOf(question.filter).map(({ name, value }) => [name, value])];
  for (const [name, value] of given) url.searchParams.append(name, value);
  if (order.length) url.searchParams.append("order", order.join());
  return url;
}

/** `question` without what another table left in it: a window where there are no times, columns, conditions. */
export function fitting({ last, ...rest }, table) {
  return last && isTime(rangeType(table)) ? { last, ...rest } : rest;
}

function rangeOf(table, question) {
  if (!table.range) return [];
  const isFree = question.start || question.end;
  const names = ["last", "start", "end", ...(isFree ? ["tz"] : [])];
  return names.filter((name) => question[name]).map((name) => [name, question[name]]);
}

/** The conditions of `status=eq.paid&total=gt.100`, as `{text, name, value}`, each in the form of the HTTP contract, unescaped. */
export function conditionsOf(filter = "") {
  const texts = filter.split(NEXT_CONDITION).map((text) => text.trim());
  return texts.filter(Boolean).map((text) => {
    const at = OPERATOR.test(text) ? text.search(OPERATOR) : text.indexOf("=");
    return at < 0 ? { text, name: text, value: "" } : { text, name: text.slice(0, at).trim(), value: text.slice(at + 1) };
  });
}

/** The columns that the rows are ordered by, newest first, unless the person sorts them. */
export function orderOf({ range, key }) {
  return [...new Set([range, ...(key ?? [])])].filter(Boolean).map((name) => ({ name, descending: true }));
}

/** The person's order, `total.desc`, before the table's own. */
export function sortOf(question, table) {
  const match = /^(.*)\.(asc|desc)$/s.exec(question.sort ?? "");
  const own = orderOf(table);
  return match ? [{ name: match[1], descending: match[2] === "desc" }, ...own.filter(({ name }) => name !== match[1])] : own;
}

/** The columns that the person does not want to see. */
export const hiddenOf = ({ hide = "" }) => new Set(hide.split(",").filter(Boolean).map(decodeURIComponent));

/** The text of `hide` for those columns. */
export const hideText = (names) => [...names].map(encodeURIComponent).join();
