"""What is wrong on the way between webservers and datastore, or on their disks: refused or
survived, with a message that names the object and the remedy, and the rest goes on."""

import hashlib
import os
import re
import shutil
import subprocess

import pytest
from client import wait_until
from cluster import Cluster
from control import Control, Peer, new_object


def address(c):
    return f"127.0.0.1:{c.datastore.process.port}"


def secret(c):
    return c.layout.secrets["control"]


def new_board(session, i):
    board = {"Name": f"b{i}", "Data": {"x": "y" * 3000}}
    return session.post("/api/dashboards", board).ok().json()


def goes_on(c):
    """A dashboard made on one webserver reaches the other."""
    id = c.webserver(0).login().post("/api/dashboards", {"Name": "on", "Data": {}}).ok().json()
    wait_until(lambda: c.webserver(1).login().get(f"/api/dashboards/{id}").status == 200, 20)


def test_wrong_replayed_and_altered_messages_are_refused_with_the_reason(cluster):
    """Another secret, the same message twice, a body changed on the way, a path changed: 401, each
    with its reason, nothing is stored, the datastore's log says from where; the others go on."""
    foreign = Control(address(cluster), "another secret")
    status, body = foreign.call("GET", "/sync/v1/webservers")
    assert status == 401 and b"wrong-mac" in body
    unsigned = Control(address(cluster), secret(cluster))
    assert unsigned.send("GET", "/sync/v1/webservers", b"", {})[0] == 401
    peer = Peer(address(cluster), secret(cluster))
    peer.check_in()
    board = new_object("dashboard", name="pushed once", number=4711)
    message = {"protocol": 1, "webserver": peer.id, "run": peer.run, "objects": [board]}
    assert peer.call("POST", "/sync/v1/push", message)[0] == 200
    status, body = peer.call("POST", "/sync/v1/push", message, sequence=peer.sequence)
    assert status == 401 and b"replayed" in body, (status, body)
    altered = str(message).encode().replace(b"once", b"nice")
    status, body = peer.call("POST", "/sync/v1/push", message, sent=altered)
    assert status == 401 and b"the body is not the one" in body, (status, body)
    proof = peer.header("GET", "/sync/v1/webservers", b"", peer.sequence + 50)
    status, body = peer.send("GET", "/sync/v1/feed?since=0", b"", {"Control-Auth": proof})
    assert status == 401 and b"wrong-mac" in body, (status, body)
    wait_until(lambda: "control-refused" in cluster.datastore.log(), 5, "a line about the refusals")
    session = cluster.webserver(0).login()

    def pushed():
        boards = session.get("/api/dashboards").ok().json()
        return [b["Name"] for b in boards if "pushed" in b["Name"]]
    wait_until(pushed, 10, "what was pushed")
    goes_on(cluster)  # and what came after it
    assert pushed() == ["pushed once"]


def test_a_kind_that_nobody_knows_is_refused_and_the_rest_of_the_push_goes_on(cluster):
    """Each answer is about its object: the unknown kind and the field that makes no sense are
    named, their neighbours are accepted."""
    peer = Peer(address(cluster), secret(cluster))
    peer.check_in()
    good = [new_object("dashboard", name=f"neighbour {i}", number=5000 + i) for i in range(2)]
    answers = peer.push([good[0], new_object("hologram"), new_object("dashboard", owner="nobody"),
                         good[1]])
    assert [a["outcome"] for a in answers] == ["accepted", "refused", "refused", "accepted"]
    assert "hologram" in answers[1]["error"] and "owner" in answers[2]["error"], answers
    session = cluster.webserver(1).login()

    def neighbours():
        boards = session.get("/api/dashboards").ok().json()
        return {b["Name"] for b in boards} >= {"neighbour 0", "neighbour 1"}
    wait_until(neighbours, 10, "the neighbours")


def test_a_protocol_that_is_not_spoken_is_refused_with_the_remedy(cluster):
    """From the future: upgrade the datastore first. Older than one version: upgrade this one."""
    for protocol, remedy in ((2, "upgrade datastores before webservers"), (0, "upgrade this")):
        peer = Peer(address(cluster), secret(cluster), protocol)
        status, body = peer.call("POST", "/sync/v1/checkin", {"protocol": protocol,
                                                              "webserver": peer.id})
        assert status // 100 in (4, 5) and remedy in body.decode(), (status, body)
    goes_on(cluster)


@pytest.mark.parametrize("name", ["webserver-1", "datastore-0"])
@pytest.mark.parametrize("damage", ["head", "pages"])
def test_a_damaged_file_is_named_with_the_remedy_and_the_remedy_works(name, damage):
    """The daemon does not start and says which file and what to do. Moved away as it says: nothing
    is lost, since somebody else has it."""
    with Cluster(webservers=2, indexers=1, balancer=False) as c:
        session = c.webserver(0).login()
        ids = [new_board(session, i) for i in range(40)]
        other = c.webserver(1).login()
        wait_until(lambda: len(other.get("/api/dashboards").ok().json()) == 40, 20)
        node = c.nodes[name]
        assert node.stop() == 0
        path = node.process.dir / ("webstore.db" if "web" in name else "datastore-webstore.db")
        with open(path, "r+b") as file:
            file.seek(0 if damage == "head" else 4096)
            file.write(os.urandom(4096 * (1 if damage == "head" else 20)))
        node.start(ready=False)
        assert node.wait_exit() != 0
        said = node.log().splitlines()[-4:]
        assert any(path.name in line and "move it away" in line
                   for line in said), "\n".join(said)
        session.get(f"/api/dashboards/{ids[0]}").ok()
        for file in node.process.dir.glob(path.name + "*"):
            file.rename(f"{file}.aside")
        node.start()
        for i in range(2):
            again = c.webserver(i).login()
            wait_until(lambda s=again: len(s.get("/api/dashboards").json()) == 40, 30, "all")
        goes_on(c)


@pytest.mark.parametrize("bytes", [100_000, 20_000_000])
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_contents_are_not_given_away_and_fetched_again(cluster, bytes, damage):
    """A blob on a webserver's disk is cut or has another byte: whoever asks gets the right contents
    or an error, never the damage; the log names the file, and then it is whole again."""
    sessions = [cluster.webserver(i).login() for i in range(2)]
    data = os.urandom(bytes)
    name = f"{damage}-{bytes}"
    guid = sessions[0].post("/api/resources", {"ResourceName": name}).ok().json()["GUID"]
    sessions[0].put_file(f"/api/resources/{guid}/raw", data).ok()
    path = f"/api/resources/{guid}/raw"
    wait_until(lambda: sessions[1].get(path).body == data, 20, "the contents on the other")
    digest = hashlib.sha256(data).hexdigest()
    blobs = cluster.webserver(1).process.dir / "resources/webserver"
    wait_until(lambda: not any((blobs / "tmp").iterdir()), 20, "no transfer under way")
    blob = next(blobs.rglob(digest))
    if damage == "truncated":
        os.truncate(blob, bytes // 2)
    else:
        with open(blob, "r+b") as file:
            file.seek(bytes // 3)
            file.write(bytes_other(data[bytes // 3]))

    def fetched():
        try:
            answer = sessions[1].get(path)
        except OSError:
            return None  # it ended early: of a large one the damage is found on the way
        except Exception as cut:
            assert "IncompleteRead" in type(cut).__name__, cut
            return None
        assert answer.status != 200 or answer.body == data, "damaged contents were given away"
        return answer.status == 200
    wait_until(fetched, 20, "whole contents")
    assert re.search(f"blob-damaged.*{digest}", cluster.webserver(1).log())
    assert blob.read_bytes() == data and blob.with_name(digest + ".damaged").exists()


@pytest.mark.parametrize("damage", ["truncated", "altered", "removed"])
def test_contents_damaged_on_the_datastore_come_back_from_a_webserver(damage):
    """Of a resource whose contents are damaged or gone on the datastore a webserver without them
    gets the right ones in the end: another one that has them whole gives them back."""
    with Cluster(webservers=3, indexers=1, balancer=False) as c:
        data = os.urandom(300_000)
        digest = hashlib.sha256(data).hexdigest()
        session = c.webserver(0).login()
        guid = session.post("/api/resources", {"ResourceName": "r"}).ok().json()["GUID"]
        path = f"/api/resources/{guid}/raw"
        session.put_file(path, data).ok()
        for i in (1, 2):
            other = c.webserver(i).login()
            wait_until(lambda s=other: s.get(path).body == data, 20, "the contents everywhere")
        # One webserver has damaged contents itself, one has none, one is whole.
        assert c.webserver(2).stop() == 0
        shutil.rmtree(c.webserver(2).process.dir / "resources/webserver")
        blob = next((c.datastore.process.dir / "resources/datastore").rglob(digest))
        if damage == "removed":
            assert c.datastore.stop() == 0
            blob.unlink()
            c.datastore.start()
        elif damage == "truncated":
            os.truncate(blob, 1000)
        else:
            with open(blob, "r+b") as file:
                file.write(bytes_other(data[0]))
        mine = next((c.webserver(1).process.dir / "resources/webserver").rglob(digest))
        os.truncate(mine, 77)
        c.webserver(2).start()
        for i in (2, 1):
            again = c.webserver(i).login()
            wait_until(lambda s=again: s.get(path).body == data, 60, f"contents on {i}")
        assert blob.read_bytes() == data
        wait_until(lambda: f"lacked the contents {digest}" in c.webserver(0).log(), 10, "a line")


def bytes_other(byte):
    return bytes([byte ^ 0xFF])


@pytest.mark.parametrize("name", ["datastore-0", "webserver-0"])
def test_a_full_disk_is_said_and_costs_nothing_that_was_confirmed(name):
    """Its disk (a small tmpfs) is full: who wants to write hears it, or the webserver keeps it for
    the datastore; reading goes on; room again: writing works without a restart, and all that was
    confirmed is there."""
    with Cluster(webservers=2, indexers=0, balancer=False, start=False) as c:
        node = c.nodes[name]
        config = node.process.config.read_text()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs",
                                  node.process.dir], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("a tmpfs cannot be mounted here")
        node.process.config.write_text(config)
        try:
            c.start()
            session = c.webserver(0).login()
            confirmed = [session.post("/api/dashboards", {"Name": "first", "Data": {}}).ok().json()]
            ballast = node.process.dir / "ballast"
            with open(ballast, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            statuses, refusals = set(), []
            for i in range(40):
                answer = session.post("/api/dashboards", {"Name": f"b{i}",
                                                          "Data": {"x": "y" * 20000}})
                statuses.add(answer.status)
                refusals += [answer.error] if answer.status != 200 else []
                if answer.status == 200:
                    confirmed.append(answer.json())
            assert statuses <= {200, 507}, statuses
            if name == "webserver-0":
                assert 507 in statuses  # its log is on the full disk, too: the answer says it
                assert all("full" in told and "store.db" in told for told in refusals), refusals
            else:
                wait_until(lambda: "push-waits" in c.webserver(0).log(), 10, "a word about it")
                assert "live -> offline" not in c.webserver(0).log()  # the feed goes on
            assert node.running()
            session.get(f"/api/dashboards/{confirmed[0]}").ok()
            ballast.unlink()
            wait_until(lambda: session.post("/api/dashboards", {"Name": "later",
                                                                "Data": {}}).status == 200, 20)
            for id in confirmed:
                wait_until(lambda id=id: c.webserver(1).login().get(
                    f"/api/dashboards/{id}").status == 200, 30, "what was confirmed")
            assert set(c.stop().values()) == {0}
        finally:
            for each in c.nodes.values():
                if each.running():
                    each.kill()
            log = node.process.log.read_bytes()
            subprocess.run(["umount", "-l", node.process.dir], check=False)
            shutil.rmtree(node.process.dir, ignore_errors=True)
            node.process.dir.mkdir()
            node.process.log.write_bytes(log)
