// The watched tables, from GET /tables.

import { address } from "./address.js";
import { getJson } from "./problem.js";

const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** Throws a Problem. */
export async function loadTables() {
  const { tables } = await getJson(address("tables"));
  return tables.toSorted((a, b) => labelOf(a).localeCompare(labelOf(b)));
}

/** The table's name in paths of the HTTP API: each part quoted as in SQL if necessary. */
export const pathOf = ({ schema, name }) => [schema, name].map(quoted).join(".");

/** The table's name for people. */
export const labelOf = ({ schema, name }) => (schema === "public" ? quoted(name) : pathOf({ schema, name }));

/** The table named `text`, or undefined. */
export const find = (tables, text) => tables.find((table) => [pathOf(table), labelOf(table)].includes(text));

/** The table to begin with: one whose range column is a timestamp is likely to be busy. */
export const liveliest = (tables) => tables.find((table) => /^timestamp/.test(rangeType(table))) ?? tables[0];

/** The type of the table's range column; empty without one. */
export const rangeType = ({ range, columns }) => columns.find(({ name }) => name === range)?.type ?? "";

/** A name as in SQL. */
export const quoted = (name) => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
