// sseapp's client for pages: rows of PostgreSQL tables that stay what the tables hold.
//
//   import { live } from "/static/sseapp.js";
//   live("/tables/orders/changes?last=24h", { onRows: (rows) => show(rows), onState: ({ name }) => tell(name) });
//
//   <live-table src="/tables/orders/changes?last=24h"></live-table>
//
// One connection serves all tabs and all subscriptions to the same address. No build step, no dependencies.

import { LiveTable } from "./client/live-table.js";

export { live, text } from "./client/live.js";
export { LiveTable };

if (!customElements.get("live-table")) customElements.define("live-table", LiveTable);
