/** The first element of the `<template>` called `id`, as a new one. */
export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Assign only what differs: a live region speaks up on every assignment. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
