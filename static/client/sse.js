// Reads the event stream format (HTML standard, section 9.2.6), however the network has cut it.

const LINE_END = /\r\n|\r|\n/g;

export class Parser {
  #tell;
  #pieces = []; // of a line that has not ended: joined once, as joining at each piece of a long one costs its square
  #afterReturn = false;
  #name = "";
  #data = [];
  #id;
  #isBegun = false;

  /**
   * `tell` has `block({name, data, id})` (`data` is null in a block without any, `id` undefined where none was given),
   * `retry(milliseconds)` and `comment(text)`.
   */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Take the next piece of the stream's text. */
  feed(text) {
    if (!this.#isBegun && text) {
      this.#isBegun = true;
      if (text[0] === "\uFEFF") text = text.slice(1);
    }
    if (this.#afterReturn && text[0] === "\n") text = text.slice(1);
    this.#afterReturn = text ? text.endsWith("\r") : this.#afterReturn;
    let start = 0;
    for (const { 0: end, index } of text.matchAll(LINE_END)) {
      this.#pieces.push(text.slice(start, index));
      this.#line(this.#pieces.join(""));
      this.#pieces = [];
      start = index + end.length;
    }
    if (start < text.length) this.#pieces.push(text.slice(start));
  }

  #line(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return this.#tell.comment(line.slice(1).trimStart());
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    return this.#field(name, value);
  }

  #field(name, value) {
    if (name === "event") this.#name = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#tell.retry(Number(value));
  }

  #end() {
    const block = { name: this.#name || "message", data: this.#data.length ? this.#data.join("\n") : null, id: this.#id };
    const isEmpty = block.data === null && block.id === undefined;
    this.#name = "";
    this.#data = [];
    this.#id = undefined;
    if (!isEmpty) this.#tell.block(block);
  }
}
