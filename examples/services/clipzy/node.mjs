// A receiver of Clipzy's webhooks, with nothing but Node.js (18 or later).
//
//     PORT=3000 node node.mjs
//
// These webhooks are not signed: act on what `GET /api/v1/jobs/{job_id}/result` says where it matters.

import { createServer } from "node:http";

const seen = new Set(); // In a real receiver: a table with a unique id. A job ends once, so its id is the key.

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const job = JSON.parse(Buffer.concat(chunks));

  if (seen.has(job.job_id)) {
    console.log(`duplicate ${job.job_id}`);
  } else {
    seen.add(job.job_id);
    // `output_video_url` is there only where the status is `completed`.
    const found = job.status === "completed" ? job.output_video_url : "-";
    console.log(`accepted ${job.job_id} ${job.status} ${job.progress_percent} ${job.processing_time_seconds} ${found}`);
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
