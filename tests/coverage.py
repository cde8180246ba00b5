#!/usr/bin/env python3
"""Which lines of src/ the tests of a coverage build reached, file by file, from gcov's JSON.

    tests/coverage.py build/coverage
"""

import gzip
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def reached_lines(build):
    """{file: {line: how often}} over all objects; a header counts once."""
    counts = defaultdict(lambda: defaultdict(int))
    notes = [str(path) for path in Path(build).resolve().rglob("*.gcda")]
    with tempfile.TemporaryDirectory() as scratch:
        for first in range(0, len(notes), 50):
            subprocess.run(["gcov", "--json-format", "--preserve-paths", *notes[first:first + 50]],
                           cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           check=True)
            for report in Path(scratch).glob("*.gcov.json.gz"):
                with gzip.open(report) as file:
                    for source in json.load(file)["files"]:
                        for line in source["lines"]:
                            counts[source["file"]][line["line_number"]] += line["count"]
                report.unlink()
    return counts


def main():
    total = reached = 0
    for name, lines in sorted(reached_lines(sys.argv[1]).items()):
        path = Path(name)
        if not path.is_relative_to(ROOT / "src") or path.name.endswith("_test.c"):
            continue
        hit = sum(1 for count in lines.values() if count)
        total, reached = total + len(lines), reached + hit
        print(f"{100 * hit / len(lines):5.1f} %  {hit:5}/{len(lines):<5} {path.relative_to(ROOT)}")
    print(f"{100 * reached / max(total, 1):5.1f} %  {reached:5}/{total:<5} all")


if __name__ == "__main__":
    main()
