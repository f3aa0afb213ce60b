"""One job by a client that openapi-python-client generates from the server's document, as the package `reelhook_client`.

    REELHOOK_URL=http://127.0.0.1:8080 REELHOOK_KEY=rh_... python job.py clip.mp4
"""

import os
import sys
import time
from http import HTTPStatus

import httpx
from reelhook_client import AuthenticatedClient
from reelhook_client.api.jobs import get_job, submit_job
from reelhook_client.models import Job, JobRequest

ENDS = {"completed", "partial", "failed", "rejected", "canceled"}


def main():
    url, key = os.environ["REELHOOK_URL"], os.environ["REELHOOK_KEY"]
    client = AuthenticatedClient(base_url=url, token=key)
    with open(sys.argv[1], "rb") as file:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/octet-stream"}
        upload = httpx.post(f"{url}/v1/uploads?name=clip.mp4", content=file.read(), headers=headers).json()["id"]
    asked = {"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "at_seconds": 0.5, "width": 160}]}
    submitted = submit_job.sync_detailed(client=client, body=JobRequest.from_dict(asked))
    assert submitted.status_code == HTTPStatus.ACCEPTED, submitted.content
    job = submitted.parsed
    assert isinstance(job, Job)
    while job.state not in ENDS:
        time.sleep(0.1)
        job = get_job.sync(job.id, client=client)
        assert isinstance(job, Job)
    file = job.outputs[0].file
    print(f"{job.state}: {file.name}, {file.media.video.width} pixels wide")


if __name__ == "__main__":
    main()
