// A receiver of Reelhook's webhooks, with nothing but Node.js (18 or later).
//
//     REELHOOK_SECRET=whsec_... PORT=3000 node receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

// Several secrets, separated by commas: while one is rotated, the old and the new one are both good.
const secrets = process.env.REELHOOK_SECRET.split(",").map((text) =>
  Buffer.from(text.trim().replace(/^whsec_/, ""), "base64"),
);
const TOLERANCE_SECONDS = 5 * 60;
const LARGEST_BODY = 4 * 1024 * 1024;
// In a real receiver: a table with a unique id, written in the same transaction as the event's effect.
const seen = new Set();

/** Whether the holder of a secret signed these bytes, just now. `body` is what arrived, before any JSON parser. */
function isGenuine(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const sentAt = headers["webhook-timestamp"] ?? "";
  if (id === "" || id.includes(".") || !/^[0-9]+$/.test(sentAt)) return false;
  if (Math.abs(Date.now() / 1000 - Number(sentAt)) > TOLERANCE_SECONDS) return false;
  const theirs = (headers["webhook-signature"] ?? "")
    .split(/\s+/)
    .filter((entry) => entry.startsWith("v1,"))
    .map((entry) => Buffer.from(entry.slice(3), "base64"));
  const matches = secrets.flatMap((secret) => {
    const ours = createHmac("sha256", secret).update(`${id}.${sentAt}.`).update(body).digest();
    return theirs.map((signature) => signature.length === ours.length && timingSafeEqual(signature, ours));
  });
  return matches.includes(true);
}

/** The raw body, or nothing if it is too long. */
async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > LARGEST_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The status to answer with. */
async function receive(request) {
  if (request.method !== "POST") return 405;
  const body = await read(request);
  if (body === undefined) return 413;
  if (!isGenuine(request.headers, body)) return 400;
  const id = request.headers["webhook-id"];
  if (seen.has(id)) {
    console.log(`duplicate ${id}`);
    return 204;
  }
  seen.add(id);
  // Note the event, answer, and let something else act on it: slow work belongs behind a queue.
  console.log(`verified ${JSON.parse(body).type} ${id}`);
  return 204;
}

createServer((request, response) => {
  receive(request).then(
    (status) => response.writeHead(status).end(),
    () => response.destroy(), // The sender hung up, or sent what is not HTTP.
  );
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
