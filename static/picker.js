// The choice of a table, with a search.

import { labelOf, pathOf } from "./catalog.js";
import { clone, put } from "./template.js";

export class Picker {
  #button;
  #popover;
  #search;
  #list;
  #tables = [];
  #chosen = null;

  /** `onPick(table)` is called with the person's choice, `onLook()` when the tables are about to be looked at. */
  constructor(button, popover, { onPick, onLook }) {
    this.#button = button;
    this.#popover = popover;
    this.#search = popover.querySelector("input");
    this.#list = popover.querySelector("ul");
    popover.addEventListener("toggle", ({ newState }) => newState === "open" && this.#opened(onLook));
    this.#search.addEventListener("input", () => this.#show());
    popover.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", ({ target }) => {
      const choice = target.closest("button");
      if (!choice) return;
      popover.hidePopover();
      onPick(this.#tables.find((table) => pathOf(table) === choice.value));
    });
  }

  /** Offer `tables`; `chosen` is the one that is shown, if one is. */
  offer(tables, chosen) {
    this.#tables = tables;
    this.#chosen = chosen ?? null;
    this.#button.hidden = tables.length === 0;
    put(this.#button.querySelector(".picker-name"), chosen ? labelOf(chosen) : "Choose a table");
    this.#show();
  }

  #opened(onLook) {
    this.#search.value = "";
    this.#show();
    this.#search.focus();
    onLook();
  }

  #show() {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = this.#tables.filter((table) => labelOf(table).toLowerCase().includes(wanted));
    this.#list.replaceChildren(...found.map((table) => this.#choice(table)));
    this.#popover.querySelector(".picker-none").hidden = found.length > 0;
  }

  #choice(table) {
    const item = clone("choice");
    const button = item.querySelector("button");
    button.value = pathOf(table);
    button.textContent = labelOf(table);
    button.ariaCurrent = this.#chosen && pathOf(this.#chosen) === pathOf(table) ? "true" : null;
    return item;
  }

  /** Arrows go from the search through the tables; Enter in the search takes the first. */
  #key(event) {
    const stops = [this.#search, ...this.#list.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && event.target === this.#search) stops[1]?.click();
    else if (step) stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + step))].focus();
    else return;
    event.preventDefault();
  }
}
