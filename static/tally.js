// The figures above the grid: rows held, changes seen.

import { put } from "./template.js";

const COUNTED = { insert: "insert", update: "update", delete: "delete", truncate: "delete" };

export class Tally {
  #root;
  #seen = { insert: 0, update: 0, delete: 0 };
  #total = 0;
  #lastAt = 0;

  constructor(root) {
    this.#root = root;
    setInterval(() => this.#showLast(), 1_000);
  }

  start() {
    this.#seen = { insert: 0, update: 0, delete: 0 };
    this.#total = 0;
    this.#lastAt = 0;
    this.show(null);
  }

  /** Count the event called `name`, if it is a change. */
  count(name) {
    const kind = COUNTED[name];
    if (!kind) return;
    this.#seen[kind] += 1;
    this.#total += 1;
    this.#lastAt = Date.now();
  }

  /** `rows` is null as long as it is not known. */
  show(rows) {
    this.#put("#count", rows === null ? "–" : figure(rows.size) + (rows.more ? "+" : ""));
    this.#put("#seen", figure(this.#total));
    for (const [kind, count] of Object.entries(this.#seen)) this.#put(`[data-kind=${kind}] dd`, figure(count));
    this.#showLast();
  }

  #showLast() {
    this.#put("#last", this.#lastAt ? `${age(this.#lastAt)} ago` : "–");
  }

  #put(selector, text) {
    put(this.#root.querySelector(selector), text);
  }
}

export const figure = (count) => count.toLocaleString("en");

/** How long ago `since` (as of Date.now()) was: `3 s`, `5 min`, `2 h`. */
export function age(since) {
  const seconds = Math.max(0, Math.floor((Date.now() - since) / 1_000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}
