"""A receiver of Xora's webhooks, with Flask.

    PORT=3000 python3 flask_receiver.py

These webhooks are not signed: act on what `GET /v1/jobs/:id` says where it matters.
"""

import os

from flask import Flask, request

seen = set()  # In a real receiver: a table with a unique key. A job that is retried can end once more.

app = Flask(__name__)


@app.post("/webhooks/xora")
def receive():
    told = request.get_json()
    data = told["data"]
    job, state = data["jobId"], data["state"]
    if (job, told["timestamp"]) in seen:
        print("duplicate", job, flush=True)
        return "", 200
    seen.add((job, told["timestamp"]))
    if state == "completed":
        file = data["output_files"]["output"]
        size = f"{file['width']}x{file['height']}"
        url = data["output"]["signedUrl"]
        print("accepted", job, state, data["progress"], file["mime_type"], file["codec"], size, file["duration"], url, flush=True)
    else:
        error = data["error"]
        print("accepted", job, state, error["code"], error["stage"], str(error["retryable"]).lower(), flush=True)
    return "", 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
