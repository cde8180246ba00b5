"""With the datastore away everything goes on that may, the rest says why it does not, and when it
is back all of it arrives in order."""

import json
from urllib.request import urlopen

import pytest
from client import wait_until
from cluster import Cluster
from control import Control


@pytest.fixture(scope="module")
def away():
    """A cluster whose datastore was stopped after both webservers had everything."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        c.ingest("offline", lines=5)
        admin = c.webserver(0).login()
        admin.post("/api/users", {"User": "ann", "Pass": "pass word", "Name": "Ann"}).ok()
        admin.post("/api/groups", {"Name": "soc"}).ok()
        admin.post("/api/tokens", {"name": "nightly", "capabilities": ["DashboardRead"]}).ok()
        admin.post("/api/dashboards", {"Name": "before", "Data": {}}).ok()
        wait_until(lambda: len(c.webserver(1).login().get("/api/dashboards").ok().json()) == 1, 10)
        wait_until(lambda: datastore(admin)["Unsynced"] == 0, 10)
        assert c.datastore.stop() == 0
        wait_until(lambda: all(datastore(c.webserver(i).login())["Degraded"] for i in range(2)), 10)
        yield c


def datastore(session):
    return session.get("/api/settings").ok().json()["Datastore"]


def readyz(node):
    with urlopen(node.url + "/readyz", timeout=60) as answer:
        return answer.status, answer.read().decode()


def names_in_order(c):
    """Names of live macros in the order the datastore gave them revisions: from its feed."""
    control = Control(f"127.0.0.1:{c.datastore.process.port}", c.layout.secrets["control"])
    stream, names = control.open("/sync/v1/feed?since=0&beat_ms=200"), []
    for line in stream:
        told = json.loads(line)
        if told.get("through"):
            control.wire.close()
            return names
        object = told.get("object", {})
        if object.get("kind") == "macro" and not object.get("deleted"):
            names.append(object["name"])
    raise AssertionError("the feed ended")


def test_the_webserver_says_that_it_is_degraded_and_stays_in_service(away):
    """/readyz is 200, its body and the settings name the datastore and the reason."""
    node = away.webserver(0)
    address = f"127.0.0.1:{away.datastore.process.port}"
    said = f"degraded: datastore: {address} cannot be reached"
    status, body = wait_until(lambda: said in (a := readyz(node))[1] and a, 5, "/readyz")
    assert status == 200 and body.startswith("ready\n")
    shown = datastore(node.login())
    assert shown["Degraded"] and shown["State"] == "offline" and shown["Address"] == address
    assert shown["Reason"]
    assert "live -> offline" in node.log()


@pytest.mark.parametrize("name, call", [
    ("log in as another user", lambda s, c: c.webserver(1).session().login("ann", "pass word")),
    ("read", lambda s, c: s.get("/api/dashboards").ok()),
    ("search", lambda s, c: len(s.search("tag=offline")[0]) == 5 or pytest.fail("entries")),
    ("make a dashboard", lambda s, c: s.post("/api/dashboards", {"Name": "made", "Data": {}}).ok()),
    ("make a macro", lambda s, c: s.post("/api/macros", {"Name": "M", "Expansion": "x"}).ok()),
    ("make a saved query", lambda s, c: s.post("/api/library", {"Name": "q",
                                                                "Query": "tag=x"}).ok()),
    ("make a playbook", lambda s, c: s.post("/api/playbooks", {"Name": "b", "Body": "aA=="}).ok()),
    ("set preferences", lambda s, c: s.put("/api/users/0/preferences", {"theme": "dark"}).ok()),
    ("read the history", lambda s, c: s.get("/api/searchhistory/user/0").ok()),
    ("notify oneself", lambda s, c: s.post("/api/notifications/targeted/self",
                                           {"Type": 7, "Msg": "x"}).ok()),
    ("make a resource", lambda s, c: s.post("/api/resources", {"ResourceName": "hosts"}).ok())])
def test_what_may_go_on_goes_on(away, name, call):
    """How fast: bench/failover."""
    session = away.webserver(0).login()
    call(session, away)


@pytest.mark.parametrize("name, call", [
    ("add a user", lambda s, uid: s.post("/api/users", {"User": "bob", "Pass": "pass word",
                                                        "Name": "Bob"})),
    ("delete a user", lambda s, uid: s.delete(f"/api/users/{uid}")),
    ("lock", lambda s, uid: s.put(f"/api/users/{uid}/lock")),
    ("make an administrator", lambda s, uid: s.put(f"/api/users/{uid}/admin")),
    ("change a password", lambda s, uid: s.put(f"/api/users/{uid}/pwd",
                                               {"OrigPass": "", "NewPass": "another one"})),
    ("add a group", lambda s, uid: s.post("/api/groups", {"Name": "noc"})),
    ("add to a group", lambda s, uid: s.post(f"/api/users/{uid}/group", {"GIDs": [1]})),
    ("make a token", lambda s, uid: s.post("/api/tokens", {"name": "x",
                                                           "capabilities": ["DashboardRead"]})),
    ("log out", lambda s, uid: s.put("/api/logout"))])
def test_what_is_written_through_is_refused_with_the_reason(away, name, call):
    """503, with the datastore's address and what is wrong; nothing has changed."""
    session = away.webserver(0).login()
    users = session.get("/api/users").ok().json()
    uid = next(user["UID"] for user in users if user["User"] == "ann")
    answer = call(session, uid)
    assert answer.status == 503, (name, answer.status, answer.body)
    assert "datastore" in answer.error and "cannot be reached" in answer.error, answer.error
    assert f"127.0.0.1:{away.datastore.process.port}" in answer.error
    session.get("/api/testauth").ok()
    assert [u["User"] for u in session.get("/api/users").ok().json()] == [u["User"] for u in users]
    assert away.webserver(1).session().try_login("ann", "pass word").status == 200


def test_everything_written_meanwhile_arrives_in_order_and_the_state_ends():
    """Twenty macros on one webserver, changed and deleted in between: the datastore gives them
    revisions in the order they were written; then nothing is degraded any more."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session, other = c.webserver(0).login(), c.webserver(1).login()
        assert c.datastore.stop() == 0
        wait_until(lambda: datastore(session)["Degraded"], 10)
        ids = [session.post("/api/macros", {"Name": f"M{i:02}", "Expansion": "x"}).ok().json()
               for i in range(20)]
        for i in (3, 7):
            session.delete(f"/api/macros/{ids[i]}").ok()
        first = session.get(f"/api/macros/{ids[0]}").ok().json()
        assert first["Synced"] is False
        session.put(f"/api/macros/{ids[0]}", {**first, "Expansion": "changed"}).ok()
        assert datastore(session)["Unsynced"] >= 20
        c.datastore.start()
        wait_until(lambda: datastore(session)["Unsynced"] == 0, 30, "everything pushed")
        wanted = [f"M{i:02}" for i in range(20) if i not in (3, 7)]
        wait_until(lambda: len(other.get("/api/macros").ok().json()) == 18, 30, "all on the other")
        assert names_in_order(c) == wanted
        wait_until(lambda: other.get(f"/api/macros/{ids[0]}").ok().json()["Expansion"] == "changed",
                   30, "the change on the other")
        wait_until(lambda: not datastore(session)["Degraded"], 10, "the end of the state")
        wait_until(lambda: readyz(c.webserver(0)) == (200, "ready\n"), 5, "/readyz without a word")
        session.post("/api/users", {"User": "bob", "Pass": "pass word", "Name": "Bob"}).ok()


def test_a_webserver_that_restarts_while_the_datastore_is_away_keeps_what_waits():
    """Killed and started without the datastore: people log in, what they made is there, and is
    pushed in the end."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        assert c.datastore.stop() == 0
        id = session.post("/api/dashboards", {"Name": "kept", "Data": {"n": 1}}).ok().json()
        c.webserver(0).kill()
        c.webserver(0).start()
        again = c.webserver(0).login()
        assert again.get(f"/api/dashboards/{id}").ok().json()["Data"] == {"n": 1}
        c.datastore.start()
        wait_until(lambda: c.webserver(1).login().get(f"/api/dashboards/{id}").status == 200, 30)
