// A receiver of RemoveBGVideo's webhooks, with Express.
//
//     REMOVEBGVIDEO_WEBHOOK_SECRET=... PORT=3000 node express.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import express from "express";

const secret = process.env.REMOVEBGVIDEO_WEBHOOK_SECRET;
const TOLERANCE_MS = 5 * 60 * 1000;
const seen = new Set(); // In a real receiver: a table with a unique id.

/** Lets a request through only if the holder of the secret signed it, just now. */
function verified(request, response, next) {
  const timestamp = request.get("X-Webhook-Timestamp") ?? "";
  // An unreadable time is not a number, and not a number is not within anything.
  if (!(Math.abs(Date.now() - Date.parse(timestamp)) <= TOLERANCE_MS)) return response.sendStatus(401);
  const digest = createHmac("sha256", secret).update(`${timestamp}.`).update(request.body).digest("hex");
  const ours = Buffer.from(`sha256=${digest}`);
  const theirs = Buffer.from(request.get("X-Webhook-Signature") ?? "");
  if (ours.length !== theirs.length || !timingSafeEqual(ours, theirs)) return response.sendStatus(401);
  next();
}

const app = express();

// The signature covers the bytes as they came, so no JSON parser may come before the check.
app.post("/webhooks/removebgvideo", express.raw({ type: "application/json", limit: "4mb" }), verified, (request, response) => {
  const delivery = request.get("X-Webhook-Delivery-Id");
  const { event, data } = JSON.parse(request.body);
  if (seen.has(delivery)) {
    console.log(`duplicate ${delivery}`);
  } else {
    seen.add(delivery);
    console.log(`accepted ${event} ${data.id} ${data.status} ${delivery}`);
  }
  response.sendStatus(200);
});

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
