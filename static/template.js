/** The first element of the `<template>` called `id`, as a new one. */
export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
