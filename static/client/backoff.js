// How long to wait before the next try: longer each time, and never the same for all clients of a restarted server.

const LONGEST = 30_000;

export class Backoff {
  /** What the server asks for with `retry:`, in ms. */
  retry = 1_000;
  #tries = 0;

  /** Milliseconds to wait now; at least `least`. */
  next(least = 0) {
    const ceiling = Math.max(this.retry, Math.min(LONGEST, this.retry * 2 ** this.#tries));
    this.#tries += 1;
    return Math.max(least, ceiling * (0.5 + Math.random() / 2));
  }

  reset() {
    this.#tries = 0;
  }
}
