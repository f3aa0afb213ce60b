#!/usr/bin/env python3
"""Drives the five services of a real server with clients and receivers that know nothing of it.

    python3 examples/test_services.py [--require-all] [SERVICE ...]

Each service's client (services/NAME/client.*) makes jobs of real media as the service's guide shows, with only its base
URL changed. Each of its receivers gets the webhooks through a tap, which notes what came, may answer 500 in the receiver's
place, and lets forgeries be made of it. A language whose tools are missing is skipped, and with `--require-all` fails.
"""

import hashlib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from service_stage import (
    ALL, COMPRESSOR, TRANSCODELY, Bench, Media, Receiver, Server, Tap, downloaded, header, probed, wait_for,
)
from test_receivers import Missing, Report

COMPRESSOR_AGENT = "Compressor/1.0 (+https://compressor.app)"


# Checks of every receiver. Each takes a bench and a receiver; its name is what the matrix in docs/services names.


def a_job_that_succeeds_is_told_and_accepted(bench, receiver):
    service = bench.service
    job, [delivery] = bench.delivered(receiver, "success", bench.source)
    assert delivery.status == 200, f"the receiver answered {delivery.status}"
    RESULTS[service.name](bench, receiver, job, delivery)


def compressor_result(bench, receiver, job, delivery):
    _, _, kind, before, after, sha1, url = receiver.line("accepted", job)
    body = downloaded(url)
    assert kind == "jpeg" and body[:2] == b"\xff\xd8", kind
    assert int(before) == bench.source.stat().st_size, before
    assert int(after) == len(body) <= int(before), f"{before} -> {after}, {len(body)} downloaded"
    assert sha1 == hashlib.sha1(body).hexdigest()
    given = delivery.told["input"]
    assert given["sha1"] == hashlib.sha1(bench.source.read_bytes()).hexdigest(), given
    ours = {"host", "content-length", "accept-encoding"}
    sent = {name.lower(): value for name, value in delivery.headers.items() if name.lower() not in ours}
    assert sent == {"user-agent": COMPRESSOR_AGENT, "content-type": "application/json"}, sent


def transcodely_result(bench, receiver, job, delivery):
    receiver.line("accepted", "job.completed", job, "completed", header(delivery, "X-Transcodely-Delivery-ID"))
    told = delivery.told["job"]
    [output] = told["outputs"]
    body = downloaded(output["output_url"])
    assert output["output_size_bytes"] == len(body), output
    video = next(stream for stream in probed(body)["streams"] if stream["codec_type"] == "video")
    assert video["codec_name"] == "h264", video
    assert (told["progress"], told["metadata"], told["currency"]) == (100, {"order": "42"}, "EUR"), told


def removebgvideo_result(bench, receiver, job, delivery):
    # The start is told by a delivery of its own.
    receiver.line("accepted", "job.started", job)
    receiver.line("accepted", "job.completed", job, "completed", header(delivery, "X-Webhook-Delivery-Id"))
    assert header(delivery, "X-Webhook-Event") == "job.completed", delivery.headers
    streams = probed(downloaded(delivery.told["data"]["output_url"]))["streams"]
    assert any(stream["codec_type"] == "video" for stream in streams), streams


def xora_result(bench, receiver, job, delivery):
    _, _, _, progress, kind, codec, size, duration, url = receiver.line("accepted", job, "completed")
    video = next(stream for stream in probed(downloaded(url))["streams"] if stream["codec_type"] == "video")
    assert (progress, kind, codec) == ("100", "video/mp4", video["codec_name"]), (progress, kind, codec)
    assert size == f"{video['width']}x{video['height']}" and abs(float(duration) - 1) < 0.2, (size, duration)
    assert abs(delivery.told["timestamp"] / 1000 - time.time()) < 300, delivery.told["timestamp"]


def clipzy_result(bench, receiver, job, delivery):
    _, _, _, progress, seconds, url = receiver.line("accepted", job, "completed")
    assert progress == "100" and float(seconds) > 0, (progress, seconds)
    assert any(stream["codec_type"] == "video" for stream in probed(downloaded(url))["streams"])


RESULTS = {
    "compressor": compressor_result, "transcodely": transcodely_result, "xora": xora_result, "clipzy": clipzy_result,
    "removebgvideo": removebgvideo_result,
}


def a_job_that_fails_is_told_and_accepted(bench, receiver):
    service = bench.service
    job, [delivery] = bench.delivered(receiver, "failure", bench.media.broken)
    assert delivery.status == 200, f"the receiver answered {delivery.status}"
    if service.is_signed:
        receiver.line("accepted", "job.failed", job, "failed", header(delivery, service.delivery))
    elif service is COMPRESSOR:
        receiver.line("accepted", job, "failed")
    else:
        state = receiver.line("accepted", job)[2]
        assert state in ("failed", "rejected"), state
        assert "output_video_url" not in delivery.told, delivery.told


def a_repeated_webhook_is_answered_and_dropped(bench, receiver):
    [delivery] = bench.tap.wait_for(f"{receiver.tag} success", bench.service.is_end)
    assert receiver.post(delivery.headers, delivery.body) == 200
    receiver.line("duplicate")


def a_forged_webhook_is_refused(bench, receiver):
    service, secret = bench.service, bench.secret
    [delivery] = bench.tap.wait_for(f"{receiver.tag} success", service.is_end)
    body, now = delivery.body, service.time()

    def headers(sent_at, signature):
        changed = {service.timestamp.lower(): sent_at, service.signature.lower(): signature, service.delivery.lower(): "x"}
        kept = {name: value for name, value in delivery.headers.items() if name.lower() not in changed}
        return kept | {name: value for name, value in changed.items() if value is not None}

    def status(sent_at, signature, body=body):
        return receiver.post(headers(sent_at, signature), body)

    assert status(now, service.signed(secret, now, body)) == 200, "what is signed right is accepted"
    assert status(now, service.signed(secret, now, body), body + b" ") == 401, "a changed body"
    assert status(now, service.signed(secret + "x", now, body)) == 401, "another secret"
    assert status(now, None) == 401, "no signature"
    assert status(now, service.signed(secret, now, body).removeprefix("sha256=")) == 401, "no prefix"
    earlier, later = service.time(ago=400), service.time(ago=-400)
    assert status(earlier, service.signed(secret, earlier, body)) == 401, "an old one"
    assert status(later, service.signed(secret, later, body)) == 401, "one from the future"
    assert status(now, service.signed(secret, earlier, body)) == 401, "another time than was signed"
    assert status(None, service.signed(secret, now, body)) == 401, "no time"


def a_retry_after_500_is_the_same_delivery(bench, receiver):
    job, tag = bench.retried[receiver.tag]
    first, second = bench.tap.wait_for(tag, bench.service.is_end, count=2)
    assert (first.status, second.status) == (500, 200), (first.status, second.status)
    assert first.body == second.body, "the body changed"
    service = bench.service
    if not service.is_signed:
        return receiver.line("accepted", job)
    for name in (service.timestamp, service.signature):
        assert header(first, name) != header(second, name), f"{name} is not fresh"
    delivery = header(first, service.delivery)
    assert delivery == header(second, service.delivery), "the delivery id changed"
    receiver.line("accepted", "job.completed", job, "completed", delivery)


def a_receiver_of_the_old_secret_accepts_the_second_attempt(bench, receiver):
    job, tag = bench.rotated[receiver.tag]
    first, second = bench.tap.wait_for(tag, bench.service.is_end, count=2)
    assert (first.status, second.status) == (401, 200), (first.status, second.status)
    receiver.line("accepted", "job.completed", job, "completed", header(first, bench.service.delivery))


def a_receiver_of_the_new_secret_accepts_the_first_attempt(bench, receiver):
    renewed = Receiver(bench.service, receiver.language, bench.newer, "-renewed")
    try:
        job, [delivery] = bench.delivered(renewed, "success", bench.source)
        assert delivery.status == 200, f"the receiver answered {delivery.status}"
        renewed.line("accepted", "job.completed", job, "completed")
    finally:
        renewed.stop()


def an_answer_is_waited_for_as_long_as_documented(bench, receiver):
    job, tag = bench.slow
    [delivery] = bench.tap.wait_for(tag, bench.service.is_end)
    assert delivery.status == 200, f"the receiver answered {delivery.status}"

    def ended():
        deliveries = bench.server.call("GET", f"/v1/jobs/{job}")["deliveries"]
        return next((found for found in deliveries if found["state"] != "sending"), None)

    delivery = wait_for("end of the delivery", ended)
    assert delivery["state"] == "delivered", delivery


AT_ONCE = [
    a_job_that_succeeds_is_told_and_accepted,
    a_job_that_fails_is_told_and_accepted,
    a_repeated_webhook_is_answered_and_dropped,
]


def test_service(report, bench, require):
    service, receivers = bench.service, []

    def start(language):
        name = f"{service.name}, {language}"
        try:
            receivers.append(Receiver(service, language, bench.secret))
        except Missing as missing:
            report.fail(name, missing) if require else report.skip(name, missing)
        except AssertionError as error:
            report.fail(f"{name}: starts", error)

    def run(receiver, check):
        sentence = check.__name__.replace("_", " ")
        report.run(f"{service.name}, {receiver.language}: {sentence}", lambda: check(bench, receiver))

    def prepare(noted, case, fail_first):
        """Makes the jobs whose deliveries take a while."""
        for receiver in receivers:
            url, tag = bench.tap.route(receiver, case, fail_first)
            noted[receiver.tag] = (bench.submit(bench.source, url), tag)

    try:
        if service.is_signed:
            bench.secret = bench.server.call("POST", "/v1/secrets", {"service": service.name})["secret"]
        for language in service.languages:
            start(language)
        prepare(bench.retried, "retry", fail_first=1)
        if service is TRANSCODELY and receivers:
            # It waits for 30 seconds.
            url, tag = bench.tap.route(receivers[0], "slow", delay_seconds=25)
            bench.slow = (bench.submit(bench.source, url), tag)
        for receiver in receivers:
            for check in AT_ONCE + ([a_forged_webhook_is_refused] if service.is_signed else []):
                run(receiver, check)
        if service.is_signed:
            bench.newer = bench.server.call("POST", f"/v1/secrets/{service.name}/rotate")["secret"]
            prepare(bench.rotated, "rotated", fail_first=0)
            for receiver in receivers:
                run(receiver, a_receiver_of_the_new_secret_accepts_the_first_attempt)
        if service is TRANSCODELY and receivers:
            run(receivers[0], an_answer_is_waited_for_as_long_as_documented)
        for receiver in receivers:
            run(receiver, a_retry_after_500_is_the_same_delivery)
            if service.is_signed:
                run(receiver, a_receiver_of_the_old_secret_accepts_the_second_attempt)
    except Exception as error:  # Whatever it is, the other services go on.
        report.fail(f"{service.name}: jobs are made", f"{type(error).__name__}: {error}")
    finally:
        for receiver in receivers:
            receiver.stop()


def main():
    arguments = sys.argv[1:]
    require = "--require-all" in arguments
    names = [argument for argument in arguments if argument != "--require-all"]
    services = [service for service in ALL if not names or service.name in names]
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        media, tap, server = Media(folder), Tap(), Server(folder)
        try:
            with ThreadPoolExecutor(len(services)) as pool:
                benches = [Bench(service, server, media, tap) for service in services]
                list(pool.map(lambda bench: test_service(report, bench, require), benches))
        finally:
            server.stop()
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
