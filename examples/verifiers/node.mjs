// Checks webhooks with the published Node libraries, and public keys with Node's own cryptography: a question a line on
// stdin, a verdict a line on stdout.

import { createPublicKey, verify } from "node:crypto";
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

// What comes before the 32 bytes of an ed25519 key in its DER form (RFC 8410).
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function ed25519(key, headers, body) {
  const der = Buffer.concat([SPKI, Buffer.from(key.replace(/^whpk_/, ""), "base64")]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), body]);
  const signatures = headers["webhook-signature"].split(" ").filter((entry) => entry.startsWith("v1a,"));
  if (!signatures.some((entry) => verify(null, signed, publicKey, Buffer.from(entry.slice(4), "base64")))) {
    throw new Error("no signature of this key");
  }
}

const LIBRARIES = {
  standardwebhooks: (key, headers, body) => new Standard(key).verify(body, headers),
  svix: (key, headers, body) => new Svix(key).verify(body, headers),
  ed25519,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { by, key, headers, body } = JSON.parse(line);
  let verdict = "accepted";
  try {
    LIBRARIES[by](key, headers, Buffer.from(body, "base64"));
  } catch (error) {
    verdict = `refused ${error.message}`;
  }
  console.log(verdict);
}
