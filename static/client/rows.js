// The rows a subscriber holds, as the events make them: by key, or as a multiset of texts where there is no key.

import { elements, readable } from "./json.js";
import { Row, lastFirst, placed } from "./row.js";
import { Sorted } from "./sorted.js";
import { compare, rank } from "./types.js";

export class Rows {
  /** Does the table hold rows of this question that are not here? */
  more = false;
  /** Has a whole snapshot come? */
  isLoaded = false;
  key = null;
  #order = [];
  #range = null;
  #held = new Map(); // identity -> its rows: one of a key, as many as are equal without
  #sorted = new Sorted(lastFirst([]));
  #serial = 0;
  #bound;
  #isLimited;

  /** At most `bound` rows are kept, the first in order. `isLimited` says that the question asks for one snapshot with a limit. */
  constructor({ bound = Infinity, isLimited = false } = {}) {
    this.#bound = bound;
    this.#isLimited = isLimited;
  }

  get size() {
    return this.#sorted.size;
  }

  /**
   * Go by the columns of `shape`, as GET /tables describes a table, in the order of `terms`, `{name, descending}`; among
   * equals the later held comes first where `isNewestFirst` says so.
   */
  arrange(shape, terms, { isNewestFirst = terms[0]?.descending ?? false } = {}) {
    const known = (name) => shape.columns.find((column) => column.name === name);
    this.#order = terms.filter(({ name }) => known(name)).map((term) => ({ ...term, type: known(term.name).type }));
    this.#range = shape.range ? known(shape.range) : null;
    const rows = this.slice(0, this.size);
    for (const row of rows) row.take(row.text, this.#placed(row.text));
    this.#sorted = new Sorted(lastFirst(this.#order, isNewestFirst));
    this.#sorted.fill(rows);
  }

  /** The rows from place `start` up to, not including, `end`. */
  slice(start, end) {
    return this.#sorted.fromLast(start, end);
  }

  placeOf(row) {
    return this.#sorted.after(row);
  }

  /** Take the event called `name` with the members of its `data`. Returns the Row it concerned, if it is one. */
  apply(name, event) {
    if (name === "snapshot") return this.#snapshot(event);
    if (name === "insert") return this.#insert(event.get("row"));
    if (name === "update") return this.#update(event.get("row"), event.get("old"));
    if (name === "delete") return this.#delete(event.get("old"));
    if (name === "window") return this.#window(readable(event.get("start")));
    if (name === "truncate") this.#clear();
    return null; // after a reset the rows stay until its snapshot comes
  }

  /** All that is held, for another to go on from. */
  get seed() {
    const texts = this.slice(0, this.size).map(({ text }) => text);
    return { key: this.key, more: this.more, isLoaded: this.isLoaded, texts };
  }

  /** Become what `seed` says. */
  plant({ key, more, isLoaded, texts }) {
    this.#clear();
    this.key = key;
    this.#sorted.addAll(texts.flatMap((text) => this.#loaded(text)));
    this.isLoaded = isLoaded;
    this.more = more;
    this.#keepBound();
  }

  #clear() {
    for (const row of this.slice(0, this.size)) row.isGone = true;
    this.#held.clear();
    this.#sorted.fill([]);
    this.more = false;
  }

  /** The first part of a snapshot begins anew, whatever was there; the others add to it. */
  #snapshot(event) {
    const part = Number(event.get("part") ?? 1);
    const more = event.get("more") === "true";
    if (part === 1) {
      this.#clear();
      this.key = JSON.parse(event.get("key"));
    }
    this.#sorted.addAll(elements(event.get("rows")).flatMap((text) => this.#loaded(text)));
    this.more = more;
    this.isLoaded = this.#isLimited || !event.has("part") || !more;
    this.#keepBound();
    return null;
  }

  /** The new row of `text`, in a list; of a key that is here already the row takes it. */
  #loaded(text) {
    const row = this.#row(text);
    const twin = this.#twin(row);
    if (twin) this.#replace(twin, row);
    return twin ? [] : [this.#hold(row)];
  }

  #insert(text) {
    const row = this.#row(text);
    const twin = this.#twin(row);
    if (twin) return this.#replace(twin, row);
    row.isNew = true;
    this.#sorted.add(this.#hold(row));
    this.#keepBound();
    return row;
  }

  #update(text, old) {
    if (this.key === null) this.#delete(old);
    return this.#insert(text);
  }

  #delete(text) {
    const row = this.#held.get(this.#placed(text).identity)?.at(-1);
    if (!row) return null;
    this.#release(row);
    this.#sorted.remove(row);
    return row;
  }

  /** Let the rows go whose range value is below `start`, the text of such a value. */
  #window(start) {
    if (!this.#range) return null;
    const bound = rank(start, this.#range.type);
    const isOld = ({ moment }) => moment !== null && compare(moment, bound) < 0;
    this.#sorted.takeIf(isOld).forEach((row) => this.#release(row));
    return null;
  }

  #placed(text) {
    return placed(text, this.key, this.#order, this.#range);
  }

  #row(text) {
    const row = new Row((this.#serial += 1));
    row.take(text, this.#placed(text));
    return row;
  }

  #twin({ identity }) {
    return this.key === null ? undefined : this.#held.get(identity)?.[0];
  }

  #hold(row) {
    const equal = this.#held.get(row.identity);
    if (equal) equal.push(row);
    else this.#held.set(row.identity, [row]);
    return row;
  }

  #release(row) {
    const rest = this.#held.get(row.identity).filter((other) => other !== row);
    if (rest.length) this.#held.set(row.identity, rest);
    else this.#held.delete(row.identity);
    row.isGone = true;
  }

  #replace(row, { text, identity, ranks, moment }) {
    this.#sorted.remove(row);
    row.before = row.text;
    row.take(text, { identity, ranks, moment });
    this.#sorted.add(row);
    return row;
  }

  /** A page that stays open for days must not hold all that was ever inserted. */
  #keepBound() {
    const excess = this.size - this.#bound;
    if (excess <= 0) return;
    this.#sorted.takeFirst(excess).forEach((row) => this.#release(row));
    this.more = true;
  }
}
