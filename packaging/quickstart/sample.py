"""The machine's own logs as a first thing to search: text files of /var/log and the journal."""

import os
import re
import shutil
import subprocess
from pathlib import Path

FILE_BYTES_MAX = 32 * 1024 * 1024
ALL_BYTES_MAX = 64 * 1024 * 1024
JOURNAL_LINES_MAX = 50000
TIMEOUT_S = 300


def is_text(path):
    try:
        with open(path, "rb") as file:
            head = file.read(8192)
    except OSError:
        return False
    return bool(head) and b"\0" not in head and head.count(b"\n") > 0


def tag_of(path):
    """/var/log/apt/history.log.1 -> apt-history"""
    name = "-".join(Path(path).relative_to("/var/log").parts)
    name = re.sub(r"(\.log)?(\.\d+)?$", "", name)
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "log"


def files():
    left = ALL_BYTES_MAX
    for path in sorted([*Path("/var/log").glob("*"), *Path("/var/log").glob("*/*")]):
        try:
            bytes = path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
        if path.name != "README" and 0 < bytes <= min(FILE_BYTES_MAX, left) and is_text(path):
            left -= bytes
            yield path


def journal():
    """The newest lines of the journal, b"" when there is none to read."""
    if not shutil.which("journalctl"):
        return b""
    answer = subprocess.run(
        ["journalctl", "--quiet", "--no-pager", "--output=short-iso-precise",
         f"--lines={JOURNAL_LINES_MAX}"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return answer.stdout if answer.returncode == 0 else b""


def ingest(command, indexers, secret):
    """Sends everything, in turn to each indexer. Returns {tag: lines} and what went wrong."""
    sent, faults = {}, []

    def send(tag, name, lines, data=None):
        target = indexers[len(sent) % len(indexers)]
        answer = subprocess.run(
            [command, "ingest", "--tag", tag, "--indexer", target, "--quiet", name],
            env={**os.environ, "AQUIFER_INGEST_SECRET": secret},  # not for ps to see
            input=data, stdin=None if data is not None else subprocess.DEVNULL,
            capture_output=True, timeout=TIMEOUT_S, check=False)
        if answer.returncode == 0:
            sent[tag] = sent.get(tag, 0) + lines
        else:
            faults.append(f"{name}: {answer.stderr.decode(errors='replace').strip()}")

    for path in files():
        send(tag_of(path), str(path), path.read_bytes().count(b"\n"))
    lines = journal()
    if lines:
        send("journal", "-", lines.count(b"\n"), lines)
    return sent, faults
