"""Indexers that hold the same: one that dies during a search is replaced by the others."""

import time

import pytest
from client import wait_until
from cluster import Cluster
from control import Control
from layout import Layout
from searching import detach, finished, path_of

LINES = 60000


@pytest.fixture(scope="module")
def ring():
    with Cluster(webservers=1, indexers=2, balancer=False, links=Layout.ring(2)) as c:
        for i in range(2):
            text = b"".join(b"number %d of %d %s\n" % (n, i, b"x" * 100) for n in range(LINES))
            command = c.ingest_command("lost", i)
            answer = c.aquifer(command[0], "--now", *command[1:], input=text)
            assert answer.returncode == 0, answer.stderr.decode()
        session = c.webserver(0).login()

        def alone(i):  # both hold all of it
            process = c.layout.indexers[i]
            control = Control(f"127.0.0.1:{process.port}", c.layout.secrets["control"])
            tags = {t["name"]: t for t in control.ok("GET", "/control/v1/tags")["tags"]}
            return tags.get("lost", {}).get("entries") == 2 * LINES
        for i in range(2):
            wait_until(lambda: alone(i), 30, f"indexer {i} to hold everything")
        c.web = session
        yield c


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("wait_s", [0, 0.05, 0.2])
def test_a_dead_holder_is_replaced(ring, victim, wait_s):
    """kill -9 of one of two, early and late: every entry is there, once, in order."""
    launched = ring.web.launch("tag=lost grep number").ok().json()
    time.sleep(wait_s)
    ring.indexer(victim).kill()
    stats = finished(ring.web, launched)
    try:
        assert stats["EntryCount"] == 2 * LINES, stats["Messages"]
        lines = ring.web.get(path_of(launched) + "/download/csv").ok().body.decode().splitlines()
        times = [line.split(",", 1)[0] for line in lines[1:]]
        assert len(set(line.split(",", 3)[3] for line in lines[1:])) == 2 * LINES
        assert len(times) == 2 * LINES
        told = [m["Value"] for m in stats["Messages"]]  # what it had not forwarded yet is named
        assert all("others return" in m or " is missing" in m for m in told), told
    finally:
        ring.indexer(victim).start()
        detach(ring.web, launched)


@pytest.mark.parametrize("wait_s", [0, 0.1])
def test_a_dead_holder_is_replaced_while_indexers_condense(ring, wait_s):
    """Counts are exact: the states of the dead one are not mixed with those of its heir."""
    launched = ring.web.launch("tag=lost regex \"number (?P<n>\\d+) of (?P<i>\\d)\" "
                               "| stats count by i | table i count").ok().json()
    time.sleep(wait_s)
    ring.indexer(1).kill()
    stats = finished(ring.web, launched)
    try:
        page = ring.web.get(path_of(launched) + "/renderer/table", first=0, last=10).ok().json()
        rows = {tuple(row["Row"]) for row in page["Entries"]["Rows"]}
        assert rows == {("0", str(LINES)), ("1", str(LINES))}, (rows, stats["Messages"])
    finally:
        ring.indexer(1).start()
        detach(ring.web, launched)
