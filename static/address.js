// Addresses on our server, relative to the page: it may lie below a path, and be opened as https://user:password@host/.

/** `path` beside the page. Not by document.baseURI: fetch refuses an address that holds a user and a password. */
export const address = (path) => new URL(path, location.origin + location.pathname);
