#!/usr/bin/env python3
"""Has libraries that others published check what a real server delivers.

    python3 examples/test_verifiers.py [--require-all] [LANGUAGE ...]

The server signs and sends; a receiver here notes what came, byte for byte; the verifiers (verifiers/) judge it with
`standardwebhooks` and `svix` in Python, Node and Rust, and with the ed25519 of `cryptography` and of Node. A language whose
tools are missing is skipped, and with `--require-all` fails.
"""

import base64
import json
import queue
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

from service_stage import Quiet, Server, serve, wait_for
from test_receivers import BUILT, EXAMPLES, Missing, Report, build, tool

VERIFIERS = EXAMPLES / "verifiers"
# Whatever a serialiser could be tempted to write in another way.
PAYLOAD = {"name": "Übung 🎬 \u2028</script>", "price": 10.50, "large": 2**53 - 1, "empty": {}, "null": None, "path": "a\\/b"}


# The libraries


def python_command():
    for module in ("standardwebhooks", "svix", "cryptography"):
        if find_spec(module) is None:
            raise Missing(f"{module} is not installed; run scripts/setup-tests.sh")
    return [sys.executable, str(VERIFIERS / "verifier.py")]


def node_command():
    if not (VERIFIERS / "node_modules" / "svix").is_dir():
        raise Missing("svix for Node is not installed; run scripts/setup-tests.sh")
    return [tool("node"), str(VERIFIERS / "node.mjs")]


def rust_command():
    manifest = VERIFIERS / "rust" / "Cargo.toml"
    build([tool("cargo"), "build", "--locked", "--manifest-path", str(manifest), "--target-dir", str(BUILT)])
    return [str(BUILT / "debug" / "reelhook-verifiers")]


LANGUAGES = {"python": python_command, "node": node_command, "rust": rust_command}
# `v1` by these, in every language; `v1a` by `ed25519`, where a language has one that is not the server's own.
LIBRARIES = ("standardwebhooks", "svix")
WITH_ED25519 = ("python", "node")


class Verifier:
    """A process that answers questions about webhooks."""

    def __init__(self, language):
        self.language = language
        self.process = subprocess.Popen(
            LANGUAGES[language](), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def verdict(self, library, key, delivery):
        headers, body = delivery
        question = {"by": library, "key": key, "headers": headers, "body": base64.b64encode(body).decode()}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        verdict = self.process.stdout.readline().strip()
        assert verdict, f"{self.language}: the verifier ended"
        return verdict

    def believes(self, key, delivery, libraries=LIBRARIES):
        for library in libraries:
            verdict = self.verdict(library, key, delivery)
            assert verdict == "accepted", f"{library}: {verdict}: {delivery[0]}"

    def doubts(self, key, delivery, libraries=LIBRARIES):
        for library in libraries:
            verdict = self.verdict(library, key, delivery)
            assert verdict.startswith("refused"), f"{library}: {verdict}: {delivery[0]}"

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# What they judge


class Inbox:
    """An endpoint of the server, and the deliveries that came: headers by lower-case name, and the raw body."""

    def __init__(self, server, answers=(), **settings):
        self.server, self.arrived, self.answers = server, queue.Queue(), list(answers)

        class Handler(Quiet):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["content-length"]))
                status = self.answers.pop(0) if self.answers else 200
                self.arrived.put(({name.lower(): value for name, value in handler.headers.items()}, body))
                handler.answer(status)

        self.http, self.url = serve(Handler)
        self.kind = f"proof.at{self.http.server_address[1]}"
        if settings.pop("register", True):
            wanted = {"url": self.url, "events": [self.kind]} | settings
            made = server.call("POST", "/v1/endpoints", wanted)
            self.id, self.secret = made["id"], made["secret"]

    def publish(self, payload=PAYLOAD):
        self.server.call("POST", "/v1/events", {"type": self.kind, "payload": payload})

    def next(self):
        return self.arrived.get(timeout=60)

    def delivered(self, payload=PAYLOAD):
        self.publish(payload)
        return self.next()

    def rotate(self, overlap_seconds):
        path = f"/v1/endpoints/{self.id}/rotate-secret"
        return self.server.call("POST", path, {"overlap_seconds": overlap_seconds})["secret"]

    def stop(self):
        self.http.shutdown()


def versions(delivery):
    return [entry.split(",")[0] for entry in delivery[0]["webhook-signature"].split(" ")]


def with_header(delivery, name, value):
    return delivery[0] | {name: value}, delivery[1]


def public_keys(server):
    return [key["public"] for key in server.call("GET", "/v1/webhook-keys")["keys"]]


def tampered(delivery):
    """The same with one thing changed each: the body in three ways, the time, the id, and whose signature it is."""
    headers, body = delivery
    first, _, rest = headers["webhook-signature"].partition(" ")
    value = first.partition(",")[2]
    changed = ("B" if value[0] == "A" else "A") + value[1:]
    yield headers, body + b" "
    yield headers, body.replace(b'"sequence":', b'"sequence": ', 1)
    yield headers, json.dumps(json.loads(body) | {"type": "proof.forged"}).encode()
    yield with_header(delivery, "webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1))
    yield with_header(delivery, "webhook-timestamp", str(int(headers["webhook-timestamp"]) - 3600))
    yield with_header(delivery, "webhook-id", headers["webhook-id"] + "x")
    yield with_header(delivery, "webhook-signature", f"v1,{changed}")
    yield with_header(delivery, "webhook-signature", f"v2,{value} {rest}")


# Cases: a name that is a sentence. Each takes a server and a verifier.


def a_delivery_is_believed(server, verifier):
    inbox = Inbox(server)
    for payload in (PAYLOAD, {}, {"text": "x" * 200_000}):
        delivery = inbox.delivered(payload)
        assert versions(delivery) == ["v1", "v1a"], delivery[0]
        verifier.believes(inbox.secret, delivery)
    inbox.stop()


def what_was_tampered_with_is_refused(server, verifier):
    inbox = Inbox(server)
    delivery = inbox.delivered()
    verifier.believes(inbox.secret, delivery)
    for forged in tampered(delivery):
        verifier.doubts(inbox.secret, forged)
    verifier.doubts("whsec_" + base64.b64encode(b"another secret of 32 bytes here!").decode(), delivery)
    inbox.stop()


def the_key_pair_signs_as_well(server, verifier):
    if verifier.language not in WITH_ED25519:
        return
    inbox = Inbox(server)
    delivery, [key] = inbox.delivered(), public_keys(server)
    assert key.startswith("whpk_"), key
    verifier.believes(key, delivery, ["ed25519"])
    headers, body = delivery
    only = headers["webhook-signature"].split(" ")[1]
    verifier.believes(key, with_header(delivery, "webhook-signature", only), ["ed25519"])
    for forged in [(headers, body + b" "), *list(tampered(delivery))[3:6]]:
        verifier.doubts(key, forged, ["ed25519"])
    another = "whpk_" + base64.b64encode(bytes(31) + b"\x01").decode()
    verifier.doubts(another, delivery, ["ed25519"])
    inbox.stop()


def while_secrets_overlap_each_of_them_is_enough(server, verifier):
    inbox = Inbox(server)
    first = inbox.secret
    second = inbox.rotate(3600)
    delivery = inbox.delivered()
    assert versions(delivery) == ["v1", "v1", "v1a"], delivery[0]
    for secret in (first, second):
        verifier.believes(secret, delivery)
    third = inbox.rotate(3600)
    delivery = inbox.delivered()
    assert versions(delivery) == ["v1", "v1", "v1", "v1a"], delivery[0]
    for secret in (first, second, third):
        verifier.believes(secret, delivery)
    # The newest signs first.
    newest = delivery[0]["webhook-signature"].split(" ")[0]
    verifier.believes(third, with_header(delivery, "webhook-signature", newest))
    verifier.doubts(first, with_header(delivery, "webhook-signature", newest))
    if verifier.language in WITH_ED25519:
        verifier.believes(public_keys(server)[0], delivery, ["ed25519"])
    for forged in tampered(delivery):
        if forged[0]["webhook-signature"] == delivery[0]["webhook-signature"]:
            verifier.doubts(second, forged)
    inbox.stop()


def after_the_overlap_only_the_new_secret_signs(server, verifier):
    inbox = Inbox(server)
    old = inbox.secret
    new = inbox.rotate(2)
    until = time.monotonic() + 2.1
    delivery = inbox.delivered()
    for secret in (old, new):
        verifier.believes(secret, delivery)
    wait_for("end of the overlap", lambda: time.monotonic() > until)
    delivery = inbox.delivered()
    assert versions(delivery) == ["v1", "v1a"], delivery[0]
    verifier.believes(new, delivery)
    verifier.doubts(old, delivery)
    newest = inbox.rotate(0)
    delivery = inbox.delivered()
    assert versions(delivery) == ["v1", "v1a"], delivery[0]
    verifier.believes(newest, delivery)
    verifier.doubts(new, delivery)
    inbox.stop()


def a_retry_is_signed_anew_over_the_same_bytes(server, verifier):
    inbox = Inbox(server, answers=[500], retry_seconds=[0, 2])
    first = inbox.delivered()
    second = inbox.next()
    assert first[1] == second[1] and first[0]["webhook-id"] == second[0]["webhook-id"]
    assert (first[0]["reelhook-attempt"], second[0]["reelhook-attempt"]) == ("1", "2")
    assert first[0]["webhook-timestamp"] != second[0]["webhook-timestamp"]
    for delivery in (first, second):
        verifier.believes(inbox.secret, delivery)
    crossed = with_header(second, "webhook-signature", first[0]["webhook-signature"])
    verifier.doubts(inbox.secret, crossed)
    inbox.stop()


def the_webhook_of_a_job_is_signed_by_its_account(server, verifier):
    inbox = Inbox(server, register=False)
    secret = server.call("GET", "/v1/settings/webhook/secret")["secret"]
    job = {
        "input": {"url": inbox.url}, "outputs": [{"recipe": "thumbnail"}],
        "webhook": {"url": inbox.url, "events": ["job.created"]},
    }
    server.call("POST", "/v1/jobs", job)
    delivery = inbox.next()
    assert json.loads(delivery[1])["type"] == "job.created", delivery[1]
    verifier.believes(secret, delivery)
    for forged in tampered(delivery):
        verifier.doubts(secret, forged)
    inbox.stop()


def what_is_pulled_is_signed_alike(server, verifier):
    made = server.call("POST", "/v1/endpoints", {"pull": True, "events": ["proof.pulled"]})
    server.call("POST", "/v1/events", {"type": "proof.pulled", "payload": PAYLOAD})

    def pulled():
        [event] = server.call("GET", f"/v1/endpoints/{made['id']}/events?wait=30s")["events"]
        return event["headers"], event["body"].encode()

    delivery = pulled()
    assert versions(delivery) == ["v1", "v1a"], delivery[0]
    verifier.believes(made["secret"], delivery)
    for forged in tampered(delivery):
        verifier.doubts(made["secret"], forged)
    rotation = {"overlap_seconds": 0}
    newer = server.call("POST", f"/v1/endpoints/{made['id']}/rotate-secret", rotation)["secret"]
    delivery = pulled()
    verifier.believes(newer, delivery)
    verifier.doubts(made["secret"], delivery)
    server.call("DELETE", f"/v1/endpoints/{made['id']}")


CASES = [
    a_delivery_is_believed,
    what_was_tampered_with_is_refused,
    the_key_pair_signs_as_well,
    while_secrets_overlap_each_of_them_is_enough,
    after_the_overlap_only_the_new_secret_signs,
    a_retry_is_signed_anew_over_the_same_bytes,
    the_webhook_of_a_job_is_signed_by_its_account,
    what_is_pulled_is_signed_alike,
]


def main():
    arguments = sys.argv[1:]
    require = "--require-all" in arguments
    languages = [argument for argument in arguments if argument != "--require-all"] or list(LANGUAGES)
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for language in languages:
                test_language(report, server, language, require)
        finally:
            server.stop()
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0


def test_language(report, server, language, require):
    try:
        verifier = Verifier(language)
    except Missing as missing:
        return report.fail(language, missing) if require else report.skip(language, missing)
    except AssertionError as error:
        return report.fail(f"{language}: starts", error)
    try:
        for case in CASES:
            report.run(f"{language}: {case.__name__.replace('_', ' ')}", lambda: case(server, verifier))
    finally:
        verifier.stop()


if __name__ == "__main__":
    sys.exit(main())
