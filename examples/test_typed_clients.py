#!/usr/bin/env python3
"""Makes typed clients of the server's document, without a warning, and lets each run one job.

    target/venv/bin/python examples/test_typed_clients.py

TypeScript: openapi-typescript, then tsc. Python: openapi-python-client. Both bring what they need by
scripts/setup-tests.sh.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from service_stage import EXAMPLES, Media, Server

TYPED = EXAMPLES / "typed"


def run(command, cwd, env=None):
    """What a command says, which must be no warning and no failure."""
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True, encoding="utf-8")
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{command[0]} failed:\n{said}"
    assert "warning" not in said.lower(), f"{command[0]} warns:\n{said}"
    return done.stdout


def typescript(folder, environment, clip):
    modules = TYPED / "typescript/node_modules"
    for name in ("job.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPED / "typescript" / name, folder)
    (folder / "node_modules").symlink_to(modules)
    run([modules / ".bin/openapi-typescript", "openapi.json", "--default-non-nullable=false", "--output", "api.d.ts"], folder)
    run([modules / ".bin/tsc"], folder)
    return run(["node", "job.js", clip], folder, environment)


def python(folder, environment, clip):
    tools = Path(sys.executable).parent
    environment = {**environment, "PATH": f"{tools}:{environment['PATH']}"}
    generate = [tools / "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none"]
    run([*generate, "--output-path", folder / "reelhook_client"], folder, environment)
    shutil.copy(TYPED / "python/job.py", folder)
    return run([sys.executable, "job.py", clip], folder, environment)


def main():
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        server = Server(place)
        clip = str(Media(place).clip)
        try:
            environment = {**os.environ, "REELHOOK_URL": server.url, "REELHOOK_KEY": server.key}
            with urllib.request.urlopen(server.url + "/openapi.json") as answer:
                document = json.load(answer)
            for client in (typescript, python):
                folder = place / client.__name__
                folder.mkdir()
                (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
                said = client(folder, environment, clip).strip()
                assert said == "completed: thumbnail.jpg, 160 pixels wide", said
                print(f"ok   {client.__name__}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
