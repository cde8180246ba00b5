"""The indexer's storage under real signals and on real files: what was acknowledged is found after
many kills, after a full disk, and, but for what was damaged, after damage. Beside it, with every
call and every byte: tests/crash."""

import http.client
import random
import re
import subprocess
import threading
import uuid
from collections import Counter

import pytest
from client import wait_until
from cluster import BUILD, Background, Cluster, fill_disk
from test_warp10 import Api

KILLS = 10
FEEDERS = 3
BATCH = 40


class Witness:
    """Feeders that ingest small batches and write down, outside of the indexer, what was tried
    and what was acknowledged."""

    def __init__(self, cluster, tag):
        self.cluster, self.tag = cluster, tag
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.tried, self.acked = set(), set()
        self.runs = [Background(self.feed) for _ in range(FEEDERS)]

    def feed(self):
        command = [BUILD / "bin/aquifer", *self.cluster.ingest_command(self.tag)]
        while not self.stop.is_set():
            ids = {uuid.uuid4().hex for _ in range(BATCH)}
            with self.lock:
                self.tried |= ids
            run = subprocess.run(command, input="".join(f"id={id}\n" for id in ids).encode(),
                                 capture_output=True, check=False, timeout=120)
            if run.returncode == 0:
                with self.lock:
                    self.acked |= ids

    def acknowledged(self):
        with self.lock:
            return len(self.acked)

    def end(self):
        self.stop.set()
        for run in self.runs:
            run.join(120)


def test_ten_kills_under_load_lose_nothing():
    """kill -9 while three feeders write, ten times, also while it is still starting: everything
    acknowledged is found, and nothing that nobody sent. A batch that met a kill may be there
    twice, for the sender had to send it again; the others are there once."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        quiet = set(c.ingest("killed", lines=200))
        witness = Witness(c, "killed")
        chance = random.Random(1)
        for kill in range(KILLS):
            enough = witness.acknowledged() + chance.randrange(1, 6) * BATCH
            wait_until(lambda: witness.acknowledged() >= enough, 60, "more acknowledged batches")
            c.indexer(0).kill()
            if kill % 3 == 2:
                c.indexer(0).start(ready=False)
                c.indexer(0).kill()
            c.indexer(0).start()
        witness.end()
        session = c.webserver(0).login()
        wait_until(lambda: witness.acked <= set(c.ids_found("killed", session)), 30,
                   "every acknowledged entry")
        found = c.ids_found("killed", session)
        assert set(found) <= witness.tried | quiet
        assert sum(id in quiet for id in found) == len(quiet)
        assert len(found) - len(set(found)) <= KILLS * FEEDERS * BATCH
        assert c.indexer(0).stop() == 0
        c.indexer(0).start()
        assert sorted(c.ids_found("killed", session)) == sorted(found)


class PointsWitness:
    """Writers of points through the Warp 10 API; each goes over the same times of its own series
    again and again, so that the last write that was acknowledged must stand, or one after it."""

    TIMES, SERIES = 20, 3

    def __init__(self, cluster):
        tokens = cluster.layout.secrets["warp10"]
        self.api = Api(cluster.indexer(0), tokens["write"], tokens["read"])
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.acked = [[0] * self.TIMES for _ in range(self.SERIES)]
        self.tried = [[0] * self.TIMES for _ in range(self.SERIES)]
        self.rounds = 0
        self.runs = [Background(lambda series=series: self.write(series))
                     for series in range(self.SERIES)]

    def write(self, series):
        value = 0
        while not self.stop.is_set():
            value += 1
            times = [(value + i * 7) % self.TIMES for i in range(5)]
            for at in times:
                self.tried[series][at] = value
            body = "".join(f"{at}// killed{{series={series}}} {value}\n" for at in times).encode()
            try:
                status, _ = self.api.update(body)
            except (OSError, http.client.HTTPException):
                continue
            if status == 200:
                for at in times:
                    self.acked[series][at] = value
                with self.lock:
                    self.rounds += 1

    def check(self):
        for series in range(self.SERIES):
            text = self.api.fetch(f"selector=killed{{series={series}}}&now={self.TIMES}"
                                  f"&timespan={self.TIMES + 1}&format=fulltext")
            found = {int(line.split("/")[0]): int(line.split()[-1]) for line in text.splitlines()}
            assert len(found) == len(text.splitlines()), "a time is there twice"
            for at in range(self.TIMES):
                assert self.acked[series][at] <= found.get(at, 0) <= self.tried[series][at]


def test_ten_kills_under_load_keep_the_last_write_of_each_time():
    """As above, for points: each time has one, the last acknowledged one or one that was tried
    after it. A delete that was acknowledged before a kill stays one."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        witness = PointsWitness(c)
        witness.api.expect_update(b"1// gone{a=b} 1\n2// gone{a=b} 2\n")
        assert witness.api.delete("selector=gone{}&deleteall")[0] == 200
        chance = random.Random(2)
        for _ in range(KILLS):
            enough = witness.rounds + chance.randrange(5, 60)
            wait_until(lambda: witness.rounds >= enough, 60, "more acknowledged points")
            c.indexer(0).kill()
            c.indexer(0).start()
        witness.stop.set()
        for run in witness.runs:
            run.join(120)
        witness.check()
        assert witness.api.find("gone{}") == []
        assert witness.api.times("selector=gone{}&now=10&timespan=20") == []
        assert c.indexer(0).stop() == 0
        c.indexer(0).start()
        witness.check()


@pytest.fixture
def small_disk():
    """Mounts a small disk at a folder; takes it off again."""
    mounted = []

    def mount(folder, megabytes):
        folder.mkdir(parents=True, exist_ok=True)
        answer = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs",
                                 folder], capture_output=True, check=False)
        if answer.returncode != 0:
            pytest.skip("a tmpfs cannot be mounted here (root is needed)")
        mounted.append(folder)
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


def test_a_storage_on_a_full_disk_searches_restarts_and_resumes(small_disk):
    """Datalog and wells stand on one disk, which is full: senders wait without an acknowledgement,
    searches go on, also after a kill and a restart. Room again: the sender that waited is served,
    and what was acknowledged is there. Nobody touches the indexer."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        disk, config = c.indexer(0).process.dir / "disk", c.indexer(0).process.config
        small_disk(disk, 48)
        config.write_text(re.sub(rf"{disk.parent}/(datalog|wells|tags)", rf"{disk}/\1",
                                 config.read_text()))
        c.start()
        ids = c.ingest("full", lines=300)
        ballast = disk / "ballast"
        fill_disk(ballast)
        waiting = [uuid.uuid4().hex for _ in range(5000)]  # more than what is left
        lines = c.indexer(0).process.dir / "lines"
        lines.write_text("".join(f"id={id}\n" for id in waiting))
        with open(lines, "rb") as text:
            feeder = subprocess.Popen([BUILD / "bin/aquifer", *c.ingest_command("full")],
                                      stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: "disk full" in c.indexer(0).log(), 30, "that it says so")
        c.expect_found("full", ids)
        c.indexer(0).kill()
        c.indexer(0).start()
        c.expect_found("full", ids)
        assert feeder.poll() is None
        ballast.unlink()
        assert feeder.wait(180) == 0, feeder.stderr.read()
        wait_until(lambda: not set(waiting) - set(c.ids_found("full")), 10, "all that waited")
        # What was not acknowledged before the kill is sent again and may be there twice.
        found = Counter(c.ids_found("full"))
        assert all(found[id] == 1 for id in ids)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_damaged_files_are_named_and_the_rest_is_found():
    """By hand, in the files of a stopped indexer, one of each kind: the log says which, searches go
    on, and what is missing is a block and a record at most. The command line says which, too."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        batches = []
        for _ in range(4):
            for tag in ("one", "two"):
                batches.append((tag, c.ingest(tag, lines=100)))
            assert c.indexer(0).stop() == 0
            c.indexer(0).start()
        for tag in ("one", "two"):
            batches.append((tag, c.ingest(tag, lines=100)))
        c.indexer(0).kill()
        folder = c.indexer(0).process.dir
        segments = sorted(folder.rglob("*.seg"))
        logs = sorted(folder.rglob("[0-9]*.log"))
        tags = next(path for path in folder.rglob("*") if path.is_file()
                    and re.search(rb"^\d+ one [0-9a-f]{8}$", path.read_bytes()[:65536], re.M))
        flushed = next(folder.rglob("flushed"))
        verify = [BUILD / "bin/aquifer", "well", "verify", *{path.parent for path in segments}]
        assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
        flip(segments[0], segments[0].stat().st_size // 3)  # a block
        flip(segments[1], 20)  # the header
        flip(segments[2], segments[2].stat().st_size - 40)  # the footer
        flip(logs[-1], logs[-1].stat().st_size - 200)  # the last record
        flip(tags, 5)
        flip(flushed, 1)
        seen = subprocess.run(verify, capture_output=True, check=False, text=True)
        assert seen.returncode == 1
        damaged = [line for line in seen.stdout.splitlines() if line.endswith(", DAMAGED")]
        assert len(damaged) == 3 and all(any(path.name in line for line in damaged)
                                         for path in segments[:3]), seen.stdout
        c.indexer(0).start()
        session = c.webserver(0).login()
        lost = {}
        for number, (tag, ids) in enumerate(batches):
            missing = set(ids) - set(c.ids_found(tag, session))
            if missing:
                lost[number] = len(missing)
        assert len(lost) <= 2, lost
        log = c.indexer(0).log()
        for path in [*segments[:3], logs[-1], tags, flushed]:
            assert path.name in log, f"nobody says that {path} is damaged"
        later = c.ingest("one", lines=50)
        assert set(later) <= set(c.ids_found("one", session))
        assert c.stop() == {"webserver-0": 0, "indexer-0": 0, "datastore-0": 0}
