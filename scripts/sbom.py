#!/usr/bin/env python3
"""Prints what the program is made of as CycloneDX 1.6 JSON: every crate that a build of `reelhook` for this machine compiles
into it, with version, licence, checksum of the registry, and who needs it.

Tests and tools of the build are left out. The same sources give the same bytes, so it has no time and no random number.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "reelhook-cli"


def host():
    lines = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host()]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def reached(nodes, root):
    """The ids of what is compiled into the program, from its own outwards."""
    seen, waiting = set(), [root]
    while waiting:
        package = waiting.pop()
        if package not in seen:
            seen.add(package)
            waiting.extend(needed(nodes[package]))
    return seen


def needed(node):
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def component(package, checksums):
    shown = {
        "type": "application" if package["name"] == PROGRAM else "library",
        "bom-ref": purl(package),
        "name": "reelhook" if package["name"] == PROGRAM else package["name"],
        "version": package["version"],
        "purl": purl(package),
        "scope": "required",
    }
    if package["license"]:
        shown["licenses"] = [{"expression": package["license"].replace(" / ", " OR ").replace("/", " OR ")}]
    if checksum := checksums.get((package["name"], package["version"])):
        shown["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        shown["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return shown


def bill():
    found = metadata()
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    root = next(id for id, package in packages.items() if package["name"] == PROGRAM)
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(one["name"], one["version"]): one["checksum"] for one in locked if "checksum" in one}
    ids = sorted(reached(nodes, root), key=lambda id: (packages[id]["name"], packages[id]["version"]))
    needs = [
        {"ref": purl(packages[id]), "dependsOn": sorted({purl(packages[need]) for need in needed(nodes[id])})}
        for id in ids
    ]
    content = {
        "components": [component(packages[id], checksums) for id in ids if id != root],
        "dependencies": needs,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    main = component(packages[root], checksums)
    main.pop("scope")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"component": main, "tools": {"components": [{"type": "application", "name": "scripts/sbom.py"}]}},
        **content,
    }


def check(sbom):
    """What the schema demands, and what a reader relies on."""
    assert sbom["bomFormat"] == "CycloneDX" and sbom["specVersion"] == "1.6"
    refs = [one["bom-ref"] for one in sbom["components"]] + [sbom["metadata"]["component"]["bom-ref"]]
    assert len(refs) == len(set(refs)), "no component is named twice"
    for one in sbom["components"]:
        assert one["type"] and one["name"] and one["version"]
        assert one["name"].startswith("reelhook") or one["hashes"], f"{one['name']} has no checksum"
    for one in sbom["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= set(refs), f"{one['ref']} needs what is not listed"


def main():
    sbom = bill()
    check(sbom)
    json.dump(sbom, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
