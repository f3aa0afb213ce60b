"""A receiver of Transcodely's webhooks, with nothing but the standard library.

    TRANSCODELY_WEBHOOK_SECRET=whsec_... PORT=3000 python3 receiver.py
"""

import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["TRANSCODELY_WEBHOOK_SECRET"].encode()  # The whole text is the key, `whsec_` included.
TOLERANCE_SECONDS = 300
seen = set()  # In a real receiver: a table with a unique id.


def is_genuine(headers, body):
    """Whether the holder of the secret signed these bytes, just now."""
    timestamp = headers.get("X-Transcodely-Timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    ours = "sha256=" + hmac.new(SECRET, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(ours.encode(), headers.get("X-Transcodely-Signature", "").encode())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_genuine(self.headers, body):
            return self.answer(401)
        delivery = self.headers["X-Transcodely-Delivery-ID"]
        told = json.loads(body)
        if delivery in seen:
            print("duplicate", delivery, flush=True)
        else:
            seen.add(delivery)
            print("accepted", told["event"], told["job"]["id"], told["job"]["status"], delivery, flush=True)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver).serve_forever()
