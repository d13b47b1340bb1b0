// The page: loads the list of tables, follows the chosen one, shows its rows. It uses the client that others use.

import { find, labelOf, liveliest, pathOf, tablesByName } from "./catalog.js";
import { Backoff } from "./client/backoff.js";
import { Controls } from "./controls.js";
import { readable } from "./client/json.js";
import { copy } from "./copy.js";
import { listenToKeys } from "./keys.js";
import { Picker } from "./picker.js";
import { asksSame, fitting, fromQuery, toQuery } from "./question.js";
import { StateView } from "./state.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";

const LOOK_AGAIN = 3_000; // for a first watched table, in ms

const byId = (id) => document.getElementById(id);

class Dashboard {
  #tables = [];
  #question = {};
  #isFollowing = false;
  #backoff = new Backoff();
  #timer = 0;
  #failedSince = 0;
  #controls = new Controls(byId("controls"), (asked) => this.#ask(asked));
  #picker = new Picker(byId("table"), byId("picker"), {
    onPick: (table) => this.#pick(table),
    onLook: () => this.#look(),
  });
  #state = new StateView(byId("state"), byId("notice"), () => this.#again());
  #view = new View(byId("live"), byId("panel"), {
    state: (state) => this.#become(state),
    reset: () => this.#renew(),
    sort: (sort) => this.#ask({ sort }),
    filter: (column, value) => this.#controls.filter.add(column, value),
    paused: (count) => this.#paused(count),
  });
  #tools = new Tools(this.#view, { onHide: (hide) => this.#ask({ hide }) });

  constructor() {
    addEventListener("popstate", () => this.#follow(fromQuery(location.search)));
    byId("pause").addEventListener("click", () => this.#view.pause.toggle());
    byId("help-open").addEventListener("click", () => byId("help").showModal());
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.#ask({ view: tab.dataset.tab === "rows" ? "" : tab.dataset.tab }));
    }
    this.#listen();
    this.#load();
  }

  #listen() {
    const { grid, pause, panel } = this.#view;
    listenToKeys({
      move: (down, right) => grid.move(down, right),
      page: () => grid.page,
      open: () => this.#view.open(grid.cursor.row),
      copy: () => this.#copyCell(grid),
      pause: () => pause.toggle(),
      filter: () => byId("filter").focus(),
      help: () => byId("help").showModal(),
      close: () => panel.close(),
    });
  }

  #copyCell({ cursor: { row, column }, columns }) {
    if (!row || String(getSelection())) return;
    copy(readable(row.cells.get(columns[column].name) ?? "null") ?? "", columns[column].name);
  }

  /** Learn which tables there are, then follow what the address asks. */
  async #load() {
    clearTimeout(this.#timer);
    const tables = await tablesByName().catch((problem) => this.#unreachable(problem));
    if (tables) this.#offer(tables);
  }

  #offer(tables) {
    this.#tables = tables;
    this.#failedSince = 0;
    this.#backoff.reset();
    byId("welcome").hidden = tables.length > 0;
    if (tables.length) this.#follow(fromQuery(location.search));
    else this.#nothing();
  }

  /** No table is watched yet, or none is any more. */
  #nothing() {
    this.#isFollowing = false;
    this.#picker.offer([]);
    this.#controls.show({}, null);
    this.#view.hide();
    byId("pause").hidden = true;
    this.#wait({ name: "waiting" }, LOOK_AGAIN);
  }

  #unreachable({ message, kind }) {
    if (kind === "refused") return this.#state.show({ name: "closed", reason: message });
    const wait = this.#backoff.next();
    const since = (this.#failedSince ||= Date.now());
    const name = kind === "sign-in" ? "sign-in" : "stale";
    return this.#wait({ name, reason: message, since, until: Date.now() + wait }, wait);
  }

  #wait(state, wait) {
    this.#state.show(state);
    this.#timer = setTimeout(() => this.#load(), wait);
  }

  #again() {
    if (this.#isFollowing) this.#view.hurry();
    else this.#load();
  }

  #pick(table) {
    const { last } = this.#question;
    this.#go(fitting({ table: pathOf(table), last }, table));
  }

  /** Change the question by what is `asked`. */
  #ask(asked) {
    const table = this.#view.table && pathOf(this.#view.table);
    this.#go({ ...this.#question, table, ...asked });
  }

  #go(question) {
    history.pushState(null, "", toQuery(question));
    this.#follow(question);
  }

  async #follow(question) {
    const isMore = this.#isFollowing && asksSame(question, this.#question);
    this.#question = question;
    if (isMore) return this.#show(question);
    this.#view.stop();
    const table = question.table ? find(this.#tables, question.table) : await liveliest(this.#tables);
    if (question !== this.#question) return undefined; // another was put meanwhile
    return table ? this.#subscribe(table, question) : this.#unknown(question.table);
  }

  #subscribe(table, question, options) {
    document.title = `${labelOf(table)} · sseapp`;
    this.#question = { ...question, table: pathOf(table) };
    this.#isFollowing = true;
    byId("pause").hidden = false;
    this.#picker.offer(this.#tables, table);
    this.#controls.show(question, table);
    this.#view.start(table, question, options);
    this.#tools.show(question);
  }

  /** Only how it is shown has changed. */
  #show(question) {
    this.#view.show(question);
    this.#tools.show(question);
  }

  #unknown(name) {
    this.#isFollowing = false;
    this.#view.hide();
    this.#controls.show({}, null);
    this.#picker.offer(this.#tables);
    this.#state.show({ name: "closed", reason: `No table “${name}” is watched here. Choose one, or watch it first.` });
  }

  #become(state) {
    const isQuestion = state.name === "closed" && Boolean(this.#question.filter);
    this.#state.show(state, { isElsewhere: isQuestion });
    this.#controls.filter.refuse(isQuestion ? state.reason : "");
    if (state.name === "stale" && state.until) this.#look(); // its table may have another name by now
  }

  #paused(count) {
    const button = byId("pause");
    button.ariaPressed = String(count !== null);
    button.textContent = count === null ? "Pause" : "Go on";
    this.#state.pause(count);
  }

  /** Offer the tables that there are by now. */
  async #look() {
    const tables = await tablesByName().catch(() => this.#tables);
    if (JSON.stringify(tables) === JSON.stringify(this.#tables)) return;
    this.#tables = tables;
    this.#picker.offer(tables, this.#view.table ?? undefined);
  }

  /** After a reset the table may have another shape: begin again if it has. */
  async #renew() {
    const { table } = this.#view;
    const tables = await tablesByName().catch(() => this.#tables);
    const now = find(tables, pathOf(table));
    if (table !== this.#view.table || !now) return;
    this.#tables = tables;
    if (JSON.stringify(now) !== JSON.stringify(table)) this.#subscribe(now, this.#question, { isSame: true });
  }
}

new Dashboard();
