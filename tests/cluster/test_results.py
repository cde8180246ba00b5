"""What a search gives: the same with little memory, in every form, as a file that opens again."""

import base64
import csv
import http.client
import io
import json
import shutil
import struct
import subprocess
import urllib.parse
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from client import wait_until
from cluster import Cluster
from searching import detach, finished

LINES = 20000
FRAME = bytes.fromhex("ffffffffffff02000000000108004500002000010000401100000a000001c0000207"
                      "0035003500080000")
TIMES = ["2026-01-02T12:00:00.123456789Z", "2026-01-02T12:00:01Z", "2026-01-02T12:00:02.5Z"]
RANGE = 'start="2026-01-02T12:00:00Z" end="2026-01-02T12:01:00Z"'


def form(fields, data):
    edge = uuid.uuid4().hex
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in fields.items()]
    parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n")
    return "".join(parts).encode() + data + f"\r\n--{edge}--\r\n".encode(), \
        f"multipart/form-data; boundary={edge}"


@pytest.fixture(scope="module")
def web():
    settings = [(kind, "Max-Search-Memory-MB=1") for kind in ("webserver", "indexer")]
    with Cluster(webservers=1, indexers=1, balancer=False, settings=settings) as c:
        lines = b"".join(b"user=u%05d n=%d part=%d %s\n" % (i * 7919 % LINES, i, i % 3, b"x" * 60)
                         for i in range(LINES))
        command = c.ingest_command("many")
        assert c.aquifer(command[0], "--now", *command[1:], input=lines).returncode == 0
        session = c.webserver(0).login()
        objects = "".join(json.dumps({
            "TS": moment, "Tag": "packets", "SRC": "192.0.2.1", "Enumerated": None,
            "Data": base64.b64encode(FRAME + bytes([i])).decode()}) for i, moment in
            enumerate(TIMES))
        body, kind = form({"tag": "", "source": "", "type": "reimport"}, objects.encode())
        session.call("POST", "/api/ingest/lines", body, kind).ok()
        session.cluster = c
        yield session


def direct(session, query, form_name):
    return session.call("POST", "/api/search/direct", None, headers={
        "query": query, "format": form_name, "duration": "1h"}, timeout=180)


def listed(session):
    return {search["ID"] for search in session.get("/api/searchctrl").ok().json() or []}


def scratch_files(session):
    return [file for node in session.cluster.nodes.values() for file in node.files()
            if file.parent.name == "scratch"]


# ---- bounds ----

def test_little_memory_gives_the_same(web):
    """1 MB for each daemon: all users counted once, all lines in order, and no file left."""
    rows = list(csv.reader(io.StringIO(direct(
        web, "tag=many kv user n | stats count sum(n) by user | table user count sum",
        "csv").ok().body.decode())))[1:]
    assert rows == [[f"u{i * 7919 % LINES:05d}", "1", str(i)] for i in
                    sorted(range(LINES), key=lambda i: i * 7919 % LINES)]
    lines = direct(web, "tag=many kv user | sort by user desc", "text").ok().body.split(b"\n")[:-1]
    assert [line[5:11] for line in lines] == [b"u%05d" % i for i in reversed(range(LINES))]
    unique = direct(web, "tag=many kv user part | unique user part | table user", "csv").ok().body
    assert unique.count(b"\n") == LINES + 1
    wait_until(lambda: not scratch_files(web), 10, "the end of what was on disk")


@pytest.mark.parametrize("stages, bound", [
    ("first user", "Max-Search-Memory-MB"),
    ("stats -maxtracked 10 count by user", "-maxtracked")])  # beside the data
def test_a_bound_that_is_reached_is_named(web, stages, bound):
    """What cannot be moved to a file ends the search with the name of the key or flag."""
    launched = web.launch(f"tag=many kv user | {stages} | table user").ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"

    def over():
        stats = web.get(path + "/stats", sid=launched["SearchSessionID"]).ok().json()
        return stats if stats["Finished"] else None
    messages = wait_until(over, 20, "the end")["Messages"]
    assert any(bound in m["Value"] and m["Severity"] == "fatal" for m in messages), messages
    web.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()


def modules_of(web, launched, count):
    sets = web.get(f"/api/searchctrl/{launched['SearchID']}/modules",
                   sid=launched["SearchSessionID"], count=count).ok().json()["Stats"]
    return [one["ModuleStats"] for one in sets]


@pytest.mark.parametrize("query, spills", [
    ("tag=many kv user n | stats count sum(n) by user | table user count sum", "stats"),
    ("tag=many kv user | sort by user desc", "sort"),
    ("tag=many kv part | stats count by part | table part count", None)])
def test_statistics_of_stages_say_what_was_spilled_and_when(web, query, spills):
    """What was spilled is told of the stage that did it; sets by time add up to the summary."""
    launched = web.launch(query).ok().json()
    finished(web, launched)
    whole, = modules_of(web, launched, 1)
    sets = modules_of(web, launched, 100)
    assert len(sets) == 100
    assert {stage["Name"] for stage in whole if stage["ScratchWritten"]} == {spills} - {None}
    for i, stage in enumerate(whole):
        for key in ("InputCount", "OutputCount", "InputBytes", "OutputBytes"):
            assert sum(one[i][key] for one in sets) == stage[key], (stage["Name"], key)
    assert whole[0]["InputCount"] == LINES
    detach(web, launched)


def test_a_preview_takes_a_sample_of_whatever_time(web):
    """The range is ignored, but for times in the query; of many entries only the newest count."""
    def preview(query):
        return web.call("POST", "/api/search/direct", None, headers={
            "query": query, "format": "csv", "duration": "1s", "preview": "true"}).ok().body
    assert preview("tag=packets table TAG").count(b"packets") == len(TIMES)
    assert b"10000" in preview("tag=many stats count | table count")
    first = f'start="{TIMES[0]}" end="{TIMES[1]}" '
    assert preview(first + "tag=packets table TAG").count(b"packets") == 1
    newest = b"u%05d" % ((LINES - 1) * 7919 % LINES)
    assert newest in preview(f"tag=many kv user=={newest.decode()} | table user")


def test_what_was_found_before_a_fault_stays(web):
    launched = web.launch("tag=many kv user | unique -maxtracked 10000 user | table user"
                          ).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    window = {"sid": launched["SearchSessionID"], "start": launched["Info"]["StartRange"],
              "end": launched["Info"]["EndRange"]}
    wait_until(lambda: web.get(path + "/stats", **window).ok().json()["Finished"], 20, "the end")
    page = web.get(path + "/renderer/table", first=0, last=500, **window).ok().json()
    assert "-maxtracked" in page["Error"] and page["Finished"], page["Error"]
    assert len(page["Entries"]["Rows"]) == 500 and page["EntryCount"] <= 10000
    web.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()


def test_a_reader_that_does_not_read_holds_up_no_ingest(web):
    """Its search rests; meanwhile entries are taken, confirmed and found."""
    now = datetime.now(timezone.utc)
    target = "/api/search/direct?" + urllib.parse.urlencode({
        "query": "tag=many", "format": "json", "start": (now - timedelta(hours=1)).isoformat(),
        "end": (now + timedelta(minutes=1)).isoformat()})
    wire = http.client.HTTPConnection(web.url.removeprefix("http://"), timeout=180)
    wire.request("POST", target, headers={"Authorization": f"Bearer {web.token}"})
    answer = wire.getresponse()
    assert answer.status == 200
    web.cluster.ingest("beside", lines=2000)
    assert direct(web, "tag=beside count", "text").ok().body == b"2000\n"
    assert answer.read().count(b"\n") == LINES
    wire.close()


# ---- packets ----

def test_an_answered_query_is_in_the_history(web):
    """No search waits for its line to be on the disk; who reads the history does."""
    for round in range(20):
        query = f"tag=many words absent{round}"
        assert direct(web, query, "text").ok().body == b""
        assert web.history()[0]["UserQuery"] == query


def blocks_of(data):
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size
        yield kind, data[at + 8:at + size - 4]
        at += size


def test_packets_are_downloaded_as_pcapng(web, tmp_path):
    data = direct(web, f"tag=packets {RANGE} pcap", "pcap").ok().body
    blocks = list(blocks_of(data))
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1] + [6] * len(TIMES)
    packets = []
    for _, body in blocks[2:]:
        _, high, low, size, whole = struct.unpack_from("<IIIII", body)
        assert size == whole == len(FRAME) + 1
        packets.append((high << 32 | low, body[20:20 + size]))
    assert [packet for _, packet in packets] == [FRAME + bytes([i]) for i in (2, 1, 0)]
    assert packets[-1][0] % 1_000_000_000 == 123_456_789
    if shutil.which("tcpdump"):
        (tmp_path / "x.pcapng").write_bytes(data)
        shown = subprocess.run(["tcpdump", "-nn", "-r", tmp_path / "x.pcapng"], check=True,
                               capture_output=True, text=True).stdout
        assert shown.count("10.0.0.1.53 > 192.0.2.7.53") == len(TIMES)
    text = direct(web, f"tag=packets {RANGE} pcap", "text").ok().body.decode()
    assert text.count("\n") == text.count("10.0.0.1") == len(TIMES), text
    assert direct(web, f"tag=packets {RANGE} text", "pcap").status == 400


# ---- every renderer ----

@pytest.mark.parametrize("query", [
    "kv part | stats count by part | chart count by part",
    "kv part n | stats count by part n | stackgraph part part count",
    "kv part n | fdg part n", "kv n | stats mean(n) | gauge mean",
    "kv n | stats max(n) | numbercard max",
    "kv part | stats count by part | wordcloud count by part",
    "eval a = 50.1; b = 14.4; | point2point -srclat a -srclong b -dstlat b -dstlong a",
    'eval lat = 50.1; long = 14.4; | pointmap', 'eval lat = 50.1; long = 14.4; | heatmap',
    "kv user part | table user part", "grep user | text", "grep user | raw", "grep user | hex"])
def test_every_renderer_has_json_csv_and_archive(web, query):
    query = "tag=many limit 300 | " + query
    launched = web.launch(query).ok().json()
    formats = launched["Info"]["RenderDownloadFormats"]
    assert {"json", "csv", "archive"} <= set(formats), formats
    path = f"/api/searchctrl/{launched['SearchID']}/download/"
    text = web.get(path + "csv").ok().body.decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1 and len({len(row) for row in rows}) == 1, rows[:3]
    for line in web.get(path + "json").ok().body.splitlines():
        json.loads(line)
    assert web.get(path + "archive").ok().body.startswith(b"AQUIFERS")
    web.put(f"/api/searchctrl/{launched['SearchID']}/detach?sid={launched['SearchSessionID']}").ok()


# ---- archives ----

def test_an_archive_opens_again(web):
    """Elsewhere and later: the same rows, in a saved search of who imported it."""
    query = "tag=many kv user n | sort by n asc | limit 500 | table user n"
    launched = web.launch(query).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    archive = web.get(path + "/download/archive").ok().body
    rows = web.get(path + "/download/csv").ok().body
    web.delete(path).ok()

    body, kind = form({"BatchName": "a case", "BatchInfo": "of January"}, archive)
    imported = web.call("POST", "/api/searchctrl/import", body, kind).ok().json()["SearchID"]
    assert imported != launched["SearchID"]
    status = web.get(f"/api/searchctrl/{imported}").ok().json()
    assert status["State"] == "DORMANT/SAVED"
    assert status["Import"]["Imported"] and status["Import"]["BatchName"] == "a case"
    assert web.get(f"/api/searchctrl/{imported}/download/csv").ok().body == rows
    again = web.get(f"/api/searchctrl/{imported}/download/archive").ok().body
    body, kind = form({}, again)
    web.call("POST", "/api/searchctrl/import", body, kind).ok()

    node = web.cluster.webserver(0)
    node.stop()
    node.start()
    web.login()
    info = web.get(f"/api/searchctrl/{imported}/details").ok().json()
    assert info["Import"]["BatchInfo"] == "of January"
    assert web.get(f"/api/searchctrl/{imported}/download/csv").ok().body == rows
    web.delete(f"/api/searchctrl/{imported}").ok()


def test_a_damaged_archive_is_refused(web):
    launched = web.launch("tag=many limit 50").ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    archive = web.get(path + "/download/archive").ok().body
    web.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()
    before = listed(web)
    record_end = 32 + struct.unpack_from("<I", archive, 12)[0]
    wrong = [b"", b"AQUIFERS", b"PK" + archive[2:], archive[:-1], archive + b"x",
             archive[:record_end], archive[:40] + b"\0" + archive[41:],
             archive[:-30] + bytes([archive[-30] ^ 1]) + archive[-29:]]
    for data in wrong:
        body, kind = form({}, data)
        answer = web.call("POST", "/api/searchctrl/import", body, kind)
        assert answer.status == 400 and answer.error, (answer.status, data[:50])
    body, kind = form({"GID": "-1"}, archive)
    assert web.call("POST", "/api/searchctrl/import", body, kind).status == 400
    assert web.post("/api/searchctrl/import", {}).status == 400
    assert listed(web) <= before
