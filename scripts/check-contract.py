#!/usr/bin/env python3
"""Holds the running server to its own document: a schema fuzzer asks every operation for what the document allows and
for what it does not, and no answer may be one that the document does not have.

    scripts/check-contract.py [--binary target/debug/reelhook] [--examples 50] [--seed random] [--phases stateful]

The server runs in a network of its own, where there is nothing but the machine itself: what the fuzzer makes up is dialed
by jobs and webhooks. That needs root, or a kernel that lets others make networks. The examples are the same each time, so
that a failure is one of the change that it follows; `--seed random` looks further. What is left out, and why, stands in
scripts/contract.toml.
"""

import argparse
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ADDRESS = "127.0.0.1:18080"
LONGEST = 1500  # seconds
MARK = "REELHOOK_CONTRACT_ALONE"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target/debug/reelhook", type=pathlib.Path)
    parser.add_argument("--examples", default=50, type=int, help="of each operation")
    parser.add_argument("--seed", default="1", help="of the examples; `random` draws one, which the run prints")
    parser.add_argument("--phases", help="of the fuzzer, with commas between them: examples, coverage, fuzzing, stateful")
    arguments = parser.parse_args()
    if MARK not in os.environ:
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", *rights, "--net", "--mount", sys.executable, __file__, *sys.argv[1:]]
        sys.exit(subprocess.run(command, env={**os.environ, MARK: "1"}, check=False).returncode)
    raise_loopback()
    fuzzer = pathlib.Path(sys.executable).with_name("schemathesis")
    with tempfile.TemporaryDirectory() as folder:
        ask_no_name_server(pathlib.Path(folder))
        sys.exit(check(arguments, fuzzer, pathlib.Path(folder)))


def raise_loopback():
    """Brings up `lo`, which a new network has switched off (SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("16sh", b"lo", 0)
        name, flags = struct.unpack("16sh", fcntl.ioctl(sock, 0x8913, asked)[:18])
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh", name, flags | 1))


def ask_no_name_server(folder):
    """Has names looked up in the machine's hosts file only, at once: a name server that is out of reach is waited for."""
    lookups = folder / "nsswitch.conf"
    lookups.write_text("hosts: files\n")
    subprocess.run(["mount", "--bind", lookups, "/etc/nsswitch.conf"], check=True)


def check(arguments, fuzzer, folder):
    data = folder / "data"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    with open(folder / "log", "wb") as log:
        serve = [arguments.binary, "serve", "--dev", "--listen", ADDRESS, "--data", data]
        # A pull waits for an event that does not come.
        serve += ["--set", "api.longest_wait_seconds=1"]
        server = subprocess.Popen(serve, stdout=log, stderr=log, env=environment)
    try:
        wait_for(f"http://{ADDRESS}/readyz", server)
        create = [arguments.binary, "keys", "create", "--data", data, "--name", "fuzzer"]
        made = subprocess.run(create, check=True, capture_output=True, text=True, env=environment)
        shutil.copy(ROOT / "scripts/contract.toml", folder / "schemathesis.toml")
        command = [fuzzer, "run", f"http://{ADDRESS}/openapi.json", "--no-color"]
        command += ["-H", f"Authorization: Bearer {made.stdout.strip()}", "-n", str(arguments.examples)]
        command += [] if arguments.seed == "random" else ["--seed", arguments.seed]
        command += ["--phases", arguments.phases] if arguments.phases else []
        # A test of an endpoint waits for the receiver's answer, as long as the endpoint says: at most a minute.
        command += ["--request-timeout", "120"]
        # A plan fetches its input and waits before it tries again, for seconds. Its body has the reader of POST /v1/jobs.
        command += ["--exclude-path", "/v1/plan"]
        # A stream of events would have no end.
        command += ["-H", "Accept: application/json"]
        code = subprocess.run(command, cwd=folder, env=environment, check=False, timeout=LONGEST).returncode
        if server.poll() is not None:
            print("the server ended while it was asked", file=sys.stderr)
            return 1
        return code
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(url, server):
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("the server did not start")


if __name__ == "__main__":
    main()
