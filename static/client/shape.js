// The columns of a watched table, as GET /tables tells.

import { parts } from "./address.js";
import { Backoff } from "./backoff.js";
import { getText } from "./problem.js";

/** The watched tables of the server at `base`. Throws a Problem. */
export async function loadTables(base, token = "") {
  const { tables } = JSON.parse(await getText(new URL("tables", base), { token }));
  return tables;
}

/** The shape of the table that `name`, its full name as events give it or a path, means; undefined if it is not there. */
export const named = (tables, name) => tables.find((table) => spellings(table).includes(name));

/** The shape behind the changes of `url`, as long as it takes; null where the server will not say. `token()` is asked each time. */
export async function shapeOf(url, { token, signal } = {}) {
  const { base, table } = parts(url);
  const backoff = new Backoff();
  for (;;) {
    const tables = await loadTables(base, token()).catch((problem) => problem);
    if (Array.isArray(tables)) return named(tables, table) ?? null;
    if (signal?.aborted || tables.kind === "refused") return null;
    await new Promise((resolve) => setTimeout(resolve, backoff.next()));
  }
}

const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** A name as in SQL. */
export const quoted = (name) => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** The table's name as the paths of the HTTP contract take it: each part quoted as in SQL where it needs to be. */
export const pathOf = ({ schema, name }) => [schema, name].map(quoted).join(".");

function spellings({ schema, name }) {
  return [pathOf({ schema, name }), quoted(name), name, `${schema}.${name}`];
}
