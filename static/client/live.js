// Rows that stay those of the table: the client's one function.

import { orderTerms, parts } from "./address.js";
import { members, readable, value } from "./json.js";
import { Rows } from "./rows.js";
import { shapeOf } from "./shape.js";
import { Subscription } from "./subscription.js";
import { Transactions } from "./transactions.js";

const CHANGES = new Set(["insert", "update", "delete", "truncate", "reset"]);
const UNSEEN = 100; // ms; a page that nobody sees has no frames, and does not always know that it is hidden
const sources = new WeakMap(); // a plain row -> its Row

/** What PostgreSQL prints for `column` of a row that `onRows` gave: `12.50` for 12.5; null for NULL. */
export function text(row, column) {
  const raw = sources.get(row)?.cells.get(column);
  return raw === undefined ? String(row[column] ?? "") : readable(raw);
}

/**
 * Follow the changes of `url`, such as "/tables/orders/changes?last=24h".
 *
 * - `onRows(rows, {more, columns, key})`: the rows in order (`order` of the address, else the key), after each change, at
 *   most once a frame. A row is a frozen object, the same one until it changes; `more` says that there are rows that are not here.
 * - `onChange({event, row, old, at, xid, reason})`: each insert, update, delete, truncate and reset, exactly once, in order.
 * - `onState(state)`: `name` is "connecting", "live" (`lag` in seconds), "stale" (`since`, `reason`, `until`), "sign-in" or
 *   "closed" (`reason`); times are of Date.now().
 * - `token`: sent as a bearer token; a function is asked again when the server no longer takes it.
 *
 * Returns `{close(), hurry(), state, rows}`. Throws an Error where `url` is not the address of changes.
 */
export function live(url, { onRows, onChange, onState, token, heartbeat } = {}) {
  return new Live(url, { onRows, onChange, onState }, { token, heartbeat });
}

class Live {
  #told;
  #rows;
  #columns = [];
  #subscription;
  #transactions = new Transactions((events) => this.#apply(events));
  #early = []; // what came before the columns were known
  #frame = null; // the one that will show the rows
  #order;

  constructor(url, told, options) {
    this.#told = told;
    const tell = {
      events: (events) => this.#transactions.take(events),
      planted: (seed) => this.#plant(seed),
      seed: () => this.#seed(),
      state: (state) => told.onState?.(state),
    };
    this.#subscription = new Subscription(url, { ...options, tell });
    const { parameters } = parts(this.#subscription.url);
    this.#rows = new Rows({ isLimited: parameters.has("limit") });
    this.#order = orderTerms(parameters.get("order"));
    this.#learn();
  }

  get state() {
    return this.#subscription.state;
  }

  get rows() {
    return this.#rows.slice(0, this.#rows.size).map(plain);
  }

  hurry() {
    this.#subscription.hurry();
  }

  close() {
    this.#subscription.close();
    this.#told = {};
  }

  /** Learn the columns, at first and again after a reset, which may have come from another shape. */
  async #learn() {
    const shape = (await shapeOf(this.#subscription.url, { token: () => this.#subscription.token })) ?? { columns: [], key: null, range: null };
    this.#columns = shape.columns;
    const terms = this.#order.length ? this.#order : (shape.key ?? []).map((name) => ({ name, descending: false }));
    this.#rows.arrange(shape, terms);
    const early = this.#early ?? [];
    this.#early = null;
    for (const take of early) take();
    this.#request();
  }

  #seed() {
    this.#transactions.flush();
    if (!this.#early) return this.#rows.seed;
    this.#early = [];
    return null;
  }

  #plant(seed) {
    if (this.#early) return void this.#early.push(() => this.#plant(seed));
    this.#rows.plant(seed);
    return this.#request();
  }

  #apply(events) {
    if (this.#early) return void this.#early.push(() => this.#apply(events));
    for (const { name, data } of events) {
      const event = members(data);
      this.#rows.apply(name, event);
      if (name === "reset") this.#learn();
      if (CHANGES.has(name)) this.#told.onChange?.(change(name, event));
    }
    return this.#request();
  }

  #request() {
    if (this.#frame || !this.#told.onRows) return;
    const frame = (this.#frame = {});
    const show = () => this.#frame === frame && this.#show();
    requestAnimationFrame(show);
    setTimeout(show, UNSEEN);
  }

  #show() {
    this.#frame = null;
    if (!this.#rows.isLoaded) return;
    const { more, key } = this.#rows;
    this.#told.onRows?.(this.rows, { more, key, columns: this.#columns });
  }
}

function plain(row) {
  const found = row.plain;
  sources.set(found, row);
  return found;
}

function change(name, event) {
  const given = [...event].filter(([member]) => member !== "event" && member !== "end");
  return { event: name, ...Object.fromEntries(given.map(([member, raw]) => [member, value(raw)])) };
}
