// Web Locks as a sign of life: a lock is free again once the page or worker that held it is gone, however it went.

const locks = globalThis.navigator?.locks;

/** A name that nobody else has; `crypto.randomUUID` is for secure pages only. */
export const unique = (stem) => `${stem}-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;

/** Take the lock `name` and hold it: `taken` is done once it is held (or cannot be), `release()` gives it back. */
export function holdLock(name) {
  const held = { name, isHeld: false, release: () => {} };
  held.taken = new Promise((resolve) => {
    if (!locks) return resolve();
    const hold = () =>
      new Promise((release) => {
        Object.assign(held, { isHeld: true, release });
        resolve();
      });
    return locks.request(name, hold).catch(() => resolve());
  });
  return held;
}

/** Call `then` once the lock `name` is free; returns a function that ends the wait. Without locks nothing is known. */
export function whenFree(name, then) {
  if (!locks || !name) return () => {};
  const ended = new AbortController();
  locks.request(name, { signal: ended.signal }, () => then()).catch(() => {}); // the wait was ended
  return () => ended.abort();
}
