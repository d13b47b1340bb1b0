// What keys do.

const isWriting = ({ target }) => target.closest("input, select, textarea, dialog[open], [popover]");

/** `act` has `move(down, right)`, `page`, `open()`, `copy()`, `pause()`, `filter()`, `help()` and `close()`. */
export function listenToKeys(act) {
  const anywhere = { p: act.pause, c: act.copy, "/": act.filter, "?": act.help };
  const inGrid = {
    ArrowDown: () => act.move(1, 0),
    ArrowUp: () => act.move(-1, 0),
    ArrowRight: () => act.move(0, 1),
    ArrowLeft: () => act.move(0, -1),
    PageDown: () => act.move(act.page(), 0),
    PageUp: () => act.move(-act.page(), 0),
    Home: () => act.move(-Infinity, 0),
    End: () => act.move(Infinity, 0),
    Enter: act.open,
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") act.close();
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event)) return;
    const isInGrid = event.target.closest(".scroll") || event.target === document.body;
    const isOnButton = event.target.closest("button, a") && event.key === "Enter";
    const found = anywhere[event.key] ?? (isInGrid && !isOnButton ? inGrid[event.key] : undefined);
    if (!found) return;
    event.preventDefault();
    found();
  });
}
