// The rows on the page. Only those in sight are there, so that any number can be scrolled to; what is above and below is
// empty space of their height. Only what differs from the last painting is touched.

import { Headings } from "./headings.js";
import { Line } from "./line.js";
import { mark, mayMark } from "./mark.js";
import { clone } from "./template.js";

const HEIGHT = 30; // of a line, in pixels, as grid.css has it
const BEYOND = 6; // lines above and below those in sight
const SAMPLE = 100; // rows that columns get their widths from

export class Grid {
  cursor = { row: null, column: 0 };
  #scroll;
  #table;
  #body;
  #newer;
  #headings;
  #columns = [];
  #lines = new Map(); // row -> its Line, of those in sight
  #rows = null;
  #painted = { rows: [], first: 0 }; // what was put on the page last
  #anchor = { rows: [], place: 0 }; // the rows in sight, the first of which stays there when rows come above
  #unseen = 0; // rows that came above it
  #isFresh = true; // is nothing shown yet?
  #space = { above: clone("line"), below: clone("line") };

  /** `onSort(terms text)` is called when the person wants another order, `onOpen(row)` when all of a row. */
  constructor(pane, { onSort, onOpen, onScroll }) {
    this.#scroll = pane.querySelector(".scroll");
    this.#table = pane.querySelector(".grid");
    this.#body = this.#table.tBodies[0];
    this.#newer = pane.querySelector(".newer");
    this.#headings = new Headings(this.#table, onSort);
    for (const space of Object.values(this.#space)) space.className = "space";
    this.#scroll.addEventListener("scroll", () => {
      this.#remember();
      onScroll();
    });
    new ResizeObserver(onScroll).observe(this.#scroll);
    this.#newer.addEventListener("click", () => this.#toTop());
    this.#body.addEventListener("click", (event) => this.#clicked(event, onOpen));
  }

  /** Begin with `columns` of `table`, and with no rows. */
  start(table, columns, sort) {
    this.#columns = columns;
    this.#lines.clear();
    this.#headings.start(table, columns, sort);
    this.#body.replaceChildren(this.#space.above, this.#space.below);
    for (const space of Object.values(this.#space)) space.style.height = "0";
    this.#isFresh = true;
    this.#unseen = 0;
    this.#painted = { rows: [], first: 0 };
    this.#anchor = { rows: [], place: 0 };
    this.cursor = { row: null, column: 0 };
  }

  get columns() {
    return this.#columns;
  }

  /** Show `rows`, a Rows, where the person has scrolled to. */
  paint(rows) {
    this.#rows = rows;
    if (this.#isFresh && rows.size) this.#headings.fit(rows.slice(0, SAMPLE));
    this.#keepPlace(rows);
    const first = Math.max(0, Math.floor(this.#scroll.scrollTop / HEIGHT) - BEYOND);
    const count = Math.ceil(this.#scroll.clientHeight / HEIGHT) + 2 * BEYOND;
    const shown = rows.slice(first, first + count);
    this.#place(shown, first);
    this.#space.above.style.height = `${first * HEIGHT}px`;
    this.#space.below.style.height = `${Math.max(0, rows.size - first - shown.length) * HEIGHT}px`;
    this.#table.ariaRowCount = rows.size + 1;
    this.#isFresh &&= rows.size === 0;
    this.#painted = { rows: shown, first };
    this.#remember();
    this.#showUnseen();
  }

  /** Move the cursor by so many rows and columns, and show it. */
  move(down, right) {
    if (!this.#rows?.size) return;
    const { row, column } = this.cursor;
    const at = row && !row.isGone ? this.#rows.placeOf(row) + down : this.#firstInSight() + (Number.isFinite(down) ? 0 : down);
    const place = Math.max(0, Math.min(this.#rows.size - 1, at));
    this.#point(this.#rows.slice(place, place + 1)[0], Math.max(0, Math.min(this.#columns.length - 1, column + right)));
    this.#reveal(place);
  }

  /** How many rows are in sight. */
  get page() {
    return Math.max(1, Math.floor(this.#scroll.clientHeight / HEIGHT) - 2);
  }

  #firstInSight() {
    return Math.ceil(this.#scroll.scrollTop / HEIGHT);
  }

  /** Rows that come or go above must not move those that are being read; at the top the new ones are. */
  #keepPlace(rows) {
    if (this.#scroll.scrollTop === 0) return;
    const offset = this.#anchor.rows.findIndex((row) => !row.isGone);
    if (offset < 0) return;
    const before = this.#anchor.place + offset;
    const moved = rows.placeOf(this.#anchor.rows[offset]) - before;
    if (moved === 0) return;
    this.#unseen = Math.max(0, this.#unseen + moved);
    this.#space.above.style.height = `${(before + moved) * HEIGHT}px`;
    this.#space.below.style.height = `${rows.size * HEIGHT}px`;
    this.#scroll.scrollTop += moved * HEIGHT;
  }

  #remember() {
    const place = this.#firstInSight();
    const { rows, first } = this.#painted;
    this.#anchor = { rows: place >= first ? rows.slice(place - first) : [], place };
  }

  #showUnseen() {
    if (this.#scroll.scrollTop < HEIGHT) this.#unseen = 0;
    this.#newer.hidden = this.#unseen === 0;
    if (this.#unseen) this.#newer.textContent = `${this.#unseen.toLocaleString("en")} new ↑`;
  }

  #toTop() {
    this.#unseen = 0;
    this.#scroll.scrollTop = 0;
    this.#scroll.focus();
  }

  #place(rows, first) {
    const wanted = new Set(rows);
    for (const [row, line] of this.#lines) if (!wanted.has(row)) this.#leave(row, line);
    let next = this.#space.above.nextElementSibling;
    rows.forEach((row, place) => {
      const line = this.#lines.get(row) ?? this.#enter(row);
      while (next.classList.contains("leaving")) next = next.nextElementSibling;
      if (line.tr === next) next = next.nextElementSibling;
      else this.#body.insertBefore(line.tr, next);
      line.show(row, this.#isFresh);
      line.tr.ariaRowIndex = first + place + 2;
      line.tr.classList.toggle("is-odd", (first + place) % 2 === 1);
      this.#greet(row, line);
    });
  }

  #enter(row) {
    const line = new Line(this.#columns);
    this.#lines.set(row, line);
    if (row === this.cursor.row) line.point(this.cursor.column);
    return line;
  }

  #greet(row, { tr }) {
    if (row.isNew && !this.#isFresh) mark(tr, "insert");
    row.isNew = false;
  }

  /** A row that left the table says so before it goes; one that was scrolled away just goes. */
  #leave(row, { tr }) {
    this.#lines.delete(row);
    if (!row.isGone || this.#isFresh || !mayMark()) return tr.remove();
    tr.classList.add("leaving");
    return mark(tr, "delete", () => tr.remove());
  }

  #clicked({ target, detail }, onOpen) {
    const td = target.closest("td");
    const [row] = [...this.#lines].find(([, { tr }]) => tr === td?.parentElement) ?? [];
    if (!row) return;
    this.#point(row, td.cellIndex);
    if (detail === 2) onOpen(row);
  }

  #point(row, column) {
    this.#lines.get(this.cursor.row)?.point(-1);
    this.cursor = { row, column };
    this.#lines.get(row)?.point(column);
  }

  #reveal(place) {
    const head = this.#table.tHead.offsetHeight;
    const top = place * HEIGHT;
    const { scrollTop, clientHeight } = this.#scroll;
    if (top < scrollTop) this.#scroll.scrollTop = top;
    else if (top + HEIGHT > scrollTop + clientHeight - head) this.#scroll.scrollTop = top + HEIGHT - clientHeight + head;
    this.#lines.get(this.cursor.row)?.tr.cells[this.cursor.column]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
