#!/usr/bin/env python3
"""Has the papers of deploy/ read by the programs that they are for, and lets those stand before a real server.

    scripts/check-deploy.py [--binary target/debug/reelhook]

nginx and Caddy run with the files as they are, but for the name, the certificate, the port and the server's address. A large
upload goes through each, an event comes at once, and the answer to a refused upload reaches its caller. systemd-analyze
judges the units, promtool the alerts; Prometheus reads the metrics and works out the alerts and the board.
scripts/setup-tests.sh brings the programs.
"""

import argparse
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
# Where scripts/setup-tests.sh unpacks what the machine does not have.
UNPACKED = ROOT / "target/papers"
TOOLS = os.pathsep.join([os.environ["PATH"], f"{UNPACKED}/usr/sbin", f"{UNPACKED}/usr/bin", "/usr/sbin"])

MEBI = 1 << 20
UPLOAD = 100 * MEBI
# What is sent on after it was refused.
SENT_ON = 24 * MEBI
# Below the 15 s after which a quiet stream says a comment, which would push out what was held back.
AT_ONCE_SECONDS = 10
PATIENCE_SECONDS = 60
# What `systemd-analyze security` may say of the unit at most, times ten.
EXPOSURE = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target/debug/reelhook", type=pathlib.Path)
    arguments = parser.parse_args()
    programs = ("nginx", "caddy", "prometheus", "promtool", "systemd-analyze")
    missing = [name for name in programs if not shutil.which(name, path=TOOLS)]
    if missing:
        sys.exit(f"not here: {', '.join(missing)}; run scripts/setup-tests.sh")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # nginx's workers are another user where it is started by root.
        folder.chmod(0o755)
        check("units", units, folder, arguments.binary)
        check("alerts", alerts)
        server = Server(arguments.binary, folder)
        try:
            check("metrics", metrics, server, folder)
            for proxy in (nginx, caddy):
                check(proxy.__name__, behind, proxy, server, folder)
        finally:
            server.stop()


@contextlib.contextmanager
def running(command, log):
    """A program that runs meanwhile; what it said is shown where that fails."""
    environment = {"PATH": TOOLS, "HOME": str(log.parent), "LC_ALL": "C.UTF-8"}
    program = shutil.which(command[0], path=TOOLS)
    with open(log, "w+", encoding="utf-8") as said:
        process = subprocess.Popen([program, *map(str, command[1:])], env=environment, stdout=said, stderr=said)
        try:
            yield process
        except BaseException:
            said.seek(0)
            print(f"{command[0]} says:\n{said.read()[-4000:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def check(name, test, *arguments):
    began = time.monotonic()
    test(*arguments)
    print(f"ok   {name} ({time.monotonic() - began:.1f} s)", flush=True)


def run(*command, **options):
    """What a program says, which must be content."""
    path = shutil.which(command[0], path=TOOLS)
    options = {"capture_output": True, "text": True, "check": False, "encoding": "utf-8", **options}
    done = subprocess.run([path, *map(str, command[1:])], **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def wait_for(what, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    sys.exit(f"there was no {what} within {PATIENCE_SECONDS} s")


# The papers that are read


def units(folder, binary):
    """The units, as they would be installed, have nothing that systemd does not know, and expose no more than they did."""
    place = folder / "units"
    place.mkdir()
    shutil.copy(DEPLOY / "systemd/reelhook.socket", place)
    service = place / "reelhook.service"
    program = ("ExecStart=/usr/local/bin/reelhook", f"ExecStart={binary.resolve()}")
    service.write_text(changed(DEPLOY / "systemd/reelhook.service", program))
    said = run("systemd-analyze", "verify", "--recursive-errors=no", service, place / "reelhook.socket")
    ours = [line for line in said.splitlines() if "reelhook" in line]
    assert not ours, "systemd-analyze verify says:\n" + "\n".join(ours)
    said = run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", service)
    print("    ", said.strip().splitlines()[-1].removeprefix("→ "))


def alerts():
    """The rules can be read, fire when they should, and are silent when they should be."""
    run("promtool", "check", "rules", DEPLOY / "prometheus/alerts.yml")
    run("promtool", "test", "rules", DEPLOY / "prometheus/alerts_test.yml")
    rules = set(re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus/alerts_test.yml").read_text()))
    assert rules == tested, f"alerts without a test: {rules ^ tested}"


def metrics(server, folder):
    """Prometheus reads what the server answers at /metrics, and works out each alert and each panel of the board."""
    address = f"127.0.0.1:{free_port()}"
    target = server.url.removeprefix("http://")
    scraped = [{"job_name": "reelhook", "static_configs": [{"targets": [target]}]}]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    rules = [str(DEPLOY / "prometheus/alerts.yml")]
    config = folder / "prometheus.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"global": every, "rule_files": rules, "scrape_configs": scraped}))

    def ask(path, **query):
        question = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with contextlib.suppress(OSError), urllib.request.urlopen(question, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["data"]

    def is_up():
        found = ask("query", query='up{job="reelhook"} == 1')
        return found and found["result"]

    def worked_out():
        groups = ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in rules) and rules

    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/prometheus"]
    command += [f"--web.listen-address={address}", "--log.level=warn"]
    with running(command, folder / "prometheus.log"):
        wait_for("scrape that Prometheus could read", is_up)
        wrong = [rule for rule in wait_for("evaluation of all rules", worked_out) if rule["health"] != "ok"]
        assert not wrong, wrong
        board = json.loads((DEPLOY / "grafana/reelhook.json").read_text())
        panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
        assert panels
        for expression in panels:
            assert ask("query", query=expression.replace("$__rate_interval", "1m")) is not None, expression


# The server, and what stands before it


class Server:
    """A server over a folder of its own, and a key."""

    def __init__(self, binary, folder):
        self.data = folder / "data"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        self.log = open(folder / "log", "w+", encoding="utf-8")
        serve = [binary, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", self.data]
        serve += ["--set", f"upload.max_bytes={UPLOAD}", "--set", "api.max_connections_per_address=0"]
        self.process = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        said = iter(self.process.stdout.readline, "")
        self.url = next(line.split()[-1] for line in said if line.startswith("Reelhook listens on ")).rstrip("/")
        create = [binary, "keys", "create", "--data", self.data, "--name", "deploy"]
        made = subprocess.run(create, check=True, capture_output=True, text=True, env=environment)
        self.headers = {"authorization": f"Bearer {made.stdout.strip()}", "content-type": "application/json"}

    def post(self, path, message):
        """One call, past every proxy."""
        request = urllib.request.Request(self.url + path, json.dumps(message).encode(), self.headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def held(self):
        """How many bytes of files it has, half-made ones too."""
        sizes = 0
        for path in self.data.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                sizes += path.stat().st_size if path.is_file() and "reelhook.db" not in path.name else 0
        return sizes

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_SECONDS)
        self.log.close()


class Papers:
    """A certificate for `localhost` that signed itself, and its key."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "proxy.pem", folder / "proxy.key"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        made = made.not_valid_after(now + datetime.timedelta(days=1))
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        made = made.sign(key, hashes.SHA256())
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def changed(paper, *changes):
    """A paper with what is the operator's own put in. Each change must hit."""
    text = paper.read_text(encoding="utf-8")
    for before, after in changes:
        assert text.count(before) == 1, f"{paper} has {before!r} {text.count(before)} times"
        text = text.replace(before, after)
    return text


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def nginx(folder, papers, address, port):
    site = changed(
        DEPLOY / "nginx/reelhook.conf",
        ("server 127.0.0.1:8080;", f"server {address};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("server_name media.example.com;", "server_name localhost;"),
        ("/etc/ssl/media.example.com.pem", str(papers.certificate)),
        ("/etc/ssl/media.example.com.key", str(papers.key)),
    )
    (folder / "reelhook.conf").write_text(site)
    # What Debian's own nginx.conf has around it, with folders of ours.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"worker_processes auto;\npid {folder}/nginx.pid;\ndaemon off;\nerror_log stderr;\n"
        f"events {{ worker_connections 768; }}\nhttp {{\n    access_log off;\n{temporary}\n"
        f"    include {folder}/reelhook.conf;\n}}\n"
    )
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    run(*command, "-t")
    return command, folder / "client_body"


def caddy(folder, papers, address, port):
    run("caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "caddy/Caddyfile")
    site = changed(
        DEPLOY / "caddy/Caddyfile",
        ("\nmedia.example.com {", f"\nhttps://localhost:{port} {{\n\ttls {papers.certificate} {papers.key}"),
        ("reverse_proxy 127.0.0.1:8080", f"reverse_proxy {address}"),
    )
    options = "{\n\tadmin off\n\tskip_install_trust\n\tgrace_period 1s\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"], None


class Caller:
    """Connections to a proxy."""

    def __init__(self, papers, port, headers):
        self.port, self.headers = port, headers
        self.context = ssl.create_default_context(cafile=papers.certificate)

    def open(self, method, path, headers=None):
        """A connection with a request begun on it."""
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=PATIENCE_SECONDS)
        connection.putrequest(method, path)
        for name, value in {**self.headers, **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def get(self, path, headers=None):
        return self.open("GET", path, headers).getresponse()


def behind(proxy, server, folder):
    folder = folder / proxy.__name__
    folder.mkdir()
    papers, port = Papers(folder), free_port()
    command, spool = proxy(folder, papers, server.url.removeprefix("http://"), port)
    with running(command, folder / "log") as process:
        caller = Caller(papers, port, server.headers)
        wait_for(f"answer of {proxy.__name__}", lambda: process.poll() is not None or is_ready(caller))
        assert process.poll() is None, f"{proxy.__name__} did not start"
        for test in (metrics_stay_inside, an_upload_passes, refusals_reach_the_caller, events_come_at_once):
            test(caller, server, spool)


def is_ready(caller):
    try:
        return caller.get("/readyz").status == 200
    except OSError:
        return False


def metrics_stay_inside(caller, _server, _spool):
    assert caller.get("/metrics").status == 404


def block(number):
    return hashlib.sha256(str(number).encode()).digest() * (MEBI // 32)


def an_upload_passes(caller, server, spool):
    """Whole, and passed on as it comes: the server has most of the first half before the second is sent."""
    digest, before = hashlib.sha256(), server.held()
    headers = {"content-type": "application/octet-stream", "content-length": str(UPLOAD)}
    connection = caller.open("POST", "/v1/uploads?name=large.bin", headers)
    half = UPLOAD // MEBI // 2
    for number in range(2 * half):
        if number == half:
            wait_for("half of the upload at the server", lambda: server.held() - before > (half - 16) * MEBI)
            assert spool is None or not any(spool.iterdir()), "the proxy keeps it on its disk"
        digest.update(block(number))
        connection.send(block(number))
    answer = connection.getresponse()
    upload = json.load(answer)
    assert answer.status == 201, upload
    assert (upload["size_bytes"], upload["sha256"]) == (UPLOAD, digest.hexdigest()), upload


def refusals_reach_the_caller(caller, _server, _spool):
    """What is refused while it is sent is answered with the server's own words, to a caller that sends on meanwhile too."""
    too_large = {"content-type": "application/octet-stream", "content-length": str(2 * UPLOAD)}
    keyless = {**too_large, "content-length": str(UPLOAD), "authorization": "Bearer rh_wrong"}
    without_length = {"content-type": "application/octet-stream", "transfer-encoding": "chunked"}
    for headers, status, most in (
        (too_large, 413, SENT_ON),
        (keyless, 401, SENT_ON),
        (without_length, 413, UPLOAD + SENT_ON),
    ):
        connection = caller.open("POST", "/v1/uploads?name=refused.bin", headers)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < most:
                piece = block(0)
                if "transfer-encoding" in headers:
                    piece = b"%x\r\n%s\r\n" % (len(piece), piece)
                connection.send(piece)
                sent += MEBI
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == status, (status, answer.status, said)
        assert json.loads(said)["status"] == status and json.loads(said)["request_id"], said


def events_come_at_once(caller, server, _spool):
    """Each, small as it is: nothing waits for a buffer to be full."""
    endpoint = server.post("/v1/endpoints", {"pull": True, "events": ["deploy.*"]})["id"]
    stream = caller.get(f"/v1/endpoints/{endpoint}/events?after=0", {"accept": "text/event-stream"})
    assert stream.status == 200 and stream.getheader("content-type").startswith("text/event-stream")
    for number in range(3):
        began = time.monotonic()
        kind = f"deploy.number{number}"
        server.post("/v1/events", {"type": kind, "payload": {}})
        assert any(kind.encode() in line for line in iter(stream.readline, b"")), "the stream ended"
        waited = time.monotonic() - began
        assert waited < AT_ONCE_SECONDS, f"event {number} came after {waited:.1f} s"
    stream.close()


if __name__ == "__main__":
    main()
