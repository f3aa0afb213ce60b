"""A receiver of Clipzy's webhooks, with Flask.

    PORT=3000 python3 flask_receiver.py

These webhooks are not signed: act on what `GET /api/v1/jobs/{job_id}/result` says where it matters.
"""

import os

from flask import Flask, request

seen = set()  # In a real receiver: a table with a unique id. A job ends once, so its id is the key.

app = Flask(__name__)


@app.post("/webhooks/clipzy")
def receive():
    job = request.get_json()
    name, status = job["job_id"], job["status"]
    if name in seen:
        print("duplicate", name, flush=True)
        return "", 200
    seen.add(name)
    # `output_video_url` is there only where the status is `completed`.
    found = job["output_video_url"] if status == "completed" else "-"
    print("accepted", name, status, job["progress_percent"], job["processing_time_seconds"], found, flush=True)
    return "", 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
