// Items in order, oldest first: what arrives is mostly the newest, and the end of an array is the cheap place to add.

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

  add(item) {
    this.#items.splice(this.#placeOf(item), 0, item);
  }

  remove(item) {
    const place = this.#placeOf(item);
    if (this.#items[place] === item) this.#items.splice(place, 1);
  }

  /** The last `count` items, newest first. */
  newest(count) {
    return this.#items.slice(-count).reverse();
  }

  /** Take out the oldest items for which `isOld` holds, and return them. */
  takeOldest(isOld) {
    let count = 0;
    while (count < this.#items.length && isOld(this.#items[count], count)) count += 1;
    return this.#items.splice(0, count);
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
