// Items in order. What arrives is mostly the last, and the end of an array is the cheap place to add.

export class Sorted {
  #items = [];
  #compare;

  /** `compare` must never return 0 for two different items. */
  constructor(compare) {
    this.#compare = compare;
  }

  get size() {
    return this.#items.length;
  }

  fill(items) {
    this.#items = [...items].sort(this.#compare);
  }

  /** Add many at once. */
  addAll(items) {
    if (items.length) this.fill(this.#items.concat(items));
  }

  add(item) {
    this.#items.splice(this.#placeOf(item), 0, item);
  }

  remove(item) {
    const place = this.#placeOf(item);
    if (this.#items[place] === item) this.#items.splice(place, 1);
  }

  /** The items from the last but `start` to the last but `end`, last first. */
  fromLast(start, end) {
    const size = this.#items.length;
    return this.#items.slice(Math.max(0, size - end), Math.max(0, size - start)).reverse();
  }

  /** How many items come after `item`. */
  after(item) {
    return this.#items.length - 1 - this.#placeOf(item);
  }

  /** Take out the first `count` items, and return them. */
  takeFirst(count) {
    return this.#items.splice(0, count);
  }

  /** Take out the items for which `test` holds, and return them. */
  takeIf(test) {
    const taken = this.#items.filter(test);
    if (taken.length) this.#items = this.#items.filter((item) => !test(item));
    return taken;
  }

  #placeOf(item) {
    let low = 0;
    let high = this.#items.length;
    if (high && this.#compare(this.#items[high - 1], item) < 0) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#items[middle], item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
