// One subscription of a page: its address, its token, its cursor, whoever holds the connection.

import { absolute, parts } from "./address.js";
import { link } from "./link.js";

export class Subscription {
  cursor = "";
  state = { name: "connecting" };
  #id = null;
  #url;
  #token = "";
  #askToken;
  #tell;
  #isClosed = false;

  /**
   * `tell` has `events(events)`, each `{name, data, id}`; `state(state)` as a Feed tells it; `planted(seed)`, all rows at
   * once from one who had them; and `seed()`, which gives the rows that are held, null for none. `token` is a text, or a function that
   * gives one (or a promise of it), called again when the server no longer takes it.
   */
  constructor(url, { token = "", heartbeat, tell }) {
    this.#url = absolute(url).href;
    this.#askToken = typeof token === "function" ? token : null;
    this.#token = this.#askToken ? "" : token;
    this.heartbeat = heartbeat;
    this.#tell = tell;
    parts(this.#url); // a wrong address is an error of the caller's
    this.#begin();
  }

  get url() {
    return this.#url;
  }

  get token() {
    return this.#token;
  }

  /** What the broker needs to know: with the rows that are held it goes on where they stand, else it begins anew. */
  get opening() {
    const seed = this.cursor ? this.#tell.seed() : null;
    if (!seed) this.cursor = "";
    return { url: this.#url, token: this.#token, heartbeat: this.heartbeat, cursor: this.cursor, seed };
  }

  /** Try at once what would be tried later. */
  hurry() {
    if (this.#id !== null && this.state.name !== "closed") link.hurry(this.#id);
    else if (this.#id !== null) link.open(this.#id);
  }

  close() {
    this.#isClosed = true;
    if (this.#id !== null) link.remove(this.#id);
  }

  /** Take a message of the broker. */
  take({ events, state, seed, cursor }) {
    if (this.#isClosed) return;
    if (cursor !== undefined) this.cursor = cursor;
    if (seed) this.#tell.planted(seed);
    if (events) this.#events(events);
    if (state) this.#become(state);
  }

  async #begin() {
    if (this.#askToken) this.#token = (await this.#askToken()) ?? "";
    if (!this.#isClosed) this.#id = link.add(this);
  }

  #events(events) {
    this.cursor = events.at(-1).id;
    this.#tell.events(events.filter(({ data }) => data !== null));
  }

  #become(state) {
    this.state = state;
    this.#tell.state(state);
    if (state.name === "sign-in" && this.#askToken) this.#renew();
  }

  async #renew() {
    const token = await this.#askToken();
    if (this.#isClosed || !token || token === this.#token) return;
    this.#token = token;
    link.open(this.#id);
  }
}
