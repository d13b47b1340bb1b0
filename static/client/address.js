// The addresses of a subscription, and what they say about it.

import { Problem } from "./problem.js";

const ORDER_TERM = /("(?:[^"]|"")*"|[^,.]+)(\.desc|\.asc)?(?:\.nullsfirst|\.nullslast)?(?:,|$)/gy;

/** `url` in full, without the name and password that `fetch` refuses in an address. */
export function absolute(url) {
  const found = new URL(url, withoutCredentials(globalThis.document?.baseURI ?? location.href));
  return withoutCredentials(found);
}

function withoutCredentials(url) {
  const found = new URL(url);
  found.username = found.password = "";
  return found;
}

/** The parts of the address of a table's changes: `base` is where `tables` lies. Throws a Problem for any other. */
export function parts(url) {
  const { origin, pathname, searchParams } = new URL(url);
  const match = /^(.*\/)tables\/([^/]+)\/changes$/.exec(pathname);
  if (!match) throw Problem.of("refused", `${pathname} is not the address of changes; write …/tables/<table>/changes.`);
  return { base: origin + match[1], table: decodeURIComponent(match[2]), parameters: searchParams };
}

/** The same address of the table's rows. */
export function rowsUrl(url) {
  const found = new URL(url);
  found.pathname = found.pathname.replace(/changes$/, "rows");
  for (const name of ["snapshot", "after", "wait"]) found.searchParams.delete(name);
  return found;
}

/** `url` with the parameter `name` set to `value`. */
export function withParameter(url, name, value) {
  const found = new URL(url);
  found.searchParams.set(name, value);
  return found;
}

/** The terms of `order=a.desc,"b c"`, as `{name, descending}`. */
export function orderTerms(text) {
  return [...(text ?? "").matchAll(ORDER_TERM)].map(([, name, direction]) => ({
    name: name[0] === '"' ? name.slice(1, -1).replaceAll('""', '"') : name,
    descending: direction === ".desc",
  }));
}
