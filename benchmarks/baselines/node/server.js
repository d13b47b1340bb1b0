// What one writes by hand on Node: the trigger's payload, written to each client as it comes. No cursor, no filter, no resume.
const http = require("node:http");
const { Client } = require("pg");

const clients = new Set();
let id = 0;

http
  .createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write("retry: 2000\n\n");
    clients.add(response);
    response.on("close", () => clients.delete(response));
  })
  .listen(Number(process.env.PORT), "127.0.0.1");

const database = new Client({ connectionString: process.env.DATABASE_URL });
database.on("notification", ({ payload }) => {
  const frame = `event: insert\ndata: ${payload}\nid: ${++id}\n\n`;
  for (const response of clients) response.write(frame);
});
database.connect().then(() => database.query("LISTEN payload"));
