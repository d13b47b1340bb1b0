// One row that a subscriber holds.

import { members, readable, value } from "./json.js";
import { compare, rank } from "./types.js";

const NULL = "null";

/** `isNew` and `isGone` are for those who show rows: inserted since, and no longer held. `before` is the text it had. */
export class Row {
  isNew = false;
  isGone = false;
  before = null;
  #plain = null;

  constructor(serial) {
    this.serial = serial;
  }

  /** Become `text`, a row as JSON text; `identity` tells it from others, `ranks` place it, `moment` ages it. */
  take(text, { identity, ranks, moment }) {
    this.text = text;
    this.identity = identity;
    this.ranks = ranks;
    this.moment = moment;
    this.#plain = null;
  }

  /** A Map from column to raw JSON text, made anew: thousands of them would be most of the page's memory. */
  get cells() {
    return members(this.text);
  }

  /** The row as a plain object, the same one until the row changes. */
  get plain() {
    this.#plain ??= Object.freeze(value(this.text));
    return this.#plain;
  }
}

/** What a row of `text` is, by the columns of the `key` (null: by all of it), the `order` and the `range`. */
export function placed(text, key, order, range) {
  const cells = key === null && !order.length && !range ? null : members(text);
  const ranked = ({ name, type }) => rank(readable(cells.get(name) ?? NULL), type);
  return {
    identity: key === null ? text : key.map((column) => cells.get(column)).join(),
    ranks: order.map(ranked),
    moment: range ? ranked(range) : null,
  };
}

/** The comparison that puts the rows of `order` last first; `isNewestFirst` says whether, among equals, the later held comes first in it. */
export function lastFirst(order, isNewestFirst = false) {
  const signs = order.map(({ descending }) => (descending ? 1 : -1));
  return (a, b) => {
    for (let i = 0; i < signs.length; i += 1) {
      const found = compare(a.ranks[i], b.ranks[i]);
      if (found) return found * signs[i];
    }
    return isNewestFirst ? a.serial - b.serial : b.serial - a.serial;
  };
}
