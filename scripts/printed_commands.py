"""Runs the commands that the pages and `--help` print, as a person would paste them, for check-docs.py.

Each page and each help text is a session of its own: a fresh folder with a clip and what else the commands name, a server
with another port and another data folder than the defaults, and a shell that remembers what was exported. What stands for
something that only the reader has (a key, an id, `localhost:3000`) is replaced by what this session has; nothing else is.
The defaults are not: a command that only works with port 8080 or ./reelhook-data fails.

What cannot be run is listed, with the reason, in docs/commands-not-run.json; an entry that matches nothing is an error.
"""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

# Shown in examples; each session has its own of them.
IDS = {
    "job": r"job_(?:\.\.\.|[0-9a-z]{26})",
    "key": r"key_[0-9a-z]{26}",
    "secret": r"sec_[0-9a-z]{26}",
}
RUNS_ON = re.compile(r"^(?:\w+=\S+ )*reelhook (?:serve|listen)\b")
STARTED = {"serve": "Reelhook listens on", "listen": "Ctrl-C ends it"}
# These want the folder for themselves.
ALONE = re.compile(r"\breelhook (?:keys rotate-master|accounts erase)\b")
PATIENCE = 120


def commands_of(block):
    """The commands of a shell text: a line, with those that a backslash joins to it, without its remark."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def commands_of_help(text):
    """The examples of a help text: what is indented by two and begins like a command. A remark follows two spaces or more."""
    examples = re.search(r"^(?:Examples|First steps|The same by hand[^\n]*):\n(.*)", text, re.MULTILINE | re.DOTALL)
    if not examples:
        return []
    found, joined = [], re.sub(r" *\\\n +", " ", examples[1])
    for line in joined.splitlines():
        if re.match(r"^ {2}(?:reelhook|export|curl|ffmpeg|[A-Z_]+=)", line):
            found.append(re.split(r"\s{2,}(?![-'\"]|\|)", line.strip())[0])
    return found


class Stage(http.server.BaseHTTPRequestHandler):
    """The receiver and the origin of the examples: takes everything, gives the clip."""

    def do_GET(self):
        body = b"{}" if self.path == "/body" else Path(self.server.clip).read_bytes()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except BrokenPipeError:
            pass  # The job is canceled with its session.

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Session:
    def __init__(self, program, clip, commands):
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="reelhook-printed-"))
        self.data = self.folder / "the data"
        self.work = self.folder / "work"
        self.work.mkdir()
        self.said, self.server = [], None
        # What its commands make themselves is not there before.
        made = [word for command in commands if command.startswith("ffmpeg ") for word in command.split()[-1:]]
        for name in {"clip.mov", "clip.mp4", "holiday.mov"} - set(made):
            shutil.copy(clip, self.work / name)
        self.has_shop = not any("accounts create shop" in command for command in commands)
        (self.work / "invoice.json").write_text('{"total": 3}')
        (self.work / "reelhook.toml").write_text('log = "info"\n')
        self.stage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stage)
        self.stage.clip = clip
        threading.Thread(target=self.stage.serve_forever, daemon=True).start()
        self.start()
        self.furnish()

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REELHOOK_")}
        path = f"{self.program.parent}:{kept['PATH']}"
        return {**kept, "PATH": path, "REELHOOK_DATA": str(self.data)}

    def start(self):
        self.server = subprocess.Popen(
            [self.program, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", self.data], cwd=self.folder,
            env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for line in self.server.stdout:
            if line.startswith("  rh_"):
                self.key = line.strip()
            if line.startswith("Reelhook listens on "):
                self.url = line.split()[-1]
                return
        raise RuntimeError("the server did not start")

    def stop(self):
        self.server.terminate()
        self.server.wait(60)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def furnish(self):
        """What the examples name: a job, another key, a secret of a service, and a signed webhook as it came."""
        run = lambda *words: subprocess.run([self.program, *words], env=self.environment(), check=True, capture_output=True, text=True).stdout
        if self.has_shop:
            run("accounts", "create", "shop")
        run("keys", "create", "--name", "spare")
        self.ids = {"key": json.loads(run("keys", "list", "--json"))["keys"][0]["id"]}
        self.ids["job"] = self.call("POST", "/v1/jobs", {"input": {"url": self.stage_url("/clip.mp4")}, "outputs": [{"recipe": "thumbnail"}]})["id"]
        endpoint = self.call("POST", "/v1/endpoints", {"pull": True, "events": ["invoice.*"]})
        self.whsec = endpoint["secret"]
        self.call("POST", "/v1/events", {"type": "invoice.paid", "payload": {"total": 3}})
        event = self.call("GET", f"/v1/endpoints/{endpoint['id']}/events?wait=30s")["events"][0]
        (self.work / "body.json").write_text(event["body"])
        (self.work / "headers.txt").write_text("".join(f"{name}: {value}\n" for name, value in event["headers"].items()))
        self.whpk = self.call("GET", "/v1/webhook-keys")["keys"][0]["public"]

    def stage_url(self, path):
        return f"http://127.0.0.1:{self.stage.server_port}{path}"

    def fill_in(self, command):
        """The command as this session's person would type it."""
        port = self.stage.server_port
        filled = command.replace("rh_...", self.key).replace("whsec_...", self.whsec).replace("whpk_...", self.whpk)
        for kind, pattern in IDS.items():
            if re.search(pattern, filled):
                filled = re.sub(pattern, self.id_of(kind), filled)
        filled = filled.replace("localhost:3000", f"localhost:{port}").replace("https://example.com/", self.stage_url("/"))
        data = str(self.data)
        if re.search(r"\breelhook serve\b", filled):
            # Another server over the same folder is refused, and the port is that of another.
            data = tempfile.mkdtemp(dir=self.folder)
            filled = re.sub(r"(?<=--listen )\S+", "127.0.0.1:0", filled)
            filled = f"export REELHOOK_LISTEN=127.0.0.1:0 REELHOOK_DATA='{data}'\n{filled}"
        if command.startswith("export REELHOOK_URL="):
            filled = re.sub(r"(?<=REELHOOK_URL=)\S+", self.url, filled)
        return filled.replace("/var/lib/reelhook", f"'{data}'").replace("./reelhook-data", f"'{data}'")

    def id_of(self, kind):
        if kind == "secret":
            return self.call("GET", "/v1/secrets")["secrets"][0]["id"]
        return self.ids[kind]

    def run(self, command):
        """Why the command does not work as printed; nothing where it does."""
        filled = self.fill_in(command)
        before = [f"export REELHOOK_URL={self.url} REELHOOK_KEY={self.key}", *self.said]
        script = "\n".join([*before, filled])
        if re.match(r"(?:export )?\w+=(?:\$\(|[^ ]*(?: \w+=[^ ]*)*$)", command):
            self.said.append(filled)
        if RUNS_ON.match(command):
            return self.run_until_stopped(script, STARTED["serve" if "reelhook serve" in command else "listen"])
        if ALONE.search(command):
            self.stop()
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script], cwd=self.work, env=self.environment(), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {PATIENCE} s"
        finally:
            if ALONE.search(command):
                self.start()
        return None if done.returncode == 0 else f"it ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-700:]}"

    def run_until_stopped(self, script, marker):
        """For what serves until it is stopped: it starts, says so, and ends well."""
        *before, command = script.splitlines()
        script = "\n".join([*before, re.sub(r"^((?:\w+=\S+ )*)", r"\1exec ", command) if "=" not in command.split()[0] else f"exec env {command}"])
        process = subprocess.Popen(
            ["bash", "-euc", script], cwd=self.work, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        said = []
        for line in process.stdout:
            said.append(line)
            if marker in line:
                process.send_signal(signal.SIGINT)
                break
        said += process.stdout.readlines()
        code = process.wait()
        timer.cancel()
        is_started = any(marker in line for line in said)
        return None if code == 0 and is_started else f"it ended with {code}: {''.join(said)[-700:]}"

    def close(self):
        self.stop()
        self.stage.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)


def make_clip(folder):
    clip = Path(folder) / "clip.mp4"
    subprocess.run(
        "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=160x90:rate=10:duration=3 -f lavfi -i sine=duration=3"
        " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac".split() + [str(clip)], check=True,
    )
    return clip


def run_all(report, program, sources, not_run):
    """Runs the commands of all sources, pairs of a name and commands. `not_run` is pairs of a pattern and a reason."""
    used, began = set(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(folder)
        for name, commands in sources:
            wanted = []
            for command in commands:
                listed = [pattern for pattern, _ in not_run if re.match(pattern, command)]
                used.update(listed)
                if not listed:
                    wanted.append(command)
            if not wanted:
                continue
            session = Session(program, clip, wanted)
            try:
                for command in wanted:
                    why = session.run(command)
                    report.check(why is None, f"{name}: `{command}` does not work as printed: {why}")
            finally:
                session.close()
    for pattern, _ in not_run:
        report.check(pattern in used, f"docs/commands-not-run.json: nothing prints {pattern}")
    print(f"ran the printed commands in {time.monotonic() - began:.0f} s")
