// Shows the rows that match one query, and keeps them current by the events that arrive.

import { Grid } from "./grid.js";
import { Painter } from "./painter.js";
import { Rows } from "./rows.js";
import { elements, members, readable } from "./rowtext.js";
import { Tally, figure } from "./tally.js";

const SHOWN = 300; // lines on the page
const HELD = 20_000; // rows in memory

export class View {
  #root;
  #grid;
  #tally;
  #rows = null;
  #isWhole = true; // does the query match all rows?
  #isLoaded = false; // has the snapshot arrived?
  #isRefused = false; // has the server refused the query?
  #painter = new Painter(() => this.#paint());

  constructor(root) {
    this.#root = root;
    this.#grid = new Grid(root.querySelector(".grid"));
    this.#tally = new Tally(root);
  }

  /** From now on show the rows of `table` that match `question`. */
  start(table, { last, start, end, filter }) {
    this.#root.hidden = false;
    this.#isWhole = !(last || start || end || filter);
    this.#isLoaded = false;
    this.#rows = new Rows(table, HELD);
    this.#grid.start(table);
    this.#tally.start();
    this.#painter.request();
  }

  hide() {
    this.#root.hidden = true;
  }

  /** Take the event called `name` with `data`, its JSON text. */
  take(name, data) {
    this.#apply(name, members(data));
    this.#tally.count(name);
    this.#painter.request();
  }

  /** Take the state of the connection from a Feed. */
  become(state) {
    this.#isRefused = state.name === "closed";
    this.#painter.request();
  }

  #apply(name, event) {
    if (name === "snapshot") this.#load(event);
    else if (name === "insert") this.#rows.insert(event.get("row"));
    else if (name === "update") this.#rows.update(event.get("row"), event.get("old"));
    else if (name === "delete") this.#rows.delete(event.get("old"));
    else if (name === "window") this.#rows.window(readable(event.get("start")));
    else this.#rows.clear(); // truncate, reset
  }

  #load(event) {
    this.#rows.snapshot(JSON.parse(event.get("key")), elements(event.get("rows")), event.get("more") === "true");
    this.#isLoaded = true;
  }

  #paint() {
    const shown = this.#rows.newest(SHOWN);
    this.#grid.paint(shown);
    this.#tally.show(this.#isLoaded ? this.#rows : null);
    this.#root.querySelector(".empty").hidden = shown.length > 0;
    this.#root.querySelector(".empty").textContent = this.#emptiness();
    this.#root.querySelector(".footnote").textContent = this.#limits(shown.length);
  }

  #emptiness() {
    if (this.#isRefused) return "";
    if (!this.#isLoaded) return "Loading rows…";
    return `${this.#isWhole ? "The table is empty" : "No row matches yet"}. Rows appear here as they are committed.`;
  }

  /** What the page does not show, in words. */
  #limits(shown) {
    const { size, more } = this.#rows;
    const notes = [];
    if (shown < size) notes.push(`Showing the newest ${figure(shown)} of ${figure(size)} rows.`);
    if (more) notes.push(`The table has more rows than the ${figure(size)} loaded here.`);
    return notes.join(" ");
  }
}
