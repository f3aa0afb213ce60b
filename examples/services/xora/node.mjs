// A receiver of Xora's webhooks, with nothing but Node.js (18 or later).
//
//     PORT=3000 node node.mjs
//
// These webhooks are not signed: act on what `GET /v1/jobs/:id` says where it matters.

import { createServer } from "node:http";

const seen = new Set(); // In a real receiver: a table with a unique key. A job that is retried can end once more.

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { data, timestamp } = JSON.parse(Buffer.concat(chunks));

  const key = `${data.jobId} ${timestamp}`;
  if (seen.has(key)) {
    console.log(`duplicate ${data.jobId}`);
  } else {
    seen.add(key);
    if (data.state === "completed") {
      const file = data.output_files.output;
      console.log(
        `accepted ${data.jobId} completed ${data.progress} ${file.mime_type} ${file.codec} ` +
          `${file.width}x${file.height} ${file.duration} ${data.output.signedUrl}`,
      );
    } else {
      console.log(`accepted ${data.jobId} ${data.state} ${data.error?.code} ${data.error?.stage} ${data.error?.retryable}`);
    }
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
