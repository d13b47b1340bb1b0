// The state of the connection, in words for everyone and with a clock for those who watch it.

import { figure } from "./tally.js";
import { put } from "./template.js";

const BLIP = 2_000; // ms; a cut that heals within is not worth a notice
const CONNECTING = { name: "connecting" };

export class StateView {
  #root;
  #notice;
  #state = CONNECTING;
  #waiting = null; // events held back by the person; null while there is no pause
  #isQuestionRefused = false;

  /** `onAgain()` is called when the person does not want to wait for the next try. */
  constructor(root, notice, onAgain) {
    this.#root = root;
    this.#notice = notice;
    notice.querySelector("button").addEventListener("click", onAgain);
    setInterval(() => this.#paint(), 500);
  }

  /** `state` is what a subscription tells, or `{name: "waiting"}`. `isElsewhere` says that its reason is shown elsewhere. */
  show(state, { isElsewhere = false } = {}) {
    this.#state = state;
    this.#isQuestionRefused = isElsewhere;
    this.#paint();
  }

  /** Say that `count` events wait for the end of the pause; null is no pause. */
  pause(count) {
    this.#waiting = count;
    this.#paint();
  }

  #paint() {
    const [name, detail, look] = this.#words();
    this.#root.dataset.state = look;
    put(this.#root.querySelector(".state-name"), name);
    put(this.#root.querySelector(".state-detail"), detail);
    this.#paintNotice();
  }

  /** A name, what follows it, and how it looks. */
  #words() {
    const { name, since, until, lag } = this.#state;
    if (name === "stale" && !this.#isBlip()) return ["Stale", `since ${clock(since)}${inSeconds(until)}`, "stale"];
    if (name === "stale") return ["Reconnecting", "", "reconnecting"];
    if (name === "sign-in") return ["Sign in again", "", "closed"];
    if (name === "closed") return ["Closed", "", "closed"];
    if (name === "waiting") return ["Waiting for a first table", "", "connecting"];
    if (this.#waiting !== null) return ["Paused", `· ${figure(this.#waiting)} waiting`, "paused"];
    if (name === "live") return ["Live", lag === undefined ? "" : `· ${behind(lag)} behind`, "live"];
    return ["Connecting", "", "connecting"];
  }

  #isBlip() {
    return this.#state.until !== undefined && Date.now() - this.#state.since < BLIP;
  }

  #paintNotice() {
    const { name, reason, since, until } = this.#state;
    const isTrouble = name === "closed" || name === "sign-in" || (name === "stale" && !this.#isBlip());
    this.#notice.hidden = !isTrouble || this.#isQuestionRefused;
    put(this.#notice.querySelector(".notice-text"), this.#notice.hidden ? "" : explanation(name, reason, since));
    this.#notice.querySelector("button").hidden = name === "stale" && until === undefined; // the server tries by itself
    const link = this.#notice.querySelector(".notice-link");
    link.hidden = name !== "sign-in";
    link.href = location.href;
  }
}

function explanation(name, reason = "The connection is lost.", since = 0) {
  if (name !== "stale") return reason;
  return `Stale since ${clock(since)}: ${reason[0].toLowerCase()}${reason.slice(1)} The rows may be out of date.`;
}

const inSeconds = (until) => (until > Date.now() ? ` · next try in ${Math.ceil((until - Date.now()) / 1_000)} s` : "");

/** 16:19:06, by the viewer's clock. */
export const clock = (moment) => new Date(moment).toLocaleTimeString("en-GB");

function behind(lag) {
  if (lag < 1) return `${Math.max(1, Math.round(lag * 1_000))} ms`;
  return `${lag < 10 ? lag.toFixed(1) : figure(Math.round(lag))} s`;
}
