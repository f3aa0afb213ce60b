#!/usr/bin/env python3
"""Starts every example receiver and sends it what a receiver meets: good webhooks, bad ones, repeated ones.

    python3 examples/test_receivers.py [--require-all] [LANGUAGE ...]

Signatures are made here, from the text of the Standard Webhooks specification and the standard library alone. Where
the library `standardwebhooks` is installed, it signs too, as a second opinion. A language whose tools are missing is
skipped, and with `--require-all` fails.
"""

import base64
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", EXAMPLES.parent / "target")).resolve() / "examples"
OLD, NEW, WRONG = ("whsec_" + base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2, 3))
BODY = '{"type":"job.completed","timestamp":"2026-01-02T03:04:05.678Z","sequence":7,"data":{ "name":"Übung 🎬" }}'.encode()
HAS_LIBRARY = importlib.util.find_spec("standardwebhooks") is not None
PATIENCE_SECONDS = 30


def sign(secret, event_id, sent_at, body):
    """One entry of `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


# Receivers


def python_command():
    return [sys.executable, str(EXAMPLES / "python" / "receiver.py")]


def node_command():
    return [tool("node"), str(EXAMPLES / "node" / "receiver.mjs")]


def go_command():
    BUILT.mkdir(parents=True, exist_ok=True)
    build([tool("go"), "build", "-o", str(BUILT / "go-receiver"), "."], cwd=EXAMPLES / "go", GOTOOLCHAIN="local")
    return [str(BUILT / "go-receiver")]


def rust_command():
    manifest = EXAMPLES / "rust" / "Cargo.toml"
    build([tool("cargo"), "build", "--locked", "--manifest-path", str(manifest), "--target-dir", str(BUILT)])
    return [str(BUILT / "debug" / "reelhook-receiver")]


RECEIVERS = {"python": python_command, "node": node_command, "go": go_command, "rust": rust_command}


class Missing(Exception):
    """A program that a receiver needs is not on this machine."""


def tool(name):
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def build(command, cwd=None, **variables):
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}"


class Receiver:
    """A running receiver on a free port of loopback, and the lines it printed."""

    stderr = None

    def __init__(self, command, **variables):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        env = os.environ | variables | {"PORT": str(self.port)}
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=self.stderr, text=True, encoding="utf-8"
        )
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line.strip()) for line in self.process.stdout], daemon=True).start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, f"the receiver ended with {self.process.returncode}"
                assert time.monotonic() < deadline, "the receiver does not listen"
                time.sleep(0.02)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def post(self, headers, body=BODY, connection=None):
        own = connection or self.connect()
        own.request("POST", "/hook", body=body, headers={"content-type": "application/json"} | headers)
        response = own.getresponse()
        response.read()
        if connection is None:
            own.close()
        return response.status

    def printed(self):
        return self.lines.get(timeout=PATIENCE_SECONDS)

    def stop(self):
        self.process.kill()
        self.process.wait()


# Cases: a name that is a sentence, and what is sent. Each takes a receiver and an id of its own.


def headers_of(event_id, *secrets, sent_at=None, body=BODY):
    sent_at = int(time.time()) if sent_at is None else sent_at
    signatures = " ".join(sign(secret, event_id, sent_at, body) for secret in secrets)
    return {"webhook-id": event_id, "webhook-timestamp": str(sent_at), "webhook-signature": signatures}


def accepts(receiver, event_id, headers, body=BODY):
    status, line = receiver.post(headers, body), receiver.printed()
    assert status == 204, f"answered {status}"
    assert line == f"verified job.completed {event_id}", f"printed {line!r}"


def refuses(receiver, headers, body=BODY):
    status = receiver.post(headers, body)
    assert status == 400, f"answered {status}"
    assert receiver.lines.empty(), f"printed {receiver.lines.get()!r}"


def a_good_webhook_is_accepted(receiver, event_id):
    accepts(receiver, event_id, headers_of(event_id, OLD))


def the_second_secret_of_a_rotation_is_accepted(receiver, event_id):
    accepts(receiver, event_id, headers_of(event_id, NEW))


def one_right_signature_among_several_is_enough(receiver, event_id):
    headers = headers_of(event_id, WRONG, NEW)
    headers["webhook-signature"] = f"v1a,AAAA v2,{'A' * 44} " + headers["webhook-signature"] + " v1,not-base64"
    accepts(receiver, event_id, headers)


def a_clock_four_minutes_off_is_accepted(receiver, event_id):
    accepts(receiver, event_id, headers_of(event_id, OLD, sent_at=int(time.time()) - 240))


def a_repeated_webhook_is_answered_and_dropped(receiver, event_id):
    accepts(receiver, event_id, headers_of(event_id, OLD))
    # A retry: the same id and body, a fresh timestamp and signature.
    status, line = receiver.post(headers_of(event_id, OLD, sent_at=int(time.time()) + 1)), receiver.printed()
    assert (status, line) == (204, f"duplicate {event_id}"), f"answered {status}, printed {line!r}"


def one_connection_carries_several_webhooks(receiver, event_id):
    connection = receiver.connect()
    good = headers_of(event_id, OLD)
    statuses = [receiver.post(headers, connection=connection) for headers in (good, headers_of(event_id, WRONG), good)]
    connection.close()
    lines = [receiver.printed(), receiver.printed()]
    assert statuses == [204, 400, 204], f"answered {statuses}"
    assert lines == [f"verified job.completed {event_id}", f"duplicate {event_id}"], f"printed {lines}"


def a_tampered_body_is_refused(receiver, event_id):
    refuses(receiver, headers_of(event_id, OLD), BODY.replace(b'"sequence":7', b'"sequence":8'))


def a_body_written_anew_is_refused(receiver, event_id):
    refuses(receiver, headers_of(event_id, OLD), json.dumps(json.loads(BODY)).encode())


def an_old_webhook_is_refused(receiver, event_id):
    refuses(receiver, headers_of(event_id, OLD, sent_at=int(time.time()) - 330))


def a_webhook_from_the_future_is_refused(receiver, event_id):
    refuses(receiver, headers_of(event_id, OLD, sent_at=int(time.time()) + 330))


def a_wrong_secret_is_refused(receiver, event_id):
    refuses(receiver, headers_of(event_id, WRONG))


def a_signature_for_another_id_is_refused(receiver, event_id):
    refuses(receiver, headers_of("evt_other", OLD) | {"webhook-id": event_id})


def an_unknown_version_is_refused(receiver, event_id):
    headers = headers_of(event_id, OLD)
    refuses(receiver, headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")})


def an_id_with_a_full_stop_is_refused(receiver, event_id):
    # `a.1` + `2` and `a` + `1.2` would be signed alike.
    refuses(receiver, headers_of(f"{event_id}.1", OLD))


def a_strange_timestamp_is_refused(receiver, event_id):
    for sent_at in ("", "soon", f"+{int(time.time())}", f"{time.time()}", "9" * 40, "NaN"):
        refuses(receiver, headers_of(event_id, OLD, sent_at=sent_at))


def a_missing_header_is_refused(receiver, event_id):
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = headers_of(event_id, OLD)
        del headers[name]
        refuses(receiver, headers)


def a_signature_of_the_library_is_accepted(receiver, event_id):
    from standardwebhooks import Webhook

    sent_at = datetime.now(timezone.utc)
    headers = headers_of(event_id, sent_at=int(sent_at.timestamp()))
    signature = Webhook(OLD).sign(event_id, sent_at, BODY.decode())
    accepts(receiver, event_id, headers | {"webhook-signature": signature})


CASES = [
    a_good_webhook_is_accepted,
    the_second_secret_of_a_rotation_is_accepted,
    one_right_signature_among_several_is_enough,
    a_clock_four_minutes_off_is_accepted,
    a_repeated_webhook_is_answered_and_dropped,
    one_connection_carries_several_webhooks,
    a_tampered_body_is_refused,
    a_body_written_anew_is_refused,
    an_old_webhook_is_refused,
    a_webhook_from_the_future_is_refused,
    a_wrong_secret_is_refused,
    a_signature_for_another_id_is_refused,
    an_unknown_version_is_refused,
    an_id_with_a_full_stop_is_refused,
    a_strange_timestamp_is_refused,
    a_missing_header_is_refused,
]
if HAS_LIBRARY:
    CASES.append(a_signature_of_the_library_is_accepted)


# Tests without a receiver


def this_script_signs_as_the_specification_says():
    secret, event_id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signature = sign(secret, event_id, 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature


def the_three_line_check_accepts_and_refuses():
    from standardwebhooks import WebhookVerificationError

    sys.path.insert(0, str(EXAMPLES / "python"))
    from with_library import verified_event

    headers = headers_of("evt_1", OLD)
    assert verified_event(OLD, headers, BODY)["type"] == "job.completed"
    try:
        verified_event(OLD, headers, BODY + b" ")
    except WebhookVerificationError:
        return
    raise AssertionError("a tampered body was accepted")


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, name, test):
        try:
            test()
        except Exception as error:  # Whatever it is, the other tests go on.
            self.fail(name, f"{type(error).__name__}: {error}")
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    def fail(self, name, why):
        self.failed += 1
        print(f"FAILED  {name}: {why}", flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"skipped {name}: {why}", flush=True)


def test_receiver(report, language, require):
    try:
        receiver = Receiver(RECEIVERS[language](), REELHOOK_SECRET=f"{OLD},{NEW}")
    except Missing as missing:
        return report.fail(language, missing) if require else report.skip(language, missing)
    except AssertionError as error:
        return report.fail(f"{language}: starts", error)
    try:
        for number, case in enumerate(CASES):
            sentence = case.__name__.replace("_", " ")
            report.run(f"{language}: {sentence}", lambda: case(receiver, f"evt_{language}{number}"))
    finally:
        receiver.stop()


def main():
    arguments = sys.argv[1:]
    require = "--require-all" in arguments
    languages = [argument for argument in arguments if argument != "--require-all"] or list(RECEIVERS)
    report = Report()
    report.run("this script signs as the specification says", this_script_signs_as_the_specification_says)
    if HAS_LIBRARY or require:
        report.run("python: the three-line check accepts and refuses", the_three_line_check_accepts_and_refuses)
    else:
        report.skip("python: the three-line check", "standardwebhooks is not installed")
    for language in languages:
        test_receiver(report, language, require)
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
