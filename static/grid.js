// The rows on the page: lines that appear, change and leave. Only what differs from the last painting is touched.

import { classOf, showCell } from "./cell.js";
import { flash } from "./flash.js";
import { clone } from "./template.js";
import { shortName } from "./type.js";

const CALM = 50; // more changes than this in one painting is a burst: nobody could follow single ones

export class Grid {
  #head;
  #body;
  #columns = [];
  #lines = new Map(); // row -> its Line
  #flashes = 0;

  constructor(table) {
    this.#head = table.tHead.rows[0];
    this.#body = table.tBodies[0];
  }

  /** Begin with the columns of another table, and without rows. */
  start(table) {
    this.#columns = table.columns;
    this.#lines.clear();
    this.#head.replaceChildren(...table.columns.map((column) => heading(column, table)));
    this.#body.replaceChildren();
  }

  /** Show `rows` in this order. */
  paint(rows) {
    this.#flashes = 0;
    const wanted = new Set(rows);
    for (const [row, line] of this.#lines) if (!wanted.has(row)) this.#leave(row, line);
    let next = this.#body.firstElementChild;
    for (const row of rows) {
      const line = this.#lines.get(row) ?? this.#enter(row);
      line.show(row, () => this.#mayFlash());
      while (next?.classList.contains("leaving")) next = next.nextElementSibling;
      if (line.tr === next) next = next.nextElementSibling;
      else this.#body.insertBefore(line.tr, next);
      this.#greet(row, line);
    }
  }

  #enter(row) {
    const line = new Line(this.#columns);
    this.#lines.set(row, line);
    return line;
  }

  #greet(row, { tr }) {
    if (row.isNew && this.#mayFlash()) flash(tr, "insert");
    row.isNew = false;
  }

  /** A row that left the table says so before it goes; one that newer rows pushed out just goes. */
  #leave(row, { tr }) {
    this.#lines.delete(row);
    if (!row.isGone || !this.#mayFlash()) return tr.remove();
    tr.classList.add("leaving");
    flash(tr, "delete").onfinish = () => tr.remove();
  }

  #mayFlash() {
    this.#flashes += 1;
    return this.#flashes <= CALM;
  }
}

class Line {
  tr = clone("line");
  #columns;
  #cells = null; // what the line shows

  constructor(columns) {
    this.#columns = columns;
    this.tr.append(...columns.map(emptyCell));
  }

  show({ cells }, mayFlash) {
    if (cells === this.#cells) return;
    const before = this.#cells;
    this.#cells = cells;
    this.#columns.forEach(({ name, type }, place) => {
      const raw = cells.get(name) ?? "null";
      if (before && before.get(name) === raw) return;
      showCell(this.tr.cells[place], raw, type);
      if (before && mayFlash()) flash(this.tr.cells[place], "update");
    });
  }
}

function emptyCell({ type }) {
  const td = clone("cell");
  td.className = classOf(type);
  return td;
}

function heading({ name, type }, { key, range }) {
  const th = clone("column");
  const notes = [shortName(type), key?.includes(name) && "key", range === name && "range"].filter(Boolean);
  th.className = classOf(type);
  th.title = type;
  th.querySelector(".column-name").textContent = name;
  th.querySelector(".column-type").textContent = notes.join(" · ");
  return th;
}
