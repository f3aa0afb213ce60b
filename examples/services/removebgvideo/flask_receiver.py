"""A receiver of RemoveBGVideo's webhooks, with Flask.

    REMOVEBGVIDEO_WEBHOOK_SECRET=... PORT=3000 python3 flask_receiver.py
"""

import hashlib
import hmac
import os
from datetime import datetime, timedelta, timezone

from flask import Flask, request

SECRET = os.environ["REMOVEBGVIDEO_WEBHOOK_SECRET"].encode()
TOLERANCE = timedelta(minutes=5)
seen = set()  # In a real receiver: a table with a unique id.

app = Flask(__name__)


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


@app.post("/webhooks/removebgvideo")
def receive():
    # The bytes as they came: what Flask would parse and write again has another signature.
    if not is_genuine(request.headers, request.get_data()):
        return "", 401
    delivery = request.headers["X-Webhook-Delivery-Id"]
    told = request.get_json()
    if delivery in seen:
        print("duplicate", delivery, flush=True)
    else:
        seen.add(delivery)
        print("accepted", told["event"], told["data"]["id"], told["data"]["status"], delivery, flush=True)
    return "", 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
