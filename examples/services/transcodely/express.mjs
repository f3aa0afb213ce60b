// A receiver of Transcodely's webhooks, with Express.
//
//     TRANSCODELY_WEBHOOK_SECRET=whsec_... PORT=3000 node express.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import express from "express";

const secret = process.env.TRANSCODELY_WEBHOOK_SECRET; // The whole text is the key, `whsec_` included.
const TOLERANCE_SECONDS = 300;
const seen = new Set(); // In a real receiver: a table with a unique id.

/** Lets a request through only if the holder of the secret signed it, just now. */
function verified(request, response, next) {
  const timestamp = request.get("X-Transcodely-Timestamp") ?? "";
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!/^[0-9]+$/.test(timestamp) || age > TOLERANCE_SECONDS) return response.sendStatus(401);
  const digest = createHmac("sha256", secret).update(`${timestamp}.`).update(request.body).digest("hex");
  const ours = Buffer.from(`sha256=${digest}`);
  const theirs = Buffer.from(request.get("X-Transcodely-Signature") ?? "");
  if (ours.length !== theirs.length || !timingSafeEqual(ours, theirs)) return response.sendStatus(401);
  next();
}

const app = express();

// The signature covers the bytes as they came, so no JSON parser may come before the check.
app.post("/webhooks/transcodely", express.raw({ type: "application/json", limit: "4mb" }), verified, (request, response) => {
  const delivery = request.get("X-Transcodely-Delivery-ID");
  const { event, job } = JSON.parse(request.body);
  if (seen.has(delivery)) {
    console.log(`duplicate ${delivery}`);
  } else {
    seen.add(delivery);
    console.log(`accepted ${event} ${job.id} ${job.status} ${delivery}`);
  }
  response.sendStatus(200);
});

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
