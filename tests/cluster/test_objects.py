"""What users make is kept, shared as they say, found on every webserver, and can be had back."""

import pytest
from client import Websocket, wait_until

REVISION = "Aquifer-Revision"
SYNCED = "Aquifer-Synced"


@pytest.fixture(scope="module")
def admins(cluster):
    """The same person on two webservers."""
    return cluster.webserver(0).login(), cluster.webserver(1).login()


def new_dashboard(session, name="edge", **more):
    return session.post("/api/dashboards", {"Name": name, "Data": {"tiles": [1]}, **more}).ok()


def ann(cluster, admin):
    """A user without rights, made once."""
    names = {user["User"]: user for user in admin.get("/api/users").ok().json()}
    if "ann" not in names:
        admin.post("/api/users", {"User": "ann", "Pass": "pass word", "Name": "Ann"}).ok()
    return cluster.webserver(1).login_soon("ann", "pass word")


def test_what_was_written_on_one_webserver_is_read_on_the_other_at_once(admins):
    """Read your writes: the revision of the answer, sent to the other webserver, is enough. Only an
    answer that says the datastore has not confirmed it within 250 ms promises less, and only an
    answer that tells a lower revision came after a whole second of waiting for the feed."""
    first, second = admins
    confirmed = 0
    for i in range(20):
        answer = new_dashboard(first, f"board {i}")
        if answer.headers.get(SYNCED) == "false":
            continue
        wanted = int(answer.headers[REVISION])
        read = second.call("GET", f"/api/dashboards/{answer.json()}",
                           headers={REVISION: str(wanted)})
        if int(read.headers[REVISION]) < wanted:
            continue
        confirmed += 1
        shown = read.ok().json()
        assert (shown["Name"], shown["Synced"]) == (f"board {i}", True)
    assert confirmed > 0


@pytest.mark.parametrize("path, body, key", [
    ("dashboards", {"Name": "d", "Data": {"version": 2}}, "Data"),
    ("macros", {"Name": "ERR", "Expansion": "grep error"}, "Expansion"),
    ("templates", {"Name": "t", "Contents": {"query": "tag=x"}}, "Contents"),
    ("pivots", {"Name": "p", "Contents": {"actions": []}}, "Contents"),
    ("library", {"Name": "q", "Query": "tag=x"}, "Query"),
    ("playbooks", {"Name": "b", "Body": "aGVsbG8="}, "Body"),
    ("autoextractors", {"Name": "e", "Module": "csv", "Params": "a", "Tag": "x"}, "Module")])
def test_an_object_is_made_read_changed_and_deleted(admins, path, body, key):
    """Each kind on one webserver, each step seen on the other."""
    first, second = admins
    made = first.post(f"/api/{path}", body).ok().json()
    id = made if not isinstance(made, dict) else made["ThingUUID"]

    def shown():
        answer = second.get(f"/api/{path}/{id}")
        return answer.json() if answer.status == 200 else None
    assert wait_until(shown, 5, "the new object")[key] == body[key]
    assert any(item["Name"] == body["Name"] for item in second.get(f"/api/{path}").ok().json())
    change = {**shown(), "Name": "RENAMED"}
    (first.put(f"/api/{path}", {**change, "UUID": id}) if path == "autoextractors"
     else first.put(f"/api/{path}/{id}", change)).ok()
    wait_until(lambda: shown()["Name"] == "RENAMED", 5, "the new name")
    first.delete(f"/api/{path}/{id}").ok()
    wait_until(lambda: second.get(f"/api/{path}/{id}").status == 404, 5, "its end")


def test_sharing_lets_a_group_read_and_nobody_else(cluster, admins):
    """Not shared: 403. Shared with her group: she reads, and may not delete."""
    admin = admins[0]
    her = ann(cluster, admin)
    gid = admin.post("/api/groups", {"Name": "soc"}).ok().json()
    uid = her.get("/api/info/whoami").ok().json()["UID"]
    id = new_dashboard(admin).json()
    wait_until(lambda: her.get(f"/api/dashboards/{id}").status == 403, 5, "a refusal")
    admin.post(f"/api/users/{uid}/group", {"GIDs": [gid]}).ok()
    board = admin.get(f"/api/dashboards/{id}").ok().json()
    admin.put(f"/api/dashboards/{id}", {**board, "GIDs": [gid]}).ok()
    wait_until(lambda: her.get(f"/api/dashboards/{id}").status == 200, 5, "the shared board")
    assert her.delete(f"/api/dashboards/{id}").status == 403
    assert her.put(f"/api/dashboards/{id}", {**board, "Name": "hers"}).status == 403
    mine = new_dashboard(her).json()
    refused = her.put(f"/api/dashboards/{mine}", {"Name": "x", "Global": True})
    assert refused.status == 403 and "Global" in refused.error


def test_contents_of_a_resource_reach_every_webserver(admins):
    """3 MiB in chunks through one webserver, read through the other, by name and by id."""
    first, second = admins
    data = bytes(range(256)) * 12288
    meta = first.post("/api/resources", {"ResourceName": "hosts"}).ok().json()
    put = first.put_file(f"/api/resources/{meta['GUID']}/raw", data)
    assert put.ok().json()["Size"] == len(data)

    def there():
        answer = second.get("/api/resources/lookup/hosts")
        return answer.json() if answer.status == 200 else None
    assert wait_until(there, 5, "the name") == meta["GUID"]
    wait_until(lambda: second.get(f"/api/resources/{meta['GUID']}").json()["VersionNumber"] == 1, 5)
    wait_until(lambda: second.get(f"/api/resources/{meta['GUID']}/raw").body == data, 20,
               "the contents")


def test_a_change_can_be_seen_undone_and_a_deletion_taken_back(admins):
    """Versions, their difference, going back, and bringing back what was deleted."""
    first, second = admins
    id = new_dashboard(first, "before").json()
    board = first.get(f"/api/dashboards/{id}").ok().json()
    first.put(f"/api/dashboards/{id}", {**board, "Name": "after", "Data": {"tiles": [1, 2]}}).ok()
    uuid = board["ThingUUID"]
    versions = first.get(f"/api/versions/{uuid}").ok().json()
    assert [v["Name"] for v in versions] == ["after", "before"]
    assert first.get(f"/api/versions/{uuid}/diff").ok().json() == [
        {"Path": "name", "Before": "before", "After": "after"},
        {"Path": "body.Data.tiles[1]", "After": 2}]
    first.post(f"/api/versions/{uuid}/restore", {}).ok()
    assert first.get(f"/api/dashboards/{id}").ok().json()["Data"] == {"tiles": [1]}
    first.delete(f"/api/dashboards/{id}").ok()
    assert uuid in [item["UUID"] for item in first.get("/api/deleted").ok().json()]
    first.post(f"/api/versions/{uuid}/restore", {}).ok()
    wait_until(lambda: second.get(f"/api/dashboards/{id}").status == 200, 5, "the board is back")


def test_every_change_has_an_audit_line(admins):
    """Who, what and from where; the other webserver shows it too."""
    first, second = admins
    id = new_dashboard(first, "watched").json()
    first.delete(f"/api/dashboards/{id}").ok()

    def lines():
        found = [(line["Verb"], line["Kind"], line["User"])
                 for line in second.get("/api/audit").ok().json() if line["Name"] == "watched"]
        return found if len(found) == 2 else None
    assert wait_until(lines, 5) == [("delete", "dashboard", "admin"),
                                    ("create", "dashboard", "admin")]


def test_an_api_token_does_what_it_was_made_for_and_no_more(cluster, admins):
    """Capabilities narrow what its owner may do; a deleted token is worthless at once."""
    admin = admins[0]
    made = admin.post("/api/tokens", {"name": "nightly", "capabilities": ["DashboardRead"]}).ok()
    token = {"Gravwell-Token": made.json()["token"]}
    program = cluster.webserver(1).session()
    wait_until(lambda: program.call("GET", "/api/dashboards", headers=token).status == 200, 5)
    refused = program.call("POST", "/api/dashboards", b"{}", "application/json", token)
    assert refused.status == 403 and refused.json()["Cap"] == "DashboardWrite"
    assert program.call("POST", "/api/users", b"{}", "application/json", token).status == 403
    unknown = admin.post("/api/tokens", {"name": "x", "capabilities": ["NoSuchThing"]})
    assert unknown.status == 400 and "capabilities[0]" in unknown.error
    admin.delete(f"/api/tokens/{made.json()['id']}").ok()
    wait_until(lambda: program.call("GET", "/api/dashboards", headers=token).status == 401, 5)


def test_a_logout_a_lock_and_a_new_password_end_sessions_everywhere(cluster, admins):
    """On all webservers."""
    admin = admins[0]
    ann(cluster, admin)
    uid = next(u["UID"] for u in admin.get("/api/users").ok().json() if u["User"] == "ann")

    def is_over(session):
        wait_until(lambda: session.get("/api/testauth").status == 401, 10, "the session's end")

    def on_both():
        here = cluster.webserver(0).login("ann", "pass word")
        there = cluster.webserver(1).session()
        there.token = here.token
        wait_until(lambda: there.get("/api/testauth").status == 200, 10, "the account as it is")
        return here, there
    here, there = on_both()
    here.put("/api/logout").ok()
    is_over(there)
    here, there = on_both()
    page = cluster.webserver(0).session()
    cookie = {"Cookie": f"token={here.token}"}
    assert page.call("GET", "/api/testauth", headers=cookie).status == 200
    cookie["Upgrade"] = "websocket"
    assert page.call("GET", "/api/ws/search", headers=cookie).status == 401
    socket = Websocket(there)
    assert socket.ask("parse", {"SearchString": "tag=x"})
    admin.put(f"/api/users/{uid}/lock").ok()
    is_over(here)
    is_over(there)
    socket.send("parse", {"SearchString": "tag=x"})
    with pytest.raises(EOFError, match="the session was ended"):
        socket.receive("parse")
    admin.delete(f"/api/users/{uid}/lock").ok()
    session = cluster.webserver(0).session()
    wait_until(lambda: session.try_login("ann", "pass word").status == 200, 5)
    here, there = on_both()
    admin.put(f"/api/users/{uid}/pwd", {"OrigPass": "", "NewPass": "another one"}).ok()
    is_over(there)
    assert cluster.webserver(0).session().try_login("ann", "pass word").status == 422
    admin.put(f"/api/users/{uid}/pwd", {"OrigPass": "", "NewPass": "pass word"}).ok()
    long = "x" * 1025
    refused = [admin.put(f"/api/users/{uid}/pwd", {"OrigPass": "", "NewPass": long}),
               admin.post("/api/users", {"User": "tom", "Pass": long, "Name": "", "Email": ""})]
    assert all(a.status == 400 and b"1 to 1024 bytes" in a.body for a in refused)


def test_secrets_are_not_readable_in_the_store(cluster, admins):
    """A value is given back to automations only, and its bytes are not in any file. What is in the
    files, keys that sign sessions, is for nobody else on the machine."""
    value = "the value nobody should find"
    made = admins[0].post("/api/secrets", {"name": "hook", "value": value}).ok().json()
    assert "value" not in admins[0].get(f"/api/secrets/{made['id']}").ok().json()
    assert admins[0].get(f"/api/secrets/{made['id']}/full").ok().json()["value"] == value
    for file in cluster.dir.rglob("*.db*"):
        assert value.encode() not in file.read_bytes(), file
        assert file.stat().st_mode & 0o007 == 0, file


def test_preferences_are_kept_verbatim(admins):
    """null when there are none; any JSON otherwise."""
    first, second = admins
    first.delete("/api/users/0/preferences").ok()
    assert first.get("/api/users/0/preferences").ok().body == b"null"
    first.put("/api/users/0/preferences", {"theme": ["dark", 1.5, None]}).ok()
    wait_until(lambda: second.get("/api/users/0/preferences").ok().json() ==
               {"theme": ["dark", 1.5, None]}, 5, "the preferences")


@pytest.mark.parametrize("path, body, told", [
    ("dashboards", {}, "Name"), ("macros", {"Name": "lower case"}, "A-Z"),
    ("library", {"Name": "q", "Query": 7}, "Query"), ("resources", {}, "ResourceName"),
    ("secrets", {}, "name"), ("tokens", {"name": ""}, "name")])
def test_an_object_that_makes_no_sense_is_refused_by_its_field(admins, path, body, told):
    """400, and the text names what is missing or wrong."""
    answer = admins[0].post(f"/api/{path}", body)
    assert answer.status == 400 and told in answer.error, answer


def test_an_admin_sees_where_a_user_is_logged_in(cluster, admins):
    """The sessions at work on a webserver; a logout takes one off the list."""
    admin = admins[1]
    her = ann(cluster, admin)
    uid = her.get("/api/info/whoami").ok().json()["UID"]
    def sessions(asking):
        listed = asking.get(f"/api/users/{uid}/sessions").ok().json()["Sessions"]
        return {one["Session"]: one for one in listed}
    own = next(id for id, one in sessions(her).items() if one["Own"])
    assert sessions(admin)[own]["Origin"] == "127.0.0.1"
    her.put("/api/logout").ok()
    wait_until(lambda: own not in sessions(admin), 10, "the session to leave the list")
