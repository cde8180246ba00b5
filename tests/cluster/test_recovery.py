"""A datastore that is lost, emptied or old: nothing that users made is lost with it, and whoever
edited on both sides of an outage finds both."""

import re
import shutil
import subprocess
from pathlib import Path

from client import wait_until
from cluster import ROOT, Cluster

PAGE = (ROOT / "docs/recovery.md").read_text()
LOST = "datastore-lost-data"


def documented(heading):
    """The commands of a section of docs/recovery.md, as they are printed there."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)
    return [line.strip() for line in re.findall(r"^    (?=cp |rm |mkdir )(.*)$", section, re.M)]


def run_documented(c, heading, webserver=0):
    """Runs them with the places of this cluster in the place of the packages'."""
    commands = documented(heading)
    assert len(commands) >= 3, commands
    server, store = c.webserver(webserver).process.dir, c.datastore.process.dir
    places = {
        "/var/lib/aquifer/etc/datastore-": f"{store}/datastore-",
        "/var/lib/aquifer/etc/": f"{server}/",
        "/var/lib/aquifer/resources/datastore/": f"{store}/resources/datastore/",
        "/var/lib/aquifer/resources/webserver/": f"{server}/resources/webserver/",
    }
    for command in commands:
        for place, here in places.items():
            command = command.replace(place, here)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def forget_datastore(c):
    for path in c.datastore.process.dir.glob("datastore-*.db*"):
        path.unlink()
    shutil.rmtree(c.datastore.process.dir / "resources/datastore", ignore_errors=True)


def forget_webserver(c, i):
    for path in c.webserver(i).process.dir.glob("*.db*"):
        path.unlink()
    shutil.rmtree(c.webserver(i).process.dir / "resources/webserver", ignore_errors=True)


def some_of_everything(session):
    """A user, a group, a dashboard, a preference, a macro, a resource with contents."""
    session.post("/api/users", {"User": "ann", "Pass": "pass word", "Name": "Ann"}).ok()
    session.post("/api/groups", {"Name": "soc"}).ok()
    session.post("/api/dashboards", {"Name": "precious", "Data": {"a": 1}}).ok()
    session.post("/api/macros", {"Name": "ERR", "Expansion": "grep error"}).ok()
    session.put("/api/users/0/preferences", {"theme": "dark"}).ok()
    meta = session.post("/api/resources", {"ResourceName": "hosts"}).ok().json()
    session.put_file(f"/api/resources/{meta['GUID']}/raw", b"10.0.0.1,edge\n" * 1000).ok()


def what_there_is(session):
    """What an API client sees of it; what differs by nature (states of sync) is left out."""
    guid = session.get("/api/resources/lookup/hosts").ok().json()
    return {
        "users": sorted(u["User"] for u in session.get("/api/users").ok().json()),
        "groups": sorted(g["Name"] for g in session.get("/api/groups").ok().json()),
        "boards": sorted((d["Name"], str(d["Data"]), d["ThingUUID"])
                         for d in session.get("/api/dashboards").ok().json()),
        "macros": sorted((m["Name"], m["Expansion"])
                         for m in session.get("/api/macros").ok().json()),
        "preferences": session.get("/api/users/0/preferences").ok().json(),
        "contents": session.get(f"/api/resources/{guid}/raw").ok().body,
    }


def shows(node, wanted, within_s=40):
    """The webserver shows exactly that, to somebody who logs in anew."""
    def same():
        if node.session().try_login().status != 200:
            return None
        try:
            return what_there_is(node.login()) == wanted
        except AssertionError:
            return None
    wait_until(same, within_s, f"what there was, on {node.name}")


def state(node):
    return node.login().get("/api/settings").ok().json()["Datastore"]


def is_live(node):
    wait_until(lambda: state(node)["State"] == "live", 30, f"{node.name} with the datastore")


def all_is_pushed(node):
    wait_until(lambda: state(node)["Unsynced"] == 0, 30, f"nothing waits on {node.name}")


def names(session):
    return sorted(board["Name"] for board in session.get("/api/dashboards").ok().json())


def notices(session):
    return [n["Msg"] for n in session.get("/api/notifications").ok().json().values()]


def test_a_lost_datastore_is_restored_by_copying_a_webservers_files():
    """The commands of docs/recovery.md, with the daemons stopped that it names: afterwards a
    webserver that knew nothing shows what there was, logins included."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        some_of_everything(session)
        wanted = what_there_is(session)
        assert c.datastore.stop() == 0 and c.webserver(0).stop() == 0
        forget_datastore(c)
        assert c.webserver(1).stop() == 0
        forget_webserver(c, 1)
        run_documented(c, "The datastore's files are lost")
        c.datastore.start()
        c.webserver(1).start()
        shows(c.webserver(1), wanted)
        c.webserver(1).login("ann", "pass word")
        assert LOST not in c.webserver(1).log()
        c.webserver(0).start()
        shows(c.webserver(0), wanted)
        assert LOST not in c.webserver(0).log(), "a copy of the webserver's own past is no loss"


def test_a_lost_webserver_is_restored_by_copying_the_datastores_files():
    """The other way round; and it goes on as the webserver that it was."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        some_of_everything(session)
        all_is_pushed(c.webserver(0))
        wanted = what_there_is(session)
        assert c.datastore.stop() == 0 and c.webserver(0).stop() == 0
        forget_webserver(c, 0)
        run_documented(c, "A webserver's files are lost")
        c.webserver(0).start()
        shows(c.webserver(0), wanted)
        made = c.webserver(0).login().post("/api/dashboards", {"Name": "offline", "Data": {}}).ok()
        c.datastore.start()
        is_live(c.webserver(0))
        path = f"/api/dashboards/{made.json()}"
        wait_until(lambda: c.webserver(1).login().get(path).status == 200, 30,
                   "what was made on the copy")
        assert LOST not in c.webserver(0).log()


def test_a_new_webserver_shows_the_versions_that_the_others_show():
    """Versions, their difference, going back and undeleting: on a webserver that has never seen the
    earlier versions too; and when the datastore was emptied, on those that have."""
    with Cluster(webservers=3, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        id = session.post("/api/dashboards", {"Name": "one", "Data": {}}).ok().json()
        board = session.get(f"/api/dashboards/{id}").ok().json()
        del board["Change"]  # whatever is there is replaced
        for name in ("two", "three"):
            session.put(f"/api/dashboards/{id}", {**board, "Name": name}).ok()
        gone = session.post("/api/dashboards", {"Name": "gone", "Data": {"x": 1}}).ok().json()
        many = session.post("/api/dashboards", {"Name": "m0", "Data": {}}).ok().json()
        steps = session.get(f"/api/dashboards/{many}").ok().json()
        del steps["Change"]
        lost = session.get(f"/api/dashboards/{gone}").ok().json()["ThingUUID"]
        session.delete(f"/api/dashboards/{gone}").ok()
        all_is_pushed(c.webserver(0))
        path = f"/api/versions/{board['ThingUUID']}"
        wanted = session.get(path).ok().json()
        assert [v["Name"] for v in wanted] == ["three", "two", "one"]
        assert c.webserver(2).stop() == 0 and c.datastore.stop() == 0
        forget_webserver(c, 2)
        for i in range(1, 5):  # steps that no datastore was there for
            session.put(f"/api/dashboards/{many}", {**steps, "Name": f"m{i}"}).ok()
        c.datastore.start()
        is_live(c.webserver(0))
        all_is_pushed(c.webserver(0))
        c.webserver(2).start()
        is_live(c.webserver(2))
        fresh = c.webserver(2).login()
        wait_until(lambda: fresh.get(f"/api/dashboards/{id}").status == 200, 30, "the dashboard")
        is_live(c.webserver(1))
        for i in range(3):
            there = c.webserver(i).login()
            wait_until(lambda: there.get(f"/api/dashboards/{many}").json().get("Name") == "m4",
                       30, f"the last step on {i}")
            assert there.get(path).ok().json() == wanted, i
            shown = there.get(f"/api/versions/{steps['ThingUUID']}").ok().json()
            assert [v["Name"] for v in shown] == ["m4", "m3", "m2", "m1", "m0"], i
        assert fresh.get(f"{path}/diff").ok().json() == [
            {"Path": "name", "Before": "two", "After": "three"}]
        fresh.post(f"{path}/restore", {"Change": wanted[2]["Change"]}).ok()
        assert fresh.get(f"/api/dashboards/{id}").ok().json()["Name"] == "one"
        fresh.post(f"/api/versions/{lost}/restore", {}).ok()
        assert fresh.get(f"/api/dashboards/{gone}").ok().json()["Data"] == {"x": 1}
        other = c.webserver(1).login()
        wait_until(lambda: other.get(f"/api/dashboards/{id}").json()["Name"] == "one", 30,
                   "the old version on the other webserver")
        assert c.datastore.stop() == 0
        away = [v["Name"] for v in c.webserver(1).login().get(path).ok().json()]
        assert away == ["one", "three", "two", "one"], away
        forget_datastore(c)
        c.datastore.start()
        is_live(c.webserver(1))
        wait_until(lambda: [v["Name"] for v in c.webserver(1).login().get(path).ok().json()]
                   == away, 30, "the same versions")


def test_an_emptied_datastore_is_filled_by_the_webservers_and_the_operator_is_told():
    """Nothing is deleted anywhere; a log line and one notification say what happened; a webserver
    that knew nothing has everything, contents of resources too."""
    with Cluster(webservers=3, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        some_of_everything(session)
        deleted = session.post("/api/dashboards", {"Name": "unwanted", "Data": {}}).ok().json()
        session.delete(f"/api/dashboards/{deleted}").ok()
        for i in range(3):
            shows(c.webserver(i), wanted := what_there_is(session))
        assert c.webserver(2).stop() == 0 and c.datastore.stop() == 0
        forget_datastore(c)
        forget_webserver(c, 2)
        c.datastore.start()
        c.webserver(2).start()
        for i in range(3):
            shows(c.webserver(i), wanted)
        assert c.webserver(0).login().get(f"/api/dashboards/{deleted}").status == 404
        for said in (LOST, "is a new one", "nothing is deleted"):
            wait_until(lambda: said in c.webserver(0).log() + c.webserver(1).log(),  # noqa: B023
                       20, said)
        told = wait_until(lambda: [n for n in notices(c.webserver(2).login()) if "came back" in n],
                          20, "a notification")
        assert len(told) == 1 and "Nothing was deleted" in told[0], told


def test_an_older_datastore_gets_back_what_was_made_since():
    """Restored from a copy: what was made, changed and deleted after the copy stays made, changed
    and deleted."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        kept = session.post("/api/dashboards", {"Name": "old", "Data": {"v": 1}}).ok().json()
        gone = session.post("/api/dashboards", {"Name": "to be deleted", "Data": {}}).ok().json()
        assert c.datastore.stop() == 0
        saved = Path(c.dir) / "saved"
        shutil.copytree(c.datastore.process.dir, saved)
        c.datastore.start()
        is_live(c.webserver(0))
        board = session.get(f"/api/dashboards/{kept}").ok().json()
        session.put(f"/api/dashboards/{kept}", {**board, "Name": "changed", "Data": {"v": 2}}).ok()
        session.delete(f"/api/dashboards/{gone}").ok()
        session.post("/api/dashboards", {"Name": "new", "Data": {}}).ok()
        session.post("/api/users", {"User": "bob", "Pass": "pass word", "Name": "Bob"}).ok()
        for i in range(2):
            wait_until(lambda i=i: names(c.webserver(i).login()) == ["changed", "new"], 20, "all")
        assert c.datastore.stop() == 0
        forget_datastore(c)
        for path in saved.glob("datastore-*.db*"):
            shutil.copy(path, c.datastore.process.dir)
        c.datastore.start()
        for i in range(2):
            is_live(c.webserver(i))
            all_is_pushed(c.webserver(i))
            wait_until(lambda i=i: names(c.webserver(i).login()) == ["changed", "new"], 20,
                       "what was there before the restore, on both")
        assert session.get(f"/api/dashboards/{kept}").ok().json()["Data"] == {"v": 2}
        c.webserver(1).login_soon("bob", "pass word")
        wait_until(lambda: "was restored from a backup" in c.webserver(0).log()
                   + c.webserver(1).log(), 20, "a line about it")
        wait_until(lambda: any("came back" in n for n in notices(c.webserver(0).login())), 10)


def test_two_edits_while_apart_are_both_kept():
    """The same dashboard, with the datastore away: one edit stays, the other is a copy beside it,
    on all webservers, and its owner has a notification that names both."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        sessions = [c.webserver(i).login() for i in range(2)]
        id = sessions[0].post("/api/dashboards", {"Name": "ours", "Data": {}}).ok().json()
        wait_until(lambda: sessions[1].get(f"/api/dashboards/{id}").status == 200, 10)
        assert c.datastore.stop() == 0
        for i, session in enumerate(sessions):
            board = session.get(f"/api/dashboards/{id}").ok().json()
            session.put(f"/api/dashboards/{id}", {**board, "Data": {"by": i}}).ok()
        c.datastore.start()

        def both(session):
            boards = session.get("/api/dashboards").ok().json()
            return sorted(board["Data"]["by"] for board in boards) == [0, 1] if len(boards) == 2 \
                else None
        for session in sessions:
            wait_until(lambda session=session: both(session), 30, "both versions")
            assert names(session) == ["ours", "ours (conflict copy)"]
            told = wait_until(lambda session=session: [n for n in notices(session) if "ours" in n],
                              10, "a notification")
            assert len(told) == 1 and "ours (conflict copy)" in told[0]


def test_an_edit_wins_against_a_delete_made_apart():
    """Whichever reaches the datastore first."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        sessions = [c.webserver(i).login() for i in range(2)]
        ids = [sessions[0].post("/api/dashboards", {"Name": f"board {n}", "Data": {}}).ok().json()
               for n in range(2)]
        for id in ids:
            wait_until(lambda id=id: sessions[1].get(f"/api/dashboards/{id}").status == 200, 10)
        assert c.datastore.stop() == 0
        for id, editor, deleter in ((ids[0], 0, 1), (ids[1], 1, 0)):
            board = sessions[editor].get(f"/api/dashboards/{id}").ok().json()
            sessions[editor].put(f"/api/dashboards/{id}", {**board, "Data": {"edited": 1}}).ok()
            sessions[deleter].delete(f"/api/dashboards/{id}").ok()
        c.datastore.start()
        for node in (c.webserver(0), c.webserver(1)):
            is_live(node)
            all_is_pushed(node)
        for session in sessions:
            for id in ids:
                wait_until(lambda s=session, i=id: s.get(f"/api/dashboards/{i}").status == 200, 20,
                           "the edited dashboard")
                assert session.get(f"/api/dashboards/{id}").json()["Data"] == {"edited": 1}
