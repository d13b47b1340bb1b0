// The stream of a view, for people who want to follow it with something else.

const HEADER = "Accept: text/event-stream";

/** A command or a program that follows `url`, by the name of its language. */
export const SNIPPETS = {
  curl: (url) => `curl -N -H '${HEADER}' '${url.replaceAll("'", "%27")}'`,
  javascript: (url) => `import { live } from ${JSON.stringify(new URL("static/sseapp.js", document.baseURI).href)};

live(${JSON.stringify(url)}, {
  onRows: (rows) => console.table(rows),
  onChange: (change) => console.log(change),
  onState: (state) => console.log(state.name),
});
`,
  python: (url) => `import urllib.request

url = ${JSON.stringify(url)}
request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
with urllib.request.urlopen(request) as stream:
    for line in stream:
        print(line.decode(), end="")
`,
};
