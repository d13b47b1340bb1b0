// A page's link to the broker of its origin. It outlives the broker, and lets go while the page lies in the back/forward
// cache: what stays open there would take one of the six connections that a browser has for a host.

import { alone, throughLeader, throughWorker } from "./transports.js";

const WAYS = { worker: throughWorker, leader: throughLeader, alone };

class Link {
  #subscriptions = new Map();
  #transport = null;
  #attempt = 0; // counts the connections, so that one that comes late is known
  #lastId = 0;

  constructor() {
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#connect());
  }

  /** Add `subscription`, which has `opening`, what the broker needs to know, and `take(message)`; its id. */
  add(subscription) {
    const id = (this.#lastId += 1);
    this.#subscriptions.set(id, subscription);
    if (this.#attempt === 0) this.#connect();
    else this.open(id);
    return id;
  }

  /** Put the subscription's question, again if it has changed. */
  open(id) {
    const subscription = this.#subscriptions.get(id);
    this.#transport?.post({ type: "open", id, ...subscription.opening });
  }

  hurry(id) {
    this.#transport?.post({ type: "hurry", id });
  }

  remove(id) {
    this.#subscriptions.delete(id);
    this.#transport?.post({ type: "close", id });
  }

  async #connect() {
    const attempt = (this.#attempt += 1);
    const transport = await reached({
      onMessage: (message) => attempt === this.#attempt && this.#subscriptions.get(message.id)?.take(message),
      onLost: () => attempt === this.#attempt && this.#reconnect(),
    });
    if (attempt !== this.#attempt) return transport.close();
    this.#transport = transport;
    for (const id of this.#subscriptions.keys()) this.open(id);
    return null;
  }

  #reconnect() {
    this.#drop();
    this.#connect();
  }

  #leave() {
    this.#transport?.post({ type: "bye" });
    this.#attempt += 1;
    this.#drop();
  }

  #drop() {
    this.#transport?.close();
    this.#transport = null;
  }
}

/** The best way that this browser has. */
async function reached(handlers) {
  for (const name of Object.keys(WAYS)) {
    if (skipped.has(name)) continue;
    const transport = await WAYS[name](handlers).catch(() => null);
    if (transport) return transport;
  }
  return alone(handlers);
}

const skipped = new Set();

/** Do without some ways: "worker", "leader". To be called before the first subscription. */
export const without = (...names) => names.forEach((name) => skipped.add(name));

export const link = new Link();
