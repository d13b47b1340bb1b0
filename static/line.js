// One line of the grid.

import { classOf, showCell } from "./cell.js";
import { members } from "./client/json.js";
import { mark } from "./mark.js";
import { clone } from "./template.js";

export class Line {
  tr = clone("line");
  #columns;
  #text = null; // the row that the line shows
  #cells = new Map();

  constructor(columns) {
    this.#columns = columns;
    this.tr.append(...columns.map(emptyCell));
  }

  /** Show `row`; what has changed since the line was first shown is marked, unless `isQuiet`. */
  show(row, isQuiet) {
    if (row.text === this.#text) return;
    const isFirst = this.#text === null;
    const cells = row.cells;
    const before = isFirst ? null : this.#cells;
    this.#text = row.text;
    this.#cells = cells;
    this.#columns.forEach(({ name, type }, place) => {
      const raw = cells.get(name) ?? "null";
      const old = before?.get(name) ?? "null";
      if (before && old === raw) return;
      const td = this.tr.cells[place];
      showCell(td, raw, type, before ? old : this.#formerly(row, name, raw));
      if (before && !isQuiet) mark(td, "update");
    });
  }

  /** Put the cursor on the cell at `column`; -1 takes it away. */
  point(column) {
    this.tr.classList.toggle("is-pointed", column >= 0);
    for (const td of this.tr.cells) td.classList.toggle("is-cursor", td.cellIndex === column);
  }

  /** The value that a row had before its last change, if it is another: for the title of a line that comes into sight. */
  #formerly(row, name, raw) {
    if (row.before === null) return undefined;
    const old = members(row.before).get(name);
    return old === undefined || old === raw ? undefined : old;
  }
}

function emptyCell({ type }) {
  const td = clone("cell");
  td.className = classOf(type);
  return td;
}
