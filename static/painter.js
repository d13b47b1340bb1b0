// Paints once a frame however many events came, and leaves the page as much time as the last painting took.

export class Painter {
  #paint;
  #pending = false;
  #cost = 0;

  constructor(paint) {
    this.#paint = paint;
  }

  /** Something changed: paint soon. */
  request() {
    if (this.#pending) return;
    this.#pending = true;
    setTimeout(() => requestAnimationFrame(() => this.#run()), this.#cost);
  }

  #run() {
    const start = performance.now();
    this.#pending = false;
    this.#paint();
    setTimeout(() => (this.#cost = performance.now() - start)); // with the layout that the browser does after us
  }
}
