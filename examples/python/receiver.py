"""A receiver of Reelhook's webhooks, with nothing but the standard library.

    REELHOOK_SECRET=whsec_... PORT=3000 python3 receiver.py
"""

import base64
import hashlib
import hmac
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Several secrets, separated by commas: while one is rotated, the old and the new one are both good.
TEXTS = [text.strip().removeprefix("whsec_") for text in os.environ["REELHOOK_SECRET"].split(",")]
SECRETS = [base64.b64decode(text + "==") for text in TEXTS]  # Surplus padding is ignored, lost padding restored.
TOLERANCE_SECONDS = 5 * 60
LARGEST_BODY = 4 * 1024 * 1024
seen = set()  # In a real receiver: a table with a unique id, written in the same transaction as the event's effect.
lock = threading.Lock()


def is_genuine(headers, body):
    """Whether the holder of a secret signed these bytes, just now. `body` is what arrived, before any JSON parser."""
    event_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or "." in event_id or not re.fullmatch("[0-9]{1,12}", sent_at):
        return False
    if abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    signed = f"{event_id}.{sent_at}.".encode() + body
    ours = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in SECRETS]
    theirs = [entry[3:].encode() for entry in headers.get("webhook-signature", "").split() if entry.startswith("v1,")]
    return any([hmac.compare_digest(a, b) for a in ours for b in theirs])


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,12}", length) or int(length) > LARGEST_BODY:
            self.close_connection = True  # The body was not read, so nothing after it can be.
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.headers, body):
            return self.answer(400)
        event_id = self.headers["webhook-id"]
        with lock:
            is_new = event_id not in seen
            seen.add(event_id)
        # Note the event, answer, and let something else act on it: slow work belongs behind a queue.
        print(f"verified {json.loads(body)['type']} {event_id}" if is_new else f"duplicate {event_id}", flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "3000"))
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
