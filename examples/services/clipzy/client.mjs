// Uploads a video to Clipzy's engine and makes a job of it, or at a server that speaks its API: only CLIPZY_URL differs.
//
//     CLIPZY_URL=http://127.0.0.1:8080/clipzy CLIPZY_KEY=rh_... \
//         node client.mjs clip.mp4 https://example.com/webhooks/clipzy

import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const base = `${process.env.CLIPZY_URL ?? "http://localhost:8000"}/api/v1`;
const authorization = `Bearer ${process.env.CLIPZY_KEY}`;
const [path, webhook] = process.argv.slice(2);

/** What a call answers; its refusals end the program. */
async function call(path, headers, body) {
  const response = await fetch(base + path, { method: "POST", headers: { authorization, ...headers }, body });
  const answer = await response.json();
  if (!answer.success) {
    console.error(JSON.stringify(answer));
    process.exit(1);
  }
  return answer.data;
}

const form = new FormData();
form.set("file", new Blob([await readFile(path)], { type: "video/mp4" }), basename(path));
const { video_id } = await call("/videos/upload", {}, form);

const job = { video_id, config: { quality: "high" }, webhook_url: webhook };
console.log(JSON.stringify(await call("/jobs", { "content-type": "application/json" }, JSON.stringify(job))));
