"""A datastore without a single point of failure: two datastores over an etcd of three members.

AQUIFER_ETCD_TURNS is how often each of them dies under load (more in `make soak`)."""

import hashlib
import os
import shutil
import subprocess

import pytest
from client import wait_until
from cluster import BUILD, Cluster
from dashboards import Load, boards, is_synced, make, wait_written
from etcd import Etcd, make_certificates
from test_demonstration import *  # noqa: F401,F403 the whole demonstration, over etcd

TURNS = int(os.environ.get("AQUIFER_ETCD_TURNS", "1"))


@pytest.fixture(scope="module")
def cluster():
    """What the demonstration runs on."""
    with Etcd(members=3) as etcd:
        with Cluster(webservers=2, indexers=2, datastores=2, settings=etcd.settings()) as c:
            c.etcd = etcd
            yield c


def datastore(c, i):
    return c.nodes[f"datastore-{i}"]


def the_leader(etcd):
    """Also while it is being chosen."""
    return wait_until(etcd.leader, 30, "a leader of etcd")


def test_a_killed_datastore_is_replaced_by_the_other_one():
    """kill -9 of the datastore in use, then of the other one after the first is back: writes are
    confirmed again, whichever webserver they are made on, and no webserver believes that something
    was lost. How soon: bench/failover."""
    with Etcd(members=1) as etcd, \
            Cluster(webservers=2, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        sessions = [c.webserver(i).login() for i in range(2)]
        wait_written(sessions[0], "before")
        for turn in range(4):
            datastore(c, turn % 2).kill()
            for session in sessions:
                wait_written(session, f"turn {turn}")
            datastore(c, turn % 2).start()
        wait_until(lambda: len(boards(sessions[0])) == len(boards(sessions[1])) == 9, 10,
                   "the same dashboards on both webservers")
        for i in range(2):
            assert "datastore-lost-data" not in c.webserver(i).log()


def test_nothing_acknowledged_is_lost_when_datastores_and_members_die_in_turn():
    """Under load, kill -9 each datastore and each etcd member in turn, the leader first: no read
    and no write of a user fails, writes are confirmed again after each kill, and in the end every
    dashboard that was acknowledged is on both webservers and in etcd, once."""
    with Etcd(members=3) as etcd, \
            Cluster(webservers=2, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        probe = c.webserver(0).login()
        with Load(c) as load:
            for turn in range(4 * TURNS):
                victim = datastore(c, turn // 2 % 2) if turn % 2 else the_leader(etcd)
                victim.kill()
                wait_written(probe, f"turn {turn}, {victim.name} is dead")
                victim.start()
                wait_until(etcd.is_whole, 30, "three members in step")
        print(f"{len(load.made)} writes, {load.reads} reads")
        for i in range(2):
            session = c.webserver(i).login()

            def all_there():
                there = boards(session)
                return (all(there.get(id, {}).get("Name") == name and there[id]["Synced"]
                            for id, name in load.made.items()))
            wait_until(all_there, 30, f"every dashboard on webserver {i}")
        names = [b["Name"] for b in boards(probe).values()]
        assert len(names) == len(set(names)), "something is there twice"
        stored = etcd.get("aquifer/object/", prefix=True)
        assert all(any(f'"{name}"'.encode() in text for text in stored.values())
                   for name in list(load.made.values())[::50])


def test_one_that_hangs_is_left_too():
    """SIGSTOP of the leader of etcd and of each datastore, which keep their connections: writes
    are confirmed again, nothing fails. How soon: bench/failover."""
    with Etcd(members=3) as etcd, \
            Cluster(webservers=2, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        probe = c.webserver(0).login()
        with Load(c) as load:
            for victim in (the_leader(etcd), datastore(c, 0), datastore(c, 1)):
                victim.pause()
                try:
                    wait_written(probe, f"{victim.name} hangs")
                finally:
                    victim.resume()
                wait_until(etcd.is_whole, 30, "three members in step")
        there = wait_until(lambda: (b := boards(c.webserver(1).login())).keys() >= load.made.keys()
                           and b, 30, "every dashboard on the other webserver")
        assert all(there[id]["Name"] == name for id, name in load.made.items())


def test_without_a_majority_people_go_on_working():
    """Two of three members are killed: reads and local-first writes go on, write-through says 503
    and why; with the majority back, everything is confirmed."""
    with Etcd(members=3) as etcd, \
            Cluster(webservers=1, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        session = c.webserver(0).login()
        first = make(session, "with etcd")
        for member in etcd.members[:2]:
            member.kill()
        second = make(session, "without a majority")
        assert session.get(f"/api/dashboards/{first}").ok().json()["Name"] == "with etcd"
        assert session.get(f"/api/dashboards/{second}").ok().json()["Synced"] is False
        wait_until(lambda: "etcd does not answer" in datastore(c, 0).log(), 15, "a log line")
        ready = wait_until(lambda: (a := datastore(c, 0).session().get("/readyz")).status == 503
                           and a, 15, "readyz to say no")
        assert b"etcd" in ready.body
        answer = session.post("/api/users", {"User": "late", "Pass": "changeme", "Name": "L",
                                             "Email": "l@example.com", "Admin": False})
        assert answer.status == 503, answer
        for member in etcd.members[:2]:
            member.start()
        wait_until(lambda: is_synced(session, second), 20, "the confirmation")
        wait_until(lambda: datastore(c, 0).session().get("/readyz").status == 200, 10, "readyz")
        for said in (b"aquifer_datastore_peers 1\n", b"aquifer_datastore_etcd_away 0\n"):
            wait_until(lambda: said in datastore(c, 0).session().get("/metrics").body,  # noqa: B023
                       20, said)


def test_an_emptied_etcd_is_filled_by_the_webservers():
    """etcd and the caches of the datastores are gone: what users made is given back."""
    with Etcd(members=1) as etcd, \
            Cluster(webservers=2, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        session = c.webserver(0).login()
        id = make(session, "precious", a=1)
        wait_until(lambda: is_synced(session, id), 5, "the confirmation")
        for i in range(2):
            datastore(c, i).stop()
        member = etcd.members[0]
        member.kill()
        os.rename(member.dir, f"{member.dir}.gone")
        member.start()
        etcd.wait_ready()
        for i in range(2):
            datastore(c, i).start()
        wait_until(lambda: any(b"precious" in text for text in
                               etcd.get("aquifer/object/", prefix=True).values()),
                   20, "the dashboard in etcd")
        assert session.get(f"/api/dashboards/{id}").ok().json()["Name"] == "precious"


def test_contents_are_on_two_datastores_before_their_change():
    """A resource is confirmed: both datastores have its file. One of them is emptied and asked:
    it fetches the contents from the other."""
    with Etcd(members=1) as etcd, \
            Cluster(webservers=2, indexers=1, datastores=2, balancer=False,
                    settings=etcd.settings()) as c:
        session, other = c.webserver(0).login(), c.webserver(1).login()
        content = os.urandom(3 << 20)
        guid = session.post("/api/resources", {"ResourceName": "big"}).ok().json()["GUID"]
        session.put_file(f"/api/resources/{guid}/raw", content).ok()

        def files(i):
            digest = hashlib.sha256(content).hexdigest()
            return list((datastore(c, i).process.dir / "resources/datastore").rglob(digest))

        def named():
            return [t for t in etcd.get("aquifer/object/", prefix=True).values()
                    if str(len(content)).encode() in t]
        wait_until(named, 20, "the change that names the contents")
        assert files(0) and files(1), "it is on one datastore only"
        wait_until(lambda: other.get(f"/api/resources/{guid}/raw").body == content, 20,
                   "the contents on the other webserver")
        datastore(c, 1).kill()
        content += b"more"
        session.put_file(f"/api/resources/{guid}/raw", content).ok()
        wait_until(named, 30, "contents with one datastore left")
        datastore(c, 1).start()
        wait_until(lambda: files(1), 20, "the contents on the one that was away")
        datastore(c, 0).stop()
        files(0)[0].unlink()
        datastore(c, 0).start()
        wait_until(lambda: files(0), 20, "the contents copied from the other datastore")


def test_a_datastore_moves_into_etcd_and_back_and_nobody_notices():
    """SQLite to etcd and back by `aquifer datastore migrate`: the same objects with the same
    revisions, writes go on, and no webserver believes that something was lost."""
    with Etcd(members=1) as etcd, Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        made = {make(session, f"moves-{i}", text="x" * 3000): f"moves-{i}" for i in range(150)}
        gone = make(session, "deleted")
        session.delete(f"/api/dashboards/{gone}").ok()
        place = c.datastore.process.dir
        files = ("datastore-users.db", "datastore-webstore.db")

        def check(what):
            new = make(session, what)
            made[new] = what
            wait_until(lambda: is_synced(session, new), 10, f"a confirmation {what}")
            other = c.webserver(1).login()
            wait_until(lambda: new in boards(other), 20, f"the other webserver shows {what}")
            there = boards(other)
            assert {id: there.get(id, {}).get("Name") for id in made} == made, what
            assert gone not in there

        check("at first")
        assert c.datastore.stop() == 0
        moved = c.aquifer("datastore", "migrate", "--from", f"sqlite:{place}", "--to", etcd.url)
        assert moved.returncode == 0, moved.stderr.decode()
        again = c.aquifer("datastore", "migrate", "--from", f"sqlite:{place}", "--to", etcd.url)
        assert again.returncode == 1 and b"there already" in again.stderr
        c.datastore.set(f"Datastore-Backend={etcd.url}")
        c.datastore.start(ready=False)
        assert c.datastore.wait_exit() == 1, "its files are nobody's copy yet"
        assert "aquifer datastore migrate" in c.datastore.log()
        for name in files:
            (place / name).rename(place / f"{name}.moved")
        c.datastore.start()
        check("over etcd")
        back = c.aquifer("datastore", "migrate", "--from", etcd.url, "--to", f"sqlite:{place}/back")
        assert back.returncode == 1 and b"running over this etcd" in back.stderr
        c.datastore.kill()  # it is listed for some seconds more, which are waited for
        back = c.aquifer("datastore", "migrate", "--from", etcd.url, "--to", f"sqlite:{place}/back")
        assert back.returncode == 0, back.stderr.decode()
        for name in files:
            (place / "back" / name).replace(place / name)
        c.datastore.set("Datastore-Backend=sqlite")
        c.datastore.start()
        check("over files again")
        for i in range(2):
            assert "datastore-lost-data" not in c.webserver(i).log()


def why_it_does_not_start(config, *around):
    run = subprocess.run([*around, BUILD / "bin/aquifer-datastore", "--config", config],
                         capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 1 and "etcds://" in run.stderr, run.stderr
    return run.stderr


def test_etcd_may_ask_for_certificates(tmp_path):
    """Over TLS, with a certificate that etcd demands; without it the datastore does not start, and
    says which etcd it was. Nor does it if it is told to trust others, even if the system does."""
    with Etcd(members=1, tls=True) as etcd, Cluster(datastores=2, settings=etcd.settings()) as c:
        session = c.webserver(0).login()
        make(session, "secret")
        node = datastore(c, 1)
        assert node.stop() == 0
        lines = node.process.config.read_text().splitlines()
        without = node.process.config.with_name("without.conf")
        without.write_text("\n".join(line for line in lines if "Certificate-File" not in line
                                     and "Backend-Key-File" not in line))
        why_it_does_not_start(without)
        make_certificates(tmp_path)  # of another authority
        others = node.process.config.with_name("others.conf")
        others.write_text("\n".join(f"Datastore-Backend-CA-File={tmp_path}/ca.crt"
                                    if "CA-File" in line else line for line in lines))
        system = tmp_path / "system"
        system.mkdir()
        shutil.copy(etcd.dir / "ca.crt", system)
        assert "certificate" in why_it_does_not_start(
            others, "unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]),
            "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', system)
        node.start()
        datastore(c, 0).kill()
        make(session, "goes on")
        datastore(c, 0).start()
