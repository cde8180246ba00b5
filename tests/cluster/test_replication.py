"""Indexers that forward their datalogs to each other hold the same, whatever dies in between."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import urllib.request
import uuid

import pytest
from client import wait_until
from cluster import BUILD, Background, Cluster
from control import Control
from layout import Layout


class Ring(Cluster):
    """Webserver i searches indexer i alone, so each indexer can be asked what it holds."""

    def __init__(self, indexers, links=None, **options):
        super().__init__(webservers=indexers, indexers=indexers, balancer=False, start=False,
                         links=Layout.ring(indexers) if links is None else links, **options)

    def __enter__(self):
        super().__enter__()
        for i, process in enumerate(self.layout.indexers):
            self.webserver(i).set(f"Remote-Indexers=net:127.0.0.1:{process.port}")
        return self

    def stats(self, i):
        process = self.layout.indexers[i]
        control = Control(f"127.0.0.1:{process.port}", self.layout.secrets["control"])
        return control.ok("GET", "/control/v1/stats")["replication"]

    def metrics(self, i):
        url = f"http://127.0.0.1:{self.layout.indexers[i].port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read().decode()

    def forwarder(self, i, target):
        name = self.layout.indexers[target].name
        return next(f for f in self.stats(i)["forwarders"] if f["name"] == name)

    def expect_following_link(self, i, target):
        wait_until(lambda: self.forwarder(i, target)["state"] == "following", 30,
                   f"the link from {i} to {target} to follow")

    def expect_all_hold(self, tag, ids, within_s=30):
        """Every indexer has each of them exactly once."""
        for i in range(len(self.layout.indexers)):
            self.expect_found_at(i, tag, ids, within_s)

    def expect_kills_to_cost_nothing(self, victim):
        """Under load on the first indexer."""
        writer = Writer(self, 0)
        for _ in range(3):
            wait_for_more(writer)
            self.indexer(victim).kill()
            self.indexer(victim).start()
        wait_for_more(writer)
        self.expect_all_hold("load", writer.stop(), 60)

    def expect_found_at(self, i, tag, ids, within_s=30):
        session = self.webserver(i).login()

        def held():
            try:
                found = self.ids_found(tag, session)
            except AssertionError as error:
                if "does not exist" in str(error):  # the tag: nothing has come yet
                    return False
                raise
            assert len(found) == len(set(found)), f"indexer {i} has an entry twice"
            return set(ids) <= set(found)
        wait_until(held, within_s, f"indexer {i} to hold {len(ids)} entries")


def test_a_pair_holds_what_each_was_given():
    with Ring(2) as c:
        c.start()
        ids = c.ingest("web", 500, indexer=0) + c.ingest("web", 300, indexer=1)
        ids += c.ingest("app", 50, indexer=1) + c.ingest("web", 1, indexer=0)
        c.expect_all_hold("*", ids)
        for i in range(2):
            c.expect_following_link(i, 1 - i)
            wait_until(lambda: c.forwarder(i, 1 - i)["lag_records"] == 0, 10, "no lag")


class Writer:
    """Ingests into one indexer, batch after batch; what was acknowledged is in `ids`."""

    def __init__(self, cluster, indexer, tag="load"):
        self.cluster, self.indexer, self.tag = cluster, indexer, tag
        self.ids, self.over = [], threading.Event()
        self.work = Background(self.run)

    def run(self):
        while not self.over.wait(0.3):  # a search shows no more than 100,000 entries
            ids = [uuid.uuid4().hex for _ in range(200)]
            text = "".join(f"line with id={id} in it\n" for id in ids).encode()
            command = self.cluster.ingest_command(self.tag, self.indexer)
            if self.cluster.aquifer(*command, input=text).returncode == 0:
                self.ids += ids

    def stop(self):
        self.over.set()
        self.work.join()
        return self.ids


def wait_for_more(writer, count=400):
    want = len(writer.ids) + count
    wait_until(lambda: len(writer.ids) >= want, 60, "more to be written")


def test_a_ring_converges_around_a_member_that_dies_and_returns():
    with Ring(3) as c:
        c.start()
        writers = [Writer(c, i) for i in range(3)]
        for writer in writers:
            wait_for_more(writer)
        c.indexer(1).kill()
        ids = writers[1].stop()
        for writer in (writers[0], writers[2]):
            wait_for_more(writer)
        c.indexer(1).start()
        again = Writer(c, 1)
        wait_for_more(again)
        for writer in (writers[0], writers[2], again):
            ids += writer.stop()
        c.expect_all_hold("load", ids, 60)
        for i in range(3):
            c.expect_following_link(i, (i + 1) % 3)


def test_a_chain_goes_round_a_dead_member():
    with Ring(3, links=[(0, 1), (1, 2)]) as c:
        c.start()
        ids = c.ingest("web", 100)
        c.expect_all_hold("web", ids)

        def heard():
            return any(m["node"] == c.layout.secrets["ids"]["indexer-1"] and m["targets"]
                       for m in c.stats(0)["members"])
        wait_until(heard, 10, "the first to hear of the last")
        c.indexer(1).kill()
        ids += c.ingest("web", 100)
        c.expect_found_at(2, "web", ids, 30)
        [detour] = [f for f in c.stats(0)["forwarders"] if f["instead_of"]]
        assert detour["node"] == c.layout.secrets["ids"]["indexer-2"]
        counted = f'aquifer_datalog_sent_records_total{{forwarder="{detour["name"]}"}}'
        wait_until(lambda: counted in c.metrics(0), 10, counted)
        c.indexer(0).kill()  # it remembers who is behind the dead one
        c.indexer(0).start()
        ids += c.ingest("web", 100)
        c.expect_found_at(2, "web", ids, 30)
        c.indexer(1).start()
        ids += c.ingest("web", 100)
        c.expect_all_hold("web", ids)
        wait_until(lambda: len(c.stats(0)["forwarders"]) == 1, 10, "the way round to end")
        c.expect_following_link(0, 1)


@pytest.mark.parametrize("victim", [0, 1], ids=["sender", "receiver"])
def test_a_kill_under_load_costs_nothing(victim):
    with Ring(2, links=[(0, 1)]) as c:
        c.start()
        c.expect_kills_to_cost_nothing(victim)


def test_a_receiver_that_was_down_catches_up():
    with Ring(2) as c:
        c.start()
        ids = c.ingest("web", 100)
        c.expect_all_hold("web", ids)
        status = ("datalog", "status", "--config", str(c.webserver(0).process.config))
        assert c.aquifer(*status).returncode == 0
        c.indexer(1).stop()
        ids += c.ingest("web", 5000)
        link = wait_until(lambda: (f := c.forwarder(0, 1))["state"] == "connecting"
                          and f["lag_records"] > 0 and f["fault"] and f, 10, "the loss of the link")
        told = c.aquifer(*status)
        assert told.returncode == 1 and b": connecting, position" in told.stdout
        own, other = (c.layout.secrets["ids"][f"indexer-{i}"].encode() for i in range(2))
        assert b"knows " + own + b" -> " + other + b" (tcp://127.0.0.1:" in told.stdout
        [behind] = [o for o in link["origins"] if o["lag_records"] > 0]
        assert behind["node"].encode() == own and behind["lag_ns"] > 0
        assert b"of " + own + b"/" in told.stdout
        counted = 'aquifer_datalog_origins_behind{forwarder="indexer-1"} 1'
        wait_until(lambda: counted in c.metrics(0), 10, counted)
        c.indexer(1).start()
        c.expect_all_hold("web", ids)
        told = c.aquifer(*status).stdout.decode()
        nodes = re.findall(r"holds \d+ records of (\S+), \d+ incarnation", told)
        assert own.decode() in nodes and len(set(nodes)) == len(nodes)  # however often started


def test_a_wrong_secret_and_a_double_id_are_named():
    with Ring(3, links=[(0, 1), (0, 2)]) as c:
        config = c.indexer(1).process.config
        config.write_text(config.read_text().replace("[Datalog]", "[Datalog]\nSecret=other", 1))
        c.indexer(2).set(f"Indexer-UUID={c.layout.secrets['ids']['indexer-0']}")
        c.start()
        wait_until(lambda: "another secret" in c.forwarder(0, 1)["fault"], 10, "the secret")
        wait_until(lambda: "two nodes have the id" in c.forwarder(0, 2)["fault"], 10, "the id")
        wait_until(lambda: "another secret" in c.indexer(0).log(), 10, "the secret in the log")
        wait_until(lambda: "two nodes have the id" in c.indexer(2).log(), 10, "the id in the log")


def test_a_double_id_far_away_is_named():
    """Two nodes with one id that never meet hear of each other through a third."""
    with Ring(3, links=[(0, 1), (2, 1)]) as c:
        c.indexer(2).set(f"Indexer-UUID={c.layout.secrets['ids']['indexer-0']}")
        c.start()
        wait_until(lambda: all(c.stats(i)["double_id"] for i in (0, 2)), 20, "the id")
        assert not c.stats(1)["double_id"]
        for i in (0, 2):
            wait_until(lambda: "double-id" in c.indexer(i).log(), 10, "the id in the log")


class Strangers:
    """Whoever connects hears this, and is left."""

    def __init__(self, said):
        self.said, self.door = said, socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.work = Background(self.run)

    def run(self):
        while True:
            try:
                peer, _ = self.door.accept()
            except OSError:
                return  # closed
            with peer, contextlib.suppress(OSError):
                peer.sendall(self.said)
                peer.recv(1000)

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.work.join()


def test_who_talks_something_else_is_named_and_does_no_harm():
    strangers = Strangers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    with Ring(2, links=[(0, 1)]) as c:
        config = c.indexer(0).process.config
        name = c.layout.indexers[1].name
        target = re.search(rf'\[Datalog-Forwarder "{name}"\][^\[]*Target=(\S+)',
                           config.read_text())[1]
        config.write_text(config.read_text().replace(f"Target={target}", f"Target=127.0.0.1:"
                                                     f"{strangers.port}"))
        c.start()
        for garbage in (os.urandom(5000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(100), b""):
            with socket.create_connection(("127.0.0.1", c.stats(1)["port"])) as wire:
                wire.sendall(garbage)
        wait_until(lambda: "no greeting of an indexer" in c.forwarder(0, 1)["fault"], 10, "it")
        strangers.close()
        wait_until(lambda: "no greeting of an indexer" in c.indexer(0).log(), 10, "a line of it")
        assert c.indexer(0).log().count("no greeting of an indexer") == 1  # not for each try
        wait_until(lambda: "no greeting of an indexer" in c.indexer(1).log(), 10, "the same")
        c.indexer(0).stop()
        config.write_text(config.read_text().replace(f"Target=127.0.0.1:{strangers.port}",
                                                     f"Target={target}"))
        c.indexer(0).start()
        c.expect_all_hold("web", c.ingest("web", 50))


def test_a_target_that_stalls_is_left_and_delays_nobody():
    with Ring(3, links=[(0, 1), (0, 2)]) as c:
        c.start()
        ids = c.ingest("web", 50)
        c.expect_all_hold("web", ids)
        c.indexer(1).pause()
        try:
            ids += c.ingest("web", 50)
            c.expect_found_at(2, "web", ids, 10)
            wait_until(lambda: "silent" in c.forwarder(0, 1)["fault"], 30, "the silence")
        finally:
            c.indexer(1).resume()
        c.expect_all_hold("web", ids)


def test_a_record_in_quarantine_is_tried_by_its_indexer(tmp_path):
    """Whether it can be applied says the indexer; link_poison_test has one that can."""
    with Ring(2) as c:
        c.start()
        aside = tmp_path / "1.refused"
        aside.write_bytes(b"Time: 1\nLink: east\nTries: 5\nReason: odd\n\naquifer record 7 of x\n")
        listed = c.aquifer("datalog", "quarantine", "ls", str(tmp_path))
        assert b"link=east tries=5" in listed.stdout
        config = ("--config", str(c.indexer(0).process.config))
        again = c.aquifer("datalog", "quarantine", "retry", *config, str(tmp_path), aside.name)
        assert again.returncode == 1 and b"there is no record in it" in again.stderr
        assert aside.exists()


def test_a_search_over_all_finds_every_entry_once_whoever_is_alive():
    with Cluster(webservers=1, indexers=3, balancer=False, links=Layout.ring(3)) as c:
        ids = [c.ingest("web", 200, indexer=i) for i in range(3)]
        everything = sum(ids, [])
        c.expect_found("web", everything)
        for i in range(3):
            wait_for_everywhere(c, everything)
            c.indexer(i).kill()
            c.expect_found("web", everything)
            c.indexer(i).start()
            more = c.ingest("web", 100, indexer=i)
            everything += more
            c.expect_found("web", everything)


def wait_for_everywhere(c, ids):
    """Until all indexers hold all: as many places as each other."""
    def same():
        held = []
        for process in c.layout.indexers:
            control = Control(f"127.0.0.1:{process.port}", c.layout.secrets["control"])
            places = control.ok("GET", "/control/v1/places")["places"]
            held.append({(p["node"], p["incarnation"]): p["position"] for p in places})
        return held[0] == held[1] == held[2]
    wait_until(same, 30, f"{len(ids)} entries everywhere")


def options_of(c, source, target, *lines, section="Datalog-Forwarder"):
    """Adds keys to the section of a forwarder, or of the door."""
    config = c.indexer(source).process.config
    head = f'[{section} "{c.layout.indexers[target].name}"]' if target is not None \
        else f"[{section}]"
    text = config.read_text()
    assert head in text
    config.write_text(text.replace(head, "\n".join([head, *lines]), 1))


def test_a_filtered_link_brings_its_part_and_a_search_counts_it_once():
    with Ring(3, links=[(0, 1), (0, 2)]) as c:
        options_of(c, 0, 1, "Selector=web{}")
        options_of(c, 0, 2, "Wells=default", "Shard=1:0", "Rate-Limit-MB=50", "Compress=false")
        c.start()
        c.webserver(0).set(*[f"Remote-Indexers=net:127.0.0.1:{i.port}"
                             for i in c.layout.indexers[1:]])
        c.webserver(0).stop()
        c.webserver(0).start()  # it asks all three now
        web, app = c.ingest("web", 200), c.ingest("app", 200)
        c.expect_found_at(1, "web", web)
        c.expect_found_at(2, "web,app", web + app)
        assert not set(app) & set(c.ids_found("*", c.webserver(1).login()))
        c.expect_found("web,app", web + app)
        assert c.forwarder(0, 1)["filtered"]
        wait_until(lambda: c.forwarder(0, 1)["lag_records"] == 0, 10, "no lag")
        c.indexer(0).kill()  # what others have in part is all there is
        assert set(c.ids_found("web")) >= set(web)
        c.indexer(0).start()


def test_links_go_over_tls(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    with Ring(2, links=[(0, 1)]) as c:
        for i in range(2):
            c.indexer(i).set(f"Certificate-File={certificate}", f"Key-File={key}")
            config = c.indexer(i).process.config
            text = config.read_text()
            before, after = text[:text.index("[Datalog]")], text[text.index("[Datalog]"):]
            config.write_text(before + after.replace("Disable-TLS=true", "Disable-TLS=false"))
        options_of(c, 0, 1, "Secret=a secret of this link")
        options_of(c, 1, None, "Secret=a secret of this link", section="Datalog")
        c.start()
        ids = c.ingest("web", 50)
        wait_until(lambda: "certificate" in c.forwarder(0, 1)["fault"].lower(), 10, "the refusal")
        assert not set(ids) & set(c.ids_found("*", c.webserver(1).login()))
        c.indexer(0).stop()
        options_of(c, 0, 1, "Insecure-Skip-TLS-Verify=true")
        c.indexer(0).start()
        c.expect_all_hold("web", ids)


def test_what_makes_no_sense_in_a_filter_is_named():
    for line, text in (("Shard=4:4", b"4:4"), ("Wells=nowhere", b"no well nowhere"),
                       ("Selector=web{", b"no } at byte 4")):
        with Ring(2, links=[(0, 1)]) as c:
            options_of(c, 0, 1, line)
            config = str(c.indexer(0).process.config)
            told = subprocess.run([BUILD / "bin/aquifer-indexer", "--config", config,
                                   "--check-config"], capture_output=True, check=False)
            assert told.returncode != 0 and text in told.stderr + told.stdout
