// The ways for a page to reach the broker of its origin. Each takes `onMessage(message)` and `onLost()`, and gives
// `post(message)` and `close()`; it throws where the browser does not have what it needs.

import { Broker } from "./broker.js";
import { holdLock, unique, whenFree } from "./locks.js";

const PROTOCOL = "sseapp-1"; // pages of one origin that speak the same share a broker
const PATIENCE = 5_000; // ms for the worker's first word

/** A SharedWorker holds the broker: no page has to stay open for the others. */
export async function throughWorker({ onMessage, onLost }) {
  const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name: PROTOCOL });
  const { port } = worker;
  const mine = holdLock(unique("sseapp-page"));
  await mine.taken;
  const greeted = new Promise((resolve, reject) => {
    worker.addEventListener("error", () => reject(new Error("The worker does not start.")));
    setTimeout(() => reject(new Error("The worker does not answer.")), PATIENCE);
    port.addEventListener("message", ({ data }) => (data.type === "hello" ? resolve(data) : onMessage(data)));
  });
  port.start();
  port.postMessage({ type: "hello", life: mine.isHeld ? mine.name : null });
  const { life } = await greeted.catch((error) => {
    port.close();
    mine.release();
    throw error;
  });
  const unwatch = whenFree(life, onLost);
  port.addEventListener("close", onLost);
  return {
    post: (message) => port.postMessage(message),
    close: () => {
      unwatch();
      port.removeEventListener("close", onLost);
      port.close();
      mine.release();
    },
  };
}

/** The page that holds a lock has the broker, and the others talk to it; the lock goes on by itself when it closes. */
export async function throughLeader({ onMessage, onLost }) {
  if (!navigator.locks || !globalThis.BroadcastChannel) throw new Error("There are no locks here.");
  const mine = holdLock(unique("sseapp-page"));
  await mine.taken;
  const channel = new BroadcastChannel(PROTOCOL);
  const leading = new AbortController();
  let settled = null; // how this page takes part
  const transport = await new Promise((resolve) => {
    const settle = (found) => {
      settled = found;
      resolve(found);
    };
    channel.addEventListener("message", ({ data }) => {
      if (data.to === mine.name) onMessage(data.message);
      else if (data.leader && !settled) settle(following(channel, mine.name, data.leader));
      else if (data.leader && settled.leader !== data.leader) onLost();
    });
    const lead = () => {
      if (settled) return onLost(); // the one that led is gone
      const leader = new Leader(channel, mine.name, onMessage);
      settle(leader);
      return leader.ended;
    };
    navigator.locks.request(PROTOCOL, { signal: leading.signal }, lead).catch(() => {}); // this page is closed before
    channel.postMessage({ type: "who" });
  });
  return {
    post: (message) => transport.post(message),
    close: () => {
      transport.close();
      leading.abort();
      channel.close();
      mine.release();
    },
  };
}

/** What is for a page's broker names it as `broker`, what is for the page itself as `to`: the two have one name. */
function following(channel, me, leader) {
  const post = (message) => channel.postMessage({ broker: leader, from: me, message });
  return { leader, post, close: () => post({ type: "bye" }) };
}

class Leader {
  #broker = new Broker();
  #ports = new Map();
  #channel;
  #own;
  #end;
  #listener = ({ data }) => this.#take(data);

  constructor(channel, me, onMessage) {
    this.leader = me;
    this.#channel = channel;
    this.#own = { post: (message) => queueMicrotask(() => onMessage(message)) };
    this.ended = new Promise((resolve) => (this.#end = resolve));
    channel.addEventListener("message", this.#listener);
    channel.postMessage({ leader: me });
  }

  post(message) {
    this.#broker.take(this.#own, message);
  }

  close() {
    this.#channel.removeEventListener("message", this.#listener);
    this.#broker.close();
    this.#end();
  }

  #take({ type, broker, from, message }) {
    if (type === "who") this.#channel.postMessage({ leader: this.leader });
    else if (broker === this.leader) this.#broker.take(this.#ports.get(from) ?? this.#admit(from), message);
  }

  #admit(from) {
    const port = { post: (message) => this.#channel.postMessage({ to: from, message }) };
    this.#ports.set(from, port);
    whenFree(from, () => {
      this.#broker.drop(port);
      this.#ports.delete(from);
    });
    return port;
  }
}

/** The page has a broker to itself. */
export async function alone({ onMessage }) {
  const broker = new Broker();
  const port = { post: (message) => queueMicrotask(() => onMessage(message)) };
  return { post: (message) => broker.take(port, message), close: () => broker.close() };
}
