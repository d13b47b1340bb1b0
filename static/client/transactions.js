// Changes of one transaction are shown together, where the server marks the last one with "end":true.

const END = /"end":true\}$/;
const LONGEST = 1_000; // ms to wait for an end that does not come
const CHANGES = new Set(["insert", "update", "delete", "truncate"]);

export class Transactions {
  #take;
  #held = [];
  #isMarked = false; // has the server ever marked an end?
  #timer = 0;

  /** `take(events)` gets whole transactions. */
  constructor(take) {
    this.#take = take;
  }

  take(events) {
    this.#held.push(...events);
    this.#isMarked ||= events.some(isEnd);
    const isWhole = (event) => !CHANGES.has(event.name) || isEnd(event);
    this.#release(this.#isMarked ? this.#held.findLastIndex(isWhole) + 1 : this.#held.length);
  }

  /** Give what is held back. */
  flush() {
    this.#release(this.#held.length);
  }

  #release(count) {
    clearTimeout(this.#timer);
    const whole = this.#held.splice(0, count);
    if (whole.length) this.#take(whole);
    if (this.#held.length) this.#timer = setTimeout(() => this.flush(), LONGEST);
  }
}

const isEnd = ({ data }) => END.test(data.slice(-12));
