// The head of the grid: names, types, order and widths of its columns.

import { classOf, forPeople } from "./cell.js";
import { readable } from "./client/json.js";
import { isTime, shortName } from "./client/types.js";
import { clone } from "./template.js";

const NARROWEST = 7; // in characters
const WIDEST = 36;
const ROOM = 3; // for padding and the signs of a change
const SMALL = 0.85; // what a letter of the line below the name takes

export class Headings {
  #table;
  #head;
  #shape = null;
  #columns = [];
  #sort = [];

  /** `onSort(text)` is called with the order that a click asks for, as `total.desc`; empty for the table's own. */
  constructor(table, onSort) {
    this.#table = table;
    this.#head = table.tHead.rows[0];
    this.#head.addEventListener("click", ({ target }) => {
      const place = target.closest("th")?.cellIndex;
      if (place !== undefined) onSort(this.#next(this.#columns[place].name));
    });
  }

  /** `sort` has the terms of the person's order, the first of which is shown; null without one. */
  start(table, columns, sort) {
    this.#shape = table;
    this.#columns = columns;
    this.#sort = sort;
    this.#head.replaceChildren(...columns.map((column) => heading(column, table, sort)));
    this.fit([]);
  }

  /** Give columns widths that suit `rows`, for they must not change while one scrolls. */
  fit(rows) {
    const widths = this.#columns.map((column) => Math.min(WIDEST, Math.max(NARROWEST, ...this.#lengths(column, rows)) + ROOM));
    const columns = widths.map((width) => {
      const element = document.createElement("col");
      element.style.width = `${width}ch`;
      return element;
    });
    this.#table.querySelector("colgroup").replaceChildren(...columns);
    this.#table.style.minWidth = `${widths.reduce((sum, width) => sum + width, 0)}ch`;
  }

  #lengths(column, rows) {
    const { name, type } = column;
    const texts = rows.map((row) => readable(row.cells.get(name) ?? "null") ?? "NULL");
    return [name.length + 1, SMALL * notes(column, this.#shape).length, ...texts.map((text) => forPeople(text.slice(0, 99), type).length)];
  }

  /** One click puts the largest first, the second the smallest, the third takes the order back. */
  #next(name) {
    const [first] = this.#sort ?? [];
    if (first?.name !== name) return `${name}.desc`;
    return first.descending ? `${name}.asc` : "";
  }
}

/** What is said of a column below its name. */
function notes({ name, type }, { key, range }) {
  const zone = /with time zone/.test(type) && isTime(type) && "UTC";
  return [shortName(type), zone, key?.includes(name) && "key", range === name && "range"].filter(Boolean).join(" · ");
}

function heading(column, table, sort) {
  const { name, type } = column;
  const th = clone("column");
  const [first] = sort ?? [];
  th.className = classOf(type);
  th.title = `${name}: ${type}. Click to sort.`;
  if (first?.name === name) th.ariaSort = first.descending ? "descending" : "ascending";
  th.querySelector(".column-name").textContent = name;
  th.querySelector(".column-type").textContent = notes(column, table);
  return th;
}
