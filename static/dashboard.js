// The page: loads the list of tables, subscribes to the chosen query, passes events to the views.

import { Backoff } from "./backoff.js";
import { find, labelOf, liveliest, loadTables, pathOf } from "./catalog.js";
import { Controls } from "./controls.js";
import { Feed } from "./feed.js";
import { changesUrl, fitting, fromQuery, toQuery } from "./question.js";
import { StateView } from "./state.js";
import { View } from "./view.js";

const LOOK_AGAIN = 3_000; // for a first watched table, in ms

const byId = (id) => document.getElementById(id);

class Dashboard {
  #tables = [];
  #table = null;
  #feed = null;
  #backoff = new Backoff();
  #timer = 0;
  #controls = new Controls(byId("controls"), {
    onAsk: (question) => this.#ask(question),
    onLook: () => this.#look(),
  });
  #state = new StateView(byId("state"), byId("notice"), () => this.#again());
  #view = new View(byId("live"));

  constructor() {
    addEventListener("popstate", () => this.#follow(fromQuery(location.search)));
    this.#load();
  }

  /** Load the list of tables, then follow the query in the page's address. */
  async #load() {
    clearTimeout(this.#timer);
    const tables = await loadTables().catch((problem) => this.#unreachable(problem));
    if (tables) this.#offer(tables);
  }

  #offer(tables) {
    this.#tables = tables;
    this.#backoff.reset();
    this.#controls.offer(tables);
    byId("welcome").hidden = tables.length > 0;
    if (tables.length) this.#follow(fromQuery(location.search));
    else this.#wait({ name: "waiting" }, LOOK_AGAIN);
  }

  #unreachable({ message, final }) {
    if (final) this.#state.show({ name: "closed", detail: message });
    else this.#retry(this.#backoff.next(), message);
  }

  #retry(wait, detail) {
    this.#wait({ name: "reconnecting", detail, until: Date.now() + wait }, wait);
  }

  #wait(state, wait) {
    this.#state.show(state);
    this.#timer = setTimeout(() => this.#load(), wait);
  }

  #again() {
    if (this.#feed) this.#feed.open();
    else this.#load();
  }

  #ask(asked) {
    const table = find(this.#tables, asked.table);
    const question = table ? fitting(asked, table) : asked;
    history.pushState(null, "", toQuery(question));
    this.#follow(question);
  }

  #follow(question) {
    this.#feed?.close();
    this.#table = question.table ? find(this.#tables, question.table) : liveliest(this.#tables);
    if (this.#table) this.#subscribe(this.#table, question);
    else this.#unknown(question.table);
  }

  #subscribe(table, question) {
    document.title = `${labelOf(table)} · sseapp`;
    this.#controls.show(question, table);
    this.#view.start(table, question);
    this.#feed = new Feed(changesUrl(table, question), {
      onEvent: (name, data) => this.#take(name, data),
      onState: (state) => this.#become(state),
    });
    this.#feed.open();
  }

  #unknown(name) {
    this.#feed = null;
    this.#view.hide();
    this.#controls.showNone();
    this.#state.show({ name: "closed", detail: `No table “${name}” is watched here. Choose one, or watch it first.` });
  }

  #take(name, data) {
    this.#view.take(name, data);
    if (name === "reset") this.#renew(this.#table);
  }

  #become(state) {
    this.#state.show(state);
    this.#view.become(state);
    if (state.name === "reconnecting" && state.detail) this.#look(); // its table may have another name by now
  }

  /** Reload the list of tables. */
  async #look() {
    const tables = await loadTables().catch(() => this.#tables);
    if (JSON.stringify(tables) === JSON.stringify(this.#tables)) return;
    this.#tables = tables;
    this.#controls.offer(tables, this.#table);
  }

  /** After a reset the table may have another shape: begin again if it has. */
  async #renew(table) {
    const tables = await loadTables().catch(() => this.#tables);
    const now = find(tables, pathOf(table));
    if (now && table === this.#table && JSON.stringify(now) !== JSON.stringify(table)) this.#offer(tables);
  }
}

new Dashboard();
