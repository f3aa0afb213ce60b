// Sends work to Compressor, or to a server that speaks its API: only COMPRESSOR_URL differs.
//
//     COMPRESSOR_URL=http://127.0.0.1:8080/compressor/1.0 COMPRESSOR_KEY=rh_... \
//         node client.mjs photo.jpg [https://example.com/webhooks/compressor]
//
// An input that is a URL is fetched by the server; anything else is a file to upload. Without a webhook the answer is the
// result itself.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const base = process.env.COMPRESSOR_URL ?? "https://api.compressor.app/1.0";
const authorization = "Basic " + Buffer.from(`${process.env.COMPRESSOR_KEY}:`).toString("base64");
const [input, webhook] = process.argv.slice(2);

const options = { image: { compression: "high" } };
if (webhook) options.webhook = { url: webhook };

async function fetched(url) {
  const headers = { authorization, "content-type": "application/json" };
  return fetch(`${base}/fetch`, { method: "POST", headers, body: JSON.stringify({ url, ...options }) });
}

async function uploaded(path) {
  const body = new FormData();
  body.set("data", JSON.stringify(options));
  body.set("file", new Blob([await readFile(path)]), basename(path));
  return fetch(`${base}/upload`, { method: "POST", headers: { authorization }, body });
}

const response = await (/^https?:/.test(input) ? fetched(input) : uploaded(input));
console.log(await response.text());
process.exitCode = response.ok ? 0 : 1;
