// Texts for the clipboard and for files, with a word that it is done.

const toast = document.getElementById("toast");
let timer = 0;

/** Say `text` for a moment. */
export function say(text) {
  clearTimeout(timer);
  toast.textContent = text;
  toast.hidden = false;
  timer = setTimeout(() => (toast.hidden = true), 2_500);
}

/** Copy `text`; `what` is said to be copied. */
export async function copy(text, what) {
  const isDone = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  say(isDone || copiedByHand(text) ? `${what} copied.` : "This browser lets nothing be copied here.");
}

/** The clipboard is for secure pages only; this old way works on any. */
function copiedByHand(text) {
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}

/** Save `text` as the file `name`. */
export function save(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
