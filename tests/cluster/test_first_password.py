"""A password that all know is known as such until there is another; accounts from a shell."""

import json

from client import wait_until


def test_the_first_password_is_known_as_such_until_it_is_changed(cluster):
    """The first account, and any that is given that password, says so; another password ends it."""
    admin = cluster.webserver(0).login()
    assert admin.get("/api/info/whoami").json()["FirstPassword"] is True
    assert admin.get("/api/settings").json()["FirstPasswordMayStay"] is True, "a quickstart"
    uid = admin.post("/api/users", {"User": "fresh", "Pass": "changeme", "Name": "f", "Email": "",
                                    "Admin": False}).ok().json()
    user = cluster.webserver(1).login_soon("fresh", "changeme")
    assert user.get("/api/info/whoami").json()["FirstPassword"] is True
    user.put(f"/api/users/{uid}/pwd", {"OrigPass": "changeme", "NewPass": "own"}).ok()
    assert user.get("/api/info/whoami").json()["FirstPassword"] is False


def test_a_token_of_an_admin_with_the_capability_may_ingest(cluster):
    admin = cluster.webserver(0).login()
    def ask(capabilities):
        token = admin.post("/api/tokens", {"name": "t", "description": "",
                                           "capabilities": capabilities}).ok().json()["token"]
        there = cluster.webserver(1).session()
        answer = wait_until(lambda: (a := there.call(
            "GET", "/api/settings", headers={"Gravwell-Token": token})).status == 200 and a, 10)
        return answer.json()["IngestAllowed"]
    assert ask(["Ingest"]) is True


def user(cluster, *arguments, by="admin", password="changeme", typed=None):
    """`aquifer user`; what is typed, the new password, comes by standard input."""
    return cluster.aquifer("user", *arguments, "--server", cluster.webserver(0).url, "--user", by,
                           "--password", password, input=typed)


def ok(answer):
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.decode()


def test_an_account_is_made_changed_and_taken_away_from_a_shell(cluster):
    """Each verb is seen in what the server says of the account; no new password is an argument."""
    admin = cluster.webserver(0).login()
    gid = admin.post("/api/groups", {"Name": "ops", "Desc": ""}).ok().json()
    ok(user(cluster, "add", "shelly", "--full-name", "Shelly S.", "--email", "s@example.org",
            "--group", "ops", "--admin", typed=b"typed in\n"))
    shown = json.loads(ok(user(cluster, "show", "shelly", "--format", "json")))
    uid = shown["uid"]
    assert shown == {"user": "shelly", "uid": uid, "admin": True, "locked": False,
                     "groups": ["ops"], "full_name": "Shelly S.", "email": "s@example.org",
                     "first_password": False}
    ok(user(cluster, "no-admin", "shelly"))
    ok(user(cluster, "lock", "shelly"))
    told = admin.get(f"/api/users/{uid}").json()
    assert (told["Admin"], told["Locked"], told["Groups"][0]["GID"]) == (False, True, gid)
    locked = user(cluster, "list", by="shelly", password="typed in")
    assert locked.returncode == 1 and b"locked" in locked.stderr
    ok(user(cluster, "unlock", "shelly"))
    ok(user(cluster, "password", "shelly", by="shelly", password="typed in", typed=b"x" * 600))
    cluster.webserver(0).login("shelly", "x" * 600)
    assert "shelly" in ok(user(cluster, "list"))
    ok(user(cluster, "remove", "shelly"))
    assert admin.get(f"/api/users/{uid}").status == 404


def test_what_cannot_be_done_to_an_account_says_why(cluster):
    """The status is 1 when it was tried, 2 when the command makes no sense; nothing was changed."""
    admin = cluster.webserver(0).login()
    admin.post("/api/users", {"User": "plain", "Pass": "p", "Name": "", "Email": "",
                              "Admin": False}).ok()
    before = admin.get("/api/users").json()
    by = {"by": "plain", "password": "p"}
    for status, why, answer in (
            (1, "there is a user plain already", user(cluster, "add", "plain", typed=b"y\n")),
            (1, "did you mean plain?", user(cluster, "lock", "plian")),
            (1, "there is no group", user(cluster, "add", "z", "--group", "none", typed=b"y\n")),
            (1, "no new password", user(cluster, "add", "z", typed=b"\n")),
            (1, "1 to 1024 bytes", user(cluster, "password", "plain", typed=b"x" * 1025)),
            (1, "the first account", user(cluster, "lock", "admin")),
            (1, "plain is no administrator", user(cluster, "lock", "admin", **by)),
            (2, 'did you mean "lock"?', user(cluster, "lokc", "plain")),
            (2, "which user?", user(cluster, "lock")),
            (2, "options of add", user(cluster, "lock", "plain", "--admin"))):
        assert (answer.returncode, answer.stdout) == (status, b""), answer
        assert why in answer.stderr.decode(), answer
    assert admin.get("/api/users").json() == before
