"""Aquifer beside Warp 10 2.x nodes: what their forwarders send is taken in any order and however
often, what Aquifer forwards is what they expect, and a node that refuses or is away blocks nothing.

The Warp 10 here is a stand-in that speaks what is known of it; tests/interop has a real one."""

import gzip
import http.server
import re
import subprocess
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from client import wait_until
from cluster import BUILD, Cluster, Layout
from test_warp10 import ALPHABET, EXAMPLE, Api, opb64, varint

PSK = bytes(range(32))
T = 1795216595001912436
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def unopb64(text):
    bits = "".join(f"{ALPHABET.index(c):06b}" for c in text)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8))


def text_field(delta, value):
    return bytes([delta << 4 | 8]) + varint(len(value)) + value


def header(kind, token, time=T, node="node-a", now=None, query=None):
    """The value of X-Warp10-Datalog, plain."""
    record = b"\x16" + varint(2 * time) + text_field(1, opb64(node.encode()).encode())
    record += text_field(1, kind.encode()) + text_field(1, token.encode())
    if kind == "UPDATE":
        record += text_field(1, str(now or time // 1000).encode()) + b"\x22"
    elif kind == "DELETE":
        record += text_field(2, query.encode())
    else:
        record += b"\x32"
    return opb64(record + b"\0")


def read_header(value):
    """{field: value} of a compact-Thrift record."""
    data, fields, at, number = unopb64(value), {}, 0, 0

    def read_varint():
        nonlocal at
        result = shift = 0
        while True:
            byte = data[at]
            at += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while data[at] != 0:
        number += data[at] >> 4
        kind = data[at] & 15
        at += 1
        if kind == 6:
            fields[number] = read_varint() >> 1
        elif kind == 8:
            size = read_varint()
            fields[number] = data[at:at + size].decode()
            at += size
        else:
            fields[number] = kind == 1
    return fields


class Warp10:
    """Takes what is forwarded, or answers as it is told; can pass it on as its forwarder does."""

    def __init__(self):
        self.requests, self.lock, self.refuse = [], threading.Lock(), lambda verb, body: 200
        self.relay = None  # what is done with each request before it is taken
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Type") == "application/gzip":
                    body = gzip.decompress(body)
                verb = urlsplit(self.path).path.rsplit("/", 1)[1]
                status = stand_in.refuse(verb, body)
                if status == 200 and stand_in.relay is not None:
                    stand_in.relay(self.command, self.path, body,
                                   self.headers["X-Warp10-Datalog"])
                if status == 200:
                    with stand_in.lock:
                        stand_in.requests.append((verb, self.path, body.decode(),
                                                  self.headers["X-Warp10-Datalog"]))
                self.send_response(status)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"because")

            do_GET = do_POST = respond

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self, verb):
        with self.lock:
            return [r for r in self.requests if r[0] == verb]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def configure(node, *lines, sections=""):
    config = node.process.config
    text = config.read_text().replace("[Warp10]\n", "[Warp10]\n" + "\n".join(lines) + "\n", 1)
    config.write_text(text + "\n" + sections)


@pytest.fixture(scope="module")
def world():
    warp10 = Warp10()
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c.indexer(0), "Application=demo", "Max-Value-Bytes=100", sections=f"""
[Datalog-Forwarder "paris"]
Target={warp10.url}
Token=TOKEN
Ignore-ID=ignored-node
""")
        c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        yield c, warp10, Api(c.indexer(0), tokens["write"], tokens["read"])
    warp10.close()


def forward(api, kind, body, query="", **of_header):
    """As a forwarder of 2.x sends it: the token is only in the header."""
    value = header(kind, api.write, query=query, **of_header)
    headers = {"X-Warp10-Datalog": value, **FORM}
    if kind == "DELETE":
        status, _, content = api.send("GET", "/api/v0/delete?" + query, None,
                                      {"X-Warp10-Datalog": value})
    else:
        status, _, content = api.send("POST", "/api/v0/" + kind.lower(), iter([body]), headers)
    return status, content.decode()


def test_forwarded_requests_in_any_order_end_with_the_last_write(world):
    api = world[2]
    for step in (5, 9, 7, 6, 9, 7):
        body = f"1// order{{}} {step}\n".encode()
        assert forward(api, "UPDATE", body, time=T + step) == (200, "")
    assert api.fetch("selector=order{}&now=9&count=9") == "1// order{.app=demo} 9\n"
    # Our own clock is behind: what is written here first has an earlier or later time, not both.
    assert forward(api, "UPDATE", b"1// order{} 100\n", time=T + 4 * 10**9) == (200, "")
    assert forward(api, "UPDATE", b"1// order{} 99\n", time=T + 3 * 10**9) == (200, "")
    assert api.fetch("selector=order{}&now=9&count=9") == "1// order{.app=demo} 100\n"


def test_a_late_delete_spares_what_was_written_after_it(world):
    api = world[2]
    assert forward(api, "UPDATE", b"1// gone{} 1\n2// gone{} 2\n", time=T + 100) == (200, "")
    assert forward(api, "UPDATE", b"2// gone{} 3\n", time=T + 300) == (200, "")
    query = "selector=gone{}&start=1&end=9"
    status, _ = forward(api, "DELETE", b"", query=query, time=T + 200)
    assert status == 200
    assert api.fetch("selector=gone{}&now=9&count=9") == "2// gone{.app=demo} 3\n"


def test_a_line_that_cannot_be_applied_blocks_nothing(world):
    c, _, api = world
    before = len(quarantine(c))
    long = "x" * 200
    body = f"1// fine{{}} 1\n2// bad{{}} '{long}'\n=3// 3\n4// fine{{}} 4\n".encode()
    assert forward(api, "UPDATE", body, time=T + 400) == (200, "")
    assert api.fetch("selector=~fine|bad{}&now=9&count=9") == "4// fine{.app=demo} 4\n=1// 1\n"
    new = quarantine(c)[before:]
    assert len(new) == 1 and "Value too large" in new[0]
    assert new[0].endswith(f"2// bad{{}} '{long}'\n=3// 3\n")
    # Sent again from there it is tried again: it is not taken as known, and not lost.
    place = next(c.indexer(0).process.config.parent.parent.rglob("*.refused")).parent
    name = sorted(path.name for path in place.iterdir())[-1]
    aquifer("quarantine", "retry", "--target", f"http://127.0.0.1:{api.port}", place, name)
    assert name not in [path.name for path in place.iterdir()]
    assert quarantine(c)[before:][0].endswith(f"2// bad{{}} '{long}'\n=3// 3\n")
    # The same from a client is refused.
    assert api.update(body)[0] == 400


def test_a_delete_that_failed_at_its_origin_blocks_nothing(world):
    c, _, api = world
    before = len(quarantine(c))
    query = "selector=~x(bad{}&start=1&end=2"
    assert forward(api, "DELETE", b"", query=query, time=T + 500)[0] == 200
    assert len(quarantine(c)) == before + 1


def test_a_delete_of_10_kib_comes_in(world):
    api = world[2]
    names = "|".join(f"name{i:06d}" for i in range(1000))
    query = f"selector=~({names}){{}}&start=1&end=2"
    assert len(query) > 10000
    assert forward(api, "DELETE", b"", query=query, time=T + 600)[0] == 200


def quarantine(c):
    """Texts of what is in it, oldest first."""
    root = c.indexer(0).process.config.parent.parent
    return [path.read_text() for path in sorted(root.rglob("*.refused"))]


def test_what_is_written_here_is_forwarded(world):
    c, warp10, api = world
    api.expect_update(b"1000000/48.0:-4.5/5 fwd.a{room=hall%20A} 21.5\n"
                      b"2000000// fwd.a{room=b} 'x y'\n")
    assert api.meta(b"fwd.a{room=b}{unit=C}\n")[0] == 200
    assert api.delete("selector=fwd.a{room=b}&start=2000000&end=3000000")[0] == 200
    wait_until(lambda: any("fwd.a" in r[1] for r in warp10.taken("delete")), 30)
    update = [r for r in warp10.taken("update") if "fwd.a" in r[2]][0]
    assert sorted(update[2].splitlines()) == [
        "1000000/47.99999998882413:-4.500000067055225/5 fwd.a{room=hall%20A} 21.5",
        "2000000// fwd.a{room=b} 'x%20y'"]
    fields = read_header(update[3])
    assert (fields[3], fields[4]) == ("UPDATE", "TOKEN")
    assert int(fields[5]) == fields[1] // 1000
    node = unopb64(fields[2]).decode()
    assert len(node) == 36
    meta = [r for r in warp10.taken("meta") if "fwd.a" in r[2]][0]
    assert meta[2] == "fwd.a{room=b}{unit=C}\n"
    delete = [r for r in warp10.taken("delete") if "fwd.a" in r[1]][0]
    assert read_header(delete[3])[6] == urlsplit(delete[1]).query
    assert parse_qs(urlsplit(delete[1]).query) == {
        "selector": ["fwd.a{room=b}"], "start": ["2000000"], "end": ["3000000"]}
    # What comes round is known: it is not forwarded once more.
    count = len(warp10.requests)
    assert forward(api, "UPDATE", update[2].encode(), time=fields[1], node=node) == (200, "")
    api.expect_update(b"1// fwd.end{} 1\n")
    wait_until(lambda: any("fwd.end" in r[2] for r in warp10.requests), 30)
    assert len(warp10.requests) == count + 1


def test_what_another_warp10_sent_goes_on_unless_its_id_is_ignored(world):
    _, warp10, api = world
    assert forward(api, "UPDATE", b"1// ign{} 1\n", time=T + 700, node="ignored-node")[0] == 200
    assert forward(api, "UPDATE", b"1// hop{} 1\n", time=T + 701)[0] == 200
    wait_until(lambda: any("hop{" in r[2] for r in warp10.requests), 30)
    assert not any("ign{" in r[2] for r in warp10.requests)
    fields = read_header([r for r in warp10.requests if "hop{" in r[2]][0][3])
    assert fields[1] == T + 701
    assert unopb64(fields[2]).decode().startswith("~")


def test_a_refused_request_is_set_aside_and_the_rest_goes_on(world):
    c, warp10, api = world
    before = len(quarantine(c))
    warp10.refuse = lambda verb, body: 500 if b"poison" in body else 200
    api.expect_update(b"1// poison{} 1\n")
    api.expect_update(b"1// behind{} 1\n")
    wait_until(lambda: any("behind" in r[2] for r in warp10.requests), 60)
    new = quarantine(c)[before:]
    assert len(new) == 1 and "Reason: 500: because" in new[0] and "Link: paris" in new[0]
    warp10.refuse = lambda verb, body: 200


def test_a_target_that_was_away_gets_all_of_it_also_after_a_kill(world):
    c, warp10, api = world
    warp10.refuse = lambda verb, body: 503
    for i in range(20):
        api.expect_update(f"{i}// away{{}} {i}\n".encode())
    c.indexer(0).kill()
    c.indexer(0).start()
    warp10.refuse = lambda verb, body: 200
    lines = lambda: {line for r in warp10.taken("update") for line in r[2].splitlines()  # noqa
                     if "away{" in line}
    wait_until(lambda: len(lines()) == 20, 60)


def test_a_pair_of_indexers_shares_what_a_warp10_sends_now_to_one_now_to_the_other():
    with Cluster(webservers=1, indexers=2, balancer=False, start=False,
                 links=Layout.ring(2)) as c:
        for i in range(2):
            configure(c.indexer(i), "Application=demo")
            c.indexer(i).start()
        tokens = c.layout.secrets["warp10"]
        apis = [Api(c.indexer(i), tokens["write"], tokens["read"]) for i in range(2)]
        for step in [3, 1, 2, 6, 5, 4, 9, 7, 8, 12, 11, 10]:
            body = f"{step}// shared{{}} {step}\n1// last{{}} {step}\n".encode()
            assert forward(apis[step % 2], "UPDATE", body, time=T + step) == (200, "")
        query = "selector=shared{}&now=99&count=99"
        wait_until(lambda: all(len(api.times(query)) == 12 for api in apis), 60)
        for api in apis:
            assert api.fetch("selector=last{}&now=99&count=99") == "1// last{.app=demo} 12\n"


@pytest.mark.parametrize("psk", [None, PSK], ids=["plain", "psk"])
def test_a_chain_over_a_warp10_ends_equal_and_a_loop_ends(psk):
    """aquifer -> warp10 (logforwarded=true) -> aquifer, and from there back to the first."""
    key = "" if psk is None else "Datalog-PSK=hex:" + psk.hex()
    middle, last = Warp10(), Warp10()
    with Cluster(webservers=1, indexers=2, balancer=False, start=False) as c:
        tokens = c.layout.secrets["warp10"]
        for i, warp10 in enumerate([middle, last]):
            secret = "" if psk is None else "Secret=hex:" + psk.hex()
            configure(c.indexer(i), "Application=demo", "Parse-Attributes=true", key, sections=f"""
[Datalog-Forwarder "next"]
Target={warp10.url}
Token={tokens["write"]}
{secret}
Compress={"false" if psk is None else "true"}
""")
            c.indexer(i).start()
        first, second = (Api(c.indexer(i), tokens["write"], tokens["read"]) for i in range(2))

        def relay_to(api):
            def relay(method, path, body, value):
                status, _, content = api.send(method, path, body if method == "POST" else None,
                                              {"X-Warp10-Datalog": value, **FORM})
                assert status == 200, content
            return relay

        middle.relay, last.relay = relay_to(second), relay_to(first)
        first.expect_update(EXAMPLE)
        first.expect_update(b"1// both{} 1\n2// both{} 2\n3// both{} 3\n")
        assert first.meta(b"demo.temp{room=kitchen,sensor=a}{unit=%C3%A9}\n")[0] == 200
        assert first.delete("selector=both{}&start=2&end=2")[0] == 200
        second.expect_update(b"4// both{} 4\n")
        everything = "selector=~.*{}&now=9999999999999999&count=99"

        def whole(api):
            return sorted(api.fetch(everything + "&format=fulltext&showattr=true").splitlines())

        wait_until(lambda: len(whole(first)) == 8 and whole(first) == whole(second), 60)
        assert [line[0] for line in whole(first) if "both" in line] == ["1", "3", "4"]
        # Each went round once: nothing moves any more.
        first.expect_update(b"9// end{} 9\n")
        wait_until(lambda: any("end{" in r[2] for r in last.requests), 60)
        second.expect_update(b"9// over{} 9\n")
        wait_until(lambda: any("over{" in r[2] for r in middle.requests), 60)
        for warp10 in (middle, last):
            bodies = [r[:3] for r in warp10.requests]
            assert len(bodies) == len(set(bodies)), bodies
    middle.close()
    last.close()


# ── Files of requests: the hard-link way ────────────────────────────────────────────────────


def aquifer(*arguments, expect=0):
    done = subprocess.run([BUILD / "bin/aquifer", "datalog", *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("psk", [None, PSK], ids=["plain", "psk"])
def test_request_files_carry_everything_to_another_indexer(tmp_path, psk):
    key = [] if psk is None else ["Datalog-PSK=hex:" + psk.hex()]
    option = [] if psk is None else ["--psk", "hex:" + psk.hex()]
    links = [tmp_path / "one", tmp_path / "two"]
    with Cluster(webservers=1, indexers=2, balancer=False, start=False) as c:
        configure(c.indexer(0), "Application=demo", f"Request-Directory={tmp_path / 'now'}",
                  *[f"Request-Link-Directory={link}" for link in links], "Request-ID=node-a", *key)
        configure(c.indexer(1), "Application=demo", *key)
        for i in range(2):
            c.indexer(i).start()
        tokens = c.layout.secrets["warp10"]
        here, there = (Api(c.indexer(i), tokens["write"], tokens["read"]) for i in range(2))
        here.expect_update(b"1// a{r=1} 1\n=2// 2\n3// b{} 'x'\n")
        assert here.meta(b"a{r=1}{unit=C}\n")[0] == 200
        assert here.delete("selector=a{r=1}&start=2&end=2")[0] == 200
        assert here.update(b"4// b{} 4\nwrong\n5// b{} 5\n")[0] == 400
        assert here.update(b"wrong\n")[0] == 400
        names = [sorted(path.name for path in link.iterdir()) for link in links]
        assert names[0] == names[1] and len(names[0]) == 4
        assert not list((tmp_path / "now").iterdir())
        if psk is None:
            first = (links[0] / names[0][0]).read_text()
            assert first.startswith("#")
            fields = read_header(first.splitlines()[0][1:])
            assert (unopb64(fields[2]), fields[4]) == (b"node-a", here.write)
            assert first.splitlines()[1:] == ["1// a{r=1} 1", "=2// 2", "3// b{} 'x'"]
        url = f"http://127.0.0.1:{there.port}"
        (links[0] / "junk.datalog").write_text("junk\n")
        (links[0] / "0000000000000000-x-empty.datalog").write_text("")
        told = aquifer("forward", "--source", links[0], "--target", url, "--once", *option)
        assert told == "4 sent, 0 ignored, 1 set aside\n"
        assert not list(links[0].glob("*.datalog"))
        query = "selector=~a|b{}&now=9&count=9"
        assert there.fetch(query) == here.fetch(query) == (
            "1// a{.app=demo,r=1} 1\n4// b{.app=demo} 4\n=3// 'x'\n")
        assert there.find("a{}") == here.find("a{}")
        # The other directory has the same: redelivered, it changes nothing.
        told = aquifer("forward", "--source", links[1], "--target", url, "--once", "--compress",
                       *option)
        assert told == "4 sent, 0 ignored, 0 set aside\n"
        assert there.fetch(query) == here.fetch(query)


def test_quarantine_is_listed_shown_sent_again_and_dropped(tmp_path):
    warp10 = Warp10()
    source = tmp_path / "source"
    source.mkdir()
    for i, name in enumerate(["node-a", "node-b", "node-a"]):
        value = header("UPDATE", "TOKEN", time=T + i, node=name)
        file = f"{T + i:016x}-{opb64(name.encode())}-x-..........3.datalog"
        (source / file).write_text(f"#{value}\n{i}// q{{}} {i}\n")
    warp10.refuse = lambda verb, body: 500 if body.startswith(b"0//") else 200
    told = aquifer("forward", "--source", source, "--target", warp10.url, "--ignore", "node-b",
                   "--once")
    assert told == "1 sent, 1 ignored, 1 set aside\n"
    place = source / "quarantine"
    row = aquifer("quarantine", "ls", place).split()
    assert "tries=5" in row and "500:" in row
    name = row[0]
    assert aquifer("quarantine", "show", place, name).endswith("\n0// q{} 0\n")
    aquifer("quarantine", "retry", place, name, expect=1)
    warp10.refuse = lambda verb, body: 200
    aquifer("quarantine", "retry", place, name)
    assert [r[2] for r in warp10.requests] == ["2// q{} 2\n", "0// q{} 0\n"]
    assert aquifer("quarantine", "ls", place) == ""
    aquifer("quarantine", "drop", place, name, expect=1)
    warp10.close()


def test_request_files_mean_the_same_without_the_headers_they_came_with(tmp_path):
    """The reference loses the time shift and the character set on the way; not here."""
    warp10 = Warp10()
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c.indexer(0), "Application=demo", "Parse-Attributes=true",
                  "Class-Hash-Key=hex:" + "00" * 16, "Labels-Hash-Key=hex:" + "01" * 16,
                  f"Request-Directory={tmp_path / 'now'}",
                  f"Request-Link-Directory={tmp_path / 'one'}")
        c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        api = Api(c.indexer(0), tokens["write"], tokens["read"])
        api.expect_update("5// é{l=€}{a=ü} 'ß %25'\n=6// 1\n".encode(),
                          {"Content-Type": "text/plain; charset=utf-8"})
        api.expect_update(b"5// \xe9{} '\xc3\xa9'\n",
                          {"Content-Type": "text/plain;charset=iso-8859-1"})
        api.expect_update(b"5// s{} 1\n=T-1// 2\n", {"X-Warp10-Timeshift": "100"})
        assert api.meta(b"  s{}{a=b} \n\n# x\n") == (200, "")
        here = sorted(api.fetch("selector=~.*{}&now=9999999999999999&count=9").splitlines())
        assert aquifer("forward", "--source", tmp_path / "one", "--target", warp10.url,
                       "--once") == "4 sent, 0 ignored, 0 set aside\n"
    assert [r[2] for r in warp10.taken("meta")] == ["  s{}{a=b} \n"]
    bodies = [re.sub("^#K[0-9]+\n", "", r[2], flags=re.M) for r in warp10.taken("update")]
    assert all(r[2].startswith("#K") for r in warp10.taken("update"))
    assert bodies[0] == "5// %C3%A9{l=%E2%82%AC}{a=%C3%BC} '%C3%9F %25'\n=6// 1\n"
    assert bodies[1] == "5// %C3%A9{} '%C3%83%C2%A9'\n"
    now = int(read_header(warp10.taken("update")[2][3])[5])
    assert bodies[2] == f"105// s{{}} 1\n={now - 1 + 100}// 2\n"
    assert f"={now + 99}// 2" in here or f"{now + 99}// s{{.app=demo}} 2" in here
    warp10.close()


def test_headers_that_are_not_what_they_claim_are_refused():
    """Not sealed, cut off, of another form: 500, and nothing is stored."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c.indexer(0), "Application=demo", "Datalog-PSK=hex:" + PSK.hex())
        c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        api = Api(c.indexer(0), tokens["write"], tokens["read"])
        plain = header("UPDATE", api.write)
        for value in plain, plain[:-1], "garbage", "....", "z" * 5000:
            status, _, content = api.send("POST", "/api/v0/update", b"1// x{} 1",
                                          {"X-Warp10-Datalog": value, **FORM}, api.write)
            assert status == 500 and b"datalog header" in content.lower(), (value, content)
        assert api.find("~.*{}") == []


def test_what_is_forwarded_keeps_its_time_and_is_not_bounded_again():
    """Limits were the affair of its origin, which knows when it came."""
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        configure(c.indexer(0), "Application=demo", "Max-Past=1h", "Disable-Update=true")
        c.indexer(0).start()
        tokens = c.layout.secrets["warp10"]
        api = Api(c.indexer(0), tokens["write"], tokens["read"])
        body = iter([b"1// old{} 1\n"])
        status, _, content = api.send("POST", "/api/v0/update", body, {
            "X-Warp10-Datalog": header("UPDATE", api.write, time=T + 12), **FORM})
        assert (status, content) == (200, b"")
        assert api.fetch("selector=old{}&now=9&count=9") == "1// old{.app=demo} 1\n"
        assert f'"la":{T // 10**6}' in api.fetch("selector=old{}&now=9&count=9&format=json")
        assert api.update(b"1// old{} 1\n")[0] == 403
