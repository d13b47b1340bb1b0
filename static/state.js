// The state of the connection, in words for everyone and with a clock for those who watch it.

import { age } from "./tally.js";

const WORDS = {
  connecting: "Connecting",
  waiting: "Waiting for a first table",
  live: "Live",
  reconnecting: "Reconnecting",
  closed: "Closed",
};
const BLIP = 2_000; // a cut that heals within this time is not worth a notice

export class StateView {
  #root;
  #notice;
  #state = {};

  /** `onAgain()` is called when the person does not want to wait for the next try. */
  constructor(root, notice, onAgain) {
    this.#root = root;
    this.#notice = notice;
    notice.querySelector("button").addEventListener("click", onAgain);
    setInterval(() => this.#tick(), 1_000);
  }

  /** `state` is what a Feed tells. */
  show(state) {
    this.#state = state;
    this.#root.dataset.state = state.name;
    put(this.#root.querySelector(".state-name"), WORDS[state.name]);
    put(this.#notice.querySelector(".notice-text"), explanation(state));
    this.#tick();
  }

  #tick() {
    const { since, until, detail } = this.#state;
    this.#notice.hidden = !(detail || (since && Date.now() - since > BLIP));
    const left = until ? Math.ceil((until - Date.now()) / 1_000) : 0;
    put(this.#root.querySelector(".state-clock"), left > 0 ? `in ${left} s` : since ? `for ${age(since)}` : "");
  }
}

function explanation({ detail = "The connection was lost.", since }) {
  return since ? `${detail} The rows may be out of date.` : detail;
}

/** A live region speaks up on every assignment, so assign changes only. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
