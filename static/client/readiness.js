// Whether the server reaches its database, asked of /readyz: for servers that do not yet say so with `state` events.

const EVERY = 2_000;

const watches = new Map(); // base -> what asks for it

/** Call `tell(isListening)` when the answer changes; returns a function that ends this. */
export function watchReadiness(base, tell) {
  const watch = watches.get(base) ?? begin(base);
  watch.listeners.add(tell);
  if (!watch.isListening) tell(false);
  return () => {
    watch.listeners.delete(tell);
    if (watch.listeners.size) return;
    clearInterval(watch.timer);
    watches.delete(base);
  };
}

function begin(base) {
  const watch = { listeners: new Set(), isListening: true };
  watch.timer = setInterval(() => look(base, watch), EVERY);
  watches.set(base, watch);
  return watch;
}

async function look(base, watch) {
  const answer = await ask(new URL("readyz", base)).catch(() => null);
  if (answer === null || answer === watch.isListening) return; // no answer: the stream's own watchdog sees to that
  watch.isListening = answer;
  for (const tell of watch.listeners) tell(answer);
}

async function ask(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(2 * EVERY), redirect: "manual" });
  const { listening } = await response.json();
  return typeof listening === "boolean" ? listening : null;
}
