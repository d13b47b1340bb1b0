// The same subscription where no stream gets through (a front that holds answers back): rows, then long polls.

import { rowsUrl, withParameter } from "./address.js";
import { elements, members } from "./json.js";
import { getText } from "./problem.js";

const WAIT = 20; // seconds that the server waits for a change
const PATIENCE = 1_000 * WAIT + 15_000;
const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Tell what `stream.follow` would, to the end of all times. Throws a Problem. */
export async function poll(url, { cursor, token, signal, tell }) {
  let after = cursor || new URL(url).searchParams.get("after");
  let isToldWhy = true;
  for (;;) {
    after ??= await snapshot(url, { token, signal, tell });
    if (isToldWhy) tell.opened();
    isToldWhy = false;
    try {
      after = await changes(url, after, { token, signal, tell });
    } catch (problem) {
      if (problem.kind !== "gone") throw problem;
      after = null;
      tell.block({ name: "reset", data: JSON.stringify({ reason: problem.message }) });
    }
  }
}

async function snapshot(url, { token, signal, tell }) {
  if (new URL(url).searchParams.get("snapshot") === "no") {
    return told(await getText(url, { token, signal }), tell, () => {});
  }
  const text = await getText(rowsUrl(url), { token, signal, patience: PATIENCE });
  return told(text, tell, (id) => tell.block({ name: "snapshot", data: text, id }));
}

async function changes(url, after, { token, signal, tell }) {
  const request = withParameter(withParameter(url, "after", after), "wait", `${WAIT}s`);
  const text = await getText(request, { token, signal, patience: PATIENCE });
  moveWindow(url, tell);
  return told(text, tell, (id, answer) => {
    const all = elements(answer.get("changes"));
    all.forEach((change, place) => {
      const name = JSON.parse(members(change).get("event"));
      tell.block({ name, data: change, id: place === all.length - 1 ? id : undefined });
    });
    if (!all.length) tell.block({ name: "message", data: null, id });
  });
}

/** Call `take` with the cursor and the members of an answer; the cursor. */
function told(text, tell, take) {
  const answer = members(text);
  const cursor = JSON.parse(answer.get("cursor"));
  tell.bytes();
  take(cursor ?? undefined, answer);
  tell.drained();
  return cursor;
}

/** A long poll does not tell how a window moved: it goes by this machine's clock then. */
function moveWindow(url, tell) {
  const match = /^(\d+)([smhd])$/.exec(new URL(url).searchParams.get("last") ?? "");
  if (!match) return;
  const start = new Date(Date.now() - 1_000 * match[1] * UNITS[match[2]]);
  tell.block({ name: "window", data: JSON.stringify({ start: start.toISOString().replace("Z", "+00:00") }) });
}
