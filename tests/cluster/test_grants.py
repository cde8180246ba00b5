"""What users may do: granted to them or to their groups, the same on every webserver."""

import json

from client import wait_until


def new_user(admin, name):
    return admin.post("/api/users", {"User": name, "Pass": "pw", "Name": name, "Email": "",
                                     "Admin": False}).ok().json()


def test_a_user_may_do_what_he_or_his_groups_are_granted_and_nothing_else(cluster):
    """Nothing is said: everything. A grant to the account limits it there and then, on the other
    webserver too; a group's grant adds to it; taking both away gives everything back."""
    admin = cluster.webserver(0).login()
    uid = new_user(admin, "limited")
    user = cluster.webserver(1).login_soon("limited", "pw")
    status = lambda path: user.get(path).status  # noqa: E731
    assert status("/api/dashboards") == status("/api/macros") == 200
    assert not user.get("/api/users/0/capabilities").ok().json()["Limited"]

    admin.put(f"/api/users/{uid}/capabilities", {"Grants": ["Search"]}).ok()
    wait_until(lambda: status("/api/dashboards") == 403, 5, "the limit")
    assert user.get("/api/dashboards").json()["Cap"] == "DashboardRead"
    assert status("/api/tags") == 200
    assert status("/api/users/0/preferences") == 200, "one's own account needs no grant"
    assert [one["Name"] for one in user.get("/api/info/capabilities/my").json()] == ["Search"]
    assert user.put(f"/api/users/{uid}/capabilities", {"Grants": None}).status == 403

    gid = admin.post("/api/groups", {"Name": "boards", "Desc": ""}).ok().json()
    admin.put(f"/api/groups/{gid}/capabilities", {"Grants": ["DashboardRead"]}).ok()
    admin.post(f"/api/users/{uid}/group", {"GIDs": [gid]}).ok()
    wait_until(lambda: status("/api/dashboards") == 200, 5, "the group's grant")
    assert user.post("/api/dashboards", {"Name": "x", "Data": {}}).status == 403

    admin.put(f"/api/users/{uid}/capabilities", {"Grants": None}).ok()
    admin.put(f"/api/groups/{gid}/capabilities", {"Grants": None}).ok()
    wait_until(lambda: status("/api/macros") == 200, 5, "the end of the limit")


def test_a_token_never_may_more_than_its_owner(cluster):
    """A token with two capabilities; its owner loses one of them, and so does the token."""
    admin = cluster.webserver(0).login()
    uid = new_user(admin, "owner")
    user = cluster.webserver(0).login("owner", "pw")
    token = user.post("/api/tokens", {"name": "t", "description": "",
                                      "capabilities": ["MacroRead", "DashboardRead"]}).ok().json()
    robot = cluster.webserver(0).session()
    ask = lambda path: robot.call(  # noqa: E731
        "GET", path, headers={"Gravwell-Token": token["token"]}).status
    assert ask("/api/macros") == ask("/api/dashboards") == 200
    admin.put(f"/api/users/{uid}/capabilities", {"Grants": ["MacroRead"]}).ok()
    wait_until(lambda: ask("/api/dashboards") == 403, 5, "the token's loss")
    assert ask("/api/macros") == 200


def test_a_limit_holds_however_the_path_is_written(cluster):
    """Slashes too many, things listed by whose they are, versions: all need what reading needs.
    Slashes too many did end the webserver once."""
    admin = cluster.webserver(0).login()
    uid = new_user(admin, "sly")
    user = cluster.webserver(0).login("sly", "pw")
    user.post("/api/macros", {"Name": "SLY", "Expansion": "x"}).ok()
    uuid = user.get("/api/macros").ok().json()[0]["ThingUUID"]
    admin.put(f"/api/users/{uid}/capabilities", {"Grants": ["Search"]}).ok()
    for path in ("/api/macros", "//api/macros", "/api//macros", "/api/users/0/macros",
                 "/api/users//0/macros", "/api/groups/1/macros", f"/api/versions/{uuid}"):
        assert user.get(path).status == 403, path
    assert user.post(f"/api/versions/{uuid}/restore", {}).status == 403
    assert user.get("//api/users/0/capabilities").ok().json()["Grants"] == ["Search"]


def test_a_token_makes_no_token_that_may_more_than_itself(cluster):
    """Made, changed or renewed by a token: only what it has itself. Its owner is free."""
    owner = cluster.webserver(0).login()
    make = lambda caps: owner.post(  # noqa: E731
        "/api/tokens", {"name": "t", "capabilities": caps}).ok().json()
    maker, wide = make(["TokenRead", "TokenWrite"]), make(["MacroRead"])
    robot = cluster.webserver(0).session()

    def ask(method, path, caps):
        body = json.dumps({"name": "t", "capabilities": caps}).encode()
        return robot.call(method, path, body, "application/json",
                          {"Gravwell-Token": maker["token"]}).status
    assert ask("POST", "/api/tokens", ["MacroRead"]) == 403
    assert ask("PUT", f"/api/tokens/{maker['id']}", ["TokenWrite", "MacroRead"]) == 403
    assert ask("PATCH", f"/api/tokens/{wide['id']}", []) == 403
    assert ask("POST", "/api/tokens", ["TokenRead"]) == 200


def test_going_back_to_a_version_shares_nothing_that_one_may_not_share(cluster):
    """Global, taken back by an admin: its owner goes back to a version of then, and gets what stood
    in it, but not that everybody sees it. What was deleted comes back as it was."""
    admin = cluster.webserver(0).login()
    new_user(admin, "sharer")
    user = cluster.webserver(0).login("sharer", "pw")
    id = user.post("/api/macros", {"Name": "SHARED", "Expansion": "old"}).ok().json()
    path = f"/api/macros/{id}"
    macro = user.get(path).ok().json()
    admin.put(path, {**admin.get(path).json(), "Global": True}).ok()
    admin.put(path, {**admin.get(path).json(), "Global": False, "Expansion": "new"}).ok()
    versions = f"/api/versions/{macro['ThingUUID']}"
    user.post(versions + "/restore", {"Change": user.get(versions).json()[1]["Change"]}).ok()
    assert user.get(path).json()["Expansion"] == "old" and not user.get(path).json()["Global"]
    admin.put(path, {**admin.get(path).json(), "Global": True}).ok()
    user.delete(path).ok()
    user.post(versions + "/restore", {}).ok()
    assert user.get(path).ok().json()["Global"]


def test_what_is_no_capability_is_refused_and_admins_are_never_limited(cluster):
    admin = cluster.webserver(0).login()
    answer = admin.put("/api/users/1/capabilities", {"Grants": ["Everything"]})
    assert answer.status == 400 and "Grants[0]" in answer.error
    admin.put("/api/users/1/capabilities", {"Grants": []}).ok()
    admin.get("/api/dashboards").ok()
    admin.put("/api/users/1/capabilities", {"Grants": None}).ok()
    names = [one["Name"] for one in admin.get("/api/info/capabilities/templates").json()]
    assert "Reader" in names
