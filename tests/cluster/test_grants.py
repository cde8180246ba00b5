"""What users may do: granted to them or to their groups, the same on every webserver."""

from client import wait_until


def new_user(admin, name):
    return admin.post("/api/users", {"User": name, "Pass": "pw", "Name": name, "Email": "",
                                     "Admin": False}).ok().json()


def test_a_user_may_do_what_he_or_his_groups_are_granted_and_nothing_else(cluster):
    """Nothing is said: everything. A grant to the account limits it there and then, on the other
    webserver too; a group's grant adds to it; taking both away gives everything back."""
    admin = cluster.webserver(0).login()
    uid = new_user(admin, "limited")
    user = cluster.webserver(1).login("limited", "pw")
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


def test_what_is_no_capability_is_refused_and_admins_are_never_limited(cluster):
    admin = cluster.webserver(0).login()
    answer = admin.put("/api/users/1/capabilities", {"Grants": ["Everything"]})
    assert answer.status == 400 and "Grants[0]" in answer.error
    admin.put("/api/users/1/capabilities", {"Grants": []}).ok()
    admin.get("/api/dashboards").ok()
    admin.put("/api/users/1/capabilities", {"Grants": None}).ok()
    names = [one["Name"] for one in admin.get("/api/info/capabilities/templates").json()]
    assert "Reader" in names
