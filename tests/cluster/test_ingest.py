"""Ingesters and the indexer: what was acknowledged is there, whatever dies in between."""

import base64
import gzip
import json
import shutil
import subprocess
import threading
import time
import uuid
from datetime import datetime, timezone

import pytest
from client import wait_until
from cluster import BUILD, Cluster, free_port_base


def test_one_ingest_run_survives_a_kill_of_its_indexer():
    """kill -9 of the indexer while `aquifer ingest` is half-way, then a restart: the same run goes
    on, exits 0, says that all was acknowledged, and all of it is found (an entry whose
    acknowledgement was lost may be there twice)."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        ids = [uuid.uuid4().hex for _ in range(6000)]
        feeder = subprocess.Popen([BUILD / "bin/aquifer", *c.ingest_command("survivor")],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        half = threading.Event()

        def feed():
            for at in range(0, len(ids), 100):
                feeder.stdin.write("".join(f"line id={id} x\n" for id in ids[at:at + 100]))
                feeder.stdin.flush()
                if at == 3000:
                    half.set()
                time.sleep(0.01)
            feeder.stdin.close()
        thread = threading.Thread(target=feed)
        thread.start()
        assert half.wait(120)
        c.indexer(0).kill()
        c.indexer(0).start()
        assert feeder.wait(180) == 0, feeder.stderr.read()
        thread.join(120)
        assert "6000 entries sent, 6000 acknowledged" in feeder.stdout.read()
        feeder.stdout.close()
        feeder.stderr.close()
        session = c.webserver(0).login()
        wait_until(lambda: set(ids) <= set(c.ids_found("survivor", session)), 20, "all entries")


def test_an_indexer_that_stops_for_good_is_a_failure_of_the_run():
    """SIGTERM in the middle, nobody comes back: the run ends non-zero and its count of
    acknowledged entries is not above what a search finds afterwards."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        feeder = subprocess.Popen([BUILD / "bin/aquifer", *c.ingest_command("stopped")],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        feeder.stdin.write(b"".join(b"line id=%032d\n" % i for i in range(5000)))
        feeder.stdin.flush()
        session = c.webserver(0).login()
        wait_until(lambda: session.launch("tag=stopped").status == 200
                   and session.search("tag=stopped limit 1")[0], 20, "the first entry")
        assert c.indexer(0).stop() == 0
        feeder.stdin.write(b"one more\n")
        feeder.send_signal(15)
        out, err = feeder.communicate(timeout=120)
        assert feeder.returncode != 0
        assert b"not everything was acknowledged" in err
        acknowledged = int(out.split(b" entries sent, ")[1].split()[0])
        assert 0 < acknowledged <= 5000
        c.indexer(0).start()
        wait_until(lambda: len(c.ids_found("stopped", session)) >= acknowledged, 20,
                   f"{acknowledged} entries")


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    return tmp_path


def test_entries_come_over_tls_and_the_unix_socket(certificate):
    """A certificate that nobody vouches for is refused unless told otherwise."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        node = c.indexer(0)
        port = free_port_base(1)
        node.set(f"TLS-Ingest-Port={port}", f'Certificate-File="{certificate}/cert.pem"',
                 f'Key-File="{certificate}/key.pem"', f'Pipe-Ingest-Path="{certificate}/pipe"')
        c.start()

        def send(target, *more):
            return c.aquifer("ingest", "--tag", "door", "--indexer", target, "--secret",
                             c.layout.secrets["ingest"], "--compress", *more, "-",
                             input=b"2026-01-02T03:04:05Z through " + target.encode() + b"\n")
        refused = send(f"tls://127.0.0.1:{port}")
        assert refused.returncode != 0 and b"certificate" in refused.stderr
        for target in (f"tls://127.0.0.1:{port}", f"pipe://{certificate}/pipe"):
            answer = send(target, "--insecure")
            assert answer.returncode == 0, answer.stderr
        types = {line.split('conntype="')[1].split('"')[0] for line in node.log().splitlines()
                 if "ingester-connected" in line}
        assert {"tls", "pipe"} <= types


def test_what_ingesters_say_of_themselves_is_kept(cluster):
    """The log line of a connection has its name, version and client, as the tag gravwell shows."""
    cluster.ingest("who", lines=1)
    session = cluster.webserver(0).login()

    def found():
        entries, _ = session.search('tag=gravwell grep "Ingester exiting"')
        return [e for e in entries if b'ingester="aquifer-ingest"' in e.data
                and b'client="127.0.0.1:' in e.data and b'conntype="tcp"' in e.data]
    assert wait_until(found, 20, "the line in tag gravwell")


def test_a_compressed_file_is_no_lines(cluster, tmp_path):
    """It is refused by what it begins with, and what prints it is named; nothing is sent."""
    packed = tmp_path / "app.log.1"
    packed.write_bytes(gzip.compress(b"a line\n"))
    answer = cluster.aquifer(*cluster.ingest_command("packed")[:-1], str(packed))
    assert answer.returncode == 1 and answer.stdout == b""
    assert f"is compressed: zcat {packed} |" in answer.stderr.decode()


def test_times_in_the_lines_are_the_entries_times(cluster):
    """One line per format; the JSON download shows the time of each."""
    lines = {
        b'10.0.0.1 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 1': "2026-05-17T10:05:03Z",
        b"<34>1 2026-05-17T10:05:04.25Z host app - - - x": "2026-05-17T10:05:04.25Z",
        b"[2026-05-17 10:05:05,210] TRACE x": "2026-05-17T10:05:05.21Z",
        b"1779012306 x": "2026-05-17T10:05:06Z",
        b'{"v":1,"timestamp":1779012307322}': "2026-05-17T10:05:07.322Z",
    }
    answer = cluster.aquifer(*cluster.ingest_command("times")[:-1], "--timezone", "utc", "-",
                             input=b"\n".join(lines) + b"\n")
    assert answer.returncode == 0, answer.stderr
    session = cluster.webserver(0).login()

    def found():
        launched = session.launch("tag=times", start=datetime(2026, 5, 17, tzinfo=timezone.utc),
                                  end=datetime(2026, 5, 18, tzinfo=timezone.utc))
        if launched.status != 200:
            return None
        id = launched.json()["SearchID"]
        text = session.get(f"/api/searchctrl/{id}/download/json").ok().body
        entries = [json.loads(line) for line in text.splitlines()]
        return {base64.b64decode(e["Data"]): e["TS"] for e in entries} == lines or None
    wait_until(found, 20, "the times of all lines")
