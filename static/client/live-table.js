// <live-table src="/tables/orders/changes?last=24h">: the rows as a plain table, for the page's own style.

import { live, text } from "./live.js";
import { isNumber } from "./types.js";

const MOST = 500; // rows that are put on the page

/**
 * Attributes: `src`, the address of changes; `caption`, text above. It sets `data-state` to the name of the state, and fires
 * `state` and `change` with what `live` tells as `detail`. A cell of a number has the class `number`, one of NULL `null`.
 * Where the server refuses the address, it shows why in place of the rows.
 */
export class LiveTable extends HTMLElement {
  static observedAttributes = ["src"];
  #live = null;
  #lines = new Map(); // row -> tr
  #columns = [];

  /** A token, or a function that gives one, as `live` takes it; to be set before the element is put on the page. */
  token = undefined;

  connectedCallback() {
    this.#begin();
  }

  disconnectedCallback() {
    this.#end();
  }

  attributeChangedCallback() {
    if (this.#live) this.#begin();
  }

  #begin() {
    this.#end();
    const src = this.getAttribute("src");
    if (!src) return;
    this.#live = live(src, {
      token: this.token,
      onRows: (rows, { columns }) => this.#show(rows, columns),
      onChange: (detail) => this.dispatchEvent(new CustomEvent("change", { detail })),
      onState: (detail) => this.#become(detail),
    });
  }

  #end() {
    this.#live?.close();
    this.#live = null;
    this.#columns = [];
    this.#lines.clear();
    this.replaceChildren();
  }

  #become(detail) {
    this.dataset.state = detail.name;
    if (detail.name === "closed") this.#refused(detail.reason);
    this.dispatchEvent(new CustomEvent("state", { detail }));
  }

  #refused(reason) {
    const told = document.createElement("p");
    told.role = "alert";
    told.textContent = reason ?? "";
    this.#columns = [];
    this.#lines.clear();
    this.replaceChildren(told);
  }

  #show(rows, columns) {
    if (JSON.stringify(columns) !== JSON.stringify(this.#columns)) this.#build(columns, rows[0]);
    const shown = rows.slice(0, MOST);
    const lines = new Map(shown.map((row) => [row, this.#lines.get(row) ?? this.#line(row)]));
    for (const [row, tr] of this.#lines) if (!lines.has(row)) tr.remove();
    this.#lines = lines;
    const body = this.querySelector("tbody");
    let next = body.firstElementChild;
    for (const tr of lines.values()) {
      if (tr === next) next = next.nextElementSibling;
      else body.insertBefore(tr, next);
    }
    this.querySelector("tfoot").hidden = rows.length <= MOST;
    this.querySelector("tfoot td").textContent = `${MOST} of ${rows.length} rows`;
  }

  #build(columns, row) {
    this.#columns = columns.filter(({ name }) => !row || name in row);
    const table = document.createElement("table");
    if (this.hasAttribute("caption")) table.createCaption().textContent = this.getAttribute("caption");
    table.createTHead().insertRow().append(...this.#columns.map(({ name, type }) => cell("th", name, type)));
    table.createTBody();
    const note = cell("td", "", "");
    note.colSpan = this.#columns.length || 1;
    table.createTFoot().insertRow().append(note);
    this.#lines.clear();
    this.replaceChildren(table);
  }

  #line(row) {
    const tr = document.createElement("tr");
    tr.append(...this.#columns.map(({ name, type }) => cell("td", text(row, name), type)));
    return tr;
  }
}

function cell(tag, content, type) {
  const element = document.createElement(tag);
  if (tag === "th") element.scope = "col";
  if (isNumber(type)) element.classList.add("number");
  if (content === null) element.classList.add("null");
  element.textContent = content ?? "NULL";
  return element;
}
