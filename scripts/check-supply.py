#!/usr/bin/env python3
"""Checks the dependencies of the program against deny.toml, without a network: licences, sources, banned crates, versions
that are there twice, and crates that are known to have an advisory of those that deny.toml answers.

What it cannot see is a new advisory: `cargo deny check advisories` asks the database where it is installed.
"""

import collections
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORDS = re.compile(r"\(|\)|[^\s()]+")


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def is_allowed(licence, allowed):
    """Whether an SPDX expression can be satisfied by what is allowed. `/` is an old spelling of OR."""
    words = WORDS.findall(licence.replace("/", " OR "))

    def one():
        if not words:
            raise ValueError(licence)
        word = words.pop(0)
        if word == "(":
            value = either()
            if not words or words.pop(0) != ")":
                raise ValueError(licence)
            return value
        if words[:1] == ["WITH"]:
            words.pop(0)
            word = f"{word} WITH {words.pop(0)}"
        return word in allowed

    def both():
        value = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            value = one() and value
        return value

    def either():
        value = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            value = both() or value
        return value

    value = either()
    if words:
        raise ValueError(licence)
    return value


def matches(version, wanted):
    """Whether a version begins with the parts of another: 0.9.5 with 0.9."""
    parts = re.split(r"[.+-]", version)
    return parts[: len(wanted.split("."))] == wanted.split(".")


def order(version):
    return [int(part) for part in re.split(r"[.+-]", version) if part.isdigit()]


def faults(config, packages):
    foreign = [package for package in packages if package["source"] is not None]
    registries = {f"registry+{registry}" for registry in config["sources"]["allow-registry"]}
    banned = {ban["crate"]: ban["reason"] for ban in config["bans"]["deny"]}
    allowed = set(config["licenses"]["allow"])
    for package in foreign:
        name = f"{package['name']} {package['version']}"
        if package["source"] not in registries:
            yield f"{name} comes from {package['source']}; allowed are {', '.join(sorted(registries))}"
        if package["name"] in banned:
            yield f"{name} is banned: {banned[package['name']]}"
        licence = package["license"]
        try:
            is_fine = licence is not None and is_allowed(licence, allowed)
        except ValueError:
            is_fine = False
        if not is_fine:
            yield f"{name} has the licence {licence!r}, which licenses.allow of deny.toml does not cover"
    yield from twice(config["bans"]["skip"], foreign)
    names = {package["name"] for package in foreign}
    for advisory in config["advisories"]["ignore"]:
        if advisory["crate"] not in names:
            yield f"{advisory['id']} is ignored for {advisory['crate']}, which is not there any more: remove the line"


def twice(skips, packages):
    versions = collections.defaultdict(set)
    for package in packages:
        versions[package["name"]].add(package["version"])
    used = set()
    for name, found in sorted(versions.items()):
        for version in sorted(found, key=order)[:-1]:
            covers = [skip["crate"] for skip in skips if covered(skip["crate"], name, version)]
            used.update(covers)
            if not covers:
                newest = max(found, key=order)
                yield f"{name} {version} is there beside {newest}; say why in bans.skip of deny.toml, or make them one"
    for skip in skips:
        if skip["crate"] not in used:
            yield f"bans.skip of deny.toml has {skip['crate']}, which is not there twice any more: remove the line"
        if not skip.get("reason"):
            yield f"bans.skip of deny.toml has {skip['crate']} without a reason"


def covered(skip, name, version):
    skipped, wanted = skip.split("@")
    return skipped == name and matches(version, wanted)


def check_itself():
    """The checker sees what it is for; one that says yes to everything would go unnoticed."""
    allowed = {"MIT", "Apache-2.0", "ISC"}
    for licence, expected in [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT/Apache-2.0", True),
        ("ISC AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("ISC AND (GPL-2.0-only)", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
    ]:
        assert is_allowed(licence, allowed) is expected, licence
    base = {"name": "a", "version": "1.0.0", "license": "MIT", "source": "registry+https://r.example"}
    config = {
        "sources": {"allow-registry": ["https://r.example"]},
        "licenses": {"allow": ["MIT"]},
        "bans": {"deny": [{"crate": "evil", "reason": "it is"}], "skip": []},
        "advisories": {"ignore": []},
    }
    assert not list(faults(config, [base]))
    for change in [
        {"license": "GPL-3.0-only"},
        {"license": None},
        {"source": "git+https://r.example"},
        {"name": "evil"},
    ]:
        assert len(list(faults(config, [base | change]))) == 1, change
    assert len(list(faults(config, [base, base | {"version": "2.0.0"}]))) == 1


def main():
    check_itself()
    config = tomllib.loads((ROOT / "deny.toml").read_text())
    packages = metadata()["packages"]
    found = list(faults(config, packages))
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        return 1
    foreign = sum(package["source"] is not None for package in packages)
    print(f"{foreign} dependencies: licences, sources and versions are as deny.toml says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
