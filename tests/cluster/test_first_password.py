"""A password that everybody knows is known as such, until there is another."""

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
