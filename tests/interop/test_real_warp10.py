"""A real Warp 10 at either end: what it forwards we take, what we forward it takes, and both answer
the same requests alike (but for what docs/protocols/warp10-http.md names as different)."""

import json
import re
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import real_warp10

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from client import wait_until  # noqa: E402
from cluster import Cluster  # noqa: E402
from test_warp10 import EXAMPLE, Api  # noqa: E402
from test_warp10_datalog import PSK, configure  # noqa: E402

VERSION_2, VERSION_3 = "2.11.1", "3.5.0"
EVERYTHING = "selector=~.*{}&now=9000000000000000&timespan=9000000000000000"


def api_of(port, write, read):
    api = Api.__new__(Api)
    api.port, api.write, api.read = port, write, read
    return api


def whole(api):
    """Every point with labels and attributes, in an order of its own."""
    lines = api.fetch(EVERYTHING + "&format=fulltext&showattr=true").splitlines()
    return sorted(re.sub(r"\{([^}]*)\}", lambda m: "{" + ",".join(sorted(m[1].split(","))) + "}",
                         line) for line in lines)


# ── A chain ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("psk", [None, PSK], ids=["plain", "psk"])
def test_a_chain_over_a_real_warp10_ends_equal(psk, tmp_path):
    """aquifer -> warp10 (logforwarded) -> aquifer: updates, attributes, deletes."""
    program = real_warp10.java(VERSION_2)
    class_path = real_warp10.jars(VERSION_2, tmp_path)
    key = "" if psk is None else "Datalog-PSK=hex:" + psk.hex()
    for name in "log", "source", "done":
        (tmp_path / name).mkdir()
    with Cluster(webservers=1, indexers=2, balancer=False, start=False) as c:
        tokens = c.layout.secrets["warp10"]
        target = c.indexer(1).url + "/api/v0/"
        more = [f"datalog.dir = {tmp_path}/log", "datalog.id = real-warp10",
                "datalog.sync = true", "datalog.logforwarded = true", "datalog.forwarders = x",
                f"datalog.forwarder.srcdir.x = {tmp_path}/source",
                f"datalog.forwarder.dstdir.x = {tmp_path}/done",
                "datalog.forwarder.period.x = 100", "datalog.forwarder.compress.x = true",
                *[f"datalog.forwarder.endpoint.{verb}.x = {target}{verb}"
                  for verb in ("update", "meta", "delete")]]
        more += [] if psk is None else ["datalog.psk = hex:" + psk.hex()]
        with real_warp10.RealWarp10(VERSION_2, program, class_path, tokens["write"],
                                    tokens["read"], more) as middle:
            secret = "" if psk is None else "Secret=hex:" + psk.hex()
            configure(c.indexer(0), "Application=demo", "Parse-Attributes=true", key, sections=f"""
[Datalog-Forwarder "middle"]
Target=http://127.0.0.1:{middle.port}
Token={tokens["write"]}
{secret}
""")
            configure(c.indexer(1), "Application=demo", "Parse-Attributes=true", key)
            first, last = (api_of(c.indexer(i).start().process.port, tokens["write"],
                                  tokens["read"]) for i in range(2))
            between = api_of(middle.port, tokens["write"], tokens["read"])
            first.expect_update(EXAMPLE)
            first.expect_update(b"1// both{} 1\n2// both{} 2\n3// both{} 3\n")
            assert first.meta(b"demo.temp{room=kitchen,sensor=a}{unit=%C3%A9}\n")[0] == 200
            assert first.delete("selector=both{}&start=2&end=2")[0] == 200
            between.expect_update(b"4// both{} 4\n")
            wait_until(lambda: whole(between) == whole(last) and len(whole(last)) == 8, 60)
            assert whole(first) == [line for line in whole(last) if not line.startswith("4//")]


# ── The same answers ────────────────────────────────────────────────────────────────────────

REQUESTS = [
    ("update", EXAMPLE),
    ("update", b"".join(b"%d// s{} %d\n" % (i * 10**6, i // 3) for i in range(1, 11))),
    ("update", b"1.0\n"), ("update", b"1// x{a} 1\n"), ("update", b"1// x{}\n"),
    ("update", b"1// v{n=1} 1.50\n2// v{n=1} 100.0\n3// v{n=1} 1e3\n4// v{n=1} .5\n"
               b"5// v{n=1} 12345678901234.5\n6// v{n=1} -0.0\n7// v{n=1} NaN\n"),
    ("meta", b"demo.door{room=hall}{unit=x%20y}\nunknown{}{a=b}\n"), ("meta", b"demo.door\n"),
    ("find", "selector=~.*{}&showattr=true"), ("find", "selector=demo.door{room=hall}"),
    ("find", "selector=x"), ("find", ""),
    *[("fetch", query) for query in (
        EVERYTHING, EVERYTHING + "&format=fulltext", EVERYTHING + "&format=tsv",
        "selector=s{}&now=10000000&count=3", "selector=s{}&start=2000000&stop=4000000",
        "selector=s{}&now=10000000&timespan=3000000", "selector=s{}&now=10000000&skip=2&count=3",
        "selector=s{}&now=10000000&count=10&step=3", "selector=none{}&now=1&count=1",
        "selector=s{}&now=10000000&count=10&timestep=2500000", "selector=s{}&now=1",
        "selector=s{}&now=10000000&count=10&dedup=true", "now=1&count=1")],
    ("delete", "selector=s{}&start=1000000&end=2000000"), ("delete", "selector=s{}"),
    ("delete", "selector=s{}&start=2&end=1"), ("delete", "selector=none{}&deleteall=true"),
    ("delete", "selector=demo.door{}&deleteall=true"), ("fetch", EVERYTHING + "&format=fulltext"),
]


def ask(api, verb, what):
    """Status, and the lines of the body in an order that does not depend on hashes."""
    if verb in ("update", "meta"):
        status, text = api.update(what) if verb == "update" else api.meta(what)
    else:
        status, _, content = api.send("GET", f"/api/v0/{verb}?{quote(what, safe='=&:')}", None, (),
                                      api.write if verb == "delete" else api.read)
        text = content.decode()
    if status != 200:
        return status, []  # the texts are chained differently
    full = re.sub(r"\{([^}]*)\}", lambda m: "{" + ",".join(sorted(m[1].split(","))) + "}", text)
    return status, sorted(full.splitlines())


def compare(ours, theirs):
    for verb, what in REQUESTS:
        wait = time.monotonic() + 5  # a directory may lag behind an update
        while ask(ours, verb, what) != ask(theirs, verb, what) and verb in ("find", "fetch"):
            assert time.monotonic() < wait, (verb, what, ask(ours, verb, what),
                                             ask(theirs, verb, what))
        assert ask(ours, verb, what)[0] == ask(theirs, verb, what)[0], (verb, what)
    rows = [json.loads(api.fetch(EVERYTHING + "&format=json")) for api in (ours, theirs)]
    plain = [sorted((row["c"], sorted(row["l"].items()), row["v"]) for row in all) for all in rows]
    assert plain[0] == plain[1]


def ours(c, i, *lines):
    configure(c.indexer(i), "Application=demo", "Parse-Attributes=true", *lines)
    tokens = c.layout.secrets["warp10"]
    return api_of(c.indexer(i).start().process.port, tokens["write"], tokens["read"])


def test_the_comparison_finds_ours_equal_to_ours_and_not_to_another():
    with Cluster(webservers=1, indexers=3, balancer=False, start=False) as c:
        one, other = ours(c, 0), ours(c, 1)
        compare(one, other)
        with pytest.raises(AssertionError):
            compare(ours(c, 2, "Expose-Owner=true"), other)


def test_ours_answers_as_a_real_warp10_does(tmp_path):
    program = real_warp10.java(VERSION_3)
    class_path = real_warp10.jars(VERSION_3, tmp_path)
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        tokens = c.layout.secrets["warp10"]
        with real_warp10.RealWarp10(VERSION_3, program, class_path, tokens["write"],
                                    tokens["read"]) as real:
            compare(ours(c, 0), api_of(real.port, tokens["write"], tokens["read"]))
