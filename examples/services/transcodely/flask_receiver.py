"""A receiver of Transcodely's webhooks, with Flask.

    TRANSCODELY_WEBHOOK_SECRET=whsec_... PORT=3000 python3 flask_receiver.py
"""

import hashlib
import hmac
import os
import time

from flask import Flask, request

SECRET = os.environ["TRANSCODELY_WEBHOOK_SECRET"].encode()  # The whole text is the key, `whsec_` included.
TOLERANCE_SECONDS = 300
seen = set()  # In a real receiver: a table with a unique id.

app = Flask(__name__)


def is_genuine(headers, body):
    """Whether the holder of the secret signed these bytes, just now."""
    timestamp = headers.get("X-Transcodely-Timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    ours = "sha256=" + hmac.new(SECRET, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(ours.encode(), headers.get("X-Transcodely-Signature", "").encode())


@app.post("/webhooks/transcodely")
def receive():
    # The bytes as they came: what Flask would parse and write again has another signature.
    if not is_genuine(request.headers, request.get_data()):
        return "", 401
    delivery = request.headers["X-Transcodely-Delivery-ID"]
    told = request.get_json()
    if delivery in seen:
        print("duplicate", delivery, flush=True)
    else:
        seen.add(delivery)
        print("accepted", told["event"], told["job"]["id"], told["job"]["status"], delivery, flush=True)
    return "", 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
