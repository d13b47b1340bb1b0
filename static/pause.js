// A pause of the person's: what comes waits, and none of it is lost.

const LONGEST = 100_000; // events; past that the page goes on by itself, rather than run out of memory

export class Pause {
  isOn = false;
  #waiting = [];
  #take;
  #tell;

  /** `take(events)` gets what is let through, `tell(count)` how many wait; null when there is no pause. */
  constructor(take, tell) {
    this.#take = take;
    this.#tell = tell;
  }

  /** Begin without a pause, and with nothing that waits. */
  start() {
    this.#waiting = [];
    this.isOn = false;
    this.#tell(null);
  }

  toggle() {
    this.isOn = !this.isOn;
    if (!this.isOn) this.flush();
    this.#tell(this.isOn ? this.#waiting.length : null);
  }

  take(events) {
    if (!this.isOn) return this.#take(events);
    this.#waiting.push(...events);
    if (this.#waiting.length > LONGEST) return this.toggle();
    return this.#tell(this.#waiting.length);
  }

  /** Let through what waits. */
  flush() {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length) this.#take(waiting);
  }
}
