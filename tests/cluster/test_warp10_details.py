"""The corners of the Warp 10 API: what its clients really send, packed series, limits of tokens,
deletes by attribute and by activity, requests that are refused, sizes beyond memory."""

import gzip
import http.client
import json
import os
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from client import wait_until
from cluster import Cluster
from test_warp10 import SETTINGS, Api, configure, memory_mb

ALL = "&start=-9000000000000000&end=9000000000000000"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, *SETTINGS, "Allow-Metadata-Deletes=true", "Allow-Activity-Deletes=true",
                  "Max-Class-Bytes=100")
        c.indexer(0).start()
        yield c


@pytest.fixture(scope="module")
def api(cluster):
    tokens = cluster.layout.secrets["warp10"]
    return Api(cluster.indexer(0), tokens["write"], tokens["read"])


def make_token(cluster, *options):
    file = str(cluster.indexer(0).process.dir / "warp10.tokens")
    return cluster.aquifer("token", "make", "--file", file, *options).stdout.decode().strip()


def add_tokens(cluster, text):
    """Lines of a token file, as an operator writes them."""
    file = Path(cluster.indexer(0).process.dir / "warp10.tokens")
    with file.open("a") as out:
        out.write(text)


def known(probe):
    """A new token is known within a second or so."""
    wait_until(lambda: "ok" if probe() not in (403, 500) else None, 10, "the token")


# ── What clients send ───────────────────────────────────────────────────────────────────────


def test_what_telegraf_sends_is_taken(api):
    """Class raw, labels as in a form with a plus for a space, six decimals, a backslash quote."""
    body = (b"1700000000000000// telegraf.cpu.usage idle{host=a+b,source=telegraf} 98.500000\n"
            b"1700000000000000// telegraf.cpu.up{source=telegraf} true\n"
            b"1700000000000000// telegraf.cpu.note{source=telegraf} 'it\\'s'\n"
            b"1700000000000000// telegraf.cpu.nan{source=telegraf} NaN\n"
            b"1700000000000000// telegraf.cpu.inf{source=telegraf} -Infinity\n")
    api.expect_update(body, {"Content-Type": "text/plain"})
    lines = api.fetch("selector=~telegraf.*{}&format=fulltext" + ALL).splitlines()
    labels = "{.app=demo,source=telegraf}"
    assert sorted(lines) == sorted([
        "1700000000000000// telegraf.cpu.usage%20idle{.app=demo,host=a%2Bb,source=telegraf} 98.5",
        f"1700000000000000// telegraf.cpu.up{labels} T",
        f"1700000000000000// telegraf.cpu.note{labels} 'it%5C%27s'",
        f"1700000000000000// telegraf.cpu.nan{labels} NaN",
        f"1700000000000000// telegraf.cpu.inf{labels} -Infinity"])
    assert "NaN" in api.fetch("selector=telegraf.cpu.nan{}&format=json" + ALL)
    # A percent sign that escapes nothing fails the request; Telegraf looks for this text.
    status, text = api.update(b"1// telegraf.x{} '100%'\n")
    assert status == 400 and "Parse error at index" in text


def test_what_beamium_sends_is_taken(api):
    """Chunked, without a content type."""
    lines = iter([b"1700000000000000// beamium%2Ex{le=%2BInf} 1\n", b"1700000000000001// beam",
                  b"ium%2Ex{le=%2BInf} 2.5e-3\n"])
    api.expect_update(lines, {"Transfer-Encoding": "chunked"})
    assert api.fetch("selector=beamium.x{}" + ALL) == \
        "1700000000000001// beamium.x{.app=demo,le=%2BInf} 0.0025\n=1700000000000000// 1\n"


def test_what_the_rust_client_sends_is_taken(api):
    """Everything but letters and digits escaped, texts raw, no end of the last line."""
    api.expect_update("1700000000000000// rust%2Ea{k%2D1=v%20%2B} 'é {x} =y'".encode(),
                      {"Content-Type": "text/plain; charset=utf-8"})
    assert api.fetch("selector=rust.a{}" + ALL) == \
        "1700000000000000// rust.a{.app=demo,k-1=v%20%2B} '%C3%A9%20%7Bx%7D%20%3Dy'\n"


def test_what_the_node_and_go_clients_ask_is_answered(api):
    api.expect_update(b"1700000000000000// node.a{k=v w} 1\n1700000001000000// node.a{k=v w} 1")
    twice = quote(quote("~node.*{k=v%20w}", safe=""), safe="")
    query = f"selector={twice}&format=json&dedup=false&now=1700000002000000&timespan=9000000"
    assert json.loads(api.fetch(query))[0]["v"] == [[1700000001000000, 1], [1700000000000000, 1]]
    query = ("selector=node.a%7B%7D&format=fulltext&start=2023-11-14T22:13:20.000001Z"
             "&stop=2023-11-14T22:13:21.5Z")
    assert api.fetch(query) == "1700000001000000// node.a{.app=demo,k=v%20w} 1\n"
    assert api.find("node.a{}", "&format=fulltext") == ["node.a{.app=demo,k=v%20w}{}"]


# ── Reading ─────────────────────────────────────────────────────────────────────────────────

RANGES = {  # of 1, 2 … 9: the table of the reference
    "end=7&timespan=3": [7, 6, 5],
    "start=3&timespan=3": [5, 4, 3],
    "start=3&end=5": [5, 4, 3],
    "start=5&end=3": [5, 4, 3],
    "end=4&count=2": [4, 3],
    "end=4&timespan=-2": [4, 3],
    "start=2&end=8&count=2": [8, 7],
    "end=8&timespan=7&count=2": [8, 7],
    "stop=2&timespan=100": [2, 1],
    "end=9&count=-2": [9, 8, 7, 6, 5, 4, 3, 2, 1],
    "end=9&count=0": [],
    "end=9&timespan=0": [],
    "now=1970-01-01T00:00:00.000004Z&timespan=PT0.000002S": [4, 3],
    "now=now&count=1": [9],
}
NO_RANGES = ["start=1", "end=1", "start=1&count=1", "", "start=1&end=2&timespan=1",
             "now=1&end=1&count=1", "now=1&stop=1&count=1", "end=x&count=1", "end=9&timespan=P1M",
             "end=2023-11-14T22:13:20&count=1", "end=9&timespan=PT", "end=9&count=1&sample=0",
             "end=9&count=1&sample=1.1", "end=9&count=1&format=wrapper"]


def test_every_row_of_the_table_of_ranges(api):
    api.expect_update("".join(f"{i}// ranges{{}} {i}\n" for i in range(1, 10)).encode())
    for query, expected in RANGES.items():
        assert api.times("selector=ranges{}&" + query) == expected, query
    for query in NO_RANGES:
        status, _, content = api.send("GET", "/api/v0/fetch?selector=ranges{}&" + query, None, (),
                                      api.read)
        assert status == 400 and len(content) > 100, query
    for query in "end=9&count=x", "end=9&count=1&skip=x", "end=9&count=1&gcount=x", \
                 "end=9&count=1&activeafter=x":
        status = api.send("GET", "/api/v0/fetch?selector=ranges{}&" + query, None, (), api.read)[0]
        assert status == 500, query
    sampled = api.times("selector=ranges{}&end=9&count=9&sample=0.5")
    assert set(sampled) <= set(range(1, 10)) and sampled == sorted(sampled, reverse=True)


def test_series_are_counted_and_skipped_and_have_their_last_activity(api):
    api.expect_update(b"".join(b"1// la.%d{} 1\n" % i for i in range(4)))
    before = int(time.time() * 1000)
    found = json.loads(api.send("GET", "/api/v0/find?selector=~la.*{}&format=json", None, (),
                                api.read)[2])
    assert len(found) == 4
    assert all(before - 60000 < row["la"] <= before + 1000 for row in found)
    fetched = json.loads(api.fetch("selector=~la.*{}&format=json" + ALL))
    assert [row["la"] for row in fetched] == [row["la"] for row in found]
    assert len(api.find("~la.*{}", "&gskip=1&gcount=2")) == 2
    assert len(api.find("~la.*{}", "&limit=3")) == 3
    assert len(api.times("selector=~la.*{}&gskip=3" + ALL)) == 1
    assert len(api.find("~la.*{}", f"&activeafter={before - 60000}")) == 4
    assert api.find("~la.*{}", f"&activeafter={before + 60000}") == []
    assert api.find("~la.*{}", f"&quietafter={before - 60000}") == []
    assert len(api.times(f"selector=~la.*{{}}&quietafter={before + 60000}{ALL}")) == 4
    # Of several selectors each series comes once.
    assert len(api.find("la.1{} ~la.[12]{}\nla.3{}")) == 3
    assert ".uuid=" in api.find("la.1{}", "&showuuid=true")[0]


def test_packed_series_are_unpacked(api):
    values = ["1", "2.5", "T", "'x%20y'", "b64:AAEC"]
    api.expect_update("".join(f"{i}/48.0:-4.5/{i} pk.a{{r={i % 2}}} {values[i % 5]}\n"
                              for i in range(1, 101)).encode())
    plain = api.fetch("selector=pk.a{}&format=fulltext" + ALL)
    packed = api.fetch("selector=pk.a{}&format=pack&chunksize=7" + ALL)
    assert packed.count("\r\n") == 16  # 50 points of each of two series, 7 a line
    assert all(line.split(" ")[0].endswith("//7") or line.split(" ")[0].endswith("//1")
               for line in packed.splitlines())
    assert len(api.fetch("selector=pk.a{}&format=pack&maxsize=40" + ALL).splitlines()) > 16
    # As a client stores them: a text per line, of the time that stands there.
    lines = [re.fullmatch(r"(\d+)//\d+ pk.a%3Apacked\{(.*)\} '(.*)'", line).groups()
             for line in packed.splitlines()]
    api.expect_update("".join(f"{when}// pk.a%3Apacked{{{labels}}} '{text}'\n"
                              for when, labels, text in lines).encode())
    api.expect_update("".join(f"{when}// pk.a-z{{{labels}}} '{text}'\n"
                              for when, labels, text in lines).encode())
    assert api.delete("selector=pk.a{}&deleteall")[0] == 200
    assert api.fetch("selector=pk.a{}&unpack&format=fulltext" + ALL) == plain
    assert api.fetch("selector=~pk.a{r~.*}&unpack&format=fulltext" + ALL) == plain
    assert api.fetch("selector=pk.a{}&unpack&suffix=-z&format=fulltext" + ALL) == plain
    # Ranges and counts are about the points inside.
    assert api.times("selector=pk.a{r=1}&unpack&start=40&end=46") == [45, 43, 41]
    assert api.times("selector=pk.a{r=1}&unpack&end=50&count=2") == [49, 47]
    assert api.times("selector=pk.a{r=1}&unpack&end=50&count=2&skip=1&step=3") == [47, 41]
    # A value that is no wrapper is a fault, not a hole.
    api.expect_update(b"1000// pk.a:packed{r=1} 'no wrapper'\n")
    with pytest.raises(http.client.IncompleteRead):
        api.fetch("selector=pk.a{r=1}&unpack" + ALL)
    last = api.fetch("selector=pk.a{r=1}&unpack&showerrors" + ALL).splitlines()[-1]
    assert last.startswith("# ERROR: ") and "no%20wrapper%20of%20points" in last


def test_a_token_clamps_what_its_holder_reads(api, cluster):
    api.expect_update("".join(f"{i}// clamp{{}} {i}\n" for i in range(1, 10)).encode())
    add_tokens(cluster, """
token.read.clamp.name=CLAMPED
token.read.clamp.app=demo
token.read.clamp.attributes=.start=3,.end=7,.count=3,.pre=1,.post=0
token.read.quiet.name=QUIET
token.read.quiet.app=demo
token.read.quiet.attributes=.quietafter=1000
token.read.none.name=NOTHING
token.read.none.app=demo
token.read.none.attributes=.nofind=,.nofetch=
""")
    clamped = Api(cluster.indexer(0), "no", "CLAMPED")
    known(lambda: clamped.send("GET", "/api/v0/find?selector=clamp{}", None, (), "CLAMPED")[0])
    assert clamped.times("selector=clamp{}" + ALL) == [7, 6, 5]
    query = "selector=clamp{}&start=4&end=5&boundary.pre=3&boundary.post=3"
    assert clamped.times(query) == [5, 4, 3]
    quiet = Api(cluster.indexer(0), "no", "QUIET")
    assert quiet.find("clamp{}") == [] and quiet.times("selector=clamp{}" + ALL) == []
    for path in "find?selector=clamp{}", "fetch?selector=clamp{}" + ALL:
        assert api.send("GET", "/api/v0/" + path, None, (), "NOTHING")[0] == 403


# ── Writing and deleting ────────────────────────────────────────────────────────────────────


def test_a_token_may_have_so_many_series(api, cluster):
    add_tokens(cluster, """
token.write.few.name=FEW
token.write.few.owner=22222222-2222-2222-2222-222222222222
token.write.few.app=few
token.write.few.maxseries=3
token.read.few.name=SEES-FEW
token.read.few.app=few
""")
    few = Api(cluster.indexer(0), "FEW", "SEES-FEW")
    known(lambda: few.update(b"")[0])
    few.expect_update(b"1// few.a{} 1\n2// few.a{} 2\n1// few.b{} 1\n")
    status, text = few.update(b"3// few.b{} 3\n1// few.c{} 1\n1// few.d{} 1\n1// few.e{} 1\n")
    assert status == 429
    assert "line 3" in text and "few.d{" in text
    assert "exceed your Monthly Active Data Streams limit (3)" in text
    assert sorted(few.find("~.*{}")) == [f"few.{c}{{.app=few}}{{}}" for c in "abc"]
    assert few.times("selector=few.b{}" + ALL) == [3, 1]
    few.expect_update(b"9// few.a{} 9\n")  # what is there may grow
    assert few.delete("selector=few.a{}&deleteall")[0] == 200
    wait_until(lambda: "ok" if few.update(b"1// few.d{} 1\n")[0] == 200 else None, 10, "the room")
    assert few.update(b"1// few.a{} 1\n")[0] == 429


def test_tokens_that_take_turns_write_their_own_series(api, cluster):
    """Readers are used again: a series is not mistaken for another's, nor for a deleted one."""
    add_tokens(cluster, """
token.write.turns.name=TURNS
token.write.turns.owner=44444444-4444-4444-4444-444444444444
token.write.turns.app=turns
token.read.turns.name=SEES-TURNS
token.read.turns.app=turns
""")
    other = Api(cluster.indexer(0), "TURNS", "SEES-TURNS")
    known(lambda: other.update(b"")[0])
    for turn in range(1, 8):
        for writer in api, other, other, api:
            writer.expect_update(f"{turn}// turn{{a=1}} {turn}\n=0// 0\n".encode())
            assert writer.update(b"9// turn{a=2} 9\nwrong\n")[0] == 400
        if turn == 5:
            assert other.delete("selector=turn{}&deleteall")[0] == 200
    for reader, app, times in (api, "demo", [7, 6, 5, 4, 3, 2, 1, 0]), \
                              (other, "turns", [7, 6, 0]):
        assert reader.find("turn{}") == [f"turn{{.app={app},a={n}}}{{}}" for n in (1, 2)]
        assert reader.times("selector=turn{a=1}" + ALL) == times
        assert reader.times("selector=turn{a=2}" + ALL) == [9]


def test_the_series_may_be_deleted_alone(api):
    api.expect_update(b"1// alone{a=1} 1\n2// alone{a=1} 2\n1// alone{a=2} 1\n")
    assert api.delete("selector=alone{a=1}&metaonly&start=1&end=2")[0] == 500
    assert api.delete("selector=alone{a=1}&metaonly") == (200, "alone{.app=demo,a=1}{}\r\n")
    assert api.find("alone{}") == ["alone{.app=demo,a=2}{}"]
    assert api.times("selector=alone{a=1}" + ALL) == []
    api.expect_update(b"3// alone{a=1} 3\n")
    assert api.times("selector=alone{a=1}" + ALL) == [3, 2, 1]


def test_deletes_by_attribute_and_by_activity_take_just_these(api):
    api.expect_update(b"".join(b"%d// by{n=%d} 1\n" % (t, n) for n in range(4) for t in (1, 2)))
    assert api.meta(b"by{n=0}{unit=C}\nby{n=1}{unit=C}\nby{n=2}{unit=K}\n") == (200, "")
    status, listed = api.delete("selector=by{unit=C}&start=1&end=1")
    assert status == 200 and listed.count("\r\n") == 2
    assert [len(api.times(f"selector=by{{n={n}}}" + ALL)) for n in range(4)] == [1, 1, 2, 2]
    # One that gets the attribute later is not meant.
    assert api.meta(b"by{n=3}{unit=C}\n") == (200, "")
    assert len(api.times("selector=by{n=3}" + ALL)) == 2
    now = int(time.time() * 1000)
    assert api.delete(f"selector=by{{}}&deleteall&quietafter={now - 600000}") == (200, "")
    assert api.delete("selector=by{}&deleteall&quietafter=x")[0] == 500
    status, listed = api.delete(f"selector=by{{}}&deleteall&activeafter={now - 600000}&dryrun")
    assert listed.count("\r\n") == 4 and len(api.find("by{}")) == 4
    assert api.delete(f"selector=by{{}}&deleteall&activeafter={now - 600000}") == (200, listed)
    assert api.find("by{}") == []


def test_attributes_of_lines_may_be_skipped(api):
    api.expect_update(b"1// skip{}{a=1} 1")
    api.expect_update(b"2// skip{}{a=2} 2", {"X-Warp10-Attributes": "skip"})
    assert api.find("skip{}") == ["skip{.app=demo}{a=1}"]


def test_times_may_be_shifted_and_bounded_by_a_token(api, cluster):
    api.expect_update(b"1000000// shift{} 1\n=T-1// 2\n", {"X-Warp10-Timeshift": "PT1S"})
    assert api.times("selector=shift{}&start=0&end=3000000") == [2000000]
    assert api.update(b"1// shift{} 1", {"X-Warp10-Timeshift": "1.5"})[0] == 400
    add_tokens(cluster, """
token.write.past.name=PAST
token.write.past.owner=33333333-3333-3333-3333-333333333333
token.write.past.app=demo
token.write.past.attributes=.maxpast=600000,.maxfuture=1000,.maxsize=3
token.write.drop.name=DROP
token.write.drop.owner=33333333-3333-3333-3333-333333333333
token.write.drop.app=demo
token.write.drop.attributes=.maxpast=1000,.ignoor=true
token.read.past.name=SEES-PAST
token.read.past.owner=33333333-3333-3333-3333-333333333333
""")
    past = Api(cluster.indexer(0), "PAST", "SEES-PAST")
    known(lambda: past.update(b"")[0])
    now = int(time.time() * 10**6)
    status, text = past.update(f"{now}// past{{}} 1\n5// past{{}} 1\n6// past{{}} 1\n".encode())
    assert status == 400 and "Timestamp 5 is too far in the past." in text and "line 2" in text
    status, text = past.update(f"{now + 10**8}// past{{}} 1\n".encode())
    assert status == 400 and "is too far in the future." in text
    status, text = past.update(b"// past{} 'abcd'\n")
    assert status == 400 and "Value too large" in text
    drop = Api(cluster.indexer(0), "DROP", api.read)
    drop.expect_update(b"5// past{} 1\n")
    assert past.times("selector=past{}" + ALL) == [now]


# ── Refusals ────────────────────────────────────────────────────────────────────────────────

SELECTORS = {  # of find, fetch and delete; the column where it is wrong
    "x{a}": 3, "~x(bad{}": None, "x{a=%zz}": None, "~[{}": None, "x{a~[}": None,
}


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_wrong_selector_is_named_with_its_column(api, selector):
    for path in "find?", "fetch?start=1&end=2&", "delete?start=1&end=2&":
        token = api.write if path[0] == "d" else api.read
        status, _, content = api.send("GET", f"/api/v0/{path}selector={quote(selector)}", None,
                                      {"Accept": "text/plain"}, token)
        assert status == 500, (path, content)
        text = content.decode()
        assert f"selector '{selector}', column " in text
        if SELECTORS[selector]:
            assert f"column {SELECTORS[selector]} " in text


def test_selectors_without_braces_are_the_client_s_fault(api):
    for path, status in ("fetch?start=1&end=2&", 400), ("delete?start=1&end=2&", 400), \
                        ("find?", 500):
        token = api.write if path[0] == "d" else api.read
        answer = api.send("GET", f"/api/v0/{path}selector=x", None, {"Accept": "text/plain"}, token)
        assert answer[0] == status and b"column 2" in answer[2], answer


def test_errors_come_in_the_form_the_client_reads(api):
    path = "/api/v0/fetch?selector=x{}"
    status, headers, content = api.send("GET", path, None, {"Accept": "text/plain"}, "no")
    assert status == 403 and headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cache-Control"] == "must-revalidate,no-cache,no-store"
    assert content.decode().splitlines() == [
        "HTTP ERROR 403 Invalid token.", "URI: /api/v0/fetch", "STATUS: 403",
        "MESSAGE: Invalid token."]
    status, headers, content = api.send("GET", path, None, {"Accept": "application/json"}, "no")
    assert json.loads(content) == {"url": "/api/v0/fetch", "status": "403",
                                   "message": "Invalid token."}
    status, headers, content = api.send("GET", path, None, (), "<no>")
    assert headers["Content-Type"].startswith("text/html")
    assert b"HTTP ERROR 403 Invalid token." in content
    status, text = api.update(b"1// x{} '%zz<b>'\n")
    assert status == 400 and "&lt;b&gt;" in text and "<b>" not in text
    # Without end, an error stays short.
    status, text = api.update(b"x" * 100000)
    assert status == 400 and len(text) < 8000


def test_paths_and_methods_are_those_of_the_reference(api):
    for path in "/api/v0", "/api/v0/", "/api/v0/nothing", "/api/v0/update/x/y", "/api/v0/fetch/x":
        status, headers, content = api.send("GET", path, None, (), api.read)
        assert status == 404, path
    status, headers, content = api.send("GET", "/api/v0/check")
    assert (status, content) == (200, b"") and "Access-Control-Allow-Origin" not in headers
    for path in "/api/v0/check", "/api/v0/update", "/api/v0/nothing":
        status, headers, content = api.send("OPTIONS", path)
        assert (status, content) == (200, b"")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Access-Control-Allow-Private-Network"] == "true"
        assert headers["Access-Control-Allow-Headers"] == \
            "X-Warp10-Token,X-Warp10-WarpScriptSession,Access-Control-Request-Private-Network"
        assert headers["Access-Control-Max-Age"] == "2592000"
    for body in b"", b"\n\n# nothing\n", b"#":
        status, headers, content = api.send("PUT", "/api/v0/update", body, (), api.write)
        assert (status, content, headers["Content-Length"]) == (200, b"", "0")


def test_a_packed_body_that_is_cut_off_keeps_what_came(api):
    body = gzip.compress("".join(f"{i}// cut{{}} {i}\n" for i in range(100000)).encode())
    status, text = api.update(body[:-2000], {"Content-Type": "application/gzip"})
    assert status == 500 and "GZIP" in text
    kept = api.times("selector=cut{}" + ALL)
    assert kept and kept == list(range(len(kept) - 1, -1, -1))
    status, text = api.update(b"\x1f\x8b" + b"junk" * 10, {"Content-Type": "application/gzip"})
    assert status == 500 and "GZIP" in text


SEALED = {  # of the sheet: what a real Warp 10 generates with these keys
    "write": ".KVEQsFj6Bx0pfCX7C_pbsESCca5DnMmdObGNcr4N8EYP0Xz2PWrnX_tan1RhlM_ZtSohFy2DZAo6AatZPNpK"
             "3OsQ3ziyjKfZ2vaw3EEGTJ",
    "read": "IeaiRP.pEcMacWGGGgqG97cwJj.5Z1ed9ICdQqD8puXraQMrI9DP5CDJkVkZO.Yi9w_O.R8XW.hmRD2fL0pGua"
            "oMWEOFi_8sptY4io915r4Aoh0JgHx.oF"}


def test_tokens_of_a_real_warp10_are_understood():
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, "Token-AES-Key=hex:" + bytes(range(0x40, 0x60)).hex(),
                  "Token-Hash-Key=hex:" + bytes(range(0x20, 0x30)).hex(), "Expose-Owner=true")
        api = Api(c.indexer(0).start(), SEALED["write"], SEALED["read"])
        api.expect_update(b"1// sealed{} 1")
        uuid = "11111111-1111-1111-1111-111111111111"
        assert api.find("~.*{}") == [f"sealed{{.app=demo,.owner={uuid},.producer={uuid}}}{{}}"]
        assert api.delete("selector=sealed{}&deleteall")[0] == 200
        assert api.find("~.*{}") == []
        sealed = SEALED["write"]
        for wrong in SEALED["read"], sealed[:20] + "a" + sealed[21:], sealed[:-4]:
            status, _, text = api.send("POST", "/api/v0/update", b"1// x{} 1", (), wrong)
            assert status == 403 and b"Invalid token" in text


def test_what_the_operator_disabled_is_refused():
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, "Application=demo", "Disable-Update=true", "Disable-Meta=true",
                  "Disable-Delete=true", "CORS-Headers=X-Mine,X-Other")
        c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        api = Api(c.indexer(0), tokens["write"], tokens["read"])
        allowed = api.send("OPTIONS", "/api/v0/fetch")[1]["Access-Control-Allow-Headers"]
        assert allowed.endswith("Private-Network,X-Mine,X-Other")
        assert api.update(b"1// x{} 1")[0] == 403
        assert api.meta(b"x{}{}")[0] == 403
        assert api.delete("selector=x{}&deleteall")[0] == 403
        assert api.find("~.*{}") == []
        # Not allowed unless the operator says so.
        for query in "metaonly", "deleteall&activeafter=1", "deleteall&quietafter=1":
            assert api.delete("selector=x{}&" + query)[0] in (403, 500)


# ── Sizes ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def measured(monkeypatch):
    """An indexer whose freed memory is given back: the sanitizer would keep 256 MB of it."""
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") +
                       ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, *SETTINGS)
        tokens = c.layout.secrets["warp10"]
        yield Api(c.indexer(0).start(), tokens["write"], tokens["read"]), c.indexer(0)


def test_bodies_of_any_size_need_little_memory_both_ways(measured):
    """A million points of few series in one body, packed or not, and out again."""
    api, node = measured
    points, series = 1_000_000, 10

    def body(pack):
        squeeze = gzip.compress if pack else bytes
        for i in range(0, points, 10000):
            yield squeeze("".join(f"{t}// large{{s={t % series}}} {t}.5\n"
                                  for t in range(i, i + 10000)).encode())
    api.expect_update(body(pack=False), {"Transfer-Encoding": "chunked"})
    once = memory_mb(node)
    api.expect_update(body(pack=True), {"Transfer-Encoding": "chunked",
                                        "Content-Type": "application/gzip"})
    twice = memory_mb(node)
    assert twice - once < 64, (once, twice)  # the points themselves come to memory again
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=300)
    connection.request("GET", "/api/v0/fetch?selector=large{}&format=fulltext" + ALL,
                       headers={"X-Warp10-Token": api.read})
    answer = connection.getresponse()
    highest, lines, size = 0, 0, 0
    while piece := answer.read(1 << 20):
        lines += piece.count(b"\n")
        size += len(piece)
        highest = max(highest, memory_mb(node))
    connection.close()
    assert lines == points and size > 25 * points
    assert highest - twice < 32, (twice, highest)
