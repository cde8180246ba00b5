"""The life of searches: who keeps them, what is on disk, what a client is told while they run."""

import base64
import csv
import io
import json
import threading

import pytest
from client import Websocket, wait_until
from cluster import Cluster
from searching import ENDS_WITHIN_S, detach, finished, path_of, stats_of

ZERO_TIME = "0001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def session(cluster):
    return cluster.webserver(0).login()


def state(session, launched):
    return session.get(path_of(launched)).ok().json()["State"]


def test_a_search_goes_when_its_last_client_leaves(cluster, session):
    """Two REST clients: the first leaves, it stays; the second too: it is gone with its files."""
    cluster.ingest("leaving", lines=5)
    launched = session.launch("tag=leaving").ok().json()
    finished(session, launched)
    assert state(session, launched) == "ACTIVE"
    other = session.get(path_of(launched) + "/attach").ok().json()
    assert other["SearchID"] == launched["SearchID"]
    assert other["SearchSessionID"] != launched["SearchSessionID"]
    detach(session, launched)
    assert state(session, launched) == "ACTIVE"
    detach(session, other)
    assert session.get(path_of(launched)).status == 404
    files = cluster.webserver(0).process.dir / "render" / launched["SearchID"]
    wait_until(lambda: not files.exists(), 5, "the end of its files")


def test_background_and_saved_searches_stay(cluster, session):
    """Background: DORMANT when finished and left, ATTACHED when somebody comes back; saved:
    DORMANT/SAVED, with the notes as metadata. Deleting ends both."""
    cluster.ingest("staying", lines=5)
    back = session.launch("tag=staying", Background=True).ok().json()
    detach(session, back)
    wait_until(lambda: state(session, back) == "DORMANT", 10, "DORMANT")
    again = session.get(path_of(back) + "/attach").ok().json()
    assert state(session, back) == "ATTACHED"
    detach(session, again)
    assert state(session, back) == "DORMANT"
    assert session.call("PATCH", path_of(back) + "/background").status == 400  # not active

    kept = session.launch("tag=staying grep line").ok().json()
    finished(session, kept)
    session.call("PATCH", path_of(kept) + "/save", json.dumps(
        {"name": "n", "notes": "why", "started": ZERO_TIME, "expires": ZERO_TIME}).encode(),
        "application/json").ok()
    assert state(session, kept) == "ACTIVE/SAVING"
    detach(session, kept)
    assert state(session, kept) == "DORMANT/SAVED"
    details = session.get(path_of(kept) + "/details").ok().json()
    assert details["Metadata"] == {"name": "n", "notes": "why"}
    listed = [s["ID"] for s in session.get("/api/searchctrl").ok().json()]
    assert {back["SearchID"], kept["SearchID"]} <= set(listed)
    for launched in (back, kept):
        session.delete(path_of(launched)).ok()
        assert session.get(path_of(launched)).status == 404


def test_saved_results_outlive_a_restart_and_the_indexer():
    """Saved: readable after the webserver was killed and the indexers are gone; unsaved: gone."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        c.ingest("saved", lines=30)
        session = c.webserver(0).login()
        kept = session.launch("tag=saved").ok().json()
        lost = session.launch("tag=saved").ok().json()
        finished(session, kept), finished(session, lost)
        session.call("PATCH", path_of(kept) + "/save").ok()
        before = session.get(path_of(kept) + "/download/json").ok().body
        c.webserver(0).kill()
        c.indexer(0).kill()
        c.webserver(0).start()
        session = c.webserver(0).login()
        assert state(session, kept) == "DORMANT/SAVED"
        assert session.get(path_of(lost)).status == 404
        assert session.get(path_of(kept) + "/download/json").ok().body == before
        assert len(before.splitlines()) == 30
        session.delete(path_of(kept)).ok()
        saved = c.webserver(0).process.dir / "saved" / kept["SearchID"]
        wait_until(lambda: not saved.exists(), 5, "the end of its files")


def test_downloads_agree_with_each_other_and_with_the_direct_query(cluster, session):
    """text, json (objects, one per line), csv; a window of time by body and by URL."""
    ids = cluster.ingest("loads", lines=20)
    launched = session.launch("tag=loads").ok().json()
    at = path_of(launched) + "/download/"
    text = session.get(at + "text").ok().body.decode().splitlines()  # not finished: waits
    rows = [json.loads(line) for line in session.get(at + "json").ok().body.splitlines()]
    table = list(csv.reader(io.StringIO(session.get(at + "csv").ok().body.decode())))
    assert [base64.b64decode(r["Data"]).decode() for r in rows] == text
    assert table[0] == ["Timestamp", "Source", "Tag", "Data"]
    assert [[r["TS"], r["SRC"], r["Tag"]] for r in rows] == [row[:3] for row in table[1:]]
    assert [row[3] for row in table[1:]] == text
    assert sorted(t.split("id=")[1][:32] for t in text) == sorted(ids)
    middle = rows[10]["TS"]
    part = session.get(at + "json", StartTS=middle).ok().body.splitlines()
    window = json.dumps({"StartTS": middle, "EndTS": ZERO_TIME}).encode()
    assert session.call("GET", at + "json", window).ok().body.splitlines() == part
    assert 11 <= len(part) <= 20
    assert session.get(at + "pcap").status == 400
    url = "/api/search/direct?query=tag%3Dloads&format=text&duration=1h"
    assert session.call("POST", url).ok().body.decode().splitlines() == text
    assert session.call("POST", url.replace("text", "png")).status == 400
    assert session.call("POST", url.replace("duration=1h", "")).status == 400
    detach(session, launched)


def test_many_searches_at_once_all_finish(cluster, session):
    """More than may run at once: the rest waits its turn."""
    cluster.ingest("many", lines=50)
    launched = [session.launch("tag=many grep line").ok().json() for _ in range(60)]
    counts = [finished(session, one)["EntryCount"] for one in launched]
    assert counts == [50] * 60
    for one in launched:
        detach(session, one)


def test_results_are_streamed_over_the_websocket(cluster, session):
    """Request 17: blocks until an empty one that says Finished; another label works afterwards."""
    ids = cluster.ingest("flow", lines=3000)
    socket = Websocket(session)
    label = socket.start_search("tag=flow")["OutputSearchSubproto"]
    socket.send(label, {"ID": 17, "EntryRange": {"First": 0, "Last": 0, "StartTS": ZERO_TIME,
                                                 "EndTS": ZERO_TIME}})
    socket.send("PONG", {})
    found = []
    while True:
        block = socket.receive(label)
        assert block["ID"] == 17
        found += [base64.b64decode(e["Data"]).decode() for e in block["Entries"]]
        if block["Finished"] and not block["Entries"]:
            break
    assert socket.receive("PONG") == {}
    assert sorted(t.split("id=")[1][:32] for t in found) == sorted(ids)
    stats = socket.ask(label, {"ID": 0x7F000005})["Stats"]["Set"][0]["Stats"]
    assert [(s["Name"], s["OutputCount"]) for s in stats] == [("text", 3000)]
    overview = socket.ask(label, {"ID": 0x7F000007, "Stats": {"SetCount": 8}})["Stats"]
    assert sum(b["Count"] for b in overview["OverviewSet"]) == 3000
    assert socket.ask(label, {"ID": 65537})["Metadata"]["TagStats"] == {"flow": 3000}
    assert "unknown" in socket.ask(label, {"ID": 4711})["Error"]
    socket.close()
    wait_until(lambda: not any(s["UserQuery"] == "tag=flow" for s in
                               session.get("/api/searchctrl").ok().json()), 10, "its end")


def test_an_unacknowledged_start_is_forgotten(cluster, session):
    """Ok:false throws the search away; its label answers nothing, the socket lives."""
    socket = Websocket(session)
    response = socket.ask("search", {"SearchString": "tag=gravwell", "SearchStart": "",
                                     "SearchEnd": ""})
    assert session.get(f"/api/searchctrl/{response['SearchID']}").status == 200
    socket.send("search", {"Ok": False, "OutputSearchSubproto": response["OutputSearchSubproto"]})
    assert socket.ask("PONG", {}) == {}
    assert session.get(f"/api/searchctrl/{response['SearchID']}").status == 404
    socket.close()


def test_an_indexer_killed_in_the_middle_of_a_search_is_named():
    """The search ends; what came stays; the message says who is missing and for which time."""
    with Cluster(webservers=1, indexers=2, balancer=False) as c:
        for i in range(2):
            c.ingest("middle", lines=20000, indexer=i)
        session = c.webserver(0).login()
        launched = session.launch("tag=middle").ok().json()
        c.indexer(1).kill()
        stats = finished(session, launched)
        assert 20000 <= stats["EntryCount"] <= 40000
        address = f":{c.indexer(1).process.port}"
        if stats["EntryCount"] < 40000:
            assert any(address in m["Value"] and " to " in m["Value"] for m in stats["Messages"])


def test_a_stopped_search_ends_and_keeps_what_it_has(cluster, session):
    """Stop while results come in: Finished though an indexer hangs, rows readable, stop again is
    400."""
    text = b"".join(b"stop me %d %s\n" % (i, b"x" * 200) for i in range(100000))
    answer = cluster.aquifer(*cluster.ingest_command("long"), input=text)
    assert answer.returncode == 0, answer.stderr.decode()
    cluster.indexer(1).pause()
    try:
        launched = session.launch("tag=long grep stop").ok().json()
        session.put(path_of(launched) + "/stop").ok()
        stats = finished(session, launched)
    finally:
        cluster.indexer(1).resume()
    assert stats["EntryCount"] <= 100000
    rows = session.get(f"{path_of(launched)}/renderer/text", first=0, last=10,
                       sid=launched["SearchSessionID"]).ok().json()["Entries"]
    assert len(rows) == min(10, stats["EntryCount"])
    assert session.put(path_of(launched) + "/stop").status == 400
    detach(session, launched)


@pytest.mark.parametrize("member, value, told", [
    ("SearchStart", "yesterday", "SearchStart is no time"),
    ("SearchEnd", 5, "SearchEnd is no time"),
    ("SearchString", 5, "SearchString is no text"),
    ("SearchString", "tag=a\0b", "must not have the character")])
def test_a_start_request_that_cannot_be_read_is_refused(session, member, value, told):
    """By the name of what is wrong, where a search of something else would have been run."""
    answer = session.launch("tag=*", **{member: value})
    assert answer.status == 400 and told in answer.error, answer
    page = {"SearchString": "tag=*", "SearchStart": "0001-01-01T00:00:00Z", "SearchEnd": None}
    if told.startswith("Search"):
        answer = Websocket(session).ask("search", {**page, member: value})
        assert told in answer["Error"], answer


def test_a_program_that_takes_long_on_the_webserver_is_stopped(cluster, session):
    """A variable makes it run there: it does not go on to the end of a block of entries."""
    text = b"".join(b"round and round %d\n" % i for i in range(5000))
    answer = cluster.aquifer(*cluster.ingest_command("round"), input=text)
    assert answer.returncode == 0, answer.stderr.decode()
    launched = session.launch("tag=round eval var n = 0; n++; for (; n > 4;) { n++; }").ok().json()
    wait_until(lambda: stats_of(session, launched)["EntryCount"] > 0, ENDS_WITHIN_S, "a row")
    session.put(path_of(launched) + "/stop").ok()
    finished(session, launched)
    modules = session.get(path_of(launched) + "/modules", sid=launched["SearchSessionID"],
                          count=1).ok().json()["Stats"][0]["ModuleStats"]
    assert [m["InputCount"] < 2500 for m in modules if m["Name"] == "eval"] == [True], modules
    detach(session, launched)


def test_readers_see_a_growing_result_without_holes(cluster, session):
    """Four clients page through a search while it runs: every page is as it is at the end."""
    launched = session.launch("tag=long").ok().json()
    at = f"{path_of(launched)}/renderer/text"
    pages, faults = [], []

    def read():
        try:
            for first in range(0, 5000, 500):
                page = session.get(at, first=first, last=first + 500).ok().json()
                pages.append((first, [e["Data"] for e in page["Entries"]]))
        except Exception as fault:  # a thread's fault is the test's
            faults.append(fault)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    finished(session, launched)
    for first, data in pages:
        end = session.get(at, first=first, last=first + 500).ok().json()
        assert [e["Data"] for e in end["Entries"]][:len(data)] == data
    detach(session, launched)


def test_tables_and_charts_are_downloaded_as_they_are_shown(cluster, session):
    """csv: names of columns, then rows; json: the renderer's Entries, whole."""
    text = "".join(f'host="h {i % 3}",x n={i}\n' for i in range(18000)).encode()
    command = cluster.ingest_command("shown")
    assert cluster.aquifer(command[0], "--now", *command[1:], input=text).returncode == 0
    query = "tag=shown regex \"host=.(?P<host>h \\d).* n=(?P<n>\\d+)\" "
    rows = session.launch(query + "| table host n").ok().json()
    finished(session, rows)
    body = session.get(path_of(rows) + "/download/csv").ok().body.decode()
    table = list(csv.reader(io.StringIO(body)))
    assert table[0] == ["host", "n"] and len(table) == 18001
    assert {tuple(row) for row in table[1:]} == {(f"h {i % 3}", str(i)) for i in range(18000)}
    value = json.loads(session.get(path_of(rows) + "/download/json").ok().body)
    assert value["Columns"] == ["host", "n"]
    assert [row["Row"] for row in value["Rows"]] == table[1:]
    for kind, rest in (("csv", 1), ("json", 0)):
        picks = [{"kind": "single", "index": 9000}, {"kind": "range", "start": 3, "end": 5}]
        chosen = session.post(path_of(rows) + "/download", {"format": kind, "rows": picks}).ok()
        chosen = chosen.json()
        assert chosen["entryCount"] == 3
        some = session.get(chosen["downloadResourceURL"]).ok().body.decode()
        some = json.loads(some)["Rows"] if kind == "json" else list(csv.reader(io.StringIO(some)))
        assert [row["Row"] if kind == "json" else row for row in some][rest:] == [
            table[1 + i] for i in (3, 4, 9000)]
    wrong = session.post(path_of(rows) + "/download", {"format": "csv", "rows": [{"kind": "x"}]})
    assert wrong.status == 400
    chart = session.launch(query + "| stats count by host | chart count by host").ok().json()
    finished(session, chart)
    body = session.get(path_of(chart) + "/download/csv").ok().body.decode()
    table = list(csv.reader(io.StringIO(body)))
    assert table[0][0] == "Timestamp" and sorted(table[0][1:]) == ["h 0", "h 1", "h 2"]
    assert sum(float(cell or 0) for row in table[1:] for cell in row[1:]) == 18000
    chance = session.launch(query + "| (int(n) < 9000) | eval if (int(n) < 5) { a_rare = n; } "
                            "if (int(n) == 7) { z = \"a\\x00b\"; } | table").ok().json()
    finished(session, chance)
    body = session.get(path_of(chance) + "/download/csv").ok().body.decode()
    table = list(csv.DictReader(io.StringIO(body.replace("\0", "0"))))
    assert len(table) == 9000 and {"host", "n", "a_rare", "z"} == set(table[0])
    assert all(row["a_rare"] == (row["n"] if int(row["n"]) < 5 else "") and row["host"][:2] == "h "
               and row["z"] == ("a0b" if row["n"] == "7" else "") for row in table)
    for launched in (rows, chart, chance):
        detach(session, launched)


def test_a_key_that_no_entry_has_is_not_answered_with_silence(cluster, session):
    """An entry's tag is TAG: `by tag` finds nothing, and says why."""
    cluster.ingest("mistaken", lines=7)
    for query, warnings in (("stats count by tag", ["stats: none of 7 entries has the values that "
                                                    "it asks for; of its own an entry has TAG, "
                                                    "SRC, TIMESTAMP and DATA"]),
                            ("stats count by TAG", []), ("grep nothing | stats count by TAG", [])):
        launched = session.launch(f"tag=mistaken {query} | table").ok().json()
        finished(session, launched)
        answer = session.get(path_of(launched) + "/stats").ok().json()
        assert [message["Value"] for message in answer["Messages"]] == warnings
        detach(session, launched)


def test_a_chart_of_more_rows_than_it_shows_says_so(cluster, session):
    """One entry of many pieces is enough; behind stats all of them count."""
    command = cluster.ingest_command("pieces")
    text = b"a," * 66000 + b"a\n"
    assert cluster.aquifer(command[0], "--now", *command[1:], input=text).returncode == 0
    for query, warnings in (("chart", ["chart shows the first 65536 of 66001 rows; stats, top or "
                                       "limit in front of it make fewer"]),
                            ("stats count | chart count", [])):
        launched = session.launch(f'tag=pieces split -d "," | {query}').ok().json()
        finished(session, launched)
        answer = session.get(path_of(launched) + "/stats").ok().json()
        assert [message["Value"] for message in answer["Messages"]] == warnings
        detach(session, launched)


def test_explain_says_what_each_stage_read_and_dropped(cluster, session):
    """The plan and its counts, over the API and on the command line."""
    text = "".join(f"user=u{i % 4} word{i} needle{i % 10}\n" for i in range(2000)).encode()
    command = cluster.ingest_command("plan")
    assert cluster.aquifer(command[0], "--now", *command[1:], input=text).returncode == 0
    query = ("tag=plan words needle3 | kv user | stats count by user | sort by user "
             "| table user count")
    launched = session.launch(query).ok().json()
    finished(session, launched)
    plan = session.get(path_of(launched) + "/explain").ok().json()
    assert plan["Finished"] and plan["RequiredWords"] == ["needle3"] and plan["Tags"] == ["plan"]
    stages = [(s["Name"], s["Where"], s["InputCount"], s["DroppedCount"]) for s in plan["Stages"]]
    assert stages[0][:2] == ("words", "indexers") and stages[0][2] - stages[0][3] == 200
    assert stages[1] == ("kv", "indexers", 200, 0)
    assert stages[2][:3] == ("stats", "indexers, then webserver", 200)
    assert stages[3][:3] == ("sort", "webserver", 2) and stages[4][2] == 2
    detach(session, launched)
    answer = cluster.aquifer("search", "--server", cluster.webserver(0).url, "--user", "admin",
                             "--password", "changeme", "--explain", query)
    assert answer.returncode == 0, answer.stderr
    assert b"they lack needle3" in answer.stdout and b"indexers, then webserver" in answer.stdout


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_searches_in_the_background_outlive_a_restart(end):
    """A finished one keeps its rows; one that had not finished begins anew and finishes."""
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        text = b"".join(b"back %d %s\n" % (i, b"x" * 300) for i in range(60000))
        command = c.ingest_command("back")
        assert c.aquifer(command[0], "--now", *command[1:], input=text).returncode == 0
        session = c.webserver(0).login()
        done = session.launch("tag=back limit 50", Background=True).ok().json()
        finished(session, done)
        rows = session.get(path_of(done) + "/download/json").ok().body
        plain = session.launch("tag=back limit 5").ok().json()
        finished(session, plain)
        long = session.launch("tag=back grep back", Background=True).ok().json()
        looks = session.launch(
            "@few{ tag=back grep back | fields -d ' ' [1] as n | limit 3 | table n }; tag=back "
            "fields -d ' ' [1] as n | lookup -s -r @few n n () | stats count".replace("'", '"'),
            Background=True).ok().json()
        getattr(c.webserver(0), end)()
        c.webserver(0).start()
        session = c.webserver(0).login()
        assert state(session, done) == "DORMANT"
        assert session.get(path_of(done) + "/download/json").ok().body == rows
        assert session.get(path_of(plain)).status == 404

        wait_until(lambda: "ACTIVE" not in state(session, long), 30, "the end of the search")
        assert session.get(path_of(long) + "/details").ok().json()["ItemCount"] == 60000
        wait_until(lambda: "ACTIVE" not in state(session, looks), 30, "the end of the other")
        assert session.get(path_of(looks) + "/download/text").ok().body.strip() == b"3"
        session.delete(path_of(done)).ok()
        files = c.webserver(0).process.dir / "render" / done["SearchID"]
        wait_until(lambda: not files.exists(), 5, "the end of its files")
