// The filter: conditions as chips, a new one by column, comparison and value; or all of it as text.

import { conditionsOf } from "./question.js";
import { quoted } from "./catalog.js";
import { clone, put } from "./template.js";

const OPERATORS = [
  ["eq", "="],
  ["neq", "≠"],
  ["gt", ">"],
  ["gte", "≥"],
  ["lt", "<"],
  ["lte", "≤"],
  ["in", "one of"],
  ["is", "is"],
];
const HINTS = { in: "(new,paid)", is: "null" };
const RESERVED = ["start", "end", "tz", "last", "columns", "order", "limit", "snapshot", "after", "wait", "every", "watch", "or", "and", "ticket"];
const CONDITION = /^(eq|neq|gt|gte|lt|lte|in|is)\.(.*)$/s;

export class Filter {
  #root;
  #fields;
  #conditions = [];
  #onChange;
  #isText = false;
  #keep = ""; // what stays in the field over the next showing

  /** `onChange()` is called when the person has changed the filter; `text` is it then. */
  constructor(root, fields, onChange) {
    this.#root = root;
    this.#fields = fields;
    this.#onChange = onChange;
    fields.operator.replaceChildren(...OPERATORS.map(([value, text]) => option(value, text)));
    fields.operator.addEventListener("change", () => this.#showHint());
    fields.filter.addEventListener("keydown", (event) => this.#key(event));
    root.querySelector(".chips").addEventListener("click", (event) => this.#clicked(event.target));
    root.querySelector(".filter-mode").addEventListener("click", () => this.#switch(!this.#isText));
  }

  get text() {
    return this.#conditions.map(({ text }) => text).join("&");
  }

  /** Offer the columns of `table`, and show the filter `text`. */
  show(text = "", table) {
    this.#conditions = conditionsOf(text);
    const chosen = this.#fields.column.value;
    this.#fields.column.replaceChildren(...table.columns.map(({ name }) => option(name, name)));
    if (table.columns.some(({ name }) => name === chosen)) this.#fields.column.value = chosen;
    this.#switch(this.#isText);
    this.refuse("");
  }

  /** Say why the server does not take the filter; "" where it does. */
  refuse(message) {
    const error = this.#root.querySelector(".filter-error");
    error.hidden = !message;
    put(error, message);
    const named = /^(.*?): /.exec(message)?.[1];
    const chips = [...this.#root.querySelectorAll(".chip")];
    chips.forEach((chip, place) => chip.classList.toggle("is-wrong", Boolean(named) && this.#conditions[place].name === named));
    this.#fields.filter.ariaInvalid = message ? "true" : "false";
  }

  /** Add `column` = the readable `value`; null is NULL. */
  add(column, value) {
    const name = RESERVED.includes(column) ? `"${column}"` : quoted(column) === column ? column : quoted(column);
    this.#set([...this.#conditions, ...conditionsOf(value === null ? `${name}=is.null` : `${name}=eq.${value}`)]);
  }

  #set(conditions) {
    this.#conditions = conditions;
    this.#onChange();
  }

  #key(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const { value } = this.#fields.filter;
    const isWhole = this.#isText || CONDITION.test(value.slice(value.indexOf("=") + 1));
    if (this.#isText) this.#set(conditionsOf(value));
    else if (isWhole && value.includes("=")) this.#set([...this.#conditions, ...conditionsOf(value)]);
    else if (value || this.#fields.operator.value === "eq") this.#set([...this.#conditions, ...conditionsOf(this.#built(value))]);
  }

  #built(value) {
    const { column, operator } = this.#fields;
    const name = RESERVED.includes(column.value) ? `"${column.value}"` : quoted(column.value);
    const listed = operator.value === "in" && !value.startsWith("(") ? `(${value})` : value;
    return `${name}=${operator.value}.${listed}`;
  }

  #clicked(target) {
    const chip = target.closest(".chip");
    if (!chip) return;
    const place = [...chip.parentElement.children].indexOf(chip);
    const taken = this.#conditions[place];
    if (target.closest(".chip-edit")) this.#edit(taken);
    this.#set(this.#conditions.filter((condition) => condition !== taken));
    this.#fields.filter.focus();
  }

  /** Put a condition back into the fields. */
  #edit({ name, value }) {
    const { column, operator, filter } = this.#fields;
    const [, op = "eq", operand = value] = CONDITION.exec(value) ?? [];
    column.value = name.replace(/^"(.*)"$/s, "$1");
    operator.value = op;
    filter.value = operand;
    this.#keep = operand;
  }

  #switch(isText) {
    this.#isText = isText;
    const { column, operator, filter } = this.#fields;
    column.hidden = operator.hidden = isText;
    filter.value = isText ? this.text : this.#keep;
    this.#keep = "";
    this.#root.querySelector(".filter-mode").ariaPressed = String(isText);
    this.#root.querySelector(".help").hidden = !isText;
    this.#root.querySelector(".chips").replaceChildren(...(isText ? [] : this.#conditions.map(chip)));
    this.#showHint();
  }

  #showHint() {
    this.#fields.filter.placeholder = this.#isText ? "status=eq.paid&total=gt.100" : (HINTS[this.#fields.operator.value] ?? "value, then Enter");
  }
}

function chip({ name, value, text }) {
  const item = clone("chip");
  const [, op, operand] = CONDITION.exec(value) ?? [];
  const sign = OPERATORS.find(([known]) => known === op)?.[1];
  item.querySelector(".chip-edit").textContent = sign ? `${name} ${sign} ${operand === "" ? "''" : operand}` : text;
  return item;
}

function option(value, text) {
  const found = clone("option");
  found.value = value;
  found.textContent = text;
  return found;
}
