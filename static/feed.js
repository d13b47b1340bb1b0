// One subscription: an EventSource that never gives up, and says in which state it is.

import { Backoff } from "./backoff.js";
import { getJson } from "./problem.js";

const EVENTS = ["snapshot", "insert", "update", "delete", "truncate", "window", "reset", "bye"];
const SETTLED = 300; // ms; an overloaded server answers, tells us when to retry, and closes: that is not live yet

/**
 * `onEvent(name, data)` gets each event with its data as text; `onState(state)` gets
 * `{name: "connecting" | "live" | "reconnecting" | "closed", detail?, since?, until?}`, times as of Date.now().
 */
export class Feed {
  #url;
  #source = null;
  #timer = 0;
  #cursor = "";
  #state = { name: "connecting" };
  #backoff = new Backoff();
  #onEvent;
  #onState;

  constructor(url, { onEvent, onState }) {
    this.#url = url;
    this.#onEvent = onEvent;
    this.#onState = onState;
  }

  open() {
    this.#disconnect();
    this.#source = new EventSource(this.#resumingUrl());
    this.#source.onopen = () => this.#settle();
    this.#source.onerror = () => this.#lost();
    for (const name of EVENTS) this.#source.addEventListener(name, (event) => this.#take(event));
    const { since } = this.#state;
    this.#become(since ? { name: "reconnecting", since } : { name: "connecting" });
  }

  close() {
    this.#disconnect();
    this.#onState = () => {};
  }

  #disconnect() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** A new EventSource does not know the last event's id; `after` tells the server. */
  #resumingUrl() {
    const url = new URL(this.#url);
    if (this.#cursor) url.searchParams.set("after", this.#cursor);
    return url;
  }

  #take(event) {
    this.#cursor = event.lastEventId;
    if (event.type === "bye") return;
    this.#onEvent(event.type, event.data);
    this.#live();
  }

  #settle() {
    clearTimeout(this.#timer);
    if (this.#cursor) this.#timer = setTimeout(() => this.#live(), SETTLED);
  }

  #live() {
    if (this.#state.name === "live") return;
    clearTimeout(this.#timer);
    this.#backoff.reset();
    this.#become({ name: "live" });
  }

  /** The browser tries again by itself after a cut, but gives up for good on an HTTP error. */
  #lost() {
    clearTimeout(this.#timer);
    const { since = Date.now(), detail } = this.#state;
    const again = this.#state.name === "reconnecting";
    this.#become({ name: "reconnecting", since, detail });
    if (again || this.#gaveUp()) this.#diagnose(this.#source, since);
  }

  #gaveUp() {
    return this.#source.readyState === EventSource.CLOSED;
  }

  /** An EventSource does not say what is wrong; the same request for JSON does. */
  async #diagnose(source, since) {
    const problem = await getJson(this.#url).then(
      () => null,
      (error) => error,
    );
    if (source !== this.#source || this.#state.name !== "reconnecting") return;
    if (!this.#gaveUp()) return this.#become({ name: "reconnecting", since, detail: problem?.message });
    if (!problem) this.#cursor = ""; // so the server refused the cursor
    if (problem?.final) return this.#become({ name: "closed", detail: problem.message });
    return this.#retry(problem?.message, since);
  }

  #retry(detail, since) {
    const wait = this.#backoff.next();
    this.#become({ name: "reconnecting", since, until: Date.now() + wait, detail });
    this.#timer = setTimeout(() => this.open(), wait);
  }

  #become(state) {
    this.#state = state;
    this.#onState(state);
  }
}
