// A receiver of Compressor's webhooks, with nothing but Node.js (18 or later).
//
//     PORT=3000 node node.mjs
//
// These webhooks are not signed. What a receiver can do: listen on a path that nobody guesses, and take nothing for true
// that it doesn't ask the server about or finds in the file itself (`output.sha1`).

import { createServer } from "node:http";

const seen = new Set(); // In a real receiver: a table with a unique id. There is no delivery id; the job's id is the key.

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const told = JSON.parse(Buffer.concat(chunks));

  if (seen.has(told.id)) {
    console.log(`duplicate ${told.id}`);
  } else {
    seen.add(told.id);
    if (told.success === false) {
      console.log(`accepted ${told.id} failed`);
    } else {
      const { url, input, output } = told;
      console.log(`accepted ${told.id} ${output.format} ${input.size} ${output.size} ${output.sha1} ${url}`);
    }
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
