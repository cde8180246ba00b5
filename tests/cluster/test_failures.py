"""What dies, and what may not: acknowledged entries, accepted objects, everybody else's service."""

import os
import re
import signal
import subprocess
import threading
import uuid

import pytest
from client import Session, wait_until
from cluster import BUILD, Cluster, fill_disk


def test_entries_acknowledged_before_a_kill_are_found_after_the_restart():
    """kill -9 of the indexer in the middle of an ingest: the client says it did not get through,
    and what runs that were acknowledged brought is all there."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        ids = c.ingest("kept", lines=2000)
        feeder = subprocess.Popen([BUILD / "bin/aquifer", *c.ingest_command("kept")],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        stop = threading.Event()

        def feed():
            try:
                while not stop.is_set():
                    feeder.stdin.write(f"unacked id={uuid.uuid4().hex}\n".encode() * 20)
                    feeder.stdin.flush()
            except OSError:
                pass
        thread = threading.Thread(target=feed)
        thread.start()
        session = c.webserver(0).login()
        wait_until(lambda: len(session.search("tag=kept grep unacked | limit 10")[0]) == 10, 30,
                   "entries of the second feeder")
        c.indexer(0).kill()
        stop.set()
        feeder.kill()
        feeder.wait()
        thread.join(120)
        c.indexer(0).start()
        wait_until(lambda: set(ids) <= set(c.ids_found("kept", session, "grep -v unacked")), 20,
                   "every acknowledged entry")


def test_each_of_many_kills_keeps_what_was_acknowledged():
    """Ingest, kill -9, restart, three times over, without ever waiting for a flush."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        ids = []
        for _ in range(3):
            ids += c.ingest("often", lines=500)
            c.indexer(0).kill()
            c.indexer(0).start()
        c.expect_found("often", ids, within_s=20)


def test_an_indexer_that_is_down_is_named_and_the_other_answers():
    """A search with one of two indexers down gives the other's entries and says what is missing."""
    with Cluster(webservers=1, indexers=2, balancer=False) as c:
        lost, kept = c.ingest("half", lines=10, indexer=0), c.ingest("half", lines=10, indexer=1)
        c.indexer(0).kill()
        session = c.webserver(0).login()
        entries, messages = session.search("tag=half")
        assert len(entries) == len(kept)
        away = f"indexer 127.0.0.1:{c.indexer(0).process.port}: "
        told = [m["Value"] for m in messages if m["Value"].startswith(away)]
        assert told and all("http://" not in text for text in told), messages
        c.indexer(0).start()
        c.expect_found("half", lost + kept)


def test_without_the_datastore_people_go_on_working():
    """Stop the datastore: searching and creating a dashboard still work; start it: the dashboard
    reaches the other webserver."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        c.ingest("offline", lines=5)
        session, other = c.webserver(0).login(), c.webserver(1).login()
        assert c.datastore.stop() == 0
        assert len(session.search("tag=offline")[0]) == 5
        id = session.post("/api/dashboards", {"Name": "made offline", "Data": {}}).ok().json()
        board = session.get(f"/api/dashboards/{id}").ok().json()
        assert board["Name"] == "made offline" and board["Synced"] is False
        assert other.get(f"/api/dashboards/{id}").status == 404
        c.datastore.start()
        wait_until(lambda: other.get(f"/api/dashboards/{id}").status == 200, 30,
                   "the dashboard on the other webserver")
        wait_until(lambda: session.get(f"/api/dashboards/{id}").json()["Synced"], 10, "Synced")


def test_an_empty_datastore_deletes_nothing_and_is_filled_again():
    """Its files are gone: the webserver keeps what users made and pushes it up; a new webserver's
    users find it."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        id = session.post("/api/dashboards", {"Name": "precious", "Data": {"a": 1}}).ok().json()
        c.webserver(1).stop()
        c.datastore.stop()
        for path in c.datastore.process.dir.glob("datastore-*.db*"):
            path.unlink()
        for path in c.webserver(1).process.dir.glob("*.db*"):
            path.unlink()
        c.datastore.start()
        c.webserver(1).start()
        assert session.get(f"/api/dashboards/{id}").ok().json()["Name"] == "precious"

        def arrived():
            answer = c.webserver(1).session().try_login()
            if answer.status != 200:
                return None
            board = c.webserver(1).login().get(f"/api/dashboards/{id}")
            return board.status == 200 and board.json()["Data"] == {"a": 1}
        wait_until(arrived, 30, "the dashboard on a webserver that knew nothing")


def test_a_killed_webserver_costs_no_request_through_the_load_balancer():
    """kill -9 of the webserver that a browser sticks to: its next request is answered by the other,
    and the login is still valid there."""
    with Cluster(webservers=2, indexers=1) as c:
        session = Session(c.balancer_url).login()
        for _ in range(3):
            session.get("/api/info/whoami").ok()
        for i in range(2):
            c.webserver(i).kill()
            answers = [session.get("/api/info/whoami").status for _ in range(10)]
            assert answers == [200] * 10, answers
            c.webserver(i).start()
            wait_until(lambda: Session(c.balancer_url).get("/readyz").status == 200, 10, "readyz")
            wait_until(lambda: len(webservers_behind(c)) == 2, 30,
                       "both webservers in service before the next one is killed")


def test_a_full_disk_is_said_and_ends_by_itself():
    """The datalog's disk (a small tmpfs) is full: the sender does not get an ack, the indexer says
    why and goes on searching; room again: the next ingest works. Needs root to mount."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        room = c.indexer(0).process.dir / "datalog"
        room.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", room],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("a tmpfs cannot be mounted here")
        try:
            c.start()
            ids = c.ingest("full", lines=100)
            ballast = room / "ballast"
            fill_disk(ballast)
            big = b"".join(b"%06d " % i + os.urandom(3000).hex().encode() + b"\n"
                           for i in range(4000))
            feeder = subprocess.Popen([BUILD / "bin/aquifer", *c.ingest_command("full")],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
            threading.Thread(target=lambda: feed_all(feeder, big), daemon=True).start()
            wait_until(lambda: re.search(r"disk full|[Nn]o space", c.indexer(0).log()), 30,
                       "a log line that says the disk is full")
            assert c.indexer(0).running()
            assert set(ids) <= set(c.ids_found("full"))
            feeder.send_signal(signal.SIGTERM)
            assert feeder.wait(120) != 0
            ballast.unlink()
            later = wait_until(lambda: try_ingest(c, "full"), 30, "an ingest once there is room")
            c.expect_found("full", ids + later)
            assert c.stop() == {"webserver-0": 0, "indexer-0": 0, "datastore-0": 0}
        finally:
            for node in c.nodes.values():
                if node.running():
                    node.kill()
            subprocess.run(["umount", "-l", room], check=False)


def webservers_behind(c):
    """The cookies that fresh browsers get from the load balancer, one for each webserver."""
    def cookies():
        session = Session(c.balancer_url)
        session.get("/healthz")
        return tuple(sorted((k.name, k.value) for k in session.jar))
    return {cookies() for _ in range(6)}


def feed_all(feeder, data):
    try:
        feeder.stdin.write(data)
        feeder.stdin.close()
    except OSError:
        pass


def try_ingest(c, tag):
    try:
        return c.ingest(tag, lines=20)
    except AssertionError:
        return None
