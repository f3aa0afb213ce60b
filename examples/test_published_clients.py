#!/usr/bin/env python3
"""Runs the services' own published client libraries against a real server, with only their base URL changed.

    python3 examples/test_published_clients.py [--require-all]

There is one to be had today: Transcodely's for Python. It speaks a later version of the API than the one that Reelhook
follows; docs/services/README.md says what of it works here. Where the library isn't installed it is skipped, and with
`--require-all` fails.
"""

import importlib.util
import sys
import tempfile
import time

from service_stage import TRANSCODELY, Media, Server, downloaded, probed, wait_for
from test_receivers import Report

SMALL = [{"type": "mp4", "video": [{"codec": "h264", "resolution": "480p", "quality": "economy"}]}]


class Stage:
    """A client, and a server with media for it."""

    def __init__(self, server, media):
        from transcodely import Transcodely

        self.media = media
        self.client = Transcodely(api_key=server.key, base_url=server.url + TRANSCODELY.base)
        self.stranger = Transcodely(api_key="ak_live_nobody", base_url=server.url + TRANSCODELY.base)

    def job(self, **fields):
        return self.client.jobs.create(input_url=f"{self.media.url}/clip.mp4", outputs=SMALL, **fields)

    def in_status(self, job, wanted):
        """The job, once it is there."""

        def look():
            found = self.client.jobs.get(job)
            return found if status(found) == wanted else None

        return wait_for(f"{wanted} job", look)


def status(job):
    """The word for a job's status; the library has numbers."""
    from transcodely.v1 import job_pb2

    return job_pb2.JobStatus.Name(job.status).removeprefix("JOB_STATUS_").lower()


def transcodely_makes_gets_and_watches_a_job(stage):
    job = stage.job(metadata={"order": "42"}, priority="premium")
    assert job.id.startswith("job_") and dict(job.metadata) == {"order": "42"}, job
    events = list(stage.client.jobs.watch(job.id))
    assert [status(event.job) for event in events][-1] == "completed", events
    done = stage.client.jobs.get(job.id)
    [output] = done.outputs
    assert (status(done), done.progress, done.currency) == ("completed", 100, "EUR"), done
    assert done.input_metadata.video.width == 320 and done.HasField("completed_at"), done
    body = downloaded(output.output_url)
    assert output.output_size_bytes == len(body) and output.duration_seconds == 1, output
    video = next(stream for stream in probed(body)["streams"] if stream["codec_type"] == "video")
    assert (output.width, output.height) == (video["width"], video["height"]), output


def transcodely_lists_jobs_page_by_page(stage):
    made = {stage.job().id for _ in range(3)}
    pages = stage.client.jobs.list(limit=2)
    assert len(pages.items) == 2 and pages.next_cursor, pages.items
    assert made <= {job.id for job in pages.auto_paging_iter()}
    for job in made:
        stage.in_status(job, "completed")
    assert made <= {job.id for job in stage.client.jobs.list(status="completed", limit=100)}
    assert not made & {job.id for job in stage.client.jobs.list(status="failed", limit=100)}


def transcodely_confirms_a_delayed_job(stage):
    job = stage.in_status(stage.job(delayed_start=True).id, "awaiting_confirmation")
    assert job.total_estimated_cost > 0 and job.input_metadata.duration_ms > 0, job
    assert status(stage.client.jobs.confirm(job.id)) == "processing"
    done = stage.in_status(job.id, "completed")
    assert done.total_actual_cost > 0 and done.HasField("confirmed_at"), done


def transcodely_cancels_a_job(stage):
    job = stage.in_status(stage.job(delayed_start=True).id, "awaiting_confirmation")
    assert status(stage.client.jobs.cancel(job.id)) == "canceled"
    assert status(stage.client.jobs.get(job.id)) == "canceled"


def transcodely_repeats_an_idempotency_key(stage):
    from transcodely._transport.transport import CallOptions

    key = f"order-{time.time_ns()}"
    first, second = (stage.job(idempotency_key=key, opts=CallOptions(idempotency_key=key)) for _ in range(2))
    assert first.id == second.id, (first.id, second.id)


def transcodely_makes_validates_and_reads_an_origin(stage):
    origin = stage.client.origins.create(name="media", permissions=["read"], http={"base_url": stage.media.url + "/"})
    assert origin.id.startswith("ori_") and origin.http.base_url.startswith(stage.media.url), origin
    assert stage.client.origins.get(origin.id).name == "media"
    assert origin.id in {found.id for found in stage.client.origins.list().auto_paging_iter()}
    assert stage.client.origins.validate(id=origin.id).validation.can_read
    job = stage.client.jobs.create(input_origin_id=origin.id, input_path="clip.mp4", outputs=SMALL)
    done = stage.in_status(job.id, "completed")
    assert (done.input_origin.id, done.input_origin.path, done.input_url) == (origin.id, "clip.mp4", ""), done


def transcodely_raises_the_errors_it_knows(stage):
    from transcodely.errors import AuthenticationError, InvalidRequestError, NotFoundError, TranscodelyError

    def raised(kind, call):
        try:
            call()
        except kind as error:
            return error
        raise AssertionError(f"{kind.__name__} was not raised")

    wrong = [{"type": "webm", "video": [{"codec": "h264", "resolution": "480p"}]}]
    url = f"{stage.media.url}/clip.mp4"
    error = raised(InvalidRequestError, lambda: stage.client.jobs.create(input_url=url, outputs=wrong))
    assert [violation.field for violation in error.errors] == ["outputs[0].video[0].codec"], error.errors
    assert error.code == "validation_error", error.code
    error = raised(NotFoundError, lambda: stage.client.jobs.get("job_000000000000"))
    assert error.request_id, "an error has the id of its request"
    raised(AuthenticationError, lambda: stage.stranger.jobs.list().items)
    done = stage.in_status(stage.job().id, "completed")
    raised(InvalidRequestError, lambda: stage.client.jobs.confirm(done.id))
    # What came with a later version is refused, never passed over.
    error = raised(InvalidRequestError, lambda: stage.job(clip={"start_seconds": 0.5}))
    assert [violation.field for violation in error.errors] == ["clip"], error.errors
    error = raised(TranscodelyError, lambda: stage.client.webhook_endpoints.list().items)
    assert error.http_status == 501, error.http_status


CHECKS = [
    transcodely_makes_gets_and_watches_a_job,
    transcodely_lists_jobs_page_by_page,
    transcodely_confirms_a_delayed_job,
    transcodely_cancels_a_job,
    transcodely_repeats_an_idempotency_key,
    transcodely_makes_validates_and_reads_an_origin,
    transcodely_raises_the_errors_it_knows,
]


def main():
    report = Report()
    if importlib.util.find_spec("transcodely") is None:
        tell = report.fail if "--require-all" in sys.argv else report.skip
        tell("transcodely", "its library is not installed; run scripts/setup-tests.sh")
    else:
        with tempfile.TemporaryDirectory() as folder:
            media, server = Media(folder), Server(folder)
            try:
                stage = Stage(server, media)
                for check in CHECKS:
                    report.run(check.__name__.replace("_", " "), lambda: check(stage))
            finally:
                server.stop()
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
