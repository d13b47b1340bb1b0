// The query that the page shows: a table, a range, a filter. It is in the page's address, so a view can be shared.

import { address } from "./address.js";
import { pathOf, quoted, rangeType } from "./catalog.js";
import { isTime } from "./type.js";

const FIELDS = ["table", "last", "start", "end", "filter"];
const OPERATOR = /=(?:eq|neq|gt|gte|lt|lte|in|is)\./;
const NEXT_CONDITION = new RegExp(`&(?=[^&=]+${OPERATOR.source})`);

/** The query in an address's search part, as an object of non-empty texts. */
export function fromQuery(query) {
  const given = new URLSearchParams(query);
  return Object.fromEntries(FIELDS.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
}

/** The search part that `fromQuery` reads back. */
export function toQuery(question) {
  const fields = FIELDS.filter((name) => question[name]).map((name) => [name, question[name]]);
  return `?${new URLSearchParams(fields)}`;
}

/** The address of the stream for `question`; the newest rows of `table` come first. */
export function changesUrl(table, question) {
  const url = address(`tables/${encodeURIComponent(pathOf(table))}/changes`);
  for (const [name, value] of [...rangeOf(table, question), ...conditionsOf(question.filter), ...orderOf(table)]) {
    url.searchParams.append(name, value);
  }
  return url;
}

/** `question` without its moving window if `table` has no time column for it. */
export function fitting({ last, ...rest }, table) {
  return last && isTime(rangeType(table)) ? { last, ...rest } : rest;
}

function rangeOf(table, question) {
  if (!table.range) return [];
  return ["last", "start", "end"].filter((name) => question[name]).map((name) => [name, question[name]]);
}

/** `status=eq.paid&total=gt.100`, each condition in the form of the HTTP contract, unescaped. */
function conditionsOf(filter = "") {
  const texts = filter.split(NEXT_CONDITION).map((text) => text.trim());
  return texts.filter(Boolean).map((text) => {
    const at = OPERATOR.test(text) ? text.search(OPERATOR) : text.indexOf("=");
    return at < 0 ? [text, ""] : [text.slice(0, at).trim(), text.slice(at + 1)];
  });
}

function orderOf({ range, key }) {
  const columns = [...new Set([range, ...(key ?? [])])].filter(Boolean);
  return columns.length ? [["order", columns.map((column) => `${quoted(column)}.desc`).join()]] : [];
}
