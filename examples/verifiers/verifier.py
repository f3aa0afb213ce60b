"""Checks webhooks with the published Python libraries, and public keys with `cryptography`: a question a line on stdin, a
verdict a line on stdout."""

import base64
import json
import sys

import standardwebhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def ed25519(key, headers, body):
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for entry in headers["webhook-signature"].split(" "):
        version, _, signature = entry.partition(",")
        if version == "v1a":
            try:
                return public_key.verify(base64.b64decode(signature), signed)
            except InvalidSignature:
                continue
    raise InvalidSignature("no signature of this key")


LIBRARIES = {
    "standardwebhooks": lambda key, headers, body: standardwebhooks.Webhook(key).verify(body, headers),
    "svix": lambda key, headers, body: svix.webhooks.Webhook(key).verify(body, headers),
    "ed25519": ed25519,
}
REFUSALS = (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError, InvalidSignature)

for line in sys.stdin:
    question = json.loads(line)
    try:
        LIBRARIES[question["by"]](question["key"], question["headers"], base64.b64decode(question["body"]))
    except REFUSALS as refusal:
        print(f"refused {refusal}", flush=True)
    else:
        print("accepted", flush=True)
