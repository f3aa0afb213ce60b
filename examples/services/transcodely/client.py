"""Makes a job at Transcodely, or at a server that speaks its API: only TRANSCODELY_URL differs.

    TRANSCODELY_URL=http://127.0.0.1:8080/transcodely TRANSCODELY_KEY=rh_... \\
        python3 client.py https://example.com/in.mp4 https://example.com/webhooks/transcodely
"""

import json
import os
import sys
import urllib.request

URL = os.environ.get("TRANSCODELY_URL", "https://api.transcodely.com")
KEY = os.environ["TRANSCODELY_KEY"]
ORGANIZATION = os.environ.get("TRANSCODELY_ORGANIZATION", "org_k1l2m3n4o5p6")


def call(method, message):
    """One call, such as `JobService/Create`."""
    request = urllib.request.Request(
        f"{URL}/transcodely.v1.{method}",
        data=json.dumps(message).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {KEY}",
            "X-Organization-ID": ORGANIZATION,
        },
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


if __name__ == "__main__":
    made = call("JobService/Create", {
        "input_url": sys.argv[1],
        "outputs": [{"type": "mp4", "video": [{"codec": "h264", "resolution": "480p", "quality": "economy"}]}],
        "webhook_url": sys.argv[2],
        "metadata": {"order": "42"},
    })
    print(json.dumps(made["job"]))
