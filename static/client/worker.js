// The SharedWorker of an origin: its broker, and a port for each page.

import { Broker } from "./broker.js";
import { holdLock, unique, whenFree } from "./locks.js";

const broker = new Broker();
const life = unique("sseapp-worker");
const held = holdLock(life);

addEventListener("connect", async ({ ports: [messages] }) => {
  const port = { post: (message) => messages.postMessage(message) };
  messages.addEventListener("message", ({ data }) => {
    if (data.type === "hello") whenFree(data.life, () => broker.drop(port));
    else broker.take(port, data);
  });
  messages.addEventListener("close", () => broker.drop(port));
  messages.start();
  await held.taken;
  port.post({ type: "hello", life: held.isHeld ? life : null });
});
