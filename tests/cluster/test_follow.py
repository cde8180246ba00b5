"""Searches that follow: entries are shown as they come in, each once, until somebody stops it."""

import json
import subprocess
import threading

import pytest
from client import wait_until
from cluster import BUILD, Cluster
from layout import Layout
from searching import path_of


@pytest.fixture(scope="module")
def followed():
    with Cluster(webservers=1, indexers=2, balancer=False, links=Layout.ring(2)) as c:
        c.ingest("followed", lines=3)
        c.expect_found("followed", set())
        yield c


def rows(session, launched):
    answer = session.get(path_of(launched) + "/renderer/text", sid=launched["SearchSessionID"],
                         first=0, last=10000).ok().json()
    return answer, [entry["Data"] for entry in answer["Entries"]]


def test_entries_are_shown_once_as_they_come(followed):
    """Both indexers hold everything; what was there before the launch is not shown."""
    session = followed.webserver(0).login()
    launched = session.launch("tag=followed", Follow=True).ok().json()
    assert rows(session, launched)[1] == []
    first = followed.ingest("followed", lines=20, indexer=0)
    second = followed.ingest("followed", lines=30, indexer=1)
    wait_until(lambda: len(rows(session, launched)[1]) >= 50, 10, "50 entries")
    answer, data = rows(session, launched)
    assert len(data) == len(set(data)) == len(first) + len(second) == 50
    assert not answer["Finished"]
    session.put(path_of(launched) + "/stop").ok()
    wait_until(lambda: rows(session, launched)[0]["Finished"], 10, "the end")
    assert len(rows(session, launched)[1]) == 50


def test_stages_and_tags_that_are_made_later_work(followed):
    """A filter, and a tag that nobody had when the search began."""
    session = followed.webserver(0).login()
    launched = session.launch("tag=later*,followed grep line", Follow=True).ok().json()
    ids = followed.ingest("later1", lines=7)
    wait_until(lambda: len(rows(session, launched)[1]) == len(ids), 10, "entries of a new tag")
    session.put(f"{path_of(launched)}/detach?sid={launched['SearchSessionID']}").ok()
    assert session.get(path_of(launched)).status == 404


def test_what_needs_all_entries_cannot_be_followed(followed):
    session = followed.webserver(0).login()
    for query, stage in (("tag=followed stats count", 0),
                         ("tag=followed grep a | sort by time", 1)):
        answer = session.launch(query, Follow=True)
        assert answer.status == 400
        assert "cannot be followed" in answer.error
        assert answer.json()["ErrorStage"] == stage


def test_an_indexer_that_dies_is_named_and_followed_again(followed):
    session = followed.webserver(0).login()
    launched = session.launch("tag=followed", Follow=True).ok().json()
    followed.indexer(1).kill()

    def named():
        messages = rows(session, launched)[0]["Messages"]
        return [m for m in messages if "until it is back" in m["Value"]]
    assert len(wait_until(named, 10, "the loss of an indexer")) == 1
    followed.ingest("followed", lines=5, indexer=0)
    wait_until(lambda: len(rows(session, launched)[1]) == 5, 10, "entries of the other")
    followed.indexer(1).start()
    seen = []

    def back():  # each try is another line, until the search follows again
        seen.extend(followed.ingest("followed", lines=1, indexer=1))
        return len(rows(session, launched)[1]) > 5
    wait_until(back, 20, "entries of the indexer that came back")
    assert len(named()) == 1
    data = rows(session, launched)[1]
    assert len(data) == len(set(data))
    session.delete(path_of(launched)).ok()


def test_the_command_line_follows(followed):
    """Lines appear on standard output while it runs; the search goes with the command."""
    session = followed.webserver(0).login()
    command = [BUILD / "bin/aquifer", "search", "--server", followed.webserver(0).url,
               "--user", "admin", "--password", "changeme", "--follow", "tag=followed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        def listed():
            return [one for one in session.get("/api/searchctrl").ok().json()
                    if one["LaunchInfo"].get("method") == "directquery"]
        wait_until(listed, 10, "the search")
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        sent = []

        def arrives():
            sent.extend(followed.ingest("followed", lines=2))
            return lines
        wait_until(arrives, 10, "a line")
        process.terminate()
        reader.join(60)
        assert lines and all(b"id=" in line for line in lines)
        wait_until(lambda: not listed(), 10, "the end of the search")


def test_the_download_streams(followed):
    session = followed.webserver(0).login()
    launched = session.launch("tag=followed", Follow=True).ok().json()
    followed.ingest("followed", lines=4)
    wait_until(lambda: len(rows(session, launched)[1]) == 4, 10, "4 entries")
    session.put(path_of(launched) + "/stop").ok()
    body = session.get(path_of(launched) + "/download/json").ok().body
    assert len([json.loads(line) for line in body.splitlines()]) == 4
    session.delete(path_of(launched)).ok()
