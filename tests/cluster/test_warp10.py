"""The Warp 10 API of an indexer, over HTTP: what is written is read, found, changed and deleted."""

import gzip
import http.client
import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from client import wait_until
from cluster import Background, Cluster

UUID = "11111111-1111-1111-1111-111111111111"
EXAMPLE = b"""1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5
=1700000060000000/48.0:-4.5/120000 22
1700000000000000// demo.door{room=hall} T
1700000000000000//1500 demo.event{room=hall%20A} 'caf%C3%A9%20%25'
1700000000000000// demo.blob{room=hall} b64:AAEC_w
"""


class Api:
    def __init__(self, node, write, read):
        self.port, self.write, self.read = node.process.port, write, read

    def send(self, method, target, body=None, headers=(), token=None):
        """Target and headers go out as they are. Returns status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection._validate_path = lambda url: None  # raw braces and spaces are a part of it
        headers = dict(headers)
        if token is not None:
            headers["X-Warp10-Token"] = token
        connection.request(method, target, body, headers,
                           encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        content = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return answer.status, answer.headers, content

    def update(self, body, headers=(), path="/api/v0/update"):
        status, _, content = self.send("POST", path, body, headers, self.write)
        return status, content.decode()

    def expect_update(self, body, headers=()):
        assert self.update(body, headers) == (200, "")

    def fetch(self, query, headers=()):
        status, _, content = self.send("GET", "/api/v0/fetch?" + query, None, headers, self.read)
        assert status == 200, content
        return content.decode()

    def times(self, query):
        lines = self.fetch(query + "&format=fulltext").splitlines()
        return [int(line.split("/")[0]) for line in lines]

    def find(self, selector, more=""):
        status, _, content = self.send("GET", f"/api/v0/find?selector={quote(selector)}{more}",
                                       None, (), self.read)
        assert status == 200, content
        return sorted(content.decode().splitlines())

    def meta(self, body, headers=()):
        status, _, content = self.send("POST", "/api/v0/meta", body, headers, self.write)
        return status, content.decode()

    def delete(self, query, headers=()):
        status, _, content = self.send("GET", "/api/v0/delete?" + query, None, headers, self.write)
        return status, content.decode()


SETTINGS = ["Application=demo", "Parse-Attributes=true", "Allow-Delta-Attributes=true"]


def configure(c, *lines):
    """Puts lines into [Warp10] of the first indexer, before it starts."""
    config = c.indexer(0).process.config
    text = config.read_text().replace("[Warp10]\n", "[Warp10]\n" + "\n".join(lines) + "\n", 1)
    config.write_text(text)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, *SETTINGS)
        c.indexer(0).start()
        yield c


@pytest.fixture
def api(cluster):
    tokens = cluster.layout.secrets["warp10"]
    return Api(cluster.indexer(0), tokens["write"], tokens["read"])


def test_the_worked_example_comes_back_in_every_format(api):
    api.expect_update(EXAMPLE, {"Content-Type": "text/plain"})
    query = "selector=~demo.(temp|door|event|blob){}&now=1700000100000000&timespan=200000000"
    assert sorted(api.fetch(query).splitlines()) == sorted([
        "1700000000000000// demo.door{.app=demo,room=hall} T",
        "1700000000000000// demo.blob{.app=demo,room=hall} b64:AAEC_w",
        "1700000000000000//1500 demo.event{.app=demo,room=hall%20A} 'caf%C3%A9%20%25'",
        "1700000060000000/47.99999998882413:-4.500000067055225/120000 "
        "demo.temp{.app=demo,room=kitchen,sensor=a} 22",
        "=1700000000000000// 21.5"])
    assert ("1700000000000000// demo.temp{.app=demo,room=kitchen,sensor=a} 21.5"
            in api.fetch(query + "&format=fulltext").splitlines())
    series = {row["c"]: row for row in json.loads(api.fetch(query + "&format=json"))}
    assert series["demo.temp"]["v"] == [
        [1700000060000000, 47.99999998882413, -4.500000067055225, 120000, 22],
        [1700000000000000, 21.5]]
    assert series["demo.event"]["l"] == {".app": "demo", "room": "hall A"}
    assert series["demo.event"]["v"] == [[1700000000000000, 1500, "café %"]]
    assert series["demo.blob"]["v"] == [[1700000000000000, "\0\1\2\xff"]]
    assert ("# demo.event{.app=demo,room=hall%20A}{}\n"
            "1700000000000000\t\t\t1500\t'caf%C3%A9%20%25'\n") in api.fetch(query + "&format=tsv")
    assert ("demo.event\t.app=demo,room=hall%20A\t\t1700000000000000\t\t\t1500\t"
            "'caf%C3%A9%20%25'\n") in api.fetch(query + "&format=fulltsv")
    assert ("0//1 demo.door{.app=demo,room=hall} O..51XFN6Z..\r\n"
            in api.fetch(query + "&format=raw"))
    assert ("1700000000000000//1 demo.door%3Apacked{.app=demo,room=hall} 'T._Z..N980VTF..L.V.'\r\n"
            in api.fetch(query + "&format=pack"))
    assert api.fetch(query + "&format=null") == ""
    # What text gives is taken again as it is.
    api.expect_update(api.fetch(query).encode())
    assert api.fetch("selector=demo.none{}&now=1&timespan=1&format=json") == ""
    assert api.fetch("selector=demo.door{}&now=1&timespan=1&format=json") == "[]"


def test_ranges_counts_and_thinning_are_those_of_the_reference(api):
    api.expect_update("".join(f"{i * 10**6}// s{{}} {i // 3}\n" for i in range(1, 11)).encode())
    expected = {
        "now=10000000&timespan=3000000": [10, 9, 8],
        "now=10000000&count=3": [10, 9, 8],
        "now=10000000&timespan=-3": [10, 9, 8],
        "start=2000000&stop=4000000": [4, 3, 2],
        "timespan=5000000&count=2&now=9000000": [9, 8],
        "now=10000000&count=100&dedup=true": [10, 8, 5, 2, 1],
        "now=10000000&skip=2&count=3": [8, 7, 6],
        "now=10000000&count=10&step=3": [10, 7, 4, 1],
        "now=10000000&count=10&timestep=2500000": [10, 7, 4, 1],
        "start=1970-01-01T00:00:02Z&stop=1970-01-01T00:00:04Z": [4, 3, 2],
        "start=4000000&timespan=PT2S": [5, 4],
        "start=4000000&stop=6000000&boundary.pre=2&boundary.post=1": [7, 6, 5, 4, 3, 2],
        "now=10000000&count=0": [],
        "now=10000000&timespan=0": [],
    }
    for query, seconds in expected.items():
        assert api.times("selector=s{}&" + query) == [s * 10**6 for s in seconds], query
    # As a form, with its charset, the same.
    _, _, content = api.send("POST", "/api/v0/fetch", "selector=s%7B%7D&now=10000000&count=1",
                             {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
                             api.read)
    assert content == b"10000000// s{.app=demo} 3\n"


def test_bodies_may_be_packed_chunked_and_called_a_form(api):
    two = gzip.compress(b"1// packed{} 1\n2// packed{} 2\n") + gzip.compress(b"=3// 3\n")
    api.expect_update(two, {"Content-Type": "application/gzip"})
    api.expect_update(iter([b"4// packed{} 4\n5// pac", b"ked{} 5\n"]),
                      {"Content-Type": "application/x-www-form-urlencoded",
                       "Transfer-Encoding": "chunked"})
    assert api.times("selector=packed{}&now=9&count=9") == [5, 4, 3, 2, 1]
    assert api.update(b"1// x{} 1", {"Content-Type": "application/gzip"})[0] == 500
    status, _ = api.update(gzip.compress(b"1// x{} 1"), {"Content-Encoding": "gzip"})
    assert status == 400
    for method in "GET", "POST":
        status, headers, content = api.send(
            method, "/api/v0/fetch?selector=packed{}&now=9&count=1", None,
            {"Accept-Encoding": "gzip"}, api.read)
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert headers["X-Warp10-Timeunit"] == "1000000"
        assert content == b"5// packed{.app=demo} 5\n"


REFUSED = {
    "1/ x{} 1": (400, "Parse error at index 2 in"),
    "1/// x{} 1": (400, "Invalid elevation"),
    "1/48:2/12.5 x{} 1": (400, "Invalid elevation"),
    "1// x{a} 1": (400, "Invalid label definition"),
    "1// x{}": (400, "Missing value."),
    "now// x{} 1": (400, "Invalid timestamp."),
    "1/48.5,2/ x{} 1": (400, "Invalid location"),
    "1// x%zz{} 1": (500, "Invalid escape"),
    "1// x{} '%zz'": (400, "Invalid value"),
    "1// x{} 0x10": (400, "Invalid value"),
    f"1// x{{}} '{'a' * 65537}'": (400, "Value too large"),
    f"1// x{{a={'a' * 2048}}} 1": (400, "Invalid or too large metadata"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_wrong_line_is_named_and_costs_nothing_before_it(api, line):
    name = f"before{abs(hash(line)) % 10**9}"
    status, text = api.update(f"1// {name}{{}} 1\n\n# x\n2// {name}{{}} 2\n{line}\n"
                              f"3// {name}{{}} 3\n".encode())
    assert status == REFUSED[line][0]
    assert REFUSED[line][1] in text
    assert "line 5 column" in text
    assert api.times(f"selector={name}{{}}&now=9&count=9") == [2, 1]


def test_tokens_decide_who_does_what(api, cluster):
    def status(method, path, token=None, body=None):
        return api.send(method, path, body, {"Accept": "text/plain"}, token)[::2]
    body = b"1// x{} 1"
    for token, text in (None, b"Write token missing"), ("no", b"Invalid token"), \
                       (api.read, b"Invalid token"):
        code, content = status("POST", "/api/v0/update", token, body)
        assert code == 403 and text in content
        assert status("POST", "/api/v0/meta", token, b"x{}{}")[0] == 500
        assert status("GET", "/api/v0/delete?selector=x{}&deleteall", token)[0] == 500
    assert status("POST", f"/api/v0/update/{api.write}", "no", body)[0] == 200
    for path in "/api/v0/fetch?selector=x{}&now=9&count=1", "/api/v0/find?selector=x{}":
        assert status("GET", path)[0] == 403
        assert status("GET", path, api.write)[0] == 403
        assert status("GET", f"{path}&token={api.read}")[0] == 200

    # Another owner's series are others, though the lines are the same.
    file = str(cluster.indexer(0).process.dir / "warp10.tokens")
    make = lambda *options: cluster.aquifer("token", "make", "--file", file,  # noqa: E731
                                            *options).stdout.decode().strip()
    write = make("--write", "--owner", UUID, "--labels", "site=s1", "--app", "other")
    read = make("--read", "--owner", UUID)
    bare = Api(cluster.indexer(0), write, read)
    assert write not in Path(file).read_text()
    wait_until(lambda: "ok" if bare.update(b"1// mine{} 7")[0] == 200 else None, 10, "the token")
    assert bare.find("~.*{}") == ["mine{.app=other,site=s1}{}"]
    assert bare.find("~.*{.owner=x,.app=demo}") == ["mine{.app=other,site=s1}{}"]
    assert api.find("mine{}") == []
    assert cluster.aquifer("token", "revoke", "--file", file, write).returncode == 0
    wait_until(lambda: "ok" if "Token revoked" in bare.update(b"1// mine{} 7")[1] else None, 10,
               "the revocation")
    assert bare.find("mine{}") != []
    slow = Api(cluster.indexer(0), make("--write", "--max-rate", "10"), read)
    wait_until(lambda: "ok" if slow.update(b"1// slow{} 1\n" * 10000)[0] == 200 else None, 10,
               "the slow token")
    status, text = slow.update(b"1// slow{} 1")
    assert status == 429 and "10 points per second" in text


def test_attributes_are_replaced_amended_and_cleared(api):
    api.expect_update(b"1// attr{a=1}{unit=C,place=x%20y} 1\n1// attr{a=2} 2")
    assert api.find("attr{}") == ["attr{.app=demo,a=1}{place=x%20y,unit=C}",
                                  "attr{.app=demo,a=2}{}"]
    assert api.meta(b"attr{a=1}{unit=K}\n# x\n\n unknown{}{a=b} \nattr{a=2}{%C3%A9=%25}\n") == \
        (200, "")
    assert api.find("attr{}") == ["attr{.app=demo,a=1}{unit=K}", "attr{.app=demo,a=2}{%C3%A9=%25}"]
    assert api.find("unknown{}") == []
    assert api.find("attr{unit=K}", "&showattr=false") == ["attr{.app=demo,a=1}"]
    assert api.meta(b"attr{a=1}{unit=,scale=log}", {"X-Warp10-Attributes": "delta"}) == (200, "")
    assert api.find("attr{a=1}") == ["attr{.app=demo,a=1}{scale=log}"]
    assert api.meta(b"attr{a=1}{}") == (200, "")
    assert api.find("attr{a=1}") == ["attr{.app=demo,a=1}{}"]
    assert api.meta(b"attr{a=1}{x=1}\nattr{a=1}\n")[0] == 500
    assert api.find("attr{a=1}") == ["attr{.app=demo,a=1}{x=1}"]
    assert api.meta(b"attr{a=1}{a=2}")[0] == 400


def test_deletes_take_ranges_series_and_nothing_else(api):
    body = "".join(f"{t}// del.{n}{{i={n}}} {t}\n" for n in "abc" for t in range(1, 6)).encode()
    api.expect_update(body)
    listed = "del.a{.app=demo,i=a}{}\r\n"
    assert api.delete("selector=del.a{}&start=2&end=3&dryrun") == (200, listed)
    assert api.times("selector=del.a{}&now=9&count=9") == [5, 4, 3, 2, 1]
    assert api.delete("selector=del.a{}&start=2&end=3") == (200, listed)
    assert api.times("selector=del.a{}&now=9&count=9") == [5, 4, 1]
    assert api.delete("selector=del.a{}&start=0&end=9") == (200, listed)
    assert api.find("del.a{}") == ["del.a{.app=demo,i=a}{}"]
    assert api.delete("selector=~del.[ab]{}&deleteall")[1].count("\r\n") == 2
    assert api.find("~del.*{}") == ["del.c{.app=demo,i=c}{}"]
    assert api.times("selector=del.c{}&now=9&count=9") == [5, 4, 3, 2, 1]
    api.expect_update(b"7// del.a{i=a} 7")
    assert api.times("selector=del.a{}&now=9&count=9") == [7]
    assert api.delete("selector=del.none{}&deleteall") == (200, "")
    for query, status, text in (
            ("selector=del.c{}", 500, "Parameter deleteall or metaonly should be set"),
            ("selector=del.c{}&start=1", 500, "Both start and end should be defined."),
            ("selector=del.c{}&start=3&end=1", 500, "Invalid time range specification."),
            ("selector=del.c{}&deleteall&minage=1", 500, "does not support the &apos;minage"),
            ("deleteall", 400, "selector"), ("selector=del.c&deleteall", 400, "selector"),
            ("selector=del.c{a}&deleteall", 500, "selector")):
        code, content = api.delete(query)
        assert (code, text in content) == (status, True), (query, content)
    assert api.times("selector=del.c{}&now=9&count=9") == [5, 4, 3, 2, 1]


def test_bad_requests_have_the_status_of_the_reference(api):
    for path, status in {"fetch?now=1&count=1": 400, "fetch?selector=x{}": 400,
                         "fetch?selector=x{}&start=1": 400, "fetch?selector=x&now=1&count=1": 400,
                         "fetch?selector=x{}&now=1&count=a": 500,
                         "find": 500, "find?selector=x": 500}.items():
        assert api.send("GET", "/api/v0/" + path, None, (), api.read)[0] == status, path
    status, headers, content = api.send("GET", "/api/v0/check")
    assert (status, content) == (200, b"")
    status, headers, _ = api.send("OPTIONS", "/api/v0/fetch")
    assert (status, headers["Access-Control-Allow-Methods"]) == (200, "OPTIONS,POST,GET")
    status, _, content = api.send("GET", "/api/v0/fetch?selector=x{}", None,
                                  {"Accept": "application/json"}, "no")
    assert (status, json.loads(content)["message"]) == (403, "Invalid token.")


# ── The datalog header, as Warp 10 2.x forwards it ──────────────────────────────────────────

ALPHABET = ".0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


def opb64(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[i:i + 6], 2)] for i in range(0, len(bits), 6))


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def header(kind, token, now=None, query=None):
    text = lambda delta, value: bytes([delta << 4 | 8]) + varint(len(value)) + value  # noqa: E731
    record = b"\x16" + varint(2 * 1795216595001912436) + text(1, opb64(b"node-a").encode())
    record += text(1, kind.encode()) + text(1, token.encode())
    if now is not None:
        record += text(1, str(now).encode()) + b"\x22"
    elif query is not None:
        record += text(2, query.encode())
    else:
        record += b"\x32"
    return {"X-Warp10-Datalog": opb64(record + b"\0")}


def test_what_a_warp10_forwards_is_taken(api):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    nobody = Api.__new__(Api)
    nobody.port, nobody.write, nobody.read = api.port, "not a token", api.read
    forwarded = {**header("UPDATE", api.write, now=1000), **form}
    assert nobody.update(b"#K52934652515796\n// fwd{a=1} 1\n=T-1// 2\n", forwarded) == (200, "")
    assert api.times("selector=fwd{}&now=9999&count=9") == [1000, 999]
    assert nobody.meta(b"fwd{a=1}{u=C}\n", {**header("META", api.write), **form}) == (200, "")
    assert api.find("fwd{}") == ["fwd{.app=demo,a=1}{u=C}"]
    long = "x" * 40000  # twice in the request: beyond what Warp 10 itself can take
    query = f"selector=fwd{{a=1}}&start=1000&end=1000&x=%7B%20+{long}"
    assert nobody.delete(query + "y", header("DELETE", api.write, query=query))[0] == 500
    assert nobody.delete(query, header("DELETE", api.write, query=query)) == \
        (200, "fwd{.app=demo,a=1}{u=C}\r\n")
    assert api.times("selector=fwd{}&now=9999&count=9") == [999]
    assert nobody.update(b"1// x{} 1", {"X-Warp10-Datalog": "garbage"})[0] == 500


# ── Size and time ───────────────────────────────────────────────────────────────────────────

def memory_mb(node):
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024


def test_a_body_of_100_mb_needs_little_memory(api, cluster):
    api.expect_update(b"1// big{} 1")
    before = memory_mb(cluster.indexer(0))
    comment = b"# " + b"x" * 998 + b"\n"

    def body():
        for i in range(100):
            yield comment * 1000
            yield f"{i}// big{{}} {i}\n".encode()
    api.expect_update(body(), {"Transfer-Encoding": "chunked"})
    assert len(api.times("selector=big{}&now=999&count=999")) == 100
    assert memory_mb(cluster.indexer(0)) - before < 50


def test_many_writers_and_readers_at_a_time_lose_nothing(api):
    """Eight write their own series and one that they share, while others read and delete."""
    rounds, lines, writers = 10, 200, 8

    def write(w):
        for r in range(rounds):
            times = range(r * lines, (r + 1) * lines)
            api.expect_update("".join(f"{t}// own{{w={w}}} 1\n{t * writers + w}// shared{{}} {w}\n"
                                      f"{t}// gone{{w={w}}} 1\n" for t in times).encode())

    def read():
        for _ in range(rounds):
            times = api.times("selector=own{w=0}&now=999999&count=999999")
            assert times == sorted(set(times), reverse=True)
            assert api.delete("selector=gone{}&deleteall")[0] == 200
    jobs = [Background(lambda w=w: write(w)) for w in range(writers)]
    jobs += [Background(read) for _ in range(2)]
    for job in jobs:
        job.join()
    for w in range(writers):
        assert len(api.times(f"selector=own{{w={w}}}&now=999999&count=999999")) == rounds * lines
    assert len(api.times("selector=shared{}&now=999999&count=999999")) == rounds * lines * writers
    assert api.delete("selector=gone{}&deleteall")[0] == 200
    assert api.find("gone{}") == []


def test_a_restart_keeps_everything(cluster):
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c, *SETTINGS)
        node = c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        api = Api(node, tokens["write"], tokens["read"])
        lines = "".join(f"{i}// keep.{i % 7}{{i={i % 50}}} {i / 10}\n" for i in range(20000))
        api.expect_update(lines.encode())
        assert api.meta(b"keep.0{i=0}{a=b}")[0] == 200
        assert api.delete("selector=keep.1{}&start=0&end=10000")[0] == 200
        assert api.delete("selector=keep.2{}&deleteall")[0] == 200
        everything = lambda: (sorted(api.fetch(  # noqa: E731
            "selector=~keep.*{}&now=99999&timespan=100000&format=fulltext").splitlines()),
            api.find("~keep.*{}"))
        before = everything()
        assert len(before[0]) > 13000 and "keep.0{.app=demo,i=0}{a=b}" in before[1]
        node.kill()
        node.start()
        assert everything() == before
        node.stop()
        node.start()
        assert everything() == before


def test_a_wrong_setting_is_said_before_anything_starts(cluster):
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        for line, text in ("Time-Unit=s", "Time-Unit must be ms, us or ns"), \
                          ("Datalog-PSK=hex:00", "Datalog-PSK must have 16, 24 or 32 bytes"):
            original = c.indexer(0).process.config.read_text()
            configure(c, line)
            answer = subprocess.run([*c.indexer(0).process.command, "--check-config"],
                                    capture_output=True, timeout=120, check=False)
            assert answer.returncode != 0
            assert text in answer.stderr.decode()
            c.indexer(0).process.config.write_text(original)
