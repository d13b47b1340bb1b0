// A change is shown by a tint that fades; it stands still, then goes, for people who want no motion.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Tint `element` for a moment with the colour of `kind`: insert, update or delete. Returns the Animation.
 * The element must be on the page already: Chromium never ends the tint of one that is put there later.
 */
export function flash(element, kind) {
  const easing = calm.matches ? "steps(1, end)" : "ease-out";
  const timing = { duration: kind === "delete" ? 900 : 2_000, easing };
  return element.animate({ backgroundColor: [`var(--tint-${kind})`, "transparent"] }, timing);
}
