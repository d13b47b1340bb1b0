// The watched tables, as the page names and chooses them.

import { absolute } from "./client/address.js";
import { readable, members, elements } from "./client/json.js";
import { getText } from "./client/problem.js";
import { loadTables, named, pathOf, quoted } from "./client/shape.js";
import { compare, isTime, rank } from "./client/types.js";

const PROBED = 20; // tables that are asked for a row

export { pathOf, quoted };

/** The tables, by name. Throws a Problem. */
export async function tablesByName() {
  const tables = await loadTables(absolute("."));
  return tables.toSorted((a, b) => labelOf(a).localeCompare(labelOf(b)));
}

/** The table's name for people. */
export const labelOf = ({ schema, name }) => (schema === "public" ? quoted(name) : pathOf({ schema, name }));

/** The table that a person or an address calls `text`, or undefined. */
export const find = (tables, text) => named(tables, text);

/** The type of the table's range column; empty without one. */
export const rangeType = ({ range, columns }) => columns.find(({ name }) => name === range)?.type ?? "";

/** The table to begin with: that of the newest row, as its range column dates it; else the first with rows. */
export async function liveliest(tables) {
  if (tables.length < 2) return tables[0];
  const probes = await Promise.all(tables.slice(0, PROBED).map(probe));
  const withRows = probes.filter(({ row }) => row);
  const dated = withRows.filter(({ moment }) => moment !== null);
  dated.sort((a, b) => compare(b.moment, a.moment));
  return (dated[0] ?? withRows[0] ?? { table: tables[0] }).table;
}

/** The newest row of `table`, and when it was. */
async function probe(table) {
  const url = absolute(`tables/${encodeURIComponent(pathOf(table))}/rows?limit=1`);
  if (table.range) url.searchParams.set("order", `${quoted(table.range)}.desc.nullslast`);
  const text = await getText(url).catch(() => '{"rows":[]}');
  const [row] = elements(members(text).get("rows"));
  const isDated = row && isTime(rangeType(table));
  const moment = isDated ? readable(members(row).get(table.range)) : null;
  return { table, row, moment: moment === null ? null : rank(moment, rangeType(table)) };
}
