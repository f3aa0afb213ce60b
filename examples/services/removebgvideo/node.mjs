// A receiver of RemoveBGVideo's webhooks, with nothing but Node.js (18 or later).
//
//     REMOVEBGVIDEO_WEBHOOK_SECRET=... PORT=3000 node node.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.REMOVEBGVIDEO_WEBHOOK_SECRET;
const TOLERANCE_MS = 5 * 60 * 1000;
const seen = new Set(); // In a real receiver: a table with a unique id.

/** Whether the holder of the secret signed these bytes, just now. The timestamp is signed as it was sent. */
function isGenuine(headers, body) {
  const timestamp = headers["x-webhook-timestamp"] ?? "";
  // An unreadable time is not a number, and not a number is not within anything.
  if (!(Math.abs(Date.now() - Date.parse(timestamp)) <= TOLERANCE_MS)) return false;
  const digest = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex");
  const ours = Buffer.from(`sha256=${digest}`);
  const theirs = Buffer.from(headers["x-webhook-signature"] ?? "");
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end();

  const delivery = request.headers["x-webhook-delivery-id"];
  const { event, data } = JSON.parse(body);
  if (seen.has(delivery)) {
    console.log(`duplicate ${delivery}`);
  } else {
    seen.add(delivery);
    console.log(`accepted ${event} ${data.id} ${data.status} ${delivery}`);
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
