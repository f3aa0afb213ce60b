"""A receiver of RemoveBGVideo's webhooks, with nothing but the standard library.

    REMOVEBGVIDEO_WEBHOOK_SECRET=... PORT=3000 python3 receiver.py
"""

import hashlib
import hmac
import json
import os
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["REMOVEBGVIDEO_WEBHOOK_SECRET"].encode()
TOLERANCE = timedelta(minutes=5)
seen = set()  # In a real receiver: a table with a unique id.


def is_genuine(headers, body):
    """Whether the holder of the secret signed these bytes, just now. The timestamp is signed as it was sent."""
    timestamp = headers.get("X-Webhook-Timestamp", "")
    try:
        sent_at = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
        is_fresh = abs(datetime.now(timezone.utc) - sent_at) <= TOLERANCE
    except (TypeError, ValueError):  # No time, or one without its zone.
        return False
    if not is_fresh:
        return False
    ours = "sha256=" + hmac.new(SECRET, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(ours.encode(), headers.get("X-Webhook-Signature", "").encode())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_genuine(self.headers, body):
            return self.answer(401)
        delivery = self.headers["X-Webhook-Delivery-Id"]
        told = json.loads(body)
        if delivery in seen:
            print("duplicate", delivery, flush=True)
        else:
            seen.add(delivery)
            print("accepted", told["event"], told["data"]["id"], told["data"]["status"], delivery, flush=True)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver).serve_forever()
