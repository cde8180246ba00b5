"""What the query language says of itself, and what it keeps on the webserver."""

import base64
import json
import re
from pathlib import Path

import pytest
from client import wait_until


@pytest.fixture(scope="module")
def session(cluster):
    return cluster.webserver(0).login()


def test_the_language_describes_itself(session):
    """Modules with their flags, renderers, functions: what an editor completes."""
    told = session.get("/api/query/language").ok().json()
    modules = {module["Name"]: module for module in told["Modules"]}
    assert {"grep", "json", "top", "slice", "stats"} <= set(modules)
    assert {flag["Name"]: flag["TakesValue"] for flag in modules["base64"]["Flags"]} == {
        "d": False, "raw": False, "u": False, "s": False, "t": True}
    assert modules["stats"]["Condensing"] and not modules["grep"]["Condensing"]
    assert {"text", "table", "chart"} <= {one["Name"] for one in told["Renderers"]}
    assert {"Name": "strings_trim", "ArgsMin": 2, "ArgsMax": 2} in told["Functions"]


def test_the_editor_helps_with_all_of_the_language(session):
    """ui/src/lib/modules.ts has words for each module and renderer, and for no other."""
    told = session.get("/api/query/language").ok().json()
    names = {one["Name"] for one in told["Modules"] + told["Renderers"]}
    page = Path(__file__).resolve().parents[2] / "ui/src/lib/modules.ts"
    assert set(re.findall(r"^  (\w+): \[", page.read_text(), re.M)) == names


@pytest.fixture(scope="module")
def logins(cluster, session):
    """Three lines: two users of one address, one of another."""
    lines = [{"user": "ann", "ip": "10.0.0.1"}, {"user": "bob", "ip": "10.0.0.1"},
             {"user": "eve", "ip": "192.0.2.7"}]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    answer = cluster.aquifer(*cluster.ingest_command("logins", 0), input=text)
    assert answer.returncode == 0, answer.stderr.decode()
    wait_until(lambda: "logins" in session.get("/api/tags").ok().json(), 10, "the tag")


def rows_of(session, query, error=None, filters=None):
    """The cells of a table, sorted, once the search has finished."""
    launched = session.launch(query, Filters=filters).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    window = {"sid": launched["SearchSessionID"], "start": launched["Info"]["StartRange"],
              "end": launched["Info"]["EndRange"], "first": 0, "last": 1000}

    def over():
        page = session.get(f"{path}/renderer/table", **window).json()
        return page if page.get("Finished") or page.get("Error") else None
    page = wait_until(over, 30, "the end of the search")
    session.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()
    if error is not None:
        assert error in page["Error"]
        return None
    assert not page.get("Error"), page
    return sorted(tuple(row["Row"]) for row in page["Entries"]["Rows"])


def contents(session, name):
    guid = session.get(f"/api/resources/lookup/{name}").ok().json()
    return session.get(f"/api/resources/{guid}/raw").ok().body.decode()


def test_rows_are_saved_and_looked_up(session, logins):
    """-save, then lookup of what it wrote: packed, CSV, and a set of addresses."""
    query = "tag=logins json user ip | sort by user asc | table"
    assert rows_of(session, f"{query} -save packed user ip")
    assert json.loads(contents(session, "packed")) == {
        "Columns": ["user", "ip"],
        "Rows": [["ann", "10.0.0.1"], ["bob", "10.0.0.1"], ["eve", "192.0.2.7"]]}
    assert rows_of(session, "tag=logins json user | lookup -r packed user user ip as where"
                            " | table user where") == [
        ("ann", "10.0.0.1"), ("bob", "10.0.0.1"), ("eve", "192.0.2.7")]
    rows_of(session, f"{query} -save plain -csv user ip")
    assert contents(session, "plain") == "user,ip\nann,10.0.0.1\nbob,10.0.0.1\neve,192.0.2.7\n"
    rows_of(session, "tag=logins json user==eve ip | table -save ips -format ipexist ip")
    assert rows_of(session, "tag=logins json user ip | ipexist -r ips ip | table user") == [
        ("eve",)]
    assert rows_of(session, "dump -r plain user==bob | table") == [("bob", "10.0.0.1")]
    launched = session.launch("tag=logins json user ip | table user ip").ok().json()
    table = session.get(f"/api/searchctrl/{launched['SearchID']}/download/lookupdata").ok()
    guid = session.post("/api/resources", {"ResourceName": "loaded"}).ok().json()["GUID"]
    session.put_file(f"/api/resources/{guid}/raw", table.body).ok()
    assert rows_of(session, "dump -r loaded user==bob | table") == [("bob", "10.0.0.1")]


def test_saved_rows_are_updated_and_deleted(session, logins):
    rows_of(session, "tag=logins json user!=eve ip | unique ip | table -save seen -csv ip user")
    version = session.get("/api/resources/" + session.get(
        "/api/resources/lookup/seen").json()).ok().json()["VersionNumber"]
    rows_of(session, "tag=logins json user ip==192.0.2.7"
                     " | table -save seen -csv -update ip ip user")
    kept = contents(session, "seen").splitlines()
    assert kept[0] == "ip,user" and len(kept) == 3 and kept[2] == "192.0.2.7,eve"
    rows_of(session, "tag=logins json ip==10.0.0.1 | table -save seen -csv -delete ip ip")
    assert contents(session, "seen") == "ip,user\n192.0.2.7,eve\n"
    resource = session.get("/api/resources/" + session.get(
        "/api/resources/lookup/seen").json()).ok().json()
    assert resource["VersionNumber"] == version + 2
    rows_of(session, "tag=logins json user | alias user who | table -save seen -update who who",
            error="table -save seen: the old rows have no column 'who'")


def test_inner_queries_give_sets_and_networks(session, logins):
    assert rows_of(session, "@bad{ tag=logins json user==eve ip | table -format ipexist ip };"
                            "tag=logins json user ip | ipexist -r @bad ip | table user") == [
        ("eve",)]
    assert rows_of(session, "@nets{ tag=logins json user==eve ip | subnet ip /24 as net"
                            " | eval CIDR = string(net) + \"/24\"; | table -format csv CIDR user };"
                            "tag=logins json ip | iplookup -s -r @nets -e ip user"
                            " | table ip user") == [("192.0.2.7", "eve")]
    assert rows_of(session, "@all{ tag=logins json user | table user }; dump -r @all | table user"
                   ) == [("ann",), ("bob",), ("eve",)]


def test_lookups_run_beside_the_data(session, logins):
    """The table goes to the indexers; what it contains now counts, not what it once did."""
    query = "tag=logins json user | lookup -r who user name role | stats count by role | table"
    assert rows_of(session, "tag=logins json user as name | eval role = \"first\";"
                            " | table -save who -csv name role")
    assert rows_of(session, query) == [("first", "3")]
    launched = session.launch(query).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    stages = session.get(path + "/explain").ok().json()["Stages"]
    assert [stage["Where"] for stage in stages[:2]] == ["indexers", "indexers"], stages
    session.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()
    assert rows_of(session, "tag=logins json user as name | eval role = \"second\";"
                            " | table -save who -csv name role")
    assert rows_of(session, query) == [("second", "3")]


def test_a_token_without_the_right_saves_nothing(cluster, session, logins):
    made = session.post("/api/tokens", {"name": "reader", "capabilities": ["Search"]}).ok().json()
    query = {"SearchString": "tag=logins json user | table -save stolen user"}
    answer = cluster.webserver(0).session().call(
        "POST", "/api/searchctrl/launch", json.dumps(query).encode(), "application/json",
        {"Gravwell-Token": made["token"]})
    assert answer.status == 403 and "ResourceWrite" in answer.error


def test_extractors_are_kept_checked_and_used(cluster, session, logins):
    """A definition is made, shows its fields, is used by ax, changed, and goes."""
    engines = session.get("/api/autoextractors/engines").ok().json()
    assert {"csv", "fields", "regex", "slice", "json"} <= set(engines)
    definition = {"Name": "who", "Module": "json", "Params": "user as who ip", "Tag": "logins"}
    tested = session.post("/api/autoextractors/test", definition).ok().json()
    assert tested == {"Fields": ["who", "ip"]}
    broken = {**definition, "Module": "regex", "Params": "("}
    assert session.post("/api/autoextractors/test", broken).status == 400
    assert session.post("/api/autoextractors", broken).status == 400
    parsed = session.post("/api/parse", {"SearchString": "tag=logins ax | table"}).ok().json()
    assert "no extraction is defined for tag logins" in parsed["ParseError"]

    identity = session.post("/api/autoextractors", definition).ok().json()
    assert [one["Name"] for one in session.get("/api/autoextractors").ok().json()] == ["who"]
    found = session.get("/api/autoextractors/find/logins").ok().json()
    assert found["UUID"] == identity and found["Fields"] == ["who", "ip"]
    assert session.get("/api/autoextractors/find/nothing").status == 404
    assert rows_of(session, "tag=logins ax who!=eve ip as address | table who address") == [
        ("ann", "10.0.0.1"), ("bob", "10.0.0.1")]

    session.put("/api/autoextractors", {**definition, "UUID": identity, "Params": "user as name"}
                ).ok()
    assert rows_of(session, "tag=logins ax | table") == [("ann",), ("bob",), ("eve",)]
    session.delete(f"/api/autoextractors/{identity}").ok()
    assert session.get("/api/autoextractors").ok().json() == []


def test_extractors_come_and_go_as_files(session, logins):
    toml = b"""# two of them
[[extraction]]
    name = "lines"
    module = "regex"
    tag = "logins"
    params = 'user": "(?P<who>\\w+)"'
[[extraction]]
    module = 'csv'
    tags = ["a", "b*"]
    params = "when, who"
"""
    form = (b'--x\r\nContent-Disposition: form-data; name="extraction"\r\n\r\n'
            + toml + b"\r\n--x--\r\n")
    made = session.call("POST", "/api/autoextractors/upload", form,
                        "multipart/form-data; boundary=x").ok().json()
    assert len(made) == 2
    assert rows_of(session, "tag=logins ax | table who") == [("ann",), ("bob",), ("eve",)]
    file = session.get("/api/autoextractors/download", id=made[0]).ok().body.decode()
    assert "params = 'user\": \"(?P<who>\\w+)\"'" in file
    assert session.get("/api/autoextractors/download").ok().body.count(b"[[extraction]]") == 2
    bad = form.replace(b"regex", b"grep")
    assert session.call("POST", "/api/autoextractors/upload", bad,
                        "multipart/form-data; boundary=x").status == 400
    for identity in made:
        session.delete(f"/api/autoextractors/{identity}").ok()


def page_of(session, query, renderer, **more):
    launched = session.launch(query).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    window = {"sid": launched["SearchSessionID"], "start": launched["Info"]["StartRange"],
              "end": launched["Info"]["EndRange"], "first": 0, "last": 1000, **more}

    def over():
        page = session.get(f"{path}/renderer/{renderer}", **window).ok().json()
        return page if page["Finished"] else None
    page = wait_until(over, 30, "the end of the search")
    session.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()
    return page


def test_a_map_shows_what_is_in_view(session, logins):
    """The fence of a request, also across the antimeridian; arcs with the names of their values."""
    query = ("tag=logins json user | eval if (user == \"ann\") { lat = 50; long = 14; }"
             " else { lat = -18; long = 178; } | pointmap user")
    europe = {"swlat": 35, "swlong": -10, "nelat": 70, "nelong": 40}
    pacific = {"swlat": -50, "swlong": 160, "nelat": 50, "nelong": -120}
    assert len(page_of(session, query, "pointmap")["Entries"]) == 3
    assert page_of(session, query, "pointmap", **europe)["Entries"] == [
        {"Loc": {"Lat": 50, "Long": 14}, "Metadata": [{"user": "ann"}]}]
    assert len(page_of(session, query, "pointmap", **pacific)["Entries"]) == 2
    page = page_of(session, "tag=logins json user | eval a = \"50 14\"; b = \"-18 178\";"
                   " | point2point -srcloc a -dstloc b TAG", "point2point", **europe)
    assert page["ValueNames"] == ["TAG"]
    assert [(arc["Magnitude"], arc["Values"]) for arc in page["Entries"]] == [(3, ["logins"])]


def test_packets_are_shown_in_words(session, logins):
    packet = "ffffffffffff080027000001080600010800060400010800270000" \
             "01c00002070000000000000a000001"
    page = page_of(session, f"tag=logins json user==ann | eval set_data(hex_decode(\"{packet}\"));"
                   " | pcap", "pcap")
    assert [entry["Text"] for entry in page["Entries"]] == [
        "08:00:27:00:00:01 > ff:ff:ff:ff:ff:ff ARP who has 10.0.0.1? tell 192.0.2.7"]


def test_the_parse_answer_says_what_stages_do(session, logins):
    query = ("@known{ tag=logins json ip | table ip }; tag=logins json user ip as a"
             " | lookup -s -r @known a ip () | stats count by user | table user count")
    parsed = session.post("/api/parse", {"SearchString": query, "Sequence": 4919}).ok().json()
    assert parsed["GoodQuery"] and parsed["RawQuery"] == query and parsed["CollapsingIndex"] == 2
    hints = [(hint["Name"], hint["ProducedEVs"], hint["ConsumedEVs"], hint["ResourcesNeeded"],
              hint["Condensing"]) for hint in parsed["ModuleHints"]]
    assert hints == [("json", ["user", "a"], None, None, False),
                     ("lookup", None, ["a"], ["@known"], False),
                     ("stats", ["count", "user"], ["user"], None, True),
                     ("sort", None, None, None, True)]


def test_entries_are_explored(cluster, session, logins):
    """Elements of JSON, of a definition; filters that were clicked become stages."""
    launched = session.launch("tag=logins grep ann").ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}/renderer/text/explore"
    window = {"sid": launched["SearchSessionID"], "start": launched["Info"]["StartRange"],
              "end": launched["Info"]["EndRange"], "first": 0, "last": 10}

    def over():
        page = session.get(path, **window).ok().json()
        return page if page["Finished"] else None
    page = wait_until(over, 30, "the end of the search")
    assert len(page["Entries"]) == len(page["Explore"]) == 1
    item = page["Explore"][0]
    assert item["Tag"] == "logins" and item["Module"] == "json"
    assert [(one["Path"], one["Value"]) for one in item["Elements"]] == [
        ("user", "ann"), ("ip", "10.0.0.1")]
    data = base64.b64decode(page["Entries"][0]["Data"])
    assert b"ann" in [data[begin:end] for begin, end in item["WordOffsets"]]

    made = session.post("/api/autoextractors", {"Name": "w", "Module": "json",
                                                "Params": "user as who", "Tag": "logins"}).json()
    element = session.get(path, **window).ok().json()["Explore"][0]["Elements"][0]
    assert (element["Module"], element["Path"], element["Value"]) == ("ax", "who", "ann")
    clicked = [{"Tag": "logins", "Module": "ax", "Path": "who", "Name": "who", "Op": "!=",
                "Value": "ann"},
               {"Tag": "logins", "Module": "json", "Path": "ip", "Name": "address"}]
    parsed = session.post("/api/parse", {"SearchString": "tag=logins table who address",
                                         "Filters": clicked}).ok().json()
    assert parsed["GoodQuery"] and parsed["RawQuery"] == "tag=logins table who address"
    assert rows_of(session, "tag=logins table who address", filters=clicked) == [
        ("bob", "10.0.0.1"), ("eve", "192.0.2.7")]
    parsed = session.post("/api/parse", {"SearchString": "tag=logins nonsense",
                                         "Filters": clicked}).ok().json()
    assert "unknown module 'nonsense'" in parsed["ParseError"] and parsed["ErrorOffset"] == 11
    parsed = session.post("/api/parse", {"SearchString": "tag=logins", "Filters": [
        {"Module": "nothing"}]}).ok().json()
    assert "module 'nothing' is not known" in parsed["ParseError"]
    session.delete(f"/api/autoextractors/{made}").ok()
    session.put(f"/api/searchctrl/{launched['SearchID']}/detach?sid="
                f"{launched['SearchSessionID']}").ok()


def test_definitions_are_offered_for_entries(session, logins):
    entries = [{"TS": "2026-01-02T03:04:05Z", "SRC": "10.0.0.1", "Tag": 1, "Enumerated": None,
                "Data": base64.b64encode(data).decode()} for data in (b"a=1 b=2", b"a=3 c=4")]
    told = session.post("/api/explore/generate", {"Tag": "new", "Entries": entries}).ok().json()
    offer = told["kv"][0]
    assert offer["Confidence"] == 10 and offer["Entries"] == entries
    assert len(offer["Explore"]) == 2
    assert session.post("/api/autoextractors/test", offer["Extractor"]).ok().json() == {
        "Fields": ["a", "b", "c"]}


def test_inner_times_refer_to_the_main_query(session, logins):
    """The main query looks a day back, where nothing is; the inner one comes back to now."""
    query = ("@now{{ tag=logins start={} end=+1d json user | unique user | table user }};"
             "tag=logins start=-25h end=-24h dump -r @now | table user")
    assert rows_of(session, query.format("-1h")) == [("ann",), ("bob",), ("eve",)]
    assert rows_of(session, query.format("END+23h")) == [("ann",), ("bob",), ("eve",)]
    assert rows_of(session, "@then{ tag=logins start=START end=END json user | table user };"
                            "tag=logins start=-25h end=-24h dump -r @then | table user") == []
