// The form for the query: table, range, filter.

import { labelOf, pathOf, rangeType } from "./catalog.js";
import { clone } from "./template.js";
import { isTime } from "./type.js";

export class Controls {
  #form;
  #fields;
  #onAsk;

  /** `onAsk(question)` is called when another query is chosen, `onLook()` when the list of tables is opened. */
  constructor(form, { onAsk, onLook }) {
    this.#form = form;
    this.#fields = form.elements;
    this.#onAsk = onAsk;
    form.addEventListener("change", (event) => this.#changed(event.target));
    this.#fields.table.addEventListener("focus", onLook);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#onAsk(this.#question());
    });
    this.#fields.filter.addEventListener("search", () => this.#onAsk(this.#question()));
  }

  /** Offer `tables`; `chosen` is the one that is shown, if it is among them. */
  offer(tables, chosen) {
    this.#fields.table.replaceChildren(...tables.map(choice));
    this.#form.hidden = tables.length === 0;
    if (chosen) this.#fields.table.value = pathOf(chosen);
  }

  /** Show that no table is chosen. */
  showNone() {
    this.#fields.table.selectedIndex = -1;
  }

  /** Show `question`, a query on `table`. */
  show(question, table) {
    this.#fields.table.value = pathOf(table);
    this.#fields.filter.value = question.filter ?? "";
    this.#showRange(question, table);
  }

  #showRange(question, table) {
    const type = rangeType(table);
    this.#form.querySelector(".field-range").hidden = !table.range;
    this.#form.querySelector(".range-column").textContent = table.range ? `on ${table.range}` : "";
    for (const preset of this.#form.querySelectorAll("[data-for=time]")) preset.hidden = !isTime(type);
    for (const zone of this.#form.querySelectorAll(".zone")) zone.textContent = /with time zone/.test(type) ? "(UTC)" : "";
    fill(this.#fields.start, question.start, type);
    fill(this.#fields.end, question.end, type);
    this.#choose(question, table);
  }

  #choose({ last, start, end }, table) {
    const chosen = last ?? (start || end ? "free" : "all");
    const presets = [...this.#fields.range];
    const wasFree = this.#fields.range.value === "free" && this.#form.dataset.table === pathOf(table);
    for (const preset of presets) preset.checked = preset.value === (wasFree && chosen === "all" ? "free" : chosen);
    this.#form.dataset.table = pathOf(table);
    this.#showFree();
  }

  #showFree() {
    this.#form.querySelector(".free").hidden = this.#fields.range.value !== "free";
  }

  #changed(field) {
    if (field.name === "range") this.#showFree();
    if (field.name === "table") this.#onAsk({ table: field.value, ...this.#last() });
    else if (field.value !== "free") this.#onAsk(this.#question());
  }

  #question() {
    const { table, start, end, filter } = this.#fields;
    const free = this.#fields.range.value === "free" ? { start: start.value, end: end.value } : {};
    return { table: table.value, ...this.#last(), ...free, filter: filter.value.trim() };
  }

  #last() {
    const { value } = this.#fields.range;
    return ["all", "free", ""].includes(value) ? {} : { last: value };
  }
}

function choice(table) {
  const option = clone("choice");
  option.value = pathOf(table);
  option.textContent = labelOf(table);
  return option;
}

/** A date field where the browser's own can hold the value, a text field otherwise. */
function fill(input, value = "", type = "") {
  input.type = type === "date" ? "date" : isTime(type) ? "datetime-local" : "text";
  input.step = 1;
  input.value = value;
  if (input.value || !value) return;
  input.type = "text";
  input.value = value;
}
