// How long to wait before the next try: longer each time, and never the same for all pages of a restarted server.

const FIRST = 1_000;
const LONGEST = 30_000;

export class Backoff {
  #tries = 0;

  /** Milliseconds to wait now. */
  next() {
    const ceiling = Math.min(LONGEST, FIRST * 2 ** this.#tries);
    this.#tries += 1;
    return ceiling * (0.5 + Math.random() / 2);
  }

  reset() {
    this.#tries = 0;
  }
}
