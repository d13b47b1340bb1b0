// All of one row: its columns in full, and what has happened to it since the page was opened.

import { forPeople } from "./cell.js";
import { readable } from "./client/json.js";
import { copy } from "./copy.js";
import { changeItem } from "./entries.js";
import { clone, put } from "./template.js";

const SHOWN = 50; // changes

export class Panel {
  row = null;
  #root;
  #text = "";
  #count = -1;
  #table = null;
  #back = null; // what had the focus before

  /** `onFilter(column, value)` is called when the person wants only rows with the value. */
  constructor(root, onFilter) {
    this.#root = root;
    root.querySelector(".panel-close").addEventListener("click", () => this.close());
    root.querySelector(".panel-copy").addEventListener("click", () => copy(this.row.text, "The row"));
    root.querySelector(".panel-cells").addEventListener("click", ({ target }) => {
      const name = target.closest(".field-filter-by")?.dataset.column;
      if (name !== undefined) onFilter(name, readable(this.row.cells.get(name) ?? "null"));
    });
  }

  open(row, table) {
    this.#back = document.activeElement;
    this.row = row;
    this.#table = table;
    this.#text = "";
    this.#count = -1;
    this.#root.hidden = false;
    this.#root.querySelector(".panel-close").focus();
  }

  close() {
    if (!this.row) return;
    this.row = null;
    this.#root.hidden = true;
    this.#back?.focus();
  }

  /** Show the row as it is now, and those of `changes` that concern it. */
  paint(changes) {
    if (!this.row) return;
    this.#root.querySelector(".panel-gone").hidden = !this.row.isGone;
    if (this.row.text !== this.#text) this.#showCells();
    const mine = changes.filter(({ identity }) => identity === this.row.identity);
    if (mine.length !== this.#count) this.#showChanges(mine);
  }

  #showCells() {
    this.#text = this.row.text;
    const { cells } = this.row;
    const names = this.#table.key ?? [];
    put(this.#root.querySelector(".panel-title"), names.map((name) => `${name} ${readable(cells.get(name) ?? "null")}`).join(", ") || "Row");
    this.#root.querySelector(".panel-cells").replaceChildren(...this.#table.columns.map((column) => field(column, cells.get(column.name) ?? "null")));
  }

  #showChanges(mine) {
    this.#count = mine.length;
    this.#root.querySelector(".panel-changes").replaceChildren(...mine.slice(-SHOWN).reverse().map(changeItem));
    this.#root.querySelector(".panel-quiet").hidden = mine.length > 0;
  }
}

function field({ name, type }, raw) {
  const item = clone("field");
  const text = readable(raw);
  const value = item.querySelector(".field-value");
  item.querySelector(".field-name").textContent = name;
  item.querySelector(".field-type").textContent = type;
  value.textContent = text === null ? "NULL" : /^jsonb?$/.test(type) ? indented(raw) : text.trim() === "" ? forPeople(text, type) : text;
  value.classList.toggle("null", text === null);
  item.querySelector(".field-filter-by").dataset.column = name;
  item.querySelector(".field-filter-by").ariaLabel = `Show only rows with this ${name}`;
  item.querySelector(".field-filter-by").hidden = /json|\[\]|range/.test(type) && text !== null;
  return item;
}

/** JSON with a line for each member; texts and numbers stay as they are. */
function indented(raw) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  const tokens = raw.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g) ?? [];
  return tokens
    .map((token, place) => {
      const isEmpty = /[{[]/.test(token) && /[}\]]/.test(tokens[place + 1] ?? "");
      if (/[{[]/.test(token)) return token + ((depth += 1), isEmpty ? "" : line());
      if (/[}\]]/.test(token)) return ((depth -= 1), /[{[]/.test(tokens[place - 1] ?? "") ? "" : line()) + token;
      return token === "," ? `,${line()}` : token === ":" ? ": " : token;
    })
    .join("");
}
