#!/usr/bin/env python3
"""Checks what the documentation says against what is there.

    python3 scripts/check-docs.py [--require-binary] [--run] | --write

- every relative link of a tracked Markdown file leads to a file, and to a heading or anchor in it;
- every `reelhook` command in a fenced `sh` block is one the program knows, flags included (target/debug/reelhook);
- so is every `reelhook` command between backticks, in these pages and in what the program says (crates/*/src);
- with `--run`: every command in a fenced `sh` block, in the examples of `--help` and at the end of `reelhook demo` works as
  printed, with another port and data folder than the defaults (printed_commands.py), but for those that
  docs/commands-not-run.json lists;
- every fenced `json` block is JSON;
- docs/errors.md explains every error code in the sources, and none that is not there; docs/states.md has the tables of
  the code (`--write` brings both up to date);
- docs/services/README.md links a page of each service, names tests that are there for every documented feature, and
  every test of crates/cli/tests/services;
- no text for users has a phrase of wording.py: pages, `--help`, `reelhook settings`, the strings of the sources, and what
  a server serves as its document, its reference and its page of errors;
- no tracked file names a path of one developer's machine.
"""

import json
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from functools import cache
from pathlib import Path

import printed_commands
import wording

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "debug" / "reelhook"
FENCE = re.compile(r"^ *```([a-z]*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.$~/-])/(?:work|root)/")


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, complaint):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED  {complaint}")


def tracked(*patterns):
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return [ROOT / name for name in sorted(set(listing.stdout.split("\0"))) if name and (ROOT / name).is_file()]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


# Links


@cache
def anchors(path):
    """The fragments that a link into this page may name: headings as they are usually slugged, and explicit ids."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    slugs = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        slug, number = words.replace(" ", "-"), 0
        while slug in slugs:
            number += 1
            slug = f"{words.replace(' ', '-')}-{number}"
        slugs.add(slug)
    return slugs


def check_links(report, page, text):
    for match in LINK.finditer(FENCE.sub("", text)):
        target = match[1] or match[2]
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        place, _, fragment = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        report.check(path.exists(), f"{name_of(page)}: the link {target} leads nowhere")
        if fragment and path.suffix == ".md" and path.exists():
            report.check(fragment in anchors(path), f"{name_of(page)}: the link {target} names no heading there")


# Commands


@cache
def help_of(*command):
    done = subprocess.run([PROGRAM, *command, "--help"], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


@cache
def subcommands(*command):
    listed = re.search(r"^Commands:\n(.*?)(?:\n\n[^ ]|\Z)", help_of(*command) or "", re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^ {2}([a-z][a-z-]*)\b", listed[1], re.MULTILINE)) if listed else set()


def commands_in(block):
    """The arguments of each `reelhook` in a shell text, up to the end of its command."""
    joined = re.sub(r"\\\n\s*", " ", block)
    for match in re.finditer(r"(?<![\w.-])reelhook((?:[ \t]+(?:'[^']*'|\"[^\"]*\"|[^\s|;&)#<>'\"]+))*)", joined):
        yield shlex.split(match[1])


def check_command(report, page, words):
    said, path = " ".join(["reelhook", *words]), []
    rest = list(words)
    while rest and not rest[0].startswith("-") and rest[0] in subcommands(*path):
        path.append(rest.pop(0))
    if rest and not rest[0].startswith("-") and (not path or subcommands(*path)):
        return report.check(False, f"{name_of(page)}: `{said}`: there is no command {rest[0]}")
    text = help_of(*path) or ""
    unknown = [word for word in rest if word.startswith("--") and not re.search(
        rf"(?<![\w-]){re.escape(word.partition('=')[0])}(?![\w-])", text)]
    report.check(not unknown or "--" in rest, f"{name_of(page)}: `{said}`: there is no flag {' '.join(unknown)}")


def check_inline(report, page, text):
    """The commands between backticks. What is written in capitals, or cut off by dots, stands for something."""
    for words in re.findall(r"`(reelhook [a-z][^`{}]*)`", text):
        words = re.sub(r"\\\n\s*", " ", words).replace("...", "X").replace("\\\"", "\"")
        for command in commands_in(words):
            # The launcher of the sandbox is no command of a person's.
            if command and command[0] != "sandbox-exec":
                check_command(report, page, command)


def help_texts(*path):
    """Each command of the program and its help."""
    yield " ".join(["reelhook", *path, "--help"]), help_of(*path) or ""
    for name in sorted(subcommands(*path) - {"help"}):
        yield from help_texts(*path, name)


NOT_RUN = ROOT / "docs" / "commands-not-run.json"


def run_commands(report):
    sources = []
    for page in tracked("*.md"):
        blocks = FENCE.findall(page.read_text(encoding="utf-8"))
        commands = [command for language, block in blocks if language == "sh" for command in printed_commands.commands_of(block)]
        sources.append((name_of(page), commands))
    seen = set()
    for name, text in help_texts():
        commands = printed_commands.commands_of_help(text)
        # A subcommand repeats the examples of its command.
        if commands and tuple(commands) not in seen:
            seen.add(tuple(commands))
            sources.append((name, commands))
    demo = subprocess.run([PROGRAM, "demo"], capture_output=True, text=True, timeout=300)
    report.check(demo.returncode == 0, f"reelhook demo ended with {demo.returncode}: {demo.stderr[-500:]}")
    by_hand = printed_commands.commands_of_help(demo.stdout)
    report.check(len(by_hand) >= 4, "reelhook demo: does not print how to do the same by hand")
    sources.append(("reelhook demo", by_hand))
    not_run = json.loads(NOT_RUN.read_text(encoding="utf-8"))["commands"]
    printed_commands.run_all(report, PROGRAM, sources, list(not_run.items()))


# Error codes

ERRORS = ROOT / "docs" / "errors.md"
REFERENCE = ROOT / "crates" / "api" / "src" / "reference.rs"
TABLE = re.compile(r"(<!-- refusals: written by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)
REFUSAL = re.compile(r'\(\s*"([a-z0-9_]+)",\s*(\d{3}),\s*"((?:[^"\\]|\\.)*)",?\s*\)')
RAISED = [
    r'\b(?:Problem|Self)::new\(\s*[\w:]+,\s*"([a-z0-9_]+)"',
    r'\b(?:Problem|Self)::(?:conflict|unavailable)\(\s*"([a-z0-9_]+)"',
]
# Failures are made through `JobFailure`, or through a closure named after what it says.
FAILURES = [
    r'\bJobFailure::(?:input|request|origin|server)\(\s*[\w:.()]+,\s*"([a-z0-9_]+)"',
    r'(?<![.\w:])(?:origin|server|refuse|refused|rejected|said)\(\s*"([a-z0-9_]+)"',
]


def refusals():
    """The table of the server's own page of errors, in Markdown: the server and these pages say the same."""
    rows = [f"| `{code}` | {status} | {words} |\n" for code, status, words in REFUSAL.findall(REFERENCE.read_text(encoding="utf-8"))]
    return "| Code | Status | Meaning, and what to do |\n| --- | --- | --- |\n" + "".join(rows)


def codes_in(folders, patterns):
    """The codes that these sources raise, outside their tests."""
    found = set()
    for source in tracked(*(f"crates/{folder}/src/**" for folder in folders)):
        if source.suffix != ".rs" or source.name == "tests.rs":
            continue
        text = source.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]
        for pattern in patterns:
            found.update(re.findall(pattern, text))
    return found


def check_codes(report):
    page = ERRORS.read_text(encoding="utf-8")
    report.check(TABLE.sub(written, page) == page, "docs/errors.md: the refusals are not those of the server; run `make docs`")
    listed = {code for code, _, _ in REFUSAL.findall(REFERENCE.read_text(encoding="utf-8"))}
    for code in sorted(codes_in(["api"], RAISED)):
        report.check(code in listed, f"{name_of(REFERENCE)}: does not explain {code}")
    explained = set(re.findall(r"^\| `([a-z0-9_]+)` \| (?:input|request|origin|server) ", page, re.MULTILINE))
    raised = codes_in(["files", "media", "worker", "delivery"], FAILURES)
    for code in sorted(raised | explained):
        report.check(code in explained, f"docs/errors.md: does not explain {code}")
        report.check(code in raised, f"docs/errors.md: explains {code}, which no source raises")


def written(match):
    return match[1] + refusals() + match[2]


# States

STATES = ROOT / "docs" / "states.md"
STATES_PAGE = """\
# States

Each table reads: in the state of the row, the signal of the column leads to the state in the cell. Where the cell is
empty the signal is refused. `make docs` writes this page from the tables that the tests of `domain` hold still.

## Jobs

{job}

## Deliveries

{delivery}
"""


def states():
    snapshots = ROOT / "crates" / "domain" / "src" / "snapshots"
    name = "reelhook_domain__{}__tests__the_state_table_is_the_documented_one.snap"
    tables = {
        noun: (snapshots / name.format(noun)).read_text(encoding="utf-8").split("---\n", 2)[2].strip()
        for noun in ("job", "delivery")
    }
    return STATES_PAGE.format(**tables)


def check_states(report):
    page = STATES.read_text(encoding="utf-8") if STATES.exists() else None
    report.check(page == states(), "docs/states.md: the tables are not those of the code; run `make docs`")


# Services

SERVICES = ROOT / "docs" / "services" / "README.md"
# The native dialect is no service.
DIALECTS = ROOT / "crates" / "dialects" / "src"
NAMED_TEST = re.compile(r"`([\w/.-]+\.(?:rs|py))::([a-z0-9_]+)`")
RUST_TEST = re.compile(r"#\[(?:tokio::)?test(?:\([^\]]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn ([a-z0-9_]+)")


@cache
def tests_of(name):
    """The tests in a file: what Rust calls tests, and every function of a script."""
    path = ROOT / name
    if not path.is_file():
        return set()
    text = path.read_text(encoding="utf-8")
    return set(re.findall(r"^def ([a-z0-9_]+)", text, re.MULTILINE) if path.suffix == ".py" else RUST_TEST.findall(text))


def check_services(report):
    page = SERVICES.read_text(encoding="utf-8")
    spoken = {path.parent.name for path in DIALECTS.glob("*/request.rs")}
    for folder in sorted(spoken - {"native"}):
        report.check((SERVICES.parent / f"{folder}.md").is_file(), f"docs/services/{folder}.md is not there")
        report.check(f"]({folder}.md)" in page, f"docs/services/README.md: does not link {folder}.md")
    named = set(NAMED_TEST.findall(page))
    for name, test in sorted(named):
        report.check(test in tests_of(name), f"docs/services/README.md: there is no test {name}::{test}")
    for row in re.findall(r"^\|.*\| (?:SEED|DOCS) \|.*$", page, re.MULTILINE):
        report.check(NAMED_TEST.search(row), f"docs/services/README.md: nothing shows this: {row}")
    for source in tracked("crates/cli/tests/services/*.rs"):
        for test in sorted(tests_of(name_of(source))):
            there = (name_of(source), test) in named
            report.check(there, f"docs/services/README.md: does not name {name_of(source)}::{test}")


# Wording

# Records of decisions are kept as they were taken, and so is the log of changes.
OLD = ("docs/decisions/", "CHANGELOG.md")
# The house rules quote what they forbid.
QUOTED = re.compile(r'"(?:whoever|somebody|nobody|he)"')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def check_wording(report, has_program):
    wording.check_itself(report)
    for page in tracked("*.md"):
        if not name_of(page).startswith(OLD):
            check_words(report, name_of(page), QUOTED.sub("", page.read_text(encoding="utf-8")))
    for source in tracked("crates/*/src/**/*.rs"):
        if "tests" not in name_of(source) and "/testkit/" not in name_of(source):
            check_words(report, name_of(source), strings_of(source.read_text(encoding="utf-8")))
    if has_program:
        for name, text in help_texts():
            check_words(report, name, text)
        settings = subprocess.run([PROGRAM, "settings"], check=True, capture_output=True, text=True).stdout
        check_words(report, "reelhook settings", settings)
        for path, text in served_texts():
            check_words(report, f"GET {path}", text)


def check_words(report, name, text):
    found = list(wording.faults(text))
    report.check(not found, "\n        ".join([f"{name}: wording:", *found]))


def strings_of(source):
    """What a source can say: its strings of several words, outside of its tests and comments."""
    code = re.sub(r"^\s*//.*$", "", source.split("#[cfg(test)]\nmod tests {")[0], flags=re.MULTILINE)
    texts = (re.sub(r"\\\n\s*", "", text) for text in STRING.findall(code))
    return "\n".join(text for text in texts if " " in text and "(?:" not in text)


def served_texts():
    """The pages that a server has for callers, and the sentences of its OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAM, "serve", "--dev", "--listen", "127.0.0.1:0", "--data", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = next(line for line in server.stdout if line.startswith("Reelhook listens on "))
            for path in ("/", "/docs", "/docs/errors", "/openapi.json"):
                request = urllib.request.Request(line.split()[-1] + path, headers={"Accept": "text/html, */*;q=0.5"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read().decode()
                yield path, "\n".join(sentences_of(json.loads(text))) if path.endswith(".json") else text
        finally:
            server.terminate()
            server.wait(60)


def sentences_of(document):
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("description", "summary") and isinstance(value, str):
                yield value
            else:
                yield from sentences_of(value)
    elif isinstance(document, list):
        for item in document:
            yield from sentences_of(item)


def check_blocks(report, page, text, has_program):
    for language, block in FENCE.findall(text):
        if language == "json":
            try:
                json.loads(block)
                problem = None
            except ValueError as error:
                problem = error
            report.check(problem is None, f"{name_of(page)}: a json block is not JSON: {problem}")
        if language == "sh" and has_program:
            for words in commands_in(block):
                check_command(report, page, words)


def main():
    if "--write" in sys.argv:
        ERRORS.write_text(TABLE.sub(written, ERRORS.read_text(encoding="utf-8")), encoding="utf-8")
        STATES.write_text(states(), encoding="utf-8")
        return
    has_program = PROGRAM.exists()
    if not has_program and "--require-binary" in sys.argv:
        sys.exit(f"{name_of(PROGRAM)} is not there; build it first")
    report = Report()
    for page in tracked("*.md"):
        text = page.read_text(encoding="utf-8")
        check_links(report, page, text)
        check_blocks(report, page, text, has_program)
        if has_program:
            check_inline(report, page, FENCE.sub("", text))
    for source in tracked("crates/*/src/**/*.rs") if has_program else []:
        check_inline(report, source, source.read_text(encoding="utf-8"))
    if "--run" in sys.argv:
        run_commands(report)
    check_codes(report)
    check_states(report)
    check_services(report)
    check_wording(report, has_program)
    for path in tracked():
        content = path.read_bytes()
        found = None if b"\0" in content else MACHINE_PATH.search(content.decode("utf-8", "replace"))
        report.check(found is None, f"{name_of(path)}: names a path of one machine: {found and found[0]}")
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
