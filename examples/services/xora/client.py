"""Makes a job at Xora, or at a server that speaks its API: only XORA_URL differs.

    XORA_URL=http://127.0.0.1:8080/xora XORA_KEY=rh_... \\
        python3 client.py https://example.com/in.mp4 [https://example.com/webhooks/xora]

Without a webhook of its own, the job's end is told to the default one of the settings.
"""

import json
import os
import sys
import urllib.request

URL = os.environ.get("XORA_URL", "https://api.xora.sh")
KEY = os.environ["XORA_KEY"]


def call(method, path, message=None):
    """One call, such as `GET /v1/settings`."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    body = None if message is None else json.dumps(message).encode()
    request = urllib.request.Request(f"{URL}{path}", data=body, headers=headers, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def compress(url, webhook=None):
    """A job that makes a video smaller."""
    job = {
        "mode": "recipe",
        "input": {"url": url},
        "output": {"format": "mp4"},
        "recipe": {"name": "compress", "crf": 28},
    }
    return call("POST", "/v1/jobs", job if webhook is None else job | {"webhookUrl": webhook})


if __name__ == "__main__":
    print(json.dumps(compress(*sys.argv[1:])))
