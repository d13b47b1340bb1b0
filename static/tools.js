// The buttons over the rows: which columns, export, link, and the stream for other programs.

import { labelOf } from "./catalog.js";
import { copy, save, say } from "./copy.js";
import { exported } from "./exporting.js";
import { hiddenOf, hideText } from "./question.js";
import { SNIPPETS } from "./snippets.js";
import { clone } from "./template.js";

const byId = (id) => document.getElementById(id);

export class Tools {
  #view;
  #hidden = new Set();

  /** `onHide(text)` is called with the columns to hide, as the address has them. */
  constructor(view, { onHide }) {
    this.#view = view;
    byId("columns").addEventListener("change", ({ target }) => {
      if (target.checked) this.#hidden.delete(target.value);
      else this.#hidden.add(target.value);
      onHide(hideText(this.#hidden));
    });
    byId("export").addEventListener("click", ({ target }) => target.dataset.format && this.#save(target.dataset.format));
    byId("copy-link").addEventListener("click", () => copy(location.href, "The link"));
    for (const button of document.querySelectorAll("[data-snippet]")) {
      button.addEventListener("click", () => copy(SNIPPETS[button.dataset.snippet](view.url), button.textContent.replace("Copy as ", "")));
    }
    for (const menu of document.querySelectorAll(".menu, .picker")) {
      menu.addEventListener("toggle", ({ newState }) => newState === "open" && place(menu));
    }
  }

  /** Offer the columns of the table, those that `question` hides unchecked. */
  show(question) {
    this.#hidden = hiddenOf(question);
    const names = this.#view.table.columns.map(({ name }) => name);
    const menu = byId("columns");
    const isSame = [...menu.querySelectorAll("input")].map(({ value }) => value).join("\0") === names.join("\0");
    if (!isSame) menu.replaceChildren(...names.map(choice));
    const shown = names.filter((name) => !this.#hidden.has(name));
    for (const box of menu.querySelectorAll("input")) {
      box.checked = !this.#hidden.has(box.value);
      box.disabled = box.checked && shown.length === 1; // one has to stay
    }
  }

  #save(format) {
    const { rows, grid, table } = this.#view;
    const { text, type } = exported(rows.slice(0, rows.size), grid.columns, format);
    save(text, `${labelOf(table).replace(/[^\p{L}\p{N}._-]+/gu, "_")}.${format}`, type);
    byId("export").hidePopover();
    say(`${rows.size.toLocaleString("en")} rows saved as ${format.toUpperCase()}.`);
  }
}

function choice(name) {
  const label = clone("column-choice");
  label.querySelector("input").value = name;
  label.querySelector("span").textContent = name;
  return label;
}

/** Put a menu below its button, within the page. */
function place(menu) {
  const button = document.querySelector(`[popovertarget=${menu.id}]`).getBoundingClientRect();
  menu.style.top = `${Math.max(8, Math.min(button.bottom + 4, innerHeight - menu.offsetHeight - 8))}px`;
  menu.style.left = `${Math.max(8, Math.min(button.left, innerWidth - menu.offsetWidth - 8))}px`;
}
