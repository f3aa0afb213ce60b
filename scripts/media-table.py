#!/usr/bin/env python3
"""Writes docs/media.md, the table of what becomes of real inputs, from the rows that the tests leave behind.

    python3 scripts/media-table.py [--fresh | --check]

The tests leave a row for each input in target/tmp/verdicts (`reelhook_testkit::verdict`). Without a flag the rows of the
page are brought up to date, and those that no test left this time are kept; `--fresh`, after a run of all tests, drops
them. `--check` fails where a row of the page was not left or is not right; a measured number may differ.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "media.md"
ROWS = ROOT / "target" / "tmp" / "verdicts"
LONGEST = 240
NUMBER = re.compile(r"(MG?)(\d+) +")

INTRODUCTION = """\
# What becomes of real inputs

Each row shows an input as cameras, phones, recorders, browsers, office programs and other servers write it, the expected
result, and the result of this version. Every kind was once handled wrongly by Reelhook, or is by other programs.

The tests of this repository generate the page. Each row is one test: it generates the input or takes it from
[`crates/testkit/field`](../crates/testkit/field), runs the recipe with the ffmpeg of the machine, and measures the result
by decoding it or reading its bytes. A wrong result fails the test. `make test` checks that every row of this page still
exists and is right; `make docs` writes the numbers of the last run. The first column numbers the kinds of input.

`reelhook selftest` does the same with a smaller set on your own machine: see
[operations](operations.md#checking-an-installation).

## What is seen and heard

The codec, size and length of a result do not show how it looks. Therefore each result is compared with its source before it
is accepted. Separate runs read a few frames of both, scaled to at most 48 pixels, to the shape of the result and to sRGB. Four
numbers are measured: the mean difference of all samples, the difference between the means of a channel (a cast), the same in
the part of the frame where it is largest, and the correlation of brightness. One frame near the beginning is always compared,
and one more for each 1,500 frames, at most two; if frames may change their size, all three are compared. Audio is compared by
its loudness in windows of 20 ms. `media.compare = false` turns both comparisons off. A result within 30 % of a bound passes,
and the check `seen` of the receipt says that it is near the bound.

| Likeness | For | Difference | Cast | Locally | Correlation | Right results | Furthest right result |
| --- | --- | --- | --- | --- | --- | --- | --- |
EVIDENCE

Watermarks, drawn subtitles and styles change the frames on purpose, so only the shapes are compared. Results of fewer than 32
pixels a side may be twice as far from their source. The frames of results that are kept, copied, cut out of their background,
tiled, or packaged for streaming are not compared.
"""

# The bounds of `crates/media/src/seen/distance.rs`: mean difference, cast, local cast, correlation.
BOUNDS = [
    ("Still", "thumbnails", (8.0, 2.2, 13.0, 0.95)),
    ("Encoded", "videos", (16.0, 6.0, 16.0, 0.9)),
    ("Rough", "videos of hardly any bits", (60.0, 36.0, 80.0, -0.5)),
    ("Palette", "gif", (16.0, 10.0, 12.0, 0.9)),
    ("Shapes", "watermarks, drawn subtitles, styles", (255.0, 255.0, 255.0, 0.6)),
]
DISTANCES = ROOT / "target" / "tmp" / "seen"
DISTANCE = re.compile(r"difference ([\d.]+), cast ([\d.]+), locally ([\d.]+)(?:, correlation (-?[\d.]+))?")


def evidence():
    """The bounds with the distances of right results that the tests noted."""
    found = {}
    for path in DISTANCES.glob("*.tsv"):
        for line in path.read_text(encoding="utf-8").splitlines():
            likeness, _, measured = line.split("\t")
            if match := DISTANCE.match(measured):
                found.setdefault(likeness, []).append([float(number) if number else None for number in match.groups()])
    lines = []
    for likeness, what, bounds in BOUNDS:
        all_of_it = found.get(likeness, [])
        worst = [max((one[place] for one in all_of_it), default=0.0) for place in range(3)]
        least = min((one[3] for one in all_of_it if one[3] is not None), default=1.0)
        limits = ["-" if bound == 255.0 else f"{bound:g}" for bound in bounds[:3]] + [f"{bounds[3]:g}"]
        furthest = f"{worst[0]:.1f}, {worst[1]:.1f}, {worst[2]:.1f}, {least:.3f}"
        lines.append(f"| {likeness} | {what} | {' | '.join(limits)} | {len(all_of_it)} | {furthest} |")
    return "\n".join(lines)

# Each area with the numbers of its kinds.
AREAS = [
    ("Pictures and animations", "M1 M2 M11 M15 M16 M17 M24 M26 M28 M29 M30 MG9 MG10 MG11 MG14 MG15"),
    ("Colour and transparency", "M3 M5 M21 M22 MG8 MG12"),
    ("Shape and pace", "M4 M8 M10 M27 M31 MG5 MG16"),
    ("Streams, times and damage", "M7 M9 M14 M18 M23 M25 MG1 MG2 MG6 MG7"),
    ("Sound", "M6 M12 M13 M19 MG3 MG4"),
    ("Archives", "M20 MG13"),
]
# The areas of kinds that have no number, by how they begin.
NAMED = [("round trip", "Round trips"), ("checks", "What the checks refuse"), ("Loudness", "New of old"), ("Waveform", "New of old"),
         ("Storyboard", "New of old"), ("Preview", "New of old"), ("Watermark", "New of old")]
OTHERS = "More"


class Row:
    def __init__(self, kind, source, expected, measured):
        match = NUMBER.match(kind)
        self.number = match[0].strip() if match else ""
        self.kind = kind[match.end():] if match else kind
        self.source, self.expected, self.measured = source, expected, measured

    @property
    def key(self):
        return self.number, self.kind, self.source

    def area(self):
        numbered = (area for area, numbers in AREAS if self.number in numbers.split())
        named = (area for word, area in NAMED if self.kind.startswith(word))
        return next(numbered, next(named, OTHERS))

    def order(self):
        match = NUMBER.match(self.number + " ")
        return (match[1] == "MG", int(match[2])) if match else (True, 10**6), self.kind, natural(self.source)

    def line(self):
        cells = (self.number, self.kind, self.source, self.expected, self.measured)
        return "| " + " | ".join(map(escaped, cells)) + " |"


def natural(text):
    return [(piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in re.split(r"(\d+)", text)]


def escaped(text):
    return re.sub(r"([\\|*`<>])", r"\\\1", text)


def unescaped(text):
    return re.sub(r"\\(.)", r"\1", text)


def plain(text):
    """One line that is no link and not too long."""
    text = " ".join(text.split()).replace("](", "] (")
    return text if len(text) <= LONGEST else text[: LONGEST - 3].rstrip() + "..."


def left():
    """The rows that the tests left, and those of them that are wrong."""
    rows, wrong = {}, []
    for path in sorted(ROWS.glob("*.tsv")):
        fields = path.read_text(encoding="utf-8").rstrip("\n").split("\t")
        if len(fields) != 5:
            sys.exit(f"{path.name} does not have five fields")
        row = Row(*map(plain, fields[:4]))
        rows[row.key] = row
        if fields[4] != "right":
            wrong.append(row)
    return rows, wrong


def listed():
    """The rows of the page."""
    rows = {}
    if PAGE.is_file():
        for line in PAGE.read_text(encoding="utf-8").splitlines():
            cells = [unescaped(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 5 and cells[0] != "No." and not set(cells[0]) == {"-"}:
                row = Row(f"{cells[0]} {cells[1]}" if cells[0] else cells[1], *cells[2:])
                rows[row.key] = row
    return rows


def page(rows):
    parts = [INTRODUCTION.replace("EVIDENCE", evidence())]
    for area in [area for area, _ in AREAS] + list(dict.fromkeys(area for _, area in NAMED)) + [OTHERS]:
        inside = sorted((row for row in rows.values() if row.area() == area), key=Row.order)
        if inside:
            heading = "| No. | Kind | Input and recipe | Right | Measured |\n| --- | --- | --- | --- | --- |"
            parts.append(f"## {area}\n\n" + "\n".join([heading, *(row.line() for row in inside)]) + "\n")
    return "\n".join(parts)


def check(rows, wrong):
    complaints = [f"not right: {row.line()}" for row in wrong]
    complaints += [f"no test left this row: {row.line()}" for key, row in listed().items() if key not in rows]
    more = len(rows.keys() - listed().keys())
    if more:
        print(f"docs/media.md does not have {more} rows that the tests left; `make docs` writes them", file=sys.stderr)
    for complaint in complaints:
        print(f"FAILED  docs/media.md: {complaint}")
    print(f"{len(listed())} rows of docs/media.md, {len(complaints)} failed")
    return 1 if complaints else 0


def main():
    flags = sys.argv[1:]
    if flags not in ([], ["--fresh"], ["--check"]):
        sys.exit(__doc__)
    rows, wrong = left()
    if flags == ["--check"]:
        return check(rows, wrong)
    kept = {key: row for key, row in listed().items() if key not in rows}
    if kept and not flags:
        print(f"{len(kept)} rows of docs/media.md were left by no test and are kept; --fresh drops them", file=sys.stderr)
        rows |= kept
    for row in wrong:
        print(f"left out, for it is not right: {row.line()}", file=sys.stderr)
        rows.pop(row.key, None)
    PAGE.write_text(page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
