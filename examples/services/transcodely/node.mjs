// A receiver of Transcodely's webhooks, with nothing but Node.js (18 or later).
//
//     TRANSCODELY_WEBHOOK_SECRET=whsec_... PORT=3000 node node.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.TRANSCODELY_WEBHOOK_SECRET; // The whole text is the key, `whsec_` included.
const TOLERANCE_SECONDS = 300;
const seen = new Set(); // In a real receiver: a table with a unique id.

/** Whether the holder of the secret signed these bytes, just now. */
function isGenuine(headers, body) {
  const timestamp = headers["x-transcodely-timestamp"] ?? "";
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!/^[0-9]+$/.test(timestamp) || age > TOLERANCE_SECONDS) return false;
  const digest = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex");
  const ours = Buffer.from(`sha256=${digest}`);
  const theirs = Buffer.from(headers["x-transcodely-signature"] ?? "");
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end();

  const delivery = request.headers["x-transcodely-delivery-id"];
  const { event, job } = JSON.parse(body);
  if (seen.has(delivery)) {
    console.log(`duplicate ${delivery}`);
  } else {
    seen.add(delivery);
    console.log(`accepted ${event} ${job.id} ${job.status} ${delivery}`);
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
