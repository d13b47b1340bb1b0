// A change is marked for a moment: by a tint that fades, and by a sign or a line for those who do not see the tint.
// Only so many marks at once: some hundred moving things take a page from 60 frames a second to 20.

const MOST = 30;
const STEPS = 8; // a tint that fades in few steps is painted so often only
const DURATION = { insert: 2_000, update: 2_000, delete: 900 };

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let moving = 0;

/** May another thing move? */
export const mayMark = () => moving < MOST;

/**
 * Mark `element` with the class of `kind`: insert, update or delete. `then` is called when that is over.
 * The element must be on the page already: Chromium never ends the tint of one that is put there later.
 */
export function mark(element, kind, then = () => {}) {
  if (!mayMark()) return then();
  moving += 1;
  element.classList.add(`is-${kind}`);
  const timing = { duration: DURATION[kind], easing: `steps(${calm.matches ? 1 : STEPS}, end)` };
  element.animate({ backgroundColor: [`var(--tint-${kind})`, "transparent"] }, timing);
  // by the clock, as the animation of an element that leaves the page may never end
  setTimeout(() => {
    moving -= 1;
    element.classList.remove(`is-${kind}`);
    then();
  }, DURATION[kind]);
  return undefined;
}
