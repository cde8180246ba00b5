"""What the benchmarks of logs share: a large body of real lines, an indexer, searches on it."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import parser_of, require_build

RARE = "quetzalcoatl"  # stands in one line of each file of a corpus
KEPT_BYTES_MIN = 4096  # smaller files say nothing
TEXT_BYTES = 65536
SETTLED_ROUNDS = 3  # the storage threads look once a second whether there is something to merge


def log_arguments(text, size_mb, quick_size_mb, cached=False):
    """--data, --size, --quick, and --block-cache if searches are `cached`; `size` in bytes."""
    parser = parser_of(text)
    if cached:
        parser.add_argument("--block-cache", metavar="MB", type=int, default=-1,
                            help="for unpacked blocks (default: as the indexer's; 0: none)")
    parser.add_argument("--data", metavar="DIR", default="/var/log",
                        help="real logs, in any depth (default: this machine's own)")
    parser.add_argument("--size", metavar="MB", type=int,
                        help=f"repeated to so much (default {size_mb}; quick {quick_size_mb})")
    options = parser.parse_args()
    options.size = 1_000_000 * (options.size or (quick_size_mb if options.quick else size_mb))
    return options


def is_text(path):
    try:
        with open(path, "rb") as file:
            head = file.read(TEXT_BYTES)
    except OSError:
        return False
    return b"\0" not in head and b"\n" in head


def log_files(directory):
    """Those with text in them, one of each name."""
    found = {}
    for path in sorted(Path(directory).rglob("*")):
        if path.is_file() and ".log" in path.name and path.stat().st_size >= KEPT_BYTES_MIN \
                and is_text(path):
            found.setdefault(path.name, path)
    if not found:
        sys.exit(f"no log files in {directory}; --data names another directory")
    return list(found.values())


@contextlib.contextmanager
def scratch(name):
    path = Path(tempfile.mkdtemp(prefix=f"aquifer-bench-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def make_corpus(directory, files, size):
    """Each file again and again with other times and numbers; see corpus.c."""
    tool = require_build() / "bench/corpus"
    directory.mkdir()
    subprocess.run([tool, directory, str(size), RARE, *files], check=True)
    return sorted(directory.iterdir())


def pack_all(datalog, tags, well):
    """All background work of a storage that is closed, at once: pack.c, whose answer it gives."""
    out = subprocess.run([require_build() / "bench/pack", datalog, tags, well], check=True,
                         capture_output=True)
    return json.loads(out.stdout)


def lines_of(files):
    count = 0
    for path in files:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                count += piece.count(b"\n")
    return count


def tag_of(path):
    return path.name.replace(".", "-").replace("_", "-")


class Used:
    """Wall and CPU seconds of child processes that end within the block, theirs included."""

    def __enter__(self):
        self.before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.begun = time.monotonic()
        return self

    def __exit__(self, *_):
        self.wall_s = time.monotonic() - self.begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_s = (after.ru_utime - self.before.ru_utime
                      + after.ru_stime - self.before.ru_stime)


class Indexer:
    """One real indexer of the release build, its data in `directory`."""

    def __init__(self, directory, settings=(), keep=False):
        from cluster import Cluster
        self.cluster = Cluster(webservers=0, indexers=1, datastores=0, balancer=False,
                               dir=directory, settings=[("indexer", line) for line in settings])
        self.dir = self.cluster.indexer(0).process.dir

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *gone):
        self.cluster.__exit__(*gone)

    node = property(lambda self: self.cluster.indexer(0))

    def cpu_s(self):
        """So far; finer than the ticks of /proc."""
        return time.clock_gettime(~self.node.pid << 3 | 2)

    def memory(self):
        """Bytes resident now, and at most so far."""
        status = Path(f"/proc/{self.node.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(values[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))

    def control(self):
        from control import Control
        return Control(self.node.url.removeprefix("http://"),
                       self.cluster.layout.secrets["control"])

    def stats(self):
        return self.control().ok("GET", "/control/v1/stats")

    def restart(self):
        """Everything it has is in segments afterwards."""
        assert self.node.stop() == 0
        self.node.start()

    def settle(self):
        """Returns once there is nothing more to flush and to merge."""
        self.restart()
        segments, quiet = None, 0
        while quiet < SETTLED_ROUNDS:
            time.sleep(1.1)
            now = [well["segments"] for well in self.stats()["wells"]]
            quiet = quiet + 1 if now == segments and self.idle() else 0
            segments = now

    def idle(self):
        before = self.cpu_s()
        time.sleep(0.3)
        return self.cpu_s() - before < 0.1

    def ingest(self, files, options=("--now",)):
        """Each file through `aquifer ingest`, all at once, one tag per file. Returns once every
        line is confirmed, that is durable."""
        process = self.cluster.layout.indexers[0]
        program = self.cluster.layout.processes[0].build / "bin/aquifer"
        children = [subprocess.Popen(
            [program, "ingest", "--quiet", "--tag", tag_of(path), "--indexer",
             f"127.0.0.1:{process.ingest_port}", "--secret",
             self.cluster.layout.secrets["ingest"], *options, path],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for path in files]
        if any([child.wait() for child in children]):
            raise RuntimeError("not everything was confirmed")

    def disk_bytes(self):
        return sum(well["disk_bytes"] for well in self.stats()["wells"])

    def search(self, query, stages=1):
        """Runs the indexer's half of a query as a webserver asks for it, to the last frame; the
        entries come over the wire and are counted. Returns (entries, their bytes, wall, CPU)."""
        control = self.control()
        body = json.dumps({"query": query, "start_ns": 0, "end_ns": 1 << 62,
                           "stages": stages}).encode()
        control.sequence += 1
        cpu, begun = self.cpu_s(), time.monotonic()
        control.wire.request("POST", "/control/v1/search", body, {
            "Control-Auth": control.header("POST", "/control/v1/search", body, control.sequence)})
        answer = control.wire.getresponse()
        assert answer.status == 200, answer.read()
        received, last = 0, b""
        while piece := answer.read1(1 << 20):
            received += len(piece)
            last = (last + piece)[-FRAME_TAIL_BYTES:]
        wall = time.monotonic() - begun
        return stage_counts(last, stages) + (wall, self.cpu_s() - cpu)


FRAME_TAIL_BYTES = 4096  # the last frame is shorter


def stage_counts(tail, stages):
    """Entries and bytes that left the last stage, of the END frame (docs/protocols/search.md)."""
    at = tail.rfind(b"AQB1\x03\0\0\0")
    assert at >= 0, "the search did not end"
    values, shift, value = [], 0, 0
    for byte in tail[at + 16 + 8:]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            shift = value = 0
    skipped, count, *numbers = values
    assert skipped == 0 and count == stages, values
    last = numbers[5 * (stages - 1):]
    return last[2], last[3]


def environment():
    """For peers: bytes are bytes."""
    return {**os.environ, "LC_ALL": "C"}
