// One job by a client that is generated from the server's document: openapi-typescript makes `api.d.ts` of it, and
// openapi-fetch sends what its types allow.
//
//     REELHOOK_URL=http://127.0.0.1:8080 REELHOOK_KEY=rh_... node job.js clip.mp4

import { readFile } from "node:fs/promises";

import createClient from "openapi-fetch";

import type { paths } from "./api.js";

const { REELHOOK_URL, REELHOOK_KEY } = process.env;
const file = process.argv[2];
if (!REELHOOK_URL || !REELHOOK_KEY || !file) {
  throw new Error("set REELHOOK_URL and REELHOOK_KEY, and name a file");
}
const client = createClient<paths>({ baseUrl: REELHOOK_URL, headers: { Authorization: `Bearer ${REELHOOK_KEY}` } });

const bytes = await readFile(file);
const upload = await fetch(`${REELHOOK_URL}/v1/uploads?name=clip.mp4`, {
  method: "POST",
  headers: { Authorization: `Bearer ${REELHOOK_KEY}`, "Content-Type": "application/octet-stream" },
  body: bytes,
});
const { id } = (await upload.json()) as { id: string };

const submitted = await client.POST("/v1/jobs", {
  body: { input: { upload: id }, outputs: [{ recipe: "thumbnail", at_seconds: 0.5, width: 160 }] },
});
if (!submitted.data) {
  throw new Error(`refused: ${submitted.error?.detail}`);
}
let job = submitted.data;
while (!["completed", "partial", "failed", "rejected", "canceled"].includes(job.state)) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  const shown = await client.GET("/v1/jobs/{id}", { params: { path: { id: job.id } } });
  if (!shown.data) {
    throw new Error("the job is gone");
  }
  job = shown.data;
}
console.log(`${job.state}: ${job.outputs[0]?.file?.name}, ${job.outputs[0]?.file?.media.video?.width} pixels wide`);
