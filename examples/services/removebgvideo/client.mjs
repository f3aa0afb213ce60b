// Uploads a video to RemoveBGVideo and makes a job of it, or at a server that speaks its API: only REMOVEBGVIDEO_URL
// differs.
//
//     REMOVEBGVIDEO_URL=http://127.0.0.1:8080/removebgvideo REMOVEBGVIDEO_KEY=rh_... \
//         node client.mjs clip.mp4 https://example.com/webhooks/removebgvideo

import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const base = `${process.env.REMOVEBGVIDEO_URL ?? "https://api.removebgvideo.com"}/v1`;
const key = { "X-Api-Key": process.env.REMOVEBGVIDEO_KEY };
const [path, webhook] = process.argv.slice(2);

/** What a call answers; its refusals end the program. */
async function call(path, headers, body) {
  const response = await fetch(base + path, { method: "POST", headers: { ...key, ...headers }, body });
  const answer = await response.json();
  if (!response.ok) {
    console.error(JSON.stringify(answer));
    process.exit(1);
  }
  return answer;
}

const form = new FormData();
form.set("file", new Blob([await readFile(path)], { type: "video/mp4" }), basename(path));
const { video_url } = await call("/uploads", {}, form);

const job = { video_url, model: "original", bg_type: "green", output_format: "mp4", webhook_url: webhook };
console.log(JSON.stringify(await call("/jobs", { "content-type": "application/json" }, JSON.stringify(job))));
