// The newest changes as a list, and the newest events of the stream as they came.

import { readable } from "./client/json.js";
import { clone } from "./template.js";

const HELD = 20_000; // entries in memory
const SHOWN = 200; // on the page at first, and more at each wish
const SIGNS = { insert: "+ insert", update: "~ update", delete: "− delete" };
const LONGEST = 300;

/** What came last, newest first in `list`; `make(entry)` is its item. */
export class Entries {
  held = [];
  #list;
  #make;
  #more;
  #shown = SHOWN;
  #dropped = 0;
  #painted = 0; // how many were ever painted

  constructor(list, make, more = null) {
    this.#list = list;
    this.#make = make;
    this.#more = more;
    more?.addEventListener("click", () => {
      this.#shown += SHOWN;
      this.#rebuild();
    });
  }

  start() {
    this.held = [];
    this.#shown = SHOWN;
    this.#dropped = 0;
    this.#rebuild();
  }

  add(entry) {
    this.held.push(entry);
    if (this.held.length < 2 * HELD) return;
    this.#dropped += HELD;
    this.held.splice(0, HELD);
  }

  /** Bring the page up to date: only what is new is made. */
  paint() {
    const total = this.#dropped + this.held.length;
    const fresh = Math.min(total - this.#painted, this.#shown);
    if (fresh > 0) this.#list.prepend(...this.held.slice(-fresh).reverse().map(this.#make));
    while (this.#list.childElementCount > this.#shown) this.#list.lastElementChild.remove();
    this.#painted = total;
    if (!this.#more) return;
    this.#more.hidden = this.held.length <= this.#shown;
    this.#more.textContent = `Show ${SHOWN} of ${(this.held.length - this.#shown).toLocaleString("en")} older ones`;
  }

  #rebuild() {
    this.#list.replaceChildren();
    this.#painted = 0;
    this.paint();
  }
}

/** The item of a change: its kind, when, of which row, and what is new. */
export function changeItem({ name, key, at, cells, old, reason }) {
  const item = clone("entry");
  item.dataset.kind = name;
  fill(item, { kind: SIGNS[name] ?? name, at: at?.replace("T", " ").replace(/(\.\d{3})\d+/, "$1").replace("+00:00", " UTC") ?? "" });
  item.querySelector(".entry-key").textContent = key ?? "";
  item.querySelector(".entry-text").textContent = cut(reason ?? told(name, cells, old));
  return item;
}

/** The item of an event as it came. */
export function eventItem({ name, data, id }) {
  const item = clone("entry");
  fill(item, { kind: name, at: id ?? "" });
  item.querySelector(".entry-text").textContent = cut(data);
  item.querySelector(".entry-text").title = cut(data, 10 * LONGEST);
  return item;
}

function fill(item, { kind, at }) {
  item.querySelector(".entry-kind").textContent = kind;
  item.querySelector(".entry-at").textContent = at;
}

/** Of an update what differs, old → new; of any other the row. */
function told(name, cells, old) {
  if (name !== "update") return [...(cells ?? old ?? [])].map(([column, raw]) => `${column} ${shown(raw)}`).join(" · ");
  const changed = [...cells].filter(([column, raw]) => old.get(column) !== raw);
  return changed.map(([column, raw]) => `${column} ${shown(old.get(column))} → ${shown(raw)}`).join(" · ");
}

const shown = (raw = "null") => readable(raw) ?? "NULL";

const cut = (text, longest = LONGEST) => (text.length > longest ? `${text.slice(0, longest)}…` : text);
