// The rows as a file.

import { readable } from "./client/json.js";

const TYPES = { csv: "text/csv", json: "application/json", ndjson: "application/x-ndjson" };

/** `rows` in the form that `format` names, with the values of `columns` as PostgreSQL prints them: `{text, type}`. */
export function exported(rows, columns, format) {
  const text = format === "csv" ? csv(rows, columns) : json(rows, columns, format);
  return { text, type: TYPES[format] };
}

/** RFC 4180; NULL is empty and '' is "", as COPY writes them. */
function csv(rows, columns) {
  const head = columns.map(({ name }) => quoted(name));
  const lines = rows.map(({ cells }) => columns.map(({ name }) => cell(cells.get(name) ?? "null")).join());
  return [head.join(), ...lines, ""].join("\r\n");
}

function cell(raw) {
  const text = readable(raw);
  if (text === null) return "";
  return text === "" ? '""' : quoted(text);
}

const quoted = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function json(rows, columns, format) {
  const objects = rows.map(({ cells }) => {
    const members = columns.map(({ name }) => `${JSON.stringify(name)}:${cells.get(name) ?? "null"}`);
    return `{${members.join()}}`;
  });
  return format === "json" ? `[\n${objects.join(",\n")}\n]\n` : `${objects.join("\n")}\n`;
}
