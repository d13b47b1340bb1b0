// Serves the subscriptions of many pages over few connections: one feed for each distinct question, shared by all who
// put it. It runs in a SharedWorker, or in the page that holds the lock, or in the only page there is.

import { parts } from "./address.js";
import { Feed } from "./feed.js";
import { members } from "./json.js";
import { Rows } from "./rows.js";
import { shapeOf } from "./shape.js";

/** A feed, the rows it led to, and the subscriptions that get its events. */
class Shared {
  subscribers = new Set();
  #rows;
  #hasBegun;
  #keepsRows;
  #ended = new AbortController();

  constructor({ url, token, heartbeat, cursor, seed }, onMoved) {
    this.question = questionOf({ url, token });
    const { parameters } = parts(url);
    this.#rows = new Rows({ isLimited: parameters.has("limit") });
    this.#keepsRows = parameters.get("snapshot") !== "no";
    this.#hasBegun = Boolean(seed);
    if (seed) this.#rows.plant(seed);
    if (parameters.has("last")) this.#learnRange(url, token);
    this.feed = new Feed(url, {
      token,
      heartbeat,
      cursor,
      onEvents: (events) => {
        this.#take(events);
        onMoved(this);
      },
      onState: (state) => this.#tell({ state }),
    });
  }

  add(subscriber, { isInStep }) {
    this.subscribers.add(subscriber);
    subscriber.shared = this;
    if (!isInStep && this.#hasBegun) subscriber.tell({ seed: this.#keepsRows ? this.#rows.seed : null, cursor: this.feed.cursor });
    subscriber.tell({ state: this.feed.state });
  }

  remove(subscriber) {
    this.subscribers.delete(subscriber);
  }

  close() {
    this.#ended.abort();
    this.feed.close();
  }

  #take(events) {
    this.#hasBegun = true;
    if (this.#keepsRows) {
      for (const { name, data } of events) if (data !== null) this.#rows.apply(name, members(data));
    }
    this.#tell({ events });
  }

  #tell(message) {
    for (const subscriber of this.subscribers) subscriber.tell(message);
  }

  /** A moving window goes by the range column, which events do not name. */
  async #learnRange(url, token) {
    const shape = await shapeOf(url, { token: () => token, signal: this.#ended.signal });
    if (shape) this.#rows.arrange(shape, []);
  }
}

export class Broker {
  #shared = new Set();
  #subscribers = new Map(); // port -> id -> subscriber

  /** Take a message of the page at `port`, which has `post(message)`. */
  take(port, message) {
    if (message.type === "open") this.#open(port, message);
    else if (message.type === "close") this.#close(port, message.id);
    else if (message.type === "hurry") this.#find(port, message.id)?.shared.feed.hurry();
    else if (message.type === "bye") this.drop(port);
  }

  /** The page at `port` is gone. */
  drop(port) {
    for (const id of [...(this.#subscribers.get(port)?.keys() ?? [])]) this.#close(port, id);
    this.#subscribers.delete(port);
  }

  close() {
    for (const shared of this.#shared) shared.close();
    this.#shared.clear();
    this.#subscribers.clear();
  }

  #find(port, id) {
    return this.#subscribers.get(port)?.get(id);
  }

  /** One that comes with a `cursor` holds rows already; it shares a feed that stands there, or has its own until one does. */
  #open(port, { id, cursor, seed, ...question }) {
    this.#close(port, id);
    const subscriber = { tell: (message) => port.post({ id, ...message }) };
    if (!this.#subscribers.has(port)) this.#subscribers.set(port, new Map());
    this.#subscribers.get(port).set(id, subscriber);
    const fitting = [...this.#shared].find((shared) => this.#serves(shared, question, cursor));
    const shared = fitting ?? this.#begin({ ...question, cursor, seed });
    shared.add(subscriber, { isInStep: Boolean(cursor) });
  }

  #serves({ question, feed }, asked, cursor) {
    return question === questionOf(asked) && feed.state.name !== "closed" && (!cursor || feed.cursor === cursor);
  }

  #begin(asked) {
    const shared = new Shared(asked, (moved) => this.#merge(moved));
    this.#shared.add(shared);
    return shared;
  }

  #close(port, id) {
    const subscriber = this.#find(port, id);
    if (!subscriber) return;
    this.#subscribers.get(port).delete(id);
    subscriber.shared.remove(subscriber);
    if (subscriber.shared.subscribers.size === 0) this.#end(subscriber.shared);
  }

  #end(shared) {
    this.#shared.delete(shared);
    shared.close();
  }

  /** Two feeds of one question that stand at the same cursor are one from then on. */
  #merge(moved) {
    for (const other of this.#shared) {
      const isSame = other !== moved && other.question === moved.question && other.feed.cursor === moved.feed.cursor;
      if (!isSame) continue;
      this.#end(moved);
      for (const subscriber of [...moved.subscribers]) other.add(subscriber, { isInStep: true });
      return;
    }
  }
}

const questionOf = ({ url, token = "" }) => `${token} ${url}`;
