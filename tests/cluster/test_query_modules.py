"""Queries that take values out of JSON lines, over two indexers, against answers computed here."""

import http.client
import json
import math
import random
import re
import statistics
import time
from collections import Counter, defaultdict

import pytest
from client import wait_until
from cluster import Cluster
from layout import Layout

LINES = 3000


def make_lines():
    chance = random.Random(6)
    return [{"method": chance.choice(["GET", "GET", "POST", "PUT"]),
             "uri": f"/page/{chance.randrange(40)}",
             "status": chance.choice([200, 200, 200, 301, 404, 500]),
             "bytes": chance.randrange(1, 100000),
             "time": chance.randrange(1, 4000) / 1000,
             "client": {"ip": f"10.0.{chance.randrange(4)}.{chance.randrange(200)}",
                        "agent": chance.choice(["curl/8", "firefox \"x\"", "böse"])}}
            for _ in range(LINES)]


@pytest.fixture(scope="module")
def lines(cluster):
    made = make_lines()
    half = len(made) // 2
    count = len(cluster.layout.indexers)
    for index, part in ((0, made[:half]), (count - 1, made[half:])):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in part).encode()
        answer = cluster.aquifer(*cluster.ingest_command("nginx", index), input=text)
        assert answer.returncode == 0, answer.stderr.decode()
    return made


@pytest.fixture(scope="module")
def session(cluster, lines):
    return cluster.webserver(0).login()


def ask(session, query, renderer="table"):
    """The renderer's answer once the search has finished."""
    launched = session.launch(query).ok().json()
    path = f"/api/searchctrl/{launched['SearchID']}"
    window = {"sid": launched["SearchSessionID"], "start": launched["Info"]["StartRange"],
              "end": launched["Info"]["EndRange"], "first": 0, "last": 60000}

    def over():
        page = session.get(f"{path}/renderer/{renderer}", **window).ok().json()
        assert not page.get("Error"), page
        return page if page["Finished"] else None
    page = wait_until(over, 30, "the end of the search")
    session.put(f"{path}/detach?sid={launched['SearchSessionID']}").ok()
    return page


def table(session, query):
    entries = ask(session, query)["Entries"]
    return entries["Columns"], [tuple(row["Row"]) for row in entries["Rows"]]


def test_values_of_every_line_come_as_rows(session, lines):
    """Every line once, nested and plain values as they stand in the text."""
    columns, rows = table(session,
                          "tag=nginx json status client.ip as ip bytes | table ip status bytes")
    assert columns == ["ip", "status", "bytes"]
    assert Counter(rows) == Counter((line["client"]["ip"], str(line["status"]),
                                     str(line["bytes"])) for line in lines)


def test_filters_drop_before_anything_else_happens(session, lines):
    _, rows = table(session, "tag=nginx json status==404 uri~\"/page/1\" method!=GET | table uri")
    assert Counter(rows) == Counter((line["uri"],) for line in lines
                                    if line["status"] == 404 and "/page/1" in line["uri"]
                                    and line["method"] != "GET")


def test_named_groups_are_columns(session, lines):
    pattern = r'"ip": "(?P<net>\d+\.\d+\.\d+)\.'
    _, rows = table(session, f"tag=nginx regex `{pattern}` net==10.0.3 | table net")
    assert len(rows) == sum(line["client"]["ip"].startswith("10.0.3.") for line in lines)
    assert set(rows) == {("10.0.3",)}


def test_stats_by_key_are_those_of_python(session, lines):
    """Counted and added up on two indexers, merged: to the last digit where Python is exact."""
    _, rows = table(session, "tag=nginx json status | stats count by status | table status count")
    assert Counter(rows) == Counter(
        (str(status), str(count))
        for status, count in Counter(line["status"] for line in lines).items())
    groups = defaultdict(list)
    for line in lines:
        groups[(line["method"], str(line["status"]))].append(line)
    columns, rows = table(session, "tag=nginx json method status time bytes client.agent as agent "
                                   "| stats mean(time) as t sum(bytes) min(time) max(bytes) "
                                   "unique_count(agent) stddev(time) count by method status "
                                   "| table")
    assert columns == ["method", "status", "t", "sum", "min", "max", "unique_count", "stddev",
                       "count"]
    assert len(rows) == len(groups)
    for row in rows:
        group = groups[row[:2]]
        times = [line["time"] for line in group]
        sizes = [line["bytes"] for line in group]
        assert float(row[2]) == math.fsum(times) / len(times)
        assert [int(row[3]), float(row[4]), int(row[5])] == [sum(sizes), min(times), max(sizes)]
        assert int(row[6]) == len({line["client"]["agent"] for line in group})
        assert math.isclose(float(row[7]), statistics.pstdev(times), rel_tol=1e-12)
        assert int(row[8]) == len(group)


def test_the_ten_largest_pages_in_order(session, lines):
    sizes = Counter()
    for line in lines:
        sizes[line["uri"]] += line["bytes"]
    _, rows = table(session, "tag=nginx json uri bytes | sum bytes by uri | sort by sum desc "
                             "| limit 10 | table uri sum")
    assert rows == [(uri, str(size)) for uri, size in sizes.most_common(10)]


def test_an_unknown_module_is_named_with_its_neighbour(session):
    answer = session.post("/api/parse", {"SearchString": "tag=nginx jsn status", "Sequence": 1})
    assert "unknown module 'jsn', did you mean 'json'" in answer.ok().json()["ParseError"]
    answer = session.post("/api/parse", {"SearchString": "tag=nginks", "Sequence": 2})
    assert "'nginks' does not exist, did you mean 'nginx'" in answer.ok().json()["ParseError"]


def test_series_of_points_are_searched_like_entries(cluster, session):
    """Their class is a tag, labels and value are values: a mean per host and minute, as a chart."""
    now = int(time.time()) // 60 * 60 - 600
    chance = random.Random(3)
    points = [(now + second, host, chance.randrange(1000) / 8)
              for second in range(0, 300, 5) for host in ("a", "b", "c")]
    body = "".join(f"{at * 10**6}// cpu.load{{host={host},dc=x}} {value}\n"
                   for at, host, value in points)
    connection = http.client.HTTPConnection("127.0.0.1", cluster.indexer(0).process.port)
    connection.request("POST", "/api/v0/update", body.encode(),
                       {"X-Warp10-Token": cluster.layout.secrets["warp10"]["write"]})
    assert connection.getresponse().status == 200
    groups = defaultdict(list)
    for at, host, value in points:
        groups[(at // 60 * 60, host)].append(value)
    _, rows = table(session, "tag=cpu.load stats mean(value) count by host dc over 1m "
                             "| table -nt TIMESTAMP host mean count dc")
    assert Counter(rows) == Counter(
        (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)), host,
         repr(math.fsum(values) / len(values)).removesuffix(".0"), str(len(values)), "x")
        for (at, host), values in groups.items())
    chart = ask(session, "tag=cpu.load stats mean(value) by host over 1m | chart mean by host",
                "chart")["Entries"]
    assert sorted(chart["Names"]) == ["a", "b", "c"]
    shown = {(value["TS"], name): number for value in chart["Values"]
             for name, number in zip(chart["Names"], value["Data"])}
    assert shown == {(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)), host):
                     math.fsum(values) / len(values) for (at, host), values in groups.items()}
    _, rows = table(session, "tag=cpu.* eval value > 100 | limit 3 | table DATA")
    assert len(rows) == 3 and all(row[0].startswith("cpu.load{") for row in rows)


def test_the_command_prints_tables_with_the_names_of_their_columns(cluster, lines):
    def run(*arguments):
        return cluster.aquifer("search", "--server", cluster.webserver(0).url, "--user", "admin",
                               "--password", "changeme", *arguments)
    query = "tag=nginx json status | stats count by status | sort by status | table status count"
    counts = sorted(Counter(line["status"] for line in lines).items())
    text = run(query).stdout.decode().splitlines()
    assert [row.split() for row in text] == [["status", "count"]] + [
        [str(status), str(count)] for status, count in counts]
    csv = run("--format", "csv", query).stdout.decode()
    assert csv == "status,count\n" + "".join(f"{status},{count}\n" for status, count in counts)
    rows = [json.loads(row) for row in run("--format", "json", query).stdout.decode().splitlines()]
    assert rows == [{"status": str(status), "count": str(count)} for status, count in counts]
    wrong = run("tag=nginx json status | chrat status")
    assert wrong.returncode == 1 and b"unknown module 'chrat', did you mean 'chart'" in wrong.stderr
    wait_until(lambda: re.search(rb"warn: json: \d+ entries could not be read", run(
        "tag=gravwell json x | limit 3 | table x").stderr), 10, "a warning of what is not JSON")
    usage = run("--farmat", "csv", query)
    assert usage.returncode == 2 and b"there is no option --farmat" in usage.stderr


def test_macros_and_resources_are_those_of_the_user(cluster, session, lines):
    body = "json status uri | eval status >= %%1%%"
    session.post("/api/macros", {"Name": "BAD", "Expansion": body}).ok()
    session.post("/api/macros", {"Name": "LOOP", "Expansion": "$LOOP"}).ok()
    _, rows = table(session, "tag=nginx $BAD(404) | stats count by status | table status count")
    assert dict(rows) == {str(status): str(count) for status, count in
                          Counter(line["status"] for line in lines).items() if status >= 404}
    made = session.post("/api/resources", {"ResourceName": "codes", "Description": ""}).ok().json()
    session.put_file(f"/api/resources/{made['GUID']}/raw",
                     b"code,kind\n404,missing\n500,broken\n").ok()
    _, rows = table(session, "tag=nginx json status | lookup -s -r codes status code kind "
                             "| stats count by kind | table kind count")
    assert dict(rows) == {kind: str(sum(line["status"] == status for line in lines))
                          for status, kind in ((404, "missing"), (500, "broken"))}

    def error(query):
        return session.post("/api/parse", {"SearchString": query}).ok().json()["ParseError"]
    assert "unknown macro '$NONE'" in error("tag=nginx $NONE")
    assert "contains itself" in error("tag=nginx $LOOP")
    assert "there is no such resource" in error("tag=nginx lookup -r none a b c")
    assert "no column 'cde'" in error("tag=nginx lookup -r codes a cde kind")


def test_inner_queries_are_tables_of_the_main_one(session, lines):
    """Which clients had an error, then all requests of theirs: two steps, then the answer."""
    bad = {line["client"]["ip"] for line in lines if line["status"] == 500}
    uris = Counter(line["uri"] for line in lines if line["client"]["ip"] in bad)
    most = {uri for uri, count in uris.items() if count >= 36}
    _, rows = table(session, """
        @bad{ tag=nginx json status==500 client.ip as ip | unique ip | table ip };
        @most{ tag=nginx json client.ip as ip uri | lookup -s -r @bad ip ip ()
               | stats count by uri | eval count >= 36 | table uri count };
        tag=nginx json uri | lookup -s -r @most uri uri count as n | stats count by uri n
        | table uri count n""")
    every = Counter(line["uri"] for line in lines)
    assert most and Counter(rows) == Counter(
        (uri, str(every[uri]), str(uris[uri])) for uri in most)

    def error(query):
        return session.post("/api/parse", {"SearchString": query}).ok().json()
    answer = error("@a{ tag=nginx json ip }; tag=nginx lookup -s -r @a ip ip ()")
    assert "inner query '@a' must end in table" in answer["ParseError"]
    answer = error("tag=nginx lookup -s -r @b ip ip ()")
    assert "there is no inner query of that name" in answer["ParseError"]
    answer = error("@a{ tag=nginx gerp x | table }; tag=nginx")
    assert "unknown module 'gerp'" in answer["ParseError"] and answer["ErrorOffset"] == 14


def test_points_that_two_indexers_hold_count_once():
    with Cluster(webservers=1, indexers=2, balancer=False, links=Layout.ring(2)) as c:
        now = int(time.time()) // 60 * 60 - 600
        body = "".join(f"{(now + i) * 10**6}// cpu{{host=h{i % 3}}} {i}\n" for i in range(300))
        connection = http.client.HTTPConnection("127.0.0.1", c.indexer(0).process.port)
        connection.request("POST", "/api/v0/update", body.encode(),
                           {"X-Warp10-Token": c.layout.secrets["warp10"]["write"]})
        assert connection.getresponse().status == 200

        def held_by(i):
            reader = http.client.HTTPConnection("127.0.0.1", c.indexer(i).process.port)
            reader.request("GET", f"/api/v0/fetch?selector=cpu%7B%7D&now={(now + 600) * 10**6}"
                           "&timespan=900000000", headers={
                               "X-Warp10-Token": c.layout.secrets["warp10"]["read"]})
            return reader.getresponse().read().count(b"//") == 300
        wait_until(lambda: held_by(0) and held_by(1), 30, "both indexers to hold all points")
        _, rows = table(c.webserver(0).login(),
                        "tag=cpu stats count sum(value) by host | table host count sum")
        assert Counter(rows) == Counter((f"h{i}", "100", str(sum(range(i, 300, 3))))
                                        for i in range(3))
