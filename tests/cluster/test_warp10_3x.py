"""Feeds of Warp 10 3.x: Aquifer follows a feeder and is one. Every record has its effect once, in
whatever pieces it comes and whoever is killed; what is wrong is named and harms nothing else.

The Warp 10 here is a stand-in of its own making (warp10_feed.py); a real one was not to be had."""

import base64
import random
import shutil
import socket
import struct
import time

import pytest

import warp10_feed as feed
from client import wait_until
from cluster import Cluster, free_port_base
from test_warp10 import Api
from warp10_feed import (COMMIT, DATA, DELETE, HIGHEST, INIT, KVSTORE, LOWEST, REGISTER, SEEK,
                         TSEEK, UNREGISTER, UPDATE, WELCOME, Consumer, Feeder, Key)

T = 1795217568638  # ms
NOBODY = "00000000-0000-0000-0000-000000000000"  # whose the tokens of a test are
OWNED = {".app": "demo", ".owner": NOBODY, ".producer": NOBODY}
HOME = dict(OWNED, room="kitchen")
FEEDER, CONSUMER, STRANGER = Key(1234567), Key(89101112), Key(131415)


def update(made, values, name="demo.temp", labels=HOME, **more):
    return feed.record(UPDATE, made, name, labels, values=values, **more)


def configure(node, sections, *lines):
    config = node.process.config
    text = config.read_text().replace("[Warp10]\n", "\n".join(["[Warp10]", "Application=demo",
                                                               *lines, ""]), 1)
    config.write_text(text + "\n" + sections)


def source(port, name="paris", key=CONSUMER, feeder=FEEDER, lines=""):
    return f"""
[Datalog-Source "{name}"]
Source=warp10://127.0.0.1:{port}
ID=consumer-1
Private-Key={key.config_private}
Feeder-Key={feeder.config_public}
{lines}
"""


def api_of(c, i=0):
    tokens = c.layout.secrets["warp10"]
    return Api(c.indexer(i), tokens["write"], tokens["read"])


def values_of(api, name="demo.temp"):
    """{time: value} of the series of that class."""
    lines = api.fetch(f"selector={name}{{}}&now=9000000000000000&count=100000&format=fulltext")
    return {int(line.split("/")[0]): line.split(" ")[-1] for line in lines.splitlines()}


def metric(node, name, **labels):
    text = node.session().get("/metrics").ok().body.decode()
    inner = ",".join(f'{k}="{v}"' for k, v in labels.items())
    name += f"{{{inner}}}" if inner else ""
    found = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(found[0].split()[-1]) if found else None


def quarantine(c, i=0):
    root = c.indexer(i).process.config.parent
    return [path.read_text() for path in sorted(root.rglob("*.refused"))]


# ── Following a feeder ──

class Following:
    """An indexer with one source, a stand-in."""

    def __init__(self, records=(), lines="", more="", **of_feeder):
        self.feeder = Feeder(FEEDER, CONSUMER, records=records, **of_feeder)
        self.cluster = Cluster(webservers=1, indexers=1, balancer=False, start=False)
        self.lines, self.more = lines, more

    def __enter__(self):
        self.cluster.__enter__()
        self.node = self.cluster.indexer(0)
        configure(self.node, source(self.feeder.port, lines=self.lines) + self.more)
        self.node.start()
        self.api = api_of(self.cluster)
        return self

    def __exit__(self, *fault):
        self.feeder.close()
        self.cluster.__exit__(*fault)

    def expect(self, values, name="demo.temp", within_s=30):
        wait_until(lambda: values_of(self.api, name) == values, within_s,
                   f"{name}: {values_of(self.api, name)} is not yet {values}")

    def committed(self, index):
        wait_until(lambda: self.feeder.ref(index) in self.feeder.commits, 30, "the last COMMIT")

    def metric(self, name):
        return metric(self.node, f"aquifer_warp10_source_{name}", source="paris")

    def counted(self, name, count):
        wait_until(lambda: self.metric(name) == count, 10, f"{name} to be {count}")


@pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "sealed"])
def test_every_kind_of_record_has_its_effect(encrypt):
    other = dict(HOME, room="hall")
    records = [
        feed.record(REGISTER, T, "demo.temp", HOME, attributes={"unit": "C"}, source="ingress"),
        update(T + 1, [(1, 21.5), (2, 22), (3, True), (4, "caf\u00e9"), (5, 5)]),
        update(T + 1, [(5, 6)]),
        update(T + 2, [(1, 1)], labels=other),
        feed.record(KVSTORE, T + 3),
        feed.record(DELETE, T + 4, "demo.temp", HOME, start=2, end=3),
        feed.record(DELETE, T + 5, "demo.temp", other),
        feed.record(UNREGISTER, T + 6, "demo.temp", other),
        feed.record(REGISTER, T + 7, "demo.temp", HOME, attributes={"unit": "F", "a": "b"},
                    source="ingress.metadata.update"),
        update(T + 8, [(9, 9)], name="demo.own", creator="consumer-1"),
        update(T + 8, [(9, 9)], name="demo.not", creator="not-me"),
        update(T + 9, [(7, 7)]),
    ]
    with Following(records, encrypt=encrypt, lines="Exclude-ID=not-me") as f:
        f.expect({1: "21.5", 4: "'caf%C3%A9'", 5: "6", 7: "7"})
        assert f.api.find("~demo.*{}") == ["demo.temp{.app=demo,room=kitchen}{a=b,unit=F}"]
        f.committed(len(records) - 1)
        assert f.feeder.inits[0][15] == [b"not-me"]
        assert f.feeder.seeks[0][1] == TSEEK and f.feeder.seeks[0][31] == 0
        f.counted("records_total", 9)
        f.counted("passed_over_total", 3)


def test_records_of_a_feed_are_applied_once_whoever_breaks_off_or_is_killed():
    """The feeder goes back to the beginning of its file at each SEEK, as a real one does."""
    records = [update(T + i, [(i, i)], creator=f"node-{i % 3}") for i in range(200)]
    with Following(records) as f:
        f.feeder.cut_after = 77
        f.expect({i: str(i) for i in range(200)})
        f.committed(199)
        f.node.kill()
        f.feeder.add(*[update(T + i, [(i, i)], creator=f"node-{i % 3}") for i in range(200, 300)])
        f.node.start()
        f.expect({i: str(i) for i in range(300)})
        f.committed(299)
        assert f.node.stop() == 0
        f.node.start()
        f.feeder.add(update(T + 999, [(999, 1)]))
        f.expect({**{i: str(i) for i in range(300)}, 999: "1"})
        assert f.feeder.seeks[-1][1] == SEEK
        assert f.feeder.seeks[-1][21].decode() == f.feeder.ref(299)
        assert log_positions(f.cluster) == {"node-0": 100, "node-1": 100, "node-2": 100,
                                            "node-w": 1}


def log_positions(c):
    """How many records of each creator the log has, as the source notes it."""
    for path in c.indexer(0).process.config.parent.rglob("source-paris"):
        wait_until(lambda: "creator 1 node-w" in path.read_text(), 10, "the offset is kept")
        return {line.split()[2]: int(line.split()[1])
                for line in path.read_text().splitlines() if line.startswith("creator")}
    return None


def test_a_kill_between_two_savings_of_the_place_writes_nothing_twice():
    """The place is kept once a second; the log knows what came after it."""
    records = [update(T + i, [(i, i)]) for i in range(50)]
    with Following(records, exact=True) as f:
        f.expect({i: str(i) for i in range(50)})
        path = next(f.cluster.indexer(0).process.config.parent.rglob("source-paris"))
        wait_until(lambda: "creator 50 " in path.read_text(), 10)
        kept = path.read_text()
        f.feeder.add(*[update(T + i, [(i, i)]) for i in range(50, 60)])
        f.expect({i: str(i) for i in range(60)})
        wait_until(lambda: "creator 60 " in path.read_text(), 10)
        f.node.kill()
        path.write_text(kept)  # as if it had been killed before it was kept
        f.node.start()
        f.feeder.add(update(T + 60, [(60, 60)]))
        f.expect({i: str(i) for i in range(61)})
        wait_until(lambda: "creator 61 " in path.read_text(), 10)
        f.counted("passed_over_total", 11)  # the last kept one, and ten


@pytest.mark.parametrize("exact", [False, True], ids=["from the beginning", "exact"])
def test_kills_and_cuts_at_any_moment_write_nothing_twice_and_lose_nothing(exact):
    chance = random.Random(17)
    with Following(exact=exact) as f:
        count = 0
        for _ in range(4):
            f.feeder.cut_after = chance.choice([None, chance.randrange(1, 50)])
            for _ in range(chance.randrange(50, 150)):
                f.feeder.add(update(T + count // 3, [(count, count)],
                                    creator=f"node-{chance.randrange(3)}"))
                count += 1
            time.sleep(chance.random())
            f.node.kill()
            f.node.start()
        f.feeder.add(update(T + count, [(count, count)], creator="node-w"))
        f.expect({i: str(i) for i in range(count + 1)})
        assert sum(log_positions(f.cluster).values()) == count + 1


def test_records_that_come_twice_or_late_change_nothing():
    with Following() as f:
        old, newer = update(T + 1, [(1, 1)]), update(T + 5, [(1, 5)])
        f.feeder.add(old, newer, feed.record(DELETE, T + 9, "demo.temp", HOME, start=2, end=2),
                     update(T + 8, [(2, 2)]), old, update(T + 3, [(1, 3)]), newer,
                     update(T + 10, [(3, 3)]))
        f.expect({1: "5", 3: "3"})


def test_a_record_that_cannot_be_applied_is_set_aside_and_the_rest_goes_on():
    broken = update(T + 1, [(1, 1)])[:-40]
    far = 1 << 62
    f = Following([update(T, [(1, 1)]), broken, b"\x15\x42\x00",
                   update(T + 2, [(2, 2), (far, 7), (3, 3)]),
                   update(99999999999999, [(5, 5)]),
                   update(T + 3, [(4, 4)], labels={"x": "y" * 70000}),
                   update(T + 4, [(6, 6)])])
    plain = f.feeder.ref  # one is as long as may be, and of any bytes
    f.feeder.ref = lambda index: (plain(index) + "\0").ljust(512, "x") if index == 4 \
        else plain(index)
    with f:
        f.expect({1: "1", 2: "2", 3: "3", 6: "6"})
        files = quarantine(f.cluster)
        assert len(files) == 5
        assert any("no record" in text for text in files)
        assert any("out of range" in text for text in files)
        first = next(text for text in files if f"3x {f.feeder.ref(1)} paris\n" in text)
        assert "Link: paris" in first
        assert base64.b64decode(first.rstrip().splitlines()[-1]) == broken
        odd = f.feeder.ref(4).replace("\0", "?")
        assert any(f"3x {odd} paris\n" in text for text in files)
        f.counted("quarantined_total", 5)
        f.committed(6)


def test_what_was_set_aside_is_applied_once_its_source_is_set_right():
    late = 1 << 62  # in microseconds beyond what there can be, in nanoseconds not
    with Following([update(T, [(1, 1)]), update(T + 2, [(late, 7)]), b"\x15\x42\x00"]) as f:
        f.committed(2)
        config = f.node.process.config
        [where] = {path.parent for path in config.parent.rglob("*.refused")}

        def retry():
            names = sorted(path.name for path in where.iterdir() if path.suffix == ".refused")
            return f.cluster.aquifer("datalog", "quarantine", "retry", "--config", str(config),
                                     str(where), *names)
        told = retry()
        assert told.returncode == 1 and b"out of range" in told.stderr
        assert len(quarantine(f.cluster)) == 2
        f.node.stop()
        config.write_text(config.read_text().replace(
            '[Datalog-Source "paris"]', '[Datalog-Source "paris"]\nTime-Unit=ns'))
        f.node.start()
        told = retry()
        assert told.returncode == 1 and b"unknown type" in told.stderr  # the other one
        assert len(quarantine(f.cluster)) == 1
        f.expect({1: "1", late // 1000: "7"})


def test_shards_are_kept_apart_here_and_asked_for_when_wanted():
    rooms = [f"r{i}" for i in range(40)]
    records = [update(T + i, [(1, 1)], labels=dict(OWNED, room=room))
               for i, room in enumerate(rooms)]
    keys = ("Class-Hash-Key=hex:000102030405060708090a0b0c0d0e0f",
            "Labels-Hash-Key=hex:101112131415161718191a1b1c1d1e1f")
    taken = []
    feeders = [Feeder(FEEDER, CONSUMER, records=records) for _ in range(2)]
    with Cluster(webservers=1, indexers=2, balancer=False, start=False) as c:
        for i in range(2):
            lines = f"Shard=2:{i}\nFeeder-Shards={'true' if i else 'false'}"
            configure(c.indexer(i), source(feeders[i].port, lines=lines), *keys)
            c.indexer(i).start()
        for i in range(2):
            wait_until(lambda: feeders[i].ref(39) in feeders[i].commits, 30)
            taken.append({line.split("room=")[1].split("}")[0]
                          for line in api_of(c, i).find("demo.temp{}")})
    assert taken[0] | taken[1] == set(rooms) and not taken[0] & taken[1]
    assert len(taken[0]) > 5 and len(taken[1]) > 5
    assert 13 not in feeders[0].inits[0] and feeders[1].inits[0][13] == [2 << 32 | 1]


def test_a_feeder_that_is_not_who_it_should_be_is_not_listened_to():
    with Following([update(T, [(1, 1)])]) as f:
        f.expect({1: "1"})
        f.node.stop()
        f.feeder.key = STRANGER
        f.feeder.add(update(T + 1, [(2, 2)]))
        f.node.start()
        wait_until(lambda: 'not signed by \\"feeder-n\\"' in f.node.log(), 30, f.node.log()[-2000:])
        assert values_of(f.api) == {1: "1"}
        f.feeder.key = FEEDER
        f.expect({1: "1", 2: "2"}, within_s=60)


def test_a_handshake_that_was_seen_before_is_refused_also_after_a_restart():
    with Following([update(T, [(1, 1)])]) as f:
        f.expect({1: "1"})
        f.committed(0)
        f.feeder.welcome = f.feeder.last_welcome
        f.node.stop()
        f.node.start()
        wait_until(lambda: "a handshake that was seen before" in f.node.log(), 30)
        f.feeder.welcome = None
        f.feeder.add(update(T + 1, [(2, 2)]))
        f.expect({1: "1", 2: "2"}, within_s=60)


def test_a_feeder_that_sends_garbage_or_stalls_is_named_and_survived():
    with Following([update(T, [(1, 1)])], lines="Timeout=2s") as f:
        f.expect({1: "1"})

        def long_frame(wire):
            wire.sock.sendall(struct.pack(">I", (1 << 20) + 1) + b"x" * 100)
            wire.sock.recv(1)

        def no_message(wire):
            wire.write_body(b"garbage")
            wire.sock.recv(1)

        def too_soon(wire):
            wire.write([(1, "i32", DATA), (51, "bin", b"x"), (52, "bin", "a:1:2")])
            wire.sock.recv(1)

        def wrong_seal(wire):
            f.feeder._greet(wire)
            wire.key = bytes(32)
            wire.read_seek = wire.exactly(4)
            wire.write([(1, "i32", 7)])
            wire.sock.recv(1)

        def silent(wire):
            f.feeder._greet(wire)
            while wire.sock.recv(4096):  # until the consumer has had enough
                pass

        for misbehave, said in ((long_frame, "a frame of 1048577 bytes"),
                                (no_message, "7 bytes that are no message"),
                                (too_soon, "DATA where WELCOME is expected"),
                                (wrong_seal, "not sealed with this key"),
                                (silent, "the feeder says nothing for 2 s")):
            f.feeder.misbehave = misbehave
            f.node.stop()
            f.node.start()
            wait_until(lambda: said in f.node.log(), 30, said)
            assert 'source="paris"' in next(
                line for line in f.node.log().splitlines() if said in line)
            f.api.expect_update(b"1// own{} 1\n")  # nothing else is harmed
        f.feeder.misbehave = None
        f.feeder.add(update(T + 1, [(2, 2)]))
        f.expect({1: "1", 2: "2"}, within_s=60)
        wait_until(lambda: f.metric("failures_total") > 0, 10, "failures to be counted")


def test_a_place_that_is_damaged_is_named_and_all_comes_again_with_no_effect():
    records = [update(T + i, [(i, i)]) for i in range(20)]
    with Following(records, exact=True) as f:
        f.expect({i: str(i) for i in range(20)})
        path = next(f.cluster.indexer(0).process.config.parent.rglob("source-paris"))
        wait_until(lambda: "creator 20 " in path.read_text(), 10)
        f.node.stop()
        path.write_text(path.read_text().replace("creator 20 ", "creator 30 "))
        f.node.start()
        wait_until(lambda: "begins anew" in f.node.log(), 30)
        f.feeder.add(update(T + 30, [(30, 30)]))
        f.expect({**{i: str(i) for i in range(20)}, 30: "30"})
        assert f.feeder.seeks[-1][1] == TSEEK


def test_a_node_that_is_an_older_copy_takes_what_it_lacks_once_more():
    """Its log is older than the place that was kept."""
    with Following([update(T + i, [(i, i)]) for i in range(20)], exact=True) as f:
        f.expect({i: str(i) for i in range(20)})
        home = f.cluster.indexer(0).process.config.parent
        path = next(home.rglob("source-paris"))
        wait_until(lambda: "creator 20 " in path.read_text(), 10)
        f.node.stop()
        older = home.with_name("older")
        shutil.copytree(home, older)
        f.node.start()
        f.feeder.add(*[update(T + i, [(i, i)]) for i in range(20, 30)])
        f.expect({i: str(i) for i in range(30)})
        wait_until(lambda: "creator 30 " in path.read_text(), 10)
        f.node.stop()
        kept = path.read_bytes()
        shutil.rmtree(home)
        shutil.copytree(older, home)
        path.write_bytes(kept)
        f.node.start()
        f.expect({i: str(i) for i in range(30)})
        assert "it is an older copy" in f.node.log() and f.feeder.seeks[-1][1] == TSEEK


# ── Feeding ──

def feeding(port, consumer=CONSUMER, lines=""):
    return f"""
[Warp10-Feeder]
Listen=127.0.0.1:{port}
ID=feeder-a
Private-Key={FEEDER.config_private}
Consumer=consumer-1={consumer.config_public}
Consumer=consumer-2={consumer.config_public}
{lines}
"""


class Fed:
    """An indexer that feeds."""

    def __init__(self, lines="", *warp10):
        self.port = free_port_base(1)
        self.lines, self.warp10 = lines, warp10
        self.cluster = Cluster(webservers=1, indexers=1, balancer=False, start=False)

    def __enter__(self):
        self.cluster.__enter__()
        self.node = self.cluster.indexer(0)
        configure(self.node, feeding(self.port, lines=self.lines), "Parse-Attributes=true",
                  *self.warp10)
        self.node.start()
        self.api = api_of(self.cluster)
        return self

    def __exit__(self, *fault):
        self.cluster.__exit__(*fault)

    def consumer(self, **more):
        return Consumer(self.port, CONSUMER, FEEDER, **more)


def labels_of(record):
    return {k.decode(): v.decode() for k, v in record[5][2].items()}


def points_of(record):
    """[(time, value)] of an UPDATE: the modes that the feeder writes."""
    data, at, out, last, numbers, base = record[7], 0, [], 0, {}, record[6]
    while at < len(data):
        head = data[at]
        at += 1
        place = 0
        if head & 0x80:
            place, at = data[at], at + 1
        if head & 0x60 == 0x60:
            last, at = struct.unpack(">q", data[at:at + 8])[0], at + 8
        else:
            assert head & 0x60 == 0
            reader = feed.Reader(data[at:])
            last, at = last + reader.number(), at + reader.at
        if place & 0x40 and not place & 0x10:
            at += 8
        if place & 8 and not place & 1:
            reader = feed.Reader(data[at:])
            reader.number()
            at += reader.at if place & 4 else 8
        kind, flags = head >> 3 & 3, head & 7
        reader = feed.Reader(data[at:])
        if kind == 0:
            value = flags == 4
        elif flags & 1:
            value = numbers[kind]
        elif kind == 1:
            value = reader.number() if flags & 4 else struct.unpack(">q", data[at:at + 8])[0]
        elif kind == 2 and flags & 4:
            value = struct.unpack(">d", data[at:at + 8])[0]
        elif kind == 2:
            scale = reader.byte()
            value = reader.number() / 10 ** (scale - 256 if scale > 127 else scale)
        else:
            value = reader.bytes().decode()
        at += 8 if kind in (1, 2) and not reader.at and not flags & 1 else reader.at
        numbers[kind] = value
        out.append((base + last, value))
    return out


@pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "sealed"])
def test_a_consumer_is_fed_what_is_written_here(encrypt):
    with Fed(f"Encrypt={'true' if encrypt else 'false'}") as f:
        f.api.expect_update(b"1000000/48.0:-4.5/5 fed.a{room=b} 21.5\n=2000000// 22\n"
                            b"=3000000// T\n=4000000// 'x y'\n=4000001// 22\n")
        assert f.api.meta(b"fed.a{room=b}{unit=C}\n")[0] == 200
        assert f.api.delete("selector=fed.a{room=b}&start=2000000&end=3000000")[0] == 200
        assert f.api.delete("selector=fed.a{}&deleteall=true")[0] == 200
        f.api.expect_update(b"5// fed.a{room=b} 5\n")
        consumer = f.consumer()
        assert consumer.welcome[4] == encrypt and consumer.welcome[11] == b"feeder-a"
        got = [record for _, record in consumer.take(8)]
        assert [r[1] for r in got] == [REGISTER, UPDATE, REGISTER, DELETE, DELETE, UNREGISTER,
                                       REGISTER, UPDATE]
        for record in got:
            assert record[5][1] == b"fed.a"
            assert labels_of(record) == dict(OWNED, room="b")
            assert abs(record[3] / 1000 - time.time()) < 600 and len(record[2]) == 36
        assert points_of(got[1]) == [(1000000, 21.5), (2000000, 22), (3000000, True),
                                     (4000000, "x y"), (4000001, 22)]
        assert got[1][11][3] == 2 and got[1][11][7] == b"demo" and len(got[1][11][5]) == 16
        assert got[2][5][6] == b"ingress.metadata.update"
        assert (got[3][8], got[3][9]) == (2000000, 3000000)
        assert (got[4][8], got[4][9]) == (LOWEST, HIGHEST)
        assert points_of(got[7]) == [(5, 5)]
        f.api.expect_update(b"6// fed.a{room=b} 6\n")  # while it is connected
        assert points_of(consumer.take()[0][1]) == [(6, 6)]
        wait_until(lambda: metric(f.node, "aquifer_warp10_feeder_records_total",
                                  consumer="consumer-1") == 9, 10, "nine to be counted")
        consumer.close()


def test_a_consumer_goes_on_where_it_was_also_after_a_kill():
    with Fed() as f:
        for i in range(30):
            f.api.expect_update(f"{i}// fed.a{{}} {i}\n1// fed.b{{}} {i}\n".encode())
        first = f.consumer()
        refs = [ref for ref, _ in first.take(32)]  # two REGISTER, 15 times two UPDATE
        assert len(set(refs)) == 32
        first.close()
        f.node.kill()
        f.node.start()
        again = f.consumer(ref=refs[-1])
        got = again.take(31 + 2)
        updates = [(ref, record) for ref, record in got if record[1] == UPDATE]
        assert updates[0][0] == refs[-1]  # a ref is where a record begins
        points = [(r[5][1], points_of(r)) for _, r in updates]
        assert points[1:] == [(name, [(i, i)] if name == b"fed.a" else [(1, i)])
                              for i in range(15, 30) for name in (b"fed.a", b"fed.b")]
        # In the middle of a record, and back in time over the same connection.
        again.seek(refs[2])
        assert again.take(2 + 60 - 1)[-1][1][1] == UPDATE
        again.close()
        later = f.consumer(since_ms=int(time.time() * 1000) + 3600000)
        assert later.nothing_for(1)
        f.api.expect_update(b"99// fed.a{} 99\n")
        assert points_of(later.take(2)[-1][1]) == [(99, 99)]
        later.close()


def test_no_more_than_a_megabyte_goes_out_uncommitted():
    with Fed() as f:
        value = "x" * 60000
        for i in range(40):
            f.api.expect_update(f"{i}// fed.big{{}} '{value}'\n".encode())
        consumer = f.consumer(commit=False)
        got = consumer.take(18)  # the REGISTER and as many as are a megabyte
        assert consumer.nothing_for(1)
        consumer.commit(got[-1][0])
        consumer.take(17)
        consumer.commit("nonsense")
        with pytest.raises((EOFError, OSError)):
            consumer.take(10)
        wait_until(lambda: 'COMMIT of \\"nonsense\\", which is not under way' in f.node.log(), 10)


def test_excluded_ids_shards_and_what_came_from_the_consumer_are_left_out():
    feeder = Feeder(FEEDER, CONSUMER, records=[
        update(T, [(1, 1)], name="via.n", creator="node-n"),
        update(T, [(1, 1)], name="via.m", creator="node-m"),
        update(T, [(1, 1)], name="via.c", creator="consumer-2")])
    with Fed(source(feeder.port), "Class-Hash-Key=hex:000102030405060708090a0b0c0d0e0f",
             "Labels-Hash-Key=hex:101112131415161718191a1b1c1d1e1f") as f:
        wait_until(lambda: len(f.api.find("~via.*{}")) == 3, 30)
        consumer = f.consumer(ident="consumer-2", excluded=["node-m"])
        got = consumer.take(2)
        assert [(r[1], r[5][1], r[2], r[3]) for _, r in got] == [
            (REGISTER, b"via.n", b"node-n", T), (UPDATE, b"via.n", b"node-n", T)]
        assert consumer.nothing_for(1)
        consumer.close()
        feeder.close()  # names are known after a restart, also while the source is away
        assert f.node.stop() == 0
        f.node.start()
        consumer = f.consumer(ident="consumer-2", excluded=["node-m"])
        assert [r[2] for _, r in consumer.take(2)] == [b"node-n"] * 2
        consumer.close()
        for i in range(20):
            f.api.expect_update(f"1// sharded{{room=s{i}}} {i}\n".encode())
        halves = [f.consumer(ident=f"consumer-{1 + i}", shards=[(2, i)],
                             excluded=["node-n", "node-m", "consumer-2"]) for i in range(2)]
        seen = [set(), set()]
        came = True
        while came or len(seen[0] | seen[1]) < 20:
            came = [(names, record) for half, names in zip(halves, seen)
                    for record in half.take_what_comes(0.5)]
            for names, record in came:
                names.add(labels_of(record)["room"])
        assert not seen[0] & seen[1] and seen[0] and seen[1]
        for half in halves:
            half.close()


def test_consumers_that_are_wrong_are_named_and_harm_nobody():
    with Fed("Timeout=2s") as f:
        f.api.expect_update(b"1// fed.a{} 1\n")
        good = f.consumer(commit=True)
        good.take(2)

        def expect_end(action, said, within_s=20):
            wire = feed.Wire(socket.create_connection(("127.0.0.1", f.port)))
            welcome = wire.read()
            action(wire, welcome[2], welcome[3])
            with pytest.raises((EOFError, OSError)):
                while True:
                    wire.read()
            wait_until(lambda: said in f.node.log(), within_s, said)
            line = next(line for line in f.node.log().splitlines() if said in line)
            assert "127.0.0.1:" in line and "byte " in line, line

        def init(key, who, nonce, stamp, *more):
            return [(1, "i32", INIT), (11, "bin", who), (12, "bin", key.sign(nonce, stamp, who)),
                    *more]

        expect_end(lambda w, n, t: w.write(init(CONSUMER, "nobody", n, t)),
                   'unknown consumer \\"nobody\\"')
        expect_end(lambda w, n, t: w.write(init(STRANGER, "consumer-2", n, t)),
                   'not signed by \\"consumer-2\\"')
        expect_end(lambda w, n, t: w.write(init(CONSUMER, "consumer-1", n ^ 1, t)),  # replayed
                   'not signed by \\"consumer-1\\"')
        expect_end(lambda w, n, t: w.write(init(CONSUMER, "consumer-2", n, t,
                                                (13, "longs", [4 << 32 | 4]))),
                   "the shard 4:4 cannot be")
        expect_end(lambda w, n, t: w.write_body(b"\xff" * 40), "40 bytes that are no message")
        expect_end(lambda w, n, t: w.sock.sendall(b"GET / HTTP/1.1\r\n\r\n"), "a frame of ")

        def unsealed(wire, nonce, stamp):
            wire.write(init(CONSUMER, "consumer-2", nonce, stamp))
            wire.write([(1, "i32", TSEEK), (31, "i64", 0)])

        expect_end(unsealed, "a sealed")
        expect_end(lambda w, n, t: None, "the peer says nothing for 10 s in the handshake")
        # One that takes nothing, and one that commits nothing.
        stalled = f.consumer(ident="consumer-2", commit=False)
        wait_until(lambda: "the consumer says nothing for 2 s" in f.node.log(), 30)
        stalled.close()
        f.api.expect_update(b"2// fed.a{} 2\n")
        assert points_of(good.take()[0][1]) == [(2, 2)]
        # Who comes again ends its older connection.
        newer = f.consumer()
        with pytest.raises((EOFError, OSError)):
            good.take(100)
        assert points_of(newer.take(3)[-1][1]) == [(2, 2)]
        newer.close()
        wait_until(lambda: metric(f.node, "aquifer_warp10_feeder_failures_total") >= 8, 10, "eight")


def test_refs_of_another_log_get_all_there_is():
    with Fed() as f:
        f.api.expect_update(b"1// fed.a{} 1\n")
        consumer = f.consumer()
        ref = consumer.take(2)[-1][0]
        other = ref.rsplit(":", 1)[0] + ":5"
        for strange in (other, "nonsense", Feeder.STEM.replace("000001a1", "00000001") + ":7:7"):
            consumer.seek(strange)
            assert points_of(consumer.take(2)[-1][1]) == [(1, 1)]
        consumer.close()
        wait_until(lambda: "a ref of another log" in f.node.log(), 10)


def test_an_idle_consumer_hears_something():
    with Fed("Keep-Alive=1s") as f:
        consumer = f.consumer()
        assert consumer.wire.read()[1] == feed.KEEPALIVE
        consumer.close()


# ── Both ──

@pytest.mark.parametrize("encrypt", ["true", "false"])
def test_two_indexers_that_feed_each_other_end_equal(encrypt):
    ports = [free_port_base(1) for _ in range(2)]
    keys = [Key(77), Key(88)]
    with Cluster(webservers=1, indexers=2, balancer=False, start=False) as c:
        for i in range(2):
            configure(c.indexer(i), f"""
[Warp10-Feeder]
Listen=127.0.0.1:{ports[i]}
Private-Key={keys[i].config_private}
Consumer=n{1 - i}={keys[1 - i].config_public}
Encrypt={encrypt}

[Datalog-Source "other"]
Source=warp10://127.0.0.1:{ports[1 - i]}
ID=n{i}
Private-Key={keys[i].config_private}
Feeder-Key={keys[1 - i].config_public}
""", "Parse-Attributes=true")
            c.indexer(i).start()
        apis = [api_of(c, i) for i in range(2)]
        for step in range(60):
            lines = f"{step}// pair.a{{}} {step}\n1// pair.b{{}} {step}\n{step}// pair.c{{}} 1\n"
            apis[step % 2].expect_update(lines.encode())
            if step == 30:
                c.indexer(1).kill()
                apis[0].expect_update(b"777// pair.a{} 777\n")
                c.indexer(1).start()
        wait_until(lambda: all(len(values_of(api, "pair.a")) == 61 for api in apis), 60)
        wait_until(lambda: len({str(values_of(api, "pair.b")) for api in apis}) == 1, 60)
        assert apis[0].delete("selector=pair.c{}&deleteall=true")[0] == 200
        assert apis[1].meta(b"pair.a{}{unit=C}\n")[0] == 200
        wait_until(lambda: all(api.find("~pair.*{}") == ["pair.a{.app=demo}{unit=C}",
                                                         "pair.b{.app=demo}{}"]
                               for api in apis), 60)
        assert len({api.fetch("selector=~pair.*{}&now=999&count=999") for api in apis}) == 1
        # It does not go round: what came from there is not taken once more, or this never rests.
        def sent():
            return [metric(c.indexer(i), "aquifer_warp10_feeder_records_total",
                           consumer=f"n{1 - i}") for i in range(2)]

        def rests():
            before = sent()
            time.sleep(1)
            return sent() == before
        wait_until(rests, 10, "that nothing is sent any more")


def test_a_wrong_configuration_is_named_with_its_place():
    with Cluster(webservers=1, indexers=1, balancer=False, start=False) as c:
        node = c.indexer(0)
        good = node.process.config.read_text()
        for section, said in (
                (source(1, lines="Shard=5:7"), "no shard"),
                (source(1).replace("Private-Key=secp", "Private-Key=nope"), "no curve"),
                (source(1, feeder=Key(5, feed.ec.SECP256R1, "secp256r1")), "no common secret"),
                (source(1, lines="Start=yesterday"), "Start must be"),
                (source(1, name="a/b"), "a source's name"),
                (source(1).replace("warp10://", "http://"), "must begin with kafka://"),
                (feeding(1, lines=f"Consumer=consumer-1={CONSUMER.config_public}"), "twice")):
            node.process.config.write_text(good)
            configure(node, section)
            node.start(ready=False)
            assert node.wait_exit() != 0
            assert said in node.log() and str(CONSUMER.number) not in node.log(), node.log()
            node.process.log.write_text("")
