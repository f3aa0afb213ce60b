"""What the tests of the services stand on: a real server, small media, a tap before each receiver, and how each service
is spoken to.

Signatures are made here from what the guides say. The server is target/debug/reelhook, or what REELHOOK_PROGRAM names.
"""

import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import test_receivers
from test_receivers import BUILT, EXAMPLES, Missing, build, tool

SERVICES = EXAMPLES / "services"
PROGRAM = os.environ.get("REELHOOK_PROGRAM") or str(EXAMPLES.parent / "target" / "debug" / "reelhook")
# Longer than a minute: that is when Transcodely's second attempt comes.
PATIENCE_SECONDS = 180


def wait_for(what, look):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"there was no {what} within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


# The server, the media, and what stands between the server and a receiver


class Server:
    """A server over a folder of its own, and its first key."""

    def __init__(self, folder):
        env = {name: value for name, value in os.environ.items() if not name.startswith("REELHOOK_")}
        self.log = open(Path(folder) / "log", "w+", encoding="utf-8")
        command = [PROGRAM, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", str(Path(folder) / "data")]
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=self.log, text=True, encoding="utf-8"
        )
        self.key = self.url = None
        for line in self.process.stdout:
            if line.startswith("  rh_"):
                self.key = line.strip()
            if line.startswith("Reelhook listens on "):
                self.url = line.removeprefix("Reelhook listens on ").strip()
                break
        assert self.url and self.key, "the server did not start: " + Path(self.log.name).read_text(encoding="utf-8")

    def call(self, method, path, message=None):
        """One call of the native API."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            text = response.read()
        return json.loads(text) if text else None

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


class Media:
    """Small files made by ffmpeg, on disk and at an origin."""

    def __init__(self, folder):
        self.folder = Path(folder)
        sound = ["-f", "lavfi", "-i", "sine=f=440:d=1:r=48000"]
        picture = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=24:d=1"]
        screen = ["-f", "lavfi", "-i", "color=c=0x00b140:s=320x240:r=24:d=1,drawbox=x=100:y=60:w=90:h=120:c=red:t=fill"]
        h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"]
        self.clip = self.made("clip.mp4", picture + sound + h264)
        self.screen = self.made("screen.mp4", screen + sound + h264)
        self.photo = self.made("photo.jpg", ["-f", "lavfi", "-i", "testsrc2=s=640x480:d=1", "-frames:v", "1", "-q:v", "2"])
        # Its index stands at the beginning and is whole, so that it is taken for a video; the end of it is lost.
        whole = self.made("whole.mp4", picture + sound + h264 + ["-movflags", "+faststart"])
        self.broken = self.folder / "broken.mp4"
        self.broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

        class Origin(Quiet):
            def do_GET(origin):
                path = self.folder / Path(origin.path).name
                origin.answer(200, path.read_bytes()) if path.is_file() else origin.answer(404)

            do_HEAD = do_GET

        self.origin, self.url = serve(Origin)

    def made(self, name, arguments):
        path = self.folder / name
        build([tool("ffmpeg"), "-v", "error", "-y", *arguments, str(path)])
        return path


@dataclass
class Delivery:
    """A webhook as it came, and what was answered."""

    headers: dict
    body: bytes
    status: int = 0

    @property
    def told(self):
        return json.loads(self.body)


class Tap:
    """Where webhooks go: notes them, and passes them on to the receiver of their path's first word."""

    def __init__(self):
        self.receivers, self.fail_first, self.delay_seconds, self.noted = {}, {}, {}, {}
        self.lock = threading.Lock()

        class Handler(Quiet):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["content-length"]))
                tag = handler.path.strip("/").replace("/", " ")
                handler.answer(self.take(tag, dict(handler.headers.items()), body))

        self.server, self.url = serve(Handler)

    def take(self, tag, headers, body):
        receiver, delivery = self.receivers[tag.split(" ")[0]], Delivery(headers, body)
        with self.lock:
            # Only what tells of the end is failed: a service that also tells of the start would lose its 500 to that.
            fails = receiver.service.is_end(delivery) and self.fail_first[tag] > 0
            self.fail_first[tag] -= fails
        time.sleep(self.delay_seconds[tag])
        delivery.status = 500 if fails else receiver.post(headers, body)
        with self.lock:
            self.noted.setdefault(tag, []).append(delivery)
        return delivery.status

    def route(self, receiver, case, fail_first=0, delay_seconds=0):
        """A URL whose webhooks reach that receiver, and the tag under which they are noted. Of those that tell of the end,
        so many are first answered 500."""
        tag = f"{receiver.tag} {case}"
        self.receivers[receiver.tag] = receiver
        self.fail_first[tag], self.delay_seconds[tag] = fail_first, delay_seconds
        return f"{self.url}/{receiver.tag}/{case}", tag

    def wait_for(self, tag, wanted, count=1):
        def look():
            with self.lock:
                found = [delivery for delivery in self.noted.get(tag, []) if wanted(delivery)]
            return found[:count] if len(found) >= count else None

        return wait_for(f"delivery {count} of {tag}", look)


class Receiver(test_receivers.Receiver):
    """A running receiver of a service, and all that it printed."""

    def __init__(self, service, language, secret=None, kind=""):
        self.service, self.language, self.tag = service, language, f"{service.name}-{language}{kind}"
        variables = {f"{service.name.upper()}_WEBHOOK_SECRET": secret} if secret else {}
        # Flask tells of every request.
        BUILT.mkdir(parents=True, exist_ok=True)
        self.stderr = open(BUILT / f"{self.tag}.log", "w", encoding="utf-8")
        self.said = []
        super().__init__(service.receiver(language), **variables)

    def post(self, headers, body):
        dropped = ("host", "connection", "content-length", "transfer-encoding")
        kept = {name: value for name, value in headers.items() if name.lower() not in dropped}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", f"/webhooks/{self.service.name}", body=body, headers=kept)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def line(self, *words):
        """The words of a printed line that begins with these."""

        def look():
            while not self.lines.empty():
                self.said.append(self.lines.get().split())
            return next((line for line in self.said if line[: len(words)] == list(words)), None)

        return wait_for(f"line {' '.join(words)} of {self.tag}", look)


# The services


@dataclass
class Service:
    """How a service is spoken to, and how its webhooks are read."""

    name: str
    base: str
    client: str
    job_id: str
    input: str
    signature: str = ""
    timestamp: str = ""
    delivery: str = ""

    @property
    def is_signed(self):
        return bool(self.signature)

    @property
    def languages(self):
        return ["express", "flask", "node", "python", "go"] if self.is_signed else ["node", "flask"]

    def receiver(self, language):
        folder = SERVICES / self.name
        match language:
            case "express":
                if not (SERVICES / "node_modules" / "express").is_dir():
                    raise Missing("express is not installed; run scripts/setup-tests.sh")
                return [tool("node"), str(folder / "express.mjs")]
            case "node":
                return [tool("node"), str(folder / "node.mjs")]
            case "flask":
                done = subprocess.run([sys.executable, "-c", "import flask"], capture_output=True)
                if done.returncode != 0:
                    raise Missing("flask is not installed; run scripts/setup-tests.sh")
                return [sys.executable, str(folder / "flask_receiver.py")]
            case "python":
                return [sys.executable, str(folder / "receiver.py")]
            case "go":
                program = BUILT / f"{self.name}-receiver"
                build([tool("go"), "build", "-o", str(program), "."], cwd=folder / "go", GOTOOLCHAIN="local")
                return [str(program)]

    def signed(self, secret, sent_at, body):
        """The value of the signature's header, as the guide says it is made."""
        mac = hmac.new(secret.encode(), f"{sent_at}.".encode() + body, hashlib.sha256)
        return f"sha256={mac.hexdigest()}"

    def time(self, ago=0):
        """The value of the timestamp's header, so many seconds ago."""
        at = datetime.now(timezone.utc) - timedelta(seconds=ago)
        return str(int(at.timestamp())) if self.name == "transcodely" else at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def is_end(self, delivery):
        """Whether a delivery tells of the job's end."""
        return delivery.told.get("event") != "job.started"


COMPRESSOR = Service("compressor", "/compressor/1.0", "client.mjs", "id", "file")
XORA = Service("xora", "/xora", "client.py", "jobId", "url")
CLIPZY = Service("clipzy", "/clipzy", "client.mjs", "job_id", "file")
TRANSCODELY = Service(
    "transcodely", "/transcodely", "client.py", "id", "url",
    "X-Transcodely-Signature", "X-Transcodely-Timestamp", "X-Transcodely-Delivery-ID",
)
REMOVEBGVIDEO = Service(
    "removebgvideo", "/removebgvideo", "client.mjs", "id", "file",
    "X-Webhook-Signature", "X-Webhook-Timestamp", "X-Webhook-Delivery-Id",
)
ALL = [COMPRESSOR, TRANSCODELY, XORA, CLIPZY, REMOVEBGVIDEO]


class Bench:
    """One service under test: the server, its media, the tap, the receivers and the secret they know."""

    def __init__(self, service, server, media, tap):
        self.service, self.server, self.media, self.tap = service, server, media, tap
        self.secret = self.newer = None
        self.retried, self.rotated = {}, {}

    def submit(self, path, webhook):
        """Makes a job by the service's client, and returns its id there."""
        name = self.service.name.upper()
        client = SERVICES / self.service.name / self.service.client
        source = f"{self.media.url}/{path.name}" if self.service.input == "url" else str(path)
        env = os.environ | {f"{name}_URL": self.server.url + self.service.base, f"{name}_KEY": self.server.key}
        runner = sys.executable if client.suffix == ".py" else tool("node")
        done = subprocess.run([runner, str(client), source, webhook], env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"the client failed: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)[self.service.job_id]

    @property
    def source(self):
        match self.service.name:
            case "compressor":
                return self.media.photo
            case "removebgvideo":
                return self.media.screen
        return self.media.clip

    def delivered(self, receiver, case, path, fail_first=0):
        """Makes a job that is told to the receiver; its id and the deliveries that tell of its end."""
        url, tag = self.tap.route(receiver, case, fail_first)
        job = self.submit(path, url)
        return job, self.tap.wait_for(tag, self.service.is_end, count=fail_first + 1)


def header(delivery, name):
    return next((value for key, value in delivery.headers.items() if key.lower() == name.lower()), None)


def downloaded(url):
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        return response.read()


def probed(body):
    """What ffprobe says of a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        command = [tool("ffprobe"), "-v", "error", "-show_format", "-show_streams", "-of", "json", file.name]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
