"""The reference ingest library, unmodified, pushes entries into our indexer.

tests/interop/ingester is a small Go program around it, built here from the Go module proxy. Without
Go, or when the modules cannot be had, the tests are skipped and say so.
"""

import json
import subprocess
import sys
from pathlib import Path

import go_program
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from client import wait_until  # noqa: E402
from cluster import Cluster  # noqa: E402

RUN_WITHIN_S, FOUND_WITHIN_S = 300, 30

# What the program attaches to every entry, as text.
VALUES = {
    "user": "bob", "port": "443", "addr": "10.0.0.1", "addr6": "fe80::1",
    "mac": "00:01:02:03:04:05", "ratio": "3.5", "half": "0.5", "ok": "true", "took": "1m30s",
    "raw": "\0\1\ufffd", "octet": "7", "i8": "-8", "i16": "-16", "i32": "-32", "u32": "32",
    "i64": "-64", "u64": "64", "when": "2023-11-14T22:13:20.123456789Z"}


@pytest.fixture(scope="session")
def ingester(tmp_path_factory):
    return go_program.build("ingester", tmp_path_factory.mktemp("ingester"))


@pytest.fixture(scope="module")
def cluster():
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        yield c


def push(ingester, cluster, tag, *arguments, secret=None):
    process = cluster.layout.indexers[0]
    return subprocess.run(
        [ingester, "-target", f"tcp://127.0.0.1:{process.ingest_port}", "-tag", tag,
         "-secret", secret or cluster.layout.secrets["ingest"], *arguments],
        capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)


def as_json(cluster, query):
    """The entries of a search, as the JSON download shows them."""
    session = cluster.webserver(0).login()
    id = session.launch(query).ok().json()["SearchID"]
    answer = session.get(f"/api/searchctrl/{id}/download/json").ok()
    return [json.loads(line) for line in answer.body.splitlines()]


def expect_all(cluster, tag, count):
    session = cluster.webserver(0).login()

    def found():
        entries, _ = session.search(f"tag={tag}")
        numbers = {int(entry.data.split(b" entry ")[1].split()[0][:9].rstrip(
            b"abcdefghijklmnopqrstuvwxyz")) for entry in entries}
        return True if numbers == set(range(count)) and len(entries) == count else None
    wait_until(found, FOUND_WITHIN_S, f"{count} entries in {tag}")


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "snappy"])
def test_every_entry_of_the_reference_ingester_is_found(ingester, cluster, compress):
    """Bulk and live tags, sources of both kinds, enumerated values of every type; all of it is
    confirmed by the library and found by a search, once."""
    tag = "snappy" if compress else "plain"
    answer = push(ingester, cluster, tag, "-count", "2000", f"-compress={str(compress).lower()}")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["written"] == 4000
    expect_all(cluster, tag, 2000)
    expect_all(cluster, f"{tag}-live", 2000)
    entries = as_json(cluster, f"tag={tag} limit 3")
    assert {entry["SRC"] for entry in entries} == {"192.168.1.2", "fe80::1", "127.0.0.1"}
    for entry in entries:
        assert {value["Name"]: value["ValueStr"] for value in entry["Enumerated"]} == VALUES


def test_large_entries_pass(ingester, cluster):
    """Entries larger than a snappy chunk and than our read buffer."""
    answer = push(ingester, cluster, "large", "-count", "20", "-size", "700000", "-compress")
    assert answer.returncode == 0, answer.stderr
    expect_all(cluster, "large", 20)


def test_a_wrong_secret_is_refused_with_a_log_line(ingester, cluster):
    """The library is told no and gives up waiting; the indexer's log names the peer."""
    def refused():
        answer = push(ingester, cluster, "refused", "-count", "1", "-wait", "3s", secret="wrong")
        assert answer.returncode != 0
        return "ingester-refused" in cluster.indexer(0).log()  # or it was late with its answer
    wait_until(refused, FOUND_WITHIN_S, "the refusal in the indexer's log")


def test_the_ingester_is_announced_in_the_indexers_own_log(ingester, cluster):
    """Its name, version and UUID stand in a line of the tag gravwell."""
    answer = push(ingester, cluster, "announced", "-count", "1")
    assert answer.returncode == 0, answer.stderr
    session = cluster.webserver(0).login()

    def found():
        entries, _ = session.search('tag=gravwell grep "Ingester gone hot"')
        return any(b'ingester="interop"' in entry.data and b'ingesterversion="1.0.0"' in entry.data
                   and b"11111111-2222-3333-4444-555555555555" in entry.data
                   for entry in entries) or None
    wait_until(found, FOUND_WITHIN_S, "the ingester in tag gravwell")
