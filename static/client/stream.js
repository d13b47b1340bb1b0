// One answer of the server as an event stream, read by `fetch`: it can carry a token, and shows errors and comments,
// which an EventSource does not.

import { get } from "./problem.js";
import { Parser } from "./sse.js";

/** Can this browser read an answer while it comes? */
export const canStream = () => typeof ReadableStream === "function" && "body" in Response.prototype;

/**
 * Follow `url` from `cursor` on until the server ends the stream. `tell` is as a Parser's, with `opened()` once the
 * head has come, `bytes()` at each piece and `drained()` when a piece has been read. Throws a Problem.
 */
export async function follow(url, { cursor, token, signal, tell }) {
  const headers = cursor ? { "Last-Event-ID": cursor } : {};
  const response = await get(url, "text/event-stream", { token, signal, headers });
  tell.opened();
  const parser = new Parser(tell);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = response.body.getReader();
  try {
    for (let piece = await next(reader); !piece.done; piece = await next(reader)) {
      tell.bytes();
      parser.feed(decoder.decode(piece.value, { stream: true }));
      tell.drained();
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be gone already
  }
}

/** A connection that breaks ends the stream, as one that is closed does. */
const next = (reader) => reader.read().catch(() => ({ done: true }));
