// The form for the range and the filter.

import { pathOf, rangeType } from "./catalog.js";
import { isTime } from "./client/types.js";
import { Filter } from "./filter.js";
import { clone } from "./template.js";

const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export class Controls {
  filter;
  #form;
  #fields;
  #onAsk;
  #table = null;

  /** `onAsk(question)` is called when the person asks for another range or filter. */
  constructor(form, onAsk) {
    this.#form = form;
    this.#fields = form.elements;
    this.#onAsk = onAsk;
    this.filter = new Filter(form.querySelector(".field-filter"), this.#fields, () => this.#ask());
    this.#fields.tz.replaceChildren(...[...new Set(["UTC", OWN_ZONE])].map(zoneOption));
    form.addEventListener("change", ({ target }) => this.#changed(target));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Make the form say `question`, about `table`; without a table it is hidden. */
  show(question, table) {
    this.#form.hidden = !table;
    if (!table) return;
    this.#showRange(question, table);
    this.filter.show(question.filter, table);
    this.#table = pathOf(table);
  }

  #showRange(question, table) {
    const type = rangeType(table);
    const { start, end, tz } = this.#fields;
    this.#form.querySelector(".field-range").hidden = !table.range;
    this.#form.querySelector(".range-column").textContent = table.range ? `on ${table.range}` : "";
    for (const preset of this.#form.querySelectorAll("[data-for=time]")) preset.hidden = !isTime(type);
    this.#form.querySelector(".field-zone").hidden = !/with time zone/.test(type);
    fill(start, question.start, type);
    fill(end, question.end, type);
    if (question.tz && ![...tz.options].some(({ value }) => value === question.tz)) tz.append(zoneOption(question.tz));
    tz.value = question.tz ?? "UTC";
    this.#choose(question, pathOf(table));
  }

  #choose({ last, start, end }, table) {
    const chosen = last || (start || end ? "free" : "all");
    const wasFree = this.#fields.range.value === "free" && this.#table === table;
    for (const preset of this.#fields.range) preset.checked = preset.value === (wasFree && chosen === "all" ? "free" : chosen);
    this.#showFree();
  }

  #showFree() {
    this.#form.querySelector(".free").hidden = this.#fields.range.value !== "free" || this.#form.querySelector(".field-range").hidden;
  }

  #changed({ name, value }) {
    if (name === "range") this.#showFree();
    if (["start", "end", "tz"].includes(name) || (name === "range" && value !== "free")) this.#ask();
  }

  #ask() {
    const { start, end, tz, range } = this.#fields;
    const free = range.value === "free" ? { start: start.value, end: end.value, tz: tz.value === "UTC" ? "" : tz.value } : {};
    const last = ["all", "free", ""].includes(range.value) ? "" : range.value;
    this.#onAsk({ table: this.#table, last, start: "", end: "", tz: "", ...free, filter: this.filter.text });
  }
}

function zoneOption(zone) {
  const option = clone("option");
  option.value = zone;
  option.textContent = zone === OWN_ZONE && zone !== "UTC" ? `${zone} (yours)` : zone;
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
