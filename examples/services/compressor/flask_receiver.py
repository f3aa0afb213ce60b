"""A receiver of Compressor's webhooks, with Flask.

    PORT=3000 python3 flask_receiver.py

These webhooks are not signed. What a receiver can do: listen on a path that nobody guesses, and take nothing for true
that it doesn't ask the server about or finds in the file itself (`output.sha1`).
"""

import os

from flask import Flask, request

seen = set()  # In a real receiver: a table with a unique id. There is no delivery id; the job's id is the key.

app = Flask(__name__)


@app.post("/webhooks/compressor")
def receive():
    told = request.get_json()
    job = told["id"]
    if job in seen:
        print("duplicate", job, flush=True)
        return "", 200
    seen.add(job)
    if told.get("success") is False:
        print("accepted", job, "failed", flush=True)
    else:
        given, made = told["input"], told["output"]
        print("accepted", job, made["format"], given["size"], made["size"], made["sha1"], told["url"], flush=True)
    return "", 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))
