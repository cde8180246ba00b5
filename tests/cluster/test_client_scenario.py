"""What a program of the reference client does: log in, search over the websocket, read results,
list the history, keep dashboards and resources. The client's deviations are spoken too."""

import base64
import json

import pytest
from client import Websocket, wait_until

NONE = "0001-01-01T00:00:00Z"


@pytest.fixture
def session(cluster):
    return cluster.webserver(0).login()


@pytest.fixture
def socket(session):
    socket = Websocket(session)
    assert socket.status == 101
    assert socket.answer == {"Resp": "ACK"}
    yield socket
    socket.close()


def wait_for_search(socket, label):
    """As the client: request 3 until Finished, then one request 4."""
    def finished():
        answer = socket.ask(label, {"ID": 3})
        assert not answer.get("Error"), answer
        assert answer["ID"] == 3
        return answer if answer["Finished"] else None
    count = wait_until(finished, 20, "Finished")
    details = socket.ask(label, {"ID": 4})
    assert not details.get("Error"), details
    return count, details["SearchInfo"]


def entries_of(socket, label, first, last):
    answer = socket.ask(label, {"ID": 16, "EntryRange": {
        "StartTS": NONE, "EndTS": NONE, "First": first, "Last": last}})
    assert not answer.get("Error"), answer
    assert answer["ID"] == 16
    assert isinstance(answer["Entries"], list)
    return answer


def test_login_is_four_calls_that_each_answer_200_with_json(cluster):
    """version, login, whoami, settings; a stale credential is ignored on the first two."""
    session = cluster.webserver(0).session()
    session.token = "stale.stale.stale"
    assert session.get("/api/version").ok().json()["API"]["Major"] == 0
    session.login()
    head, payload, mac = session.token.split(".")
    assert json.loads(bytes.fromhex(payload))["uid"] == 1
    me = session.get("/api/info/whoami").ok().json()
    assert (me["UID"], me["User"], me["Admin"]) == (1, "admin", True)
    assert isinstance(session.get("/api/settings").ok().json()["MaxFileSize"], int)
    session.put("/api/logout").ok()
    assert session.get("/api/info/whoami").status == 401


def test_a_wrong_password_is_refused_and_says_so(cluster):
    """422, a body with LoginStatus false and a reason, nothing that tells whether the user is."""
    session = cluster.webserver(0).session()
    wrong = session.try_login("admin", "not it")
    assert wrong.status == 422
    assert wrong.json()["LoginStatus"] is False and wrong.json()["Reason"]
    assert session.try_login("nobody", "not it").json() == wrong.json()


def test_a_search_over_the_websocket_gives_its_text_results(cluster, session, socket):
    """Start, ack, wait, read by index in two pages; Last is exclusive and order is newest first."""
    ids = cluster.ingest("wsock", lines=40)
    started = socket.start_search("tag=wsock")
    assert started["RawQuery"] == "tag=wsock"
    assert started["RenderModule"] == "text"
    assert started["SearchID"].isdigit() and len(started["SearchID"]) <= 15
    label = started["OutputSearchSubproto"]
    count, info = wait_for_search(socket, label)
    assert count["EntryCount"] == 40
    assert info["ItemCount"] == 40 and isinstance(info["Duration"], str)
    first, second = entries_of(socket, label, 0, 25), entries_of(socket, label, 25, 1024)
    assert (len(first["Entries"]), len(second["Entries"])) == (25, 15)
    assert first["AdditionalEntries"] and not second["AdditionalEntries"]
    texts = [base64.b64decode(e["Data"]).decode() for e in first["Entries"] + second["Entries"]]
    assert sorted(t.split("id=")[1][:32] for t in texts) == sorted(ids)
    assert first["Tags"]["wsock"] == first["Entries"][0]["Tag"]
    assert entries_of(socket, label, 1000, 2000)["Entries"] == []
    assert socket.ask(label, {"ID": 1})["ID"] == 1
    assert socket.ask("PONG", {}) == {}
    wait_until(lambda: any(h["UserQuery"] == "tag=wsock" for h in session.history()), 5, "history")


def test_a_query_longer_than_a_frame_arrives_whole(socket):
    """3 kB of query come as fragments of 1024 bytes; RawQuery echoes every byte, < and & too."""
    query = "tag=gravwell grep <&" + "x" * 3000
    started = socket.start_search(query, NoHistory=True)
    assert not started.get("Error"), started
    assert started["RawQuery"] == query
    count, _ = wait_for_search(socket, started["OutputSearchSubproto"])
    assert count["EntryCount"] == 0


def test_a_query_that_does_not_parse_is_refused_with_a_place(cluster, session, socket):
    """The message names the module; the socket stays usable; nothing is in the history."""
    before = len(session.history())
    refused = socket.start_search("tag=gravwell gerp x | limit many")
    assert "gerp" in refused["Error"]
    assert len(refused["Error"]) < 256
    parsed = session.post("/api/parse", {"SearchString": "tag=gravwell gerp x", "Sequence": 4919})
    parsed = parsed.ok().json()
    assert parsed["Sequence"] == 4919 and not parsed["GoodQuery"]
    assert "gerp" in parsed["ParseError"] and parsed["RawQuery"] == "tag=gravwell gerp x"
    assert session.launch("tag=gravwell gerp x").status in (400, 422)
    assert len(session.history()) == before
    assert not socket.start_search("tag=gravwell").get("Error")


def test_two_searches_may_share_a_socket_and_another_may_attach(cluster, session, socket):
    """Labels are independent; a second socket attaches by id and reads the same entries."""
    cluster.ingest("shared", lines=5)
    one, two = socket.start_search("tag=shared"), socket.start_search("tag=shared limit 2")
    assert one["OutputSearchSubproto"] != two["OutputSearchSubproto"]
    assert wait_for_search(socket, two["OutputSearchSubproto"])[0]["EntryCount"] == 2
    assert wait_for_search(socket, one["OutputSearchSubproto"])[0]["EntryCount"] == 5
    other = Websocket(session, labels=("attach", "PONG"))
    attached = other.ask("attach", {"ID": one["SearchID"]})
    assert not attached.get("Error") and attached["Info"]["UserQuery"] == "tag=shared"
    assert len(entries_of(other, attached["Subproto"], 0, 100)["Entries"]) == 5
    assert other.ask("attach", {"ID": "12345"})["Error"]
    other.close()
    assert len(entries_of(socket, one["OutputSearchSubproto"], 0, 100)["Entries"]) == 5


def test_a_websocket_needs_a_valid_token(cluster):
    """Any status but 101, and 401 for what is not a credential."""
    session = cluster.webserver(0).session()
    session.token = "00.00.00"
    assert Websocket(session).status in (401, 403)


def test_dashboards_live_through_their_whole_life(cluster, session):
    """Create answers a bare number, data is kept as it was sent, the other webserver sees it."""
    data = {"searches": [{"query": "tag=gravwell grep <\u00e9>", "searchID": 770021934517}],
            "tiles": [], "version": 2}
    id = session.post("/api/dashboards", {
        "Name": "Edge", "Description": "one look", "Data": data, "UID": 0, "GIDs": None,
        "Global": False, "WriteAccess": {"Global": False, "GIDs": None}}).ok().json()
    assert isinstance(id, int) and id < 2 ** 53
    board = session.get(f"/api/dashboards/{id}").ok().json()
    assert (board["Name"], board["UID"], board["Data"]) == ("Edge", 1, data)
    assert id in [b["ID"] for b in session.get("/api/dashboards").ok().json()]
    board["Name"] = "Edge routers"
    session.put(f"/api/dashboards/{id}", board).ok()
    other = cluster.webserver(1).login()
    wait_until(lambda: other.get(f"/api/dashboards/{id}").json().get("Name") == "Edge routers",
               5, "the change on the other webserver")
    session.delete(f"/api/dashboards/{id}").ok()
    assert session.get(f"/api/dashboards/{id}").status == 404
    wait_until(lambda: other.get(f"/api/dashboards/{id}").status == 404, 5, "the deletion there")


def test_resources_keep_their_bytes(cluster, session):
    """Contents arrive by multipart, count versions, are found by name, and reach the other side."""
    made = session.post("/api/resources", {
        "UID": 0, "GUID": "", "ResourceName": "hosts", "Description": "", "Global": False,
        "GroupACL": None, "Labels": None}).ok().json()
    path = f"/api/resources/{made['GUID']}"
    contents = bytes(range(256)) * 5000
    session.put_file(path + "/raw", contents).ok()
    meta = session.get(path).ok().json()
    assert (meta["Size"], meta["VersionNumber"]) == (len(contents), 1)
    assert session.get(path + "/raw").ok().body == contents
    assert session.get("/api/resources/lookup/hosts").ok().json() == made["GUID"]
    other = cluster.webserver(1).login()

    def arrived():
        answer = other.get(path + "/raw")
        return answer.status == 200 and answer.body == contents
    wait_until(arrived, 10, "the contents on the other webserver")
    session.delete(path).ok()
    assert session.get(path).status == 404


def test_what_is_not_there_is_404_and_who_is_nobody_is_401(cluster, session):
    """Errors have one shape, and their text is short."""
    missing = session.get("/api/no/such/thing")
    assert missing.status == 404 and len(missing.error) < 256
    assert cluster.webserver(0).session().get("/api/dashboards").status == 401
