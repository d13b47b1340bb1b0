// One question put to the server, kept alive: through cuts, restarts, silence and errors, from cursor to cursor.
// The only place that knows that a subscription is one stream of one address.

import { Backoff } from "./backoff.js";
import { poll } from "./poll.js";
import { Problem } from "./problem.js";
import { canStream, follow } from "./stream.js";

const HEARTBEAT = 15_000; // what the server promises to send something in
const FIRST_BYTES = 10_000;
const SETTLED = 300; // a server that is full answers, asks for patience and closes: not live yet
const SIGNED_OUT = 30_000;
const UNHEARD = 2; // streams without a byte, after which something must be holding them back
const SILENT = "The server has gone silent.";
const NO_DATABASE = "The database cannot be reached.";

/**
 * `onEvents(events)` gets the events of one piece of the stream, `{name, data, id}` with `data` as JSON text and `id` the
 * cursor after it. `onState(state)` gets one of
 * `{name: "connecting"}`, `{name: "live", lag}` (seconds, where the server says so),
 * `{name: "stale", since, reason, until}` (ms as of Date.now(); `until` is when the next try is due),
 * `{name: "sign-in", reason}`, `{name: "closed", reason}`.
 */
export class Feed {
  state = { name: "connecting" };
  cursor; // after the last event that was told
  #read; // after the last event that was read
  #url;
  #token;
  #onEvents;
  #onState;
  #backoff = new Backoff();
  #connection = null; // aborts what is open
  #isDatabaseAway = false;
  #unheard = 0;
  #isPolling = false;
  #timers = { silence: 0, settled: 0, pause: 0 };
  #endPause = () => {};
  #batch = [];
  #detail = "";

  constructor(url, { token = "", cursor = "", onEvents, onState, heartbeat = HEARTBEAT }) {
    this.#url = url;
    this.#token = token;
    this.cursor = cursor;
    this.#read = cursor;
    this.#onEvents = onEvents;
    this.#onState = onState;
    this.silence = 2.5 * heartbeat;
    this.#isPolling = !canStream();
    this.#run();
  }

  /** Try at once what would be tried later. */
  hurry() {
    this.#endPause();
  }

  close() {
    this.#onEvents = null;
    this.#connection?.abort();
    this.#rest();
    this.#endPause();
  }

  get #isClosed() {
    return this.#onEvents === null;
  }

  async #run() {
    while (!this.#isClosed) {
      const problem = await this.#connect();
      if (this.#isClosed) return;
      if (problem?.kind === "refused") return this.#become({ name: "closed", reason: problem.message });
      await this.#pause(problem);
    }
  }

  /** The problem that ended it; one without a message where the server just closed. */
  async #connect() {
    const connection = (this.#connection = new AbortController());
    this.#detail = "";
    this.#expect(FIRST_BYTES);
    const options = { cursor: this.cursor, token: this.#token, signal: connection.signal, tell: this.#tell(connection) };
    const problem = await (this.#isPolling ? poll : follow)(this.#url, options).then(
      () => null,
      (error) => this.#recognised(error),
    );
    this.#rest();
    if (this.#isPolling) this.#isPolling = !canStream();
    return connection.signal.aborted && !this.#isClosed ? this.#silent() : problem;
  }

  #recognised(error) {
    if (error instanceof Problem) return error;
    console.error(error);
    return Problem.of("retry", "The stream could not be read.");
  }

  /** Nothing came in time. Where no byte ever does, a front may hold streams back: poll then. */
  #silent() {
    if (this.#unheard >= UNHEARD) this.#isPolling = true;
    return Problem.of("retry", SILENT);
  }

  #tell(connection) {
    const isMine = () => this.#connection === connection && !connection.signal.aborted;
    const guarded = (take) => (argument) => isMine() && take(argument);
    this.#unheard += this.#isPolling ? 0 : 1;
    return {
      opened: guarded(() => this.#opened()),
      bytes: guarded(() => this.#heard()),
      retry: guarded((milliseconds) => (this.#backoff.retry = milliseconds)),
      comment: guarded((text) => (this.#detail = text || this.#detail)),
      block: guarded((block) => this.#take(block)),
      drained: guarded(() => this.#deliver()),
    };
  }

  #opened() {
    if (this.#isPolling) this.#expect(0);
    if (this.cursor || this.#isPolling) this.#timers.settled = setTimeout(() => this.#settle(), SETTLED);
  }

  #heard() {
    this.#unheard = 0;
    this.#expect(this.#isPolling ? 0 : this.silence);
  }

  /** Give up this connection if nothing comes within `milliseconds`; 0 is for ever. */
  #expect(milliseconds) {
    clearTimeout(this.#timers.silence);
    const connection = this.#connection;
    if (milliseconds) this.#timers.silence = setTimeout(() => connection.abort(), milliseconds);
  }

  #take({ name, data, id }) {
    if (id !== undefined) this.#read = id;
    const isOfRows = name !== "bye" && name !== "state";
    if (name === "state") this.#standing(JSON.parse(data));
    // a heartbeat moves the cursor of all that hold it
    if (isOfRows) this.#batch.push({ name, data, id: this.#read });
    else if (id !== undefined) this.#batch.push({ name: "message", data: null, id });
    if (isOfRows) this.#settle();
  }

  #deliver() {
    const events = this.#batch.filter(({ data }, place) => data !== null || place === this.#batch.length - 1);
    this.#batch = [];
    this.cursor = this.#read;
    if (events.length) this.#onEvents?.(events);
  }

  /** The server's own word on how it stands. */
  #standing({ live, lag, since, reason }) {
    this.#isDatabaseAway = !live;
    if (live) return this.#live(lag);
    return this.#stale({ since: Date.parse(since) || Date.now(), reason: reason ?? NO_DATABASE });
  }

  /** The server has answered the question. */
  #settle() {
    clearTimeout(this.#timers.settled);
    if (this.state.name === "live" || this.#isDatabaseAway) return;
    this.#live(undefined);
  }

  #live(lag) {
    clearTimeout(this.#timers.settled);
    this.#backoff.reset();
    this.#become({ name: "live", lag });
  }

  #stale({ since = this.state.since ?? Date.now(), ...rest }) {
    this.#become({ name: "stale", since, ...rest });
  }

  #rest() {
    this.#isDatabaseAway = false;
    this.#batch = [];
    this.#read = this.cursor;
    clearTimeout(this.#timers.silence);
    clearTimeout(this.#timers.settled);
  }

  #pause(problem) {
    const isSignIn = problem?.kind === "sign-in";
    const wait = this.#backoff.next(Math.max(problem?.wait ?? 0, isSignIn ? SIGNED_OUT : 0));
    if (isSignIn) this.#become({ name: "sign-in", reason: problem.message });
    else this.#stale({ reason: problem?.message || this.#detail || "The connection is lost.", until: Date.now() + wait });
    return new Promise((resolve) => {
      this.#endPause = resolve;
      this.#timers.pause = setTimeout(resolve, wait);
    }).finally(() => clearTimeout(this.#timers.pause));
  }

  #become(state) {
    const isSame = state.name === this.state.name && state.reason === this.state.reason && state.until === this.state.until;
    const isNews = !isSame || state.lag !== this.state.lag;
    this.state = state;
    if (isNews && !this.#isClosed) this.#onState(state);
  }
}
