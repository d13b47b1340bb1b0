// The answer to one question: keeps its rows by the events that come, and shows them.

import { members, readable } from "./client/json.js";
import { Rows } from "./client/rows.js";
import { Subscription } from "./client/subscription.js";
import { Transactions } from "./client/transactions.js";
import { Entries, changeItem, eventItem } from "./entries.js";
import { Grid } from "./grid.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { Pause } from "./pause.js";
import { changesUrl, hiddenOf, sortOf } from "./question.js";
import { Tally, figure } from "./tally.js";
import { put } from "./template.js";

const HELD = 50_000; // rows in memory
const LISTED = new Set(["insert", "update", "delete", "truncate", "reset"]);

export class View {
  table = null;
  rows = null;
  grid;
  panel;
  pause;
  #root;
  #told;
  #tally;
  #changes;
  #events;
  #subscription = null;
  #transactions = null;
  #isWhole = true; // does the question take all rows of the table?
  #tab = "rows";
  #painter = new Painter(() => this.#paint());

  /** `told` has `state(state)`, `reset()`, `sort(text)`, `filter(column, value)` and `paused(count)`. */
  constructor(root, panel, told) {
    this.#root = root;
    this.#told = told;
    const request = () => this.#painter.request();
    const open = (row) => this.open(row);
    this.grid = new Grid(root.querySelector("#pane-rows"), { onSort: told.sort, onOpen: open, onScroll: request });
    this.panel = new Panel(panel, told.filter);
    this.#tally = new Tally(root);
    this.#changes = new Entries(root.querySelector(".changes"), changeItem, root.querySelector(".list-more"));
    this.#events = new Entries(root.querySelector(".events"), eventItem);
    this.pause = new Pause((events) => this.#transactions.take(events), told.paused);
  }

  /** The address of the stream that is followed. */
  get url() {
    return this.#subscription?.url;
  }

  /** Follow `table` from now on, as far as `question` asks for it. `isSame` keeps what was listed: it has another shape only. */
  start(table, question, { isSame = false } = {}) {
    this.stop();
    this.table = table;
    this.#root.hidden = false;
    this.#isWhole = !(question.last || question.start || question.end || question.filter);
    this.rows = new Rows({ bound: HELD });
    this.#transactions = new Transactions((events) => this.#apply(events));
    if (!isSame) for (const list of [this.#tally, this.#changes, this.#events]) list.start();
    this.show(question);
    this.#subscription = new Subscription(changesUrl(table, question).href, {
      tell: {
        events: (events) => this.pause.take(events),
        planted: (seed) => this.#plant(seed),
        seed: () => this.#seed(),
        state: (state) => this.#become(state),
      },
    });
  }

  /** Show what is there as `question` wants it: its order, its columns, its tab. */
  show(question) {
    const hidden = hiddenOf(question);
    const columns = this.table.columns.filter(({ name }) => !hidden.has(name));
    const sort = sortOf(question, this.table);
    this.rows.arrange(this.table, sort, { isNewestFirst: true });
    this.grid.start(this.table, columns, question.sort ? sort : null);
    this.#tab = question.view ?? "rows";
    for (const tab of this.#root.querySelectorAll("[role=tab]")) tab.ariaSelected = String(tab.dataset.tab === this.#tab);
    for (const pane of this.#root.querySelectorAll(".pane")) pane.hidden = pane.id !== `pane-${this.#tab}`;
    this.#painter.request();
  }

  stop() {
    this.#subscription?.close();
    this.#subscription = null;
    this.pause.start();
    this.panel.close();
  }

  hide() {
    this.stop();
    this.#root.hidden = true;
  }

  hurry() {
    this.#subscription?.hurry();
  }

  /** Show all of `row`. */
  open(row) {
    if (!row) return;
    this.panel.open(row, this.table);
    this.#painter.request();
  }

  #become(state) {
    this.#told.state(state);
    this.#painter.request();
  }

  #plant(seed) {
    this.rows.plant(seed);
    this.#painter.request();
  }

  /** What another page may go on from has all that has come, also what is held back here. */
  #seed() {
    this.pause.flush();
    this.#transactions.flush();
    return this.rows.isLoaded ? this.rows.seed : null;
  }

  #apply(events) {
    for (const { name, data, id } of events) {
      this.#events.add({ name, data, id });
      const event = members(data);
      const row = this.rows.apply(name, event);
      this.#tally.count(name);
      if (LISTED.has(name)) this.#list(name, event, row);
      if (name === "reset") this.#told.reset();
    }
    this.#painter.request();
  }

  #list(name, event, row) {
    const cellsOf = (member) => (event.has(member) ? members(event.get(member)) : null);
    const [cells, old] = [cellsOf("row"), cellsOf("old")];
    const text = (member) => (event.has(member) ? readable(event.get(member)) : undefined);
    const key = this.rows.key?.map((column) => readable((cells ?? old)?.get(column) ?? '""')).join(", ");
    this.#changes.add({ name, cells, old, key, at: text("at"), reason: text("reason"), identity: row?.identity });
  }

  #paint() {
    if (!this.rows) return;
    const { rows } = this;
    this.#tally.show(rows.isLoaded ? rows : null);
    if (this.#tab === "rows") this.#paintRows(rows);
    else if (this.#tab === "changes") this.#changes.paint();
    else this.#events.paint();
    this.#root.querySelector(".list-empty").hidden = this.#changes.held.length > 0;
    this.panel.paint(this.#changes.held);
  }

  #paintRows(rows) {
    this.grid.paint(rows);
    const empty = this.#root.querySelector(".empty");
    empty.hidden = rows.size > 0;
    put(empty, this.#emptiness());
    put(this.#root.querySelector(".footnote"), this.#limits());
  }

  #emptiness() {
    if (this.#subscription?.state.name === "closed") return "";
    if (!this.rows.isLoaded) return "Reading the rows…";
    return `${this.#isWhole ? "The table is empty" : "No row matches yet"}. Rows appear here as they are committed.`;
  }

  /** What the page does not hold, if there is such. */
  #limits() {
    const { size, more, isLoaded } = this.rows;
    if (!more) return "";
    return isLoaded ? `These are the newest ${figure(size)} rows. There are more; a range or a filter finds them.` : "Reading the rows…";
  }
}
