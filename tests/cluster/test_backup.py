"""A backup of a live cluster, restored into a fresh one, gives the same answers; a damaged one is
refused and harms nothing."""

import contextlib
import json
import os
import socket
import stat
import threading
import urllib.parse

import pytest
from client import wait_until
from cluster import Cluster

SECRET = "the value of the secret"
BIG = bytes(range(256)) * (5 * 4096)  # 5 MiB
THINGS = {
    "dashboards": {"Name": "edge", "Data": {"tiles": [1, 2.5, None, "größe"]}, "Labels": ["a"]},
    "macros": {"Name": "ERR", "Expansion": "grep error"},
    "templates": {"Name": "t", "Contents": {"query": "tag=x"}},
    "pivots": {"Name": "p", "Contents": {"actions": []}},
    "library": {"Name": "q", "Query": "tag=x"},
    "playbooks": {"Name": "b", "Body": "aGVsbG8="},
    "autoextractors": {"Name": "e", "Module": "csv", "Params": "a", "Tag": "x"},
}
LISTS = [*(f"/api/{path}?admin=true" for path in THINGS), "/api/users", "/api/groups",
         "/api/resources?admin=true", "/api/files?admin=true", "/api/secrets?admin=true",
         "/api/tokens?admin=true", "/api/searchhistory", "/api/searchhistory/all/0",
         "/api/users/preferences", "/api/notifications", "/api/info/capabilities"]


def aquifer(cluster, *arguments, password="changeme", **more):
    """The command line, against webserver 0 unless it is told otherwise."""
    server = [] if "--server" in arguments or "--verify" in arguments else \
        ["--server", cluster.webserver(0).url, "--user", "admin", "--password", password]
    return cluster.aquifer(arguments[0], *server, *arguments[1:], **more)


def ok(finished):
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout.decode()


def fill(cluster):
    """Something of each kind; returns the API token's value."""
    admin = cluster.webserver(0).login()
    gid = admin.post("/api/groups", {"Name": "soc", "Desc": "those who look"}).ok().json()
    for name in ("ann", "bob"):
        uid = admin.post("/api/users", {"User": name, "Pass": f"pass of {name}",
                                        "Name": name.title(), "Email": f"{name}@x"}).ok().json()
        admin.post(f"/api/users/{uid}/group", {"GIDs": [gid]}).ok()
        admin.put(f"/api/users/{uid}/searchgroup", {"GID": gid}).ok()
    ann = cluster.webserver(1).session()
    wait_until(lambda: ann.try_login("ann", "pass of ann").status == 200, 5, "ann's account")
    ann.login("ann", "pass of ann")
    for path, body in THINGS.items():
        admin.post(f"/api/{path}", body).ok()
        ann.post(f"/api/{path}", {**body, "Name": f"{body['Name']}ANN", "GIDs": [gid]}).ok()
    for session, data in ((admin, BIG), (ann, b"small")):
        made = session.post("/api/resources", {"ResourceName": f"hosts{len(data)}"}).ok().json()
        session.put_file(f"/api/resources/{made['GUID']}/raw", data).ok()
    made = admin.post("/api/files", {"Name": "logo", "Desc": "a picture"})
    if made.status == 200:
        guid = made.json() if isinstance(made.json(), str) else made.json()["GUID"]
        admin.put_file(f"/api/files/{guid}", b"\x89PNG\r\n\x1a\n" + BIG[:70000])
    admin.post("/api/secrets", {"name": "hook", "value": SECRET}).ok()
    token = admin.post("/api/tokens", {"name": "t", "capabilities": ["DashboardRead"]}).ok()
    admin.put("/api/users/0/preferences", {"theme": ["dark", 1.5, None]}).ok()
    ann.put("/api/users/0/preferences", {"theme": []}).ok()
    admin.post("/api/notifications/targeted/self", {"Msg": "mind the gap", "Type": 0})
    admin.search("tag=gravwell limit 1")
    ann.search("tag=gravwell limit 2")
    wait_until(lambda: (said := answers_now(cluster.webserver(0))) is not None
               and said == answers_now(cluster.webserver(1)), 20, "all of it on both webservers")
    return token.json()["token"]


def without_sync(value):
    """Leaves out what says where a cluster stands, and what was made while the backup ran."""
    if isinstance(value, list):
        return [without_sync(item) for item in value
                if not (isinstance(item, dict) and str(item.get("Name")).startswith("noise"))]
    if isinstance(value, dict):
        return {key: without_sync(item) for key, item in value.items()
                if key not in ("Synced", "Revision", "Change")}
    return value


def answers(session):
    """Everything that can be listed, and each thing of it by itself, as the text of the JSON."""
    said = {}

    def ask(path):
        answer = session.get(path).ok()
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            said[path] = json.dumps(without_sync(answer.json()))
            return answer.json() or []
        said[path] = answer.body
        return []

    for path in LISTS:
        for item in ask(path):
            name = path.split("?")[0]
            if not isinstance(item, dict) or str(item.get("Name")).startswith("noise"):
                continue
            if name.removeprefix("/api/") in THINGS:
                ask(f"{name}/{item.get('ID') or item.get('ThingUUID') or item['UUID']}?admin=true")
            elif name == "/api/users":
                for what in ("", "/group", "/searchgroup", "/admin", "/preferences"):
                    ask(f"/api/users/{item['UID']}{what}")
                ask(f"/api/searchhistory/user/{item['UID']}")
            elif name == "/api/groups":
                ask(f"/api/groups/{item['GID']}")
                ask(f"/api/groups/{item['GID']}/members")
            elif name == "/api/resources":
                for what in ("", "/raw", "/contenttype"):
                    ask(f"/api/resources/{item['GUID']}{what}")
            elif name == "/api/files":
                for what in ("", "/details"):
                    ask(f"/api/files/{item['ThingUUID']}{what}")
            elif name in ("/api/secrets", "/api/tokens"):
                ask(f"{name}/{item['id']}")
                if name == "/api/secrets":
                    ask(f"{name}/{item['id']}/full")
    return said


def answers_now(node):
    """None while something that is listed has not come whole."""
    try:
        return answers(node.login())
    except AssertionError:
        return None


def expect_answers(node, said):
    """What was written elsewhere comes thing by thing, accounts too, and is the same in the end."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: answers_now(node) == said, 20)
    told = answers(node.login())
    assert told.keys() == said.keys()
    for path, expected in said.items():
        assert told[path] == expected, path


class Writers:
    """Makes and deletes dashboards and users while the block runs."""

    def __init__(self, cluster):
        self.session, self.end, self.written = cluster.webserver(1).login(), threading.Event(), 0
        self.thread = threading.Thread(target=self.write, daemon=True)

    def write(self):
        while not self.end.is_set():
            self.written += 1
            made = self.session.post("/api/dashboards", {"Name": f"noise {self.written}"}).ok()
            if self.written % 3 == 0:
                self.session.delete(f"/api/dashboards/{made.json()}").ok()

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.written > 3, 20, "the first writes")
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A filled cluster, its answers, and two backups taken while others write."""
    dir = tmp_path_factory.mktemp("backup")
    with Cluster(webservers=2, indexers=1, balancer=False) as cluster:
        token = fill(cluster)
        with Writers(cluster):
            printed = ok(aquifer(cluster, "backup", "--output", str(dir / "plain")))
            ok(aquifer(cluster, "backup", "--backup-password", "open sesame", "--output",
                       str(dir / "encrypted")))
            ok(aquifer(cluster, "backup", "--omit-sensitive", "--output", str(dir / "harmless")))
        said = answers(cluster.webserver(0).login())
        yield dir, said, token, printed


@pytest.fixture(scope="module")
def fresh():
    """A cluster for the tests that change nothing in it."""
    with Cluster(webservers=1, indexers=1, balancer=False) as cluster:
        yield cluster


def test_a_backup_is_one_private_file_that_can_be_verified(source):
    """Complete or not there; nothing beside it; counts by kind; nothing to read without the
    password."""
    dir, _, _, printed = source
    assert sorted(os.listdir(dir)) == ["encrypted", "harmless", "plain"]
    assert stat.S_IMODE((dir / "plain").stat().st_mode) == 0o600
    assert "undamaged" in printed and "2 resource" in printed and "3 user" in printed
    assert SECRET.encode() in (dir / "plain").read_bytes()
    for name in ("encrypted", "harmless"):
        assert SECRET.encode() not in (dir / name).read_bytes()
    assert b"argon2id" in (dir / "plain").read_bytes()
    assert b"argon2id" not in (dir / "harmless").read_bytes()


@pytest.mark.parametrize("name, password", [("plain", None), ("encrypted", "open sesame")])
def test_a_fresh_cluster_gives_the_same_answers_after_a_restore(source, name, password):
    """Byte for byte, on both webservers, but for what says where synchronisation stands; with the
    old passwords, API tokens and secrets; restoring it again changes accounts only."""
    dir, said, token, _ = source
    options = ["--backup-password", password] if password else []
    with Cluster(webservers=2, indexers=1, balancer=False) as cluster:
        ok(aquifer(cluster, "restore", *options, str(dir / name)))
        for i in (0, 1):
            node = cluster.webserver(i)
            expect_answers(node, said)
            node.login("bob", "pass of bob")
            assert node.session().call("GET", "/api/dashboards",
                                       headers={"Gravwell-Token": token}).status == 200
            node.login("ann", "pass of ann")
        printed = ok(aquifer(cluster, "restore", *options, str(dir / name)))
        assert " 0 failed" in printed and "dashboard            0 restored" in printed, printed


def test_what_was_made_since_stays_unless_it_is_to_be_replaced(source):
    """Edited and deleted things come back as they were; new ones go with --replace only. Everybody
    who was logged in is logged out."""
    dir, said, _, _ = source
    with Cluster(webservers=1, indexers=1, balancer=False) as cluster:
        ok(aquifer(cluster, "restore", str(dir / "plain")))
        admin = cluster.webserver(0).login()
        boards = {b["Name"]: b for b in admin.get("/api/dashboards", admin="true").ok().json()}
        admin.put(f"/api/dashboards/{boards['edge']['ID']}",
                  {**boards["edge"], "Name": "changed"}).ok()
        admin.delete(f"/api/dashboards/{boards['edgeANN']['ID']}").ok()
        admin.post("/api/dashboards", {"Name": "since"}).ok()
        admin.post("/api/users", {"User": "eve", "Pass": "x"}).ok()
        ok(aquifer(cluster, "restore", str(dir / "plain")))
        assert admin.get("/api/testauth").status == 401
        admin = cluster.webserver(0).login()
        names = [b["Name"] for b in admin.get("/api/dashboards", admin="true").ok().json()]
        assert {"edge", "edgeANN", "since"} <= set(names) and "changed" not in names
        printed = ok(aquifer(cluster, "restore", "--replace", str(dir / "plain")))
        assert " 2 deleted" in printed, printed
        admin = cluster.webserver(0).login()
        told = answers(admin)
        assert told.keys() == said.keys()
        assert all(told[path] == said[path] for path in said)
        assert cluster.webserver(0).session().try_login("eve", "x").status == 422
        lines = admin.get("/api/audit").ok().json()
        assert (lines[0]["Verb"], lines[0]["Kind"], lines[0]["User"]) == (
            "restore", "backup", "admin")


def test_a_backup_without_secrets_leaves_those_that_are_there(source, fresh):
    """Restored into a fresh cluster: the admin's present password still counts, others have none;
    restored over the original: passwords and values stay."""
    dir = source[0]
    ok(aquifer(fresh, "restore", str(dir / "harmless")))
    admin = fresh.webserver(0).login()
    assert fresh.webserver(0).session().try_login("ann", "pass of ann").status == 422
    assert [t["name"] for t in admin.get("/api/tokens").ok().json() or []] == []
    secret = admin.get("/api/secrets").ok().json()[0]
    assert admin.get(f"/api/secrets/{secret['id']}/full").status != 200
    ok(aquifer(fresh, "restore", str(dir / "plain")))
    ok(aquifer(fresh, "restore", str(dir / "harmless")))
    admin = fresh.webserver(0).login()
    assert admin.get(f"/api/secrets/{secret['id']}/full").ok().json()["value"] == SECRET
    fresh.webserver(0).login("ann", "pass of ann")


def upload(session, data, path="/api/backup", **headers):
    return session.call("POST", path, data, "application/octet-stream", headers)


def test_a_damaged_file_is_refused_with_its_place_and_changes_nothing(source, fresh, tmp_path):
    """By the command line before it sends anything, and by the webserver whoever sends it."""
    dir = source[0]
    whole = (dir / "plain").read_bytes()
    session = fresh.webserver(0).login()
    before = answers(session)
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1:]
    for damaged in (whole[:middle], whole[:-1], flipped, whole + b"x", whole[:50]):
        (tmp_path / "damaged").write_bytes(damaged)
        for command in (["restore"], ["backup", "--verify"]):
            refused = aquifer(fresh, *command, str(tmp_path / "damaged"))
            assert refused.returncode == 1 and b"damaged at byte " in refused.stderr, refused.stderr
        refused = upload(session, damaged)
        assert refused.status == 400 and "damaged at byte " in refused.error
        assert "nothing was changed" in refused.error
    for nonsense in (b"", b"PK\x03\x04", b"A" * 100000):
        assert upload(session, nonsense).status == 400
    assert answers(session) == before
    assert not list(fresh.webserver(0).process.dir.rglob("restore-*")), "an upload was left behind"


def test_a_wrong_password_is_told_and_changes_nothing(source, fresh):
    """For both sides; without one the file can still be checked for damage."""
    dir = source[0]
    session = fresh.webserver(0).login()
    before = answers(session)
    for options in ([], ["--backup-password", "close sesame"]):
        refused = aquifer(fresh, "restore", *options, str(dir / "encrypted"))
        assert refused.returncode == 1 and b"password" in refused.stderr
    refused = upload(session, (dir / "encrypted").read_bytes(), Password="close sesame")
    assert refused.status == 400 and "password" in refused.error
    assert "undamaged" in ok(aquifer(fresh, "backup", "--verify", str(dir / "encrypted")))
    assert answers(session) == before


def test_only_admins_back_up_and_restore(source, fresh):
    """403 for others, 401 for nobody; tokens never."""
    dir, _, _, _ = source
    ok(aquifer(fresh, "restore", str(dir / "plain")))
    ann = fresh.webserver(0).login("ann", "pass of ann")
    data = (dir / "plain").read_bytes()
    assert ann.get("/api/backup").status == 403
    assert upload(ann, data[:1000]).status == 403
    assert fresh.webserver(0).session().get("/api/backup").status == 401


def test_a_client_that_leaves_half_way_blocks_nobody(source, fresh):
    """Neither while it downloads nor while it uploads: the next backup is taken within seconds, and
    what had been uploaded is gone."""
    dir = source[0]
    ok(aquifer(fresh, "restore", str(dir / "plain")))
    session = fresh.webserver(0).login()
    address = urllib.parse.urlparse(session.url)
    data = (dir / "plain").read_bytes()
    head = f"Host: {address.netloc}\r\nAuthorization: Bearer {session.token}\r\n"
    for start in (f"GET /api/backup HTTP/1.1\r\n{head}\r\n".encode(),
                  f"POST /api/backup HTTP/1.1\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode()
                  + data[:len(data) // 2]):
        with socket.create_connection((address.hostname, address.port), timeout=60) as client:
            client.sendall(start)
            if start.startswith(b"GET"):
                assert client.recv(10)

        def taken():
            answer = session.get("/api/backup")
            assert answer.status in (200, 503), answer.body
            return answer.status == 200
        wait_until(taken, 20, "the next backup")
    folder = fresh.webserver(0).process.dir
    wait_until(lambda: not list(folder.rglob("restore-*")), 20, "what was uploaded is gone")


def test_a_restore_without_the_datastore_is_refused_whole(source):
    """503 with the reason, and nothing is there afterwards; a backup is taken all the same."""
    dir = source[0]
    with Cluster(webservers=1, indexers=1, balancer=False) as cluster:
        session = cluster.webserver(0).login()
        before = answers(session)
        cluster.datastore.kill()
        wait_until(lambda: session.get("/api/settings").json()["Datastore"]["Degraded"], 10)
        refused = aquifer(cluster, "restore", str(dir / "plain"))
        assert refused.returncode == 1 and b"needs the datastore" in refused.stderr, refused.stderr
        assert answers(session) == before
        assert session.get("/api/backup").ok().body.startswith(b"AQUIFERB")
        cluster.datastore.start()
