// The rows of a subscriber, kept current by events: by key, or as a multiset of texts if there is no key.

import { members, readable } from "./rowtext.js";
import { Sorted } from "./sorted.js";
import { compare, rank } from "./type.js";

/** One row. `cells` maps a column to raw JSON text; `isNew` says that it was inserted and never shown yet. */
class Row {
  isNew = false;
  isGone = false;

  constructor(serial) {
    this.serial = serial;
  }

  take(text, ranked) {
    this.text = text;
    this.cells = members(text);
    this.ranks = ranked.map(({ name, type }) => rank(readable(this.cells.get(name) ?? "null"), type));
  }
}

export class Rows {
  /** Are there further rows that match the query? */
  more = false;
  #key = null;
  #ranked;
  #held = new Map(); // identity -> its rows: one of a key, as many as are equal without
  #sorted = new Sorted(inOrder);
  #serial = 0;
  #bound;

  /** `table` as GET /tables describes it; at most `bound` rows are kept, the newest. */
  constructor(table, bound) {
    this.#bound = bound;
    const order = [table.range, ...(table.key ?? [])];
    this.#ranked = order.flatMap((name) => table.columns.filter((column) => column.name === name));
  }

  get size() {
    return this.#sorted.size;
  }

  newest(count) {
    return this.#sorted.newest(count);
  }

  clear() {
    for (const row of this.newest(this.size)) row.isGone = true;
    this.#held.clear();
    this.#sorted.fill([]);
    this.more = false;
  }

  /** Replace all rows by those of a `snapshot`; `key` is a list of columns, or null. */
  snapshot(key, texts, more) {
    this.clear();
    this.#key = key;
    this.more = more;
    this.#sorted.fill(texts.map((text) => this.#hold(this.#row(text))));
    this.#keepBound();
  }

  insert(text) {
    const row = this.#row(text);
    const twin = this.#key && this.#held.get(this.#identity(row))?.[0];
    if (twin) return this.#replace(twin, text);
    row.isNew = true;
    this.#sorted.add(this.#hold(row));
    return this.#keepBound();
  }

  update(text, old) {
    if (!this.#key) this.delete(old);
    this.insert(text);
  }

  delete(text) {
    const row = this.#held.get(this.#identity(this.#row(text)))?.at(-1);
    if (!row) return;
    this.#release(row);
    this.#sorted.remove(row);
  }

  /** Remove the rows whose range value is below `start`, the text of such a value. */
  window(start) {
    const [range] = this.#ranked;
    const bound = rank(start, range.type);
    this.#sorted.takeOldest((row) => compare(row.ranks[0], bound) < 0).forEach((row) => this.#release(row));
  }

  #row(text) {
    const row = new Row((this.#serial += 1));
    row.take(text, this.#ranked);
    return row;
  }

  #identity({ cells, text }) {
    return this.#key ? this.#key.map((column) => cells.get(column)).join() : text;
  }

  #hold(row) {
    const identity = this.#identity(row);
    const equal = this.#held.get(identity);
    if (equal) equal.push(row);
    else this.#held.set(identity, [row]);
    return row;
  }

  #release(row) {
    const identity = this.#identity(row);
    const rest = this.#held.get(identity).filter((other) => other !== row);
    if (rest.length) this.#held.set(identity, rest);
    else this.#held.delete(identity);
    row.isGone = true;
  }

  #replace(row, text) {
    this.#sorted.remove(row);
    row.take(text, this.#ranked);
    this.#sorted.add(row);
  }

  /** A page that stays open for days must not keep every row ever inserted. */
  #keepBound() {
    const excess = this.size - this.#bound;
    if (excess <= 0) return;
    this.#sorted.takeOldest((_, place) => place < excess).forEach((row) => this.#release(row));
    this.more = true;
  }
}

function inOrder(a, b) {
  for (let i = 0; i < a.ranks.length; i += 1) {
    const order = compare(a.ranks[i], b.ranks[i]);
    if (order) return order;
  }
  return a.serial - b.serial;
}
