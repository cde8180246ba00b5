"""Searches on any webserver: what runs on A is used from B, what was saved outlives A."""

import json

import pytest
from client import Websocket, wait_until
from cluster import Cluster
from searching import finished, path_of

ZERO_TIME = "0001-01-01T00:00:00Z"


@pytest.fixture
def pair():
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        c.ingest("far", lines=40)
        for i in range(2):
            wait_until(lambda: len(webservers_up(c.webserver(i).login())) == 2, 10,  # noqa: B023
                       "both to know each other")
        yield c


def webservers_up(session):
    return [one for one in session.get("/api/webservers").ok().json() if one["Up"]]


def ids(session, path="/api/searchctrl"):
    return [one["ID"] for one in session.get(path).ok().json()]


def save(session, launched, **more):
    return session.call("PATCH", path_of(launched) + "/save", json.dumps(
        {"started": ZERO_TIME, "expires": ZERO_TIME, **more}).encode(), "application/json")


def test_a_search_of_one_webserver_is_used_from_the_other(pair):
    """Listed, looked at, attached, read, downloaded, shared, stopped and deleted from B."""
    a, b = pair.webserver(0).login(), pair.webserver(1).login()
    launched = a.launch("tag=far", Background=True).ok().json()
    finished(a, launched)
    path = path_of(launched)
    for listing in ("/api/searchctrl", "/api/searchctrl/details", "/api/searchctrl/all"):
        assert ids(b, listing).count(launched["SearchID"]) == 1
    status = b.get(path).ok().json()
    assert status == a.get(path).ok().json()
    assert b.get(path + "/details").ok().json()["ItemCount"] == 40
    attached = b.get(path + "/attach").ok().json()
    assert a.get(path).ok().json()["AttachedClients"] == 2
    page = b.get(path + "/renderer/text", sid=attached["SearchSessionID"], first=0,
                 last=100).ok().json()
    assert len(page["Entries"]) == 40
    b.put(f"{path}/detach?sid={attached['SearchSessionID']}").ok()
    assert a.get(path).ok().json()["AttachedClients"] == 1
    for name in ("text", "json", "csv"):
        here = a.get(f"{path}/download/{name}").ok()
        there = b.get(f"{path}/download/{name}").ok()
        assert here.body == there.body and len(here.body) > 1000
        assert here.headers["Content-Disposition"] == there.headers["Content-Disposition"]
    assert b.get(path + "/download/nonsense").status == 400
    b.put(path + "/global", {"Global": True}).ok()
    assert a.get(path).ok().json()["Global"]
    b.delete(path).ok()
    assert a.get(path).status == 404 and b.get(path).status == 404
    running = a.launch("tag=far", Follow=True).ok().json()
    b.put(path_of(running) + "/stop").ok()
    finished(a, running)


def test_permissions_are_the_users_own(pair):
    """Somebody else sees nothing of it on either webserver, until it is shared."""
    a, b = pair.webserver(0).login(), pair.webserver(1).login()
    for name in ("ann", "bob"):
        a.post("/api/users", {"User": name, "Pass": "secret-of-" + name, "Name": name,
                              "Email": name + "@example.com", "Admin": False}).ok()
    ann = pair.webserver(0).login("ann", "secret-of-ann")
    bob = pair.webserver(1).login_soon("bob", "secret-of-bob")
    launched = ann.launch("tag=far", Background=True).ok().json()
    finished(ann, launched)
    assert bob.get(path_of(launched)).status == 403
    assert bob.get(path_of(launched) + "/download/text").status == 403
    assert bob.delete(path_of(launched)).status == 403
    assert launched["SearchID"] not in ids(bob)
    b.put(path_of(launched) + "/global", {"Global": True}).ok()
    assert len(bob.get(path_of(launched) + "/download/text").ok().body.splitlines()) == 40
    assert bob.delete(path_of(launched)).status == 403
    assert launched["SearchID"] in ids(bob)


def test_the_websocket_attaches_to_the_other_webservers_search(pair):
    a, b = pair.webserver(0).login(), pair.webserver(1).login()
    launched = a.launch("tag=far").ok().json()
    finished(a, launched)
    socket = Websocket(b)
    attached = socket.ask("attach", {"ID": launched["SearchID"]})
    assert attached["Info"]["ItemCount"] == 40
    label = attached["Subproto"]
    answer = socket.ask(label, {"ID": 16, "EntryRange": {"First": 0, "Last": 10}})
    assert answer["ID"] == 16 and len(answer["Entries"]) == 10 and answer["AdditionalEntries"]
    socket.send(label, {"ID": 17, "EntryRange": {"First": 0, "Last": 0}})
    rows = []
    while True:
        block = socket.receive(label)
        assert block["ID"] == 17
        rows += block["Entries"]
        if not block["Entries"] and block["Finished"]:
            break
    assert len(rows) == 40
    a.delete(path_of(launched)).ok()
    assert socket.ask(label, {"ID": 3})["Error"]
    socket.close()
    again = Websocket(b)
    error = again.ask("attach", {"ID": launched["SearchID"]})["Error"]
    assert error == f"there is no search {launched['SearchID']} on this webserver", error
    again.close()


def test_when_the_webserver_is_gone_the_other_says_so_at_once(pair):
    """Unsaved results of a killed webserver: 503 with its name, not 404 and not silence."""
    a, b = pair.webserver(0).login(), pair.webserver(1).login()
    launched = a.launch("tag=far", Background=True).ok().json()
    finished(a, launched)
    assert b.get(path_of(launched)).ok()
    pair.webserver(0).kill()
    answer = b.get(path_of(launched))
    assert answer.status == 503
    assert launched["SearchID"] in answer.error and "webserver" in answer.error
    assert b.get(path_of(launched) + "/download/text").status == 503
    assert launched["SearchID"] not in ids(b)
    number = launched["SearchID"]
    assert b.get("/api/searchctrl/" + ("9" if number[0] != "9" else "8") + number[1:]).status == 404


def test_saved_results_open_everywhere_after_their_webserver_is_gone(pair):
    """Saved on A, A killed with kill -9: B lists, opens, downloads, changes and deletes them, and
    A agrees when it is back."""
    a, b = pair.webserver(0).login(), pair.webserver(1).login()
    kept, dropped = (a.launch("tag=far").ok().json() for _ in range(2))
    for launched in (kept, dropped):
        finished(a, launched)
        save(a, launched, name="n", notes="why").ok()
        a.put(f"{path_of(launched)}/detach?sid={launched['SearchSessionID']}").ok()
    rows = a.get(path_of(kept) + "/download/json").ok().body
    table = a.get(path_of(kept) + "/stats/metadata").ok().json()["TagStats"]
    wait_until(lambda: a.get("/api/settings").ok().json()["Datastore"]["Unsynced"] == 0, 10,
               "the datastore to have both")
    pair.webserver(0).kill()
    for launched in (kept, dropped):
        wait_until(lambda: b.get(path_of(launched)).status == 200, 10,  # noqa: B023
                   "the search on the other webserver")
    assert b.get(path_of(kept)).ok().json()["State"] == "DORMANT/SAVED"
    notes = b.get(path_of(kept) + "/details").ok().json()["Metadata"]
    assert notes == {"name": "n", "notes": "why"}
    assert b.get(path_of(kept) + "/download/json").ok().body == rows
    assert b.get(path_of(kept) + "/stats/metadata").ok().json()["TagStats"] == table
    attached = b.get(path_of(kept) + "/attach").ok().json()
    assert b.get(path_of(kept)).ok().json()["State"] == "ATTACHED/SAVED"
    b.put(f"{path_of(kept)}/detach?sid={attached['SearchSessionID']}").ok()
    save(b, kept, name="other").ok()
    b.put(path_of(kept) + "/global", {"Global": True}).ok()
    b.delete(path_of(dropped)).ok()
    pair.webserver(0).start()
    a = pair.webserver(0).login()
    wait_until(lambda: a.get(path_of(dropped)).status == 404, 10, "the deletion")
    wait_until(lambda: a.get(path_of(kept)).ok().json()["Global"], 10, "the change")
    assert a.get(path_of(kept) + "/details").ok().json()["Metadata"]["name"] == "other"
    assert ids(a).count(kept["SearchID"]) == ids(b).count(kept["SearchID"]) == 1
    files = pair.webserver(0).process.dir / "saved" / dropped["SearchID"]
    wait_until(lambda: not files.exists(), 10, "the end of its files")
    pair.webserver(1).kill()  # and B's copy is found again by B alone
    pair.datastore.kill()
    pair.webserver(1).start()
    b = pair.webserver(1).login()
    assert b.get(path_of(kept) + "/download/json").ok().body == rows
