"""Indexers with no link to each other hold the same over a topic of Kafka, whatever dies meanwhile.

The brokers are librdkafka's mock cluster (kafka_mock.c), which keeps 5 MB per partition.
"""

import re
import signal
import subprocess

import pytest
from client import wait_until
from cluster import BUILD
from test_replication import Ring, Writer, wait_for_more
from test_snapshot import verify
from test_warp10 import Api

TOPIC = "hub"


class Hub:
    """A mock cluster; its brokers can be taken down."""

    def __init__(self, brokers=1, partitions=4):
        self.count = brokers
        self.child = subprocess.Popen([BUILD / "test/kafka_mock", str(brokers), TOPIC,
                                       str(partitions)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.brokers = self.child.stdout.readline().strip()
        self.url = f"kafka://{self.brokers}/{TOPIC}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(60)
        self.child.stdout.close()

    def tell(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline().strip() == "ok"

    def down(self):
        for i in range(self.count):
            self.tell(f"down {i + 1}")

    def up(self):
        for i in range(self.count):
            self.tell(f"up {i + 1}")


class OverKafka(Ring):
    """Two indexers, each a forwarder to the hub and a source from it."""

    def __init__(self, hub, indexers=2, **options):
        super().__init__(indexers, links=[], **options)
        self.hub = hub

    def __enter__(self):
        super().__enter__()
        for i in range(len(self.layout.indexers)):
            config = self.indexer(i).process.config
            config.write_text(config.read_text() + self.sections(self.hub.url))
        return self

    @staticmethod
    def sections(url, topic=None):
        url = url if topic is None else f"{url.rsplit('/', 1)[0]}/{topic}"
        return (f'[Datalog-Forwarder "hub"]\nTarget={url}\n'
                f'[Datalog-Source "hub"]\nSource={url}\n')

    def kafka(self, i, kind):
        return next(row for row in self.stats(i)[kind] if row["name"] == "hub")

    def expect_following(self, i, within_s=20):
        for kind in ("forwarders", "sources"):
            wait_until(lambda: self.kafka(i, kind)["state"] == "following", within_s,
                       f"{kind} of indexer {i} to follow")

    def metric(self, i, name, kind):
        text = self.indexer(i).session().get("/metrics").body.decode()
        found = re.search(rf'^{name}{{[^}}]*direction="source",kind="{kind}"}} (\S+)$', text, re.M)
        return float(found.group(1))


def test_entries_points_attributes_and_deletes_end_equal():
    with Hub() as hub, OverKafka(hub) as c:
        for i in range(2):
            c.indexer(i).set("Disable-Self-Ingest=true")
        c.start()
        tokens = c.layout.secrets["warp10"]
        apis = [Api(c.indexer(i), tokens["write"], tokens["read"]) for i in range(2)]
        ids = [id for i in range(2) for id in c.ingest("web", 300, indexer=i)]
        for i, api in enumerate(apis):
            api.expect_update("".join(f"{t}// load{{host={h}}} {i}\n" for t in range(1, 100)
                                      for h in range(20)).encode())
            assert api.meta(f"load{{host=1}}{{seen-by={i}}}\n".encode())[0] == 200
        c.expect_all_hold("web", ids)
        for i in range(2):
            c.expect_following(i)
        command = ("datalog", "status", "--config", str(c.webserver(0).process.config))
        status = wait_until(lambda: (s := c.aquifer(*command)).returncode == 0 and s, 20, "health")
        assert b"<- hub kafka://" in status.stdout and b"-> hub kafka://" in status.stdout
        everything = "selector=load{}&now=1000&timespan=1000&showattr=true"
        wait_until(lambda: apis[0].fetch(everything) == apis[1].fetch(everything), 30, "all points")
        assert apis[0].delete("selector=load{host=3}&deleteall")[0] == 200
        wait_until(lambda: len(apis[1].times(everything)) == 99 * 19, 30, "the delete")
        wait_until(lambda: "on 2 indexers: equal" in verify(c)[1], 30, "both to be equal")
        assert apis[0].fetch(everything) == apis[1].fetch(everything)


@pytest.mark.parametrize("victim", [0, 1], ids=["sender", "receiver"])
def test_a_kill_under_load_costs_nothing(victim):
    with Hub() as hub, OverKafka(hub) as c:
        c.start()
        c.expect_kills_to_cost_nothing(victim)


def test_an_outage_of_the_brokers_costs_nothing():
    with Hub(brokers=3) as hub, OverKafka(hub) as c:
        c.start()
        writers = [Writer(c, i) for i in range(2)]
        for writer in writers:
            wait_for_more(writer)
        hub.down()
        for writer in writers:
            wait_for_more(writer)
        wait_until(lambda: c.kafka(0, "forwarders")["kind"] == "broker", 30, "the outage's name")
        wait_until(lambda: c.kafka(0, "sources")["kind"] == "broker", 30, "the outage's name")
        wait_until(lambda: c.kafka(0, "forwarders")["state"] == "connecting", 30, "its state")
        c.indexer(1).kill()
        writers[1].stop()
        c.indexer(1).start()
        hub.up()
        again = Writer(c, 1)
        for writer in (writers[0], again):
            wait_for_more(writer)
        ids = [id for writer in (*writers, again) for id in writer.stop()]
        c.expect_all_hold("load", ids, 90)
        for i in range(2):
            c.expect_following(i, 60)


def test_an_indexer_stops_and_starts_while_no_broker_is_there():
    """Stopping waits for no broker: librdkafka would wait a minute for one."""
    with Hub(brokers=2) as hub, OverKafka(hub) as c:
        c.start()
        ids = c.ingest("web", 100, indexer=0)
        c.expect_all_hold("web", ids)
        hub.down()
        ids += c.ingest("web", 100, indexer=0)
        wait_until(lambda: c.kafka(0, "sources")["kind"] == "broker", 30, "the outage's name")
        c.indexer(0).child.send_signal(signal.SIGTERM)
        assert c.indexer(0).wait_exit(within_s=45) == 0
        c.indexer(0).start()
        hub.up()
        c.expect_all_hold("web", ids, 60)


def test_native_links_and_the_hub_go_together():
    """0 and 1 are a pair of their own, 2 has only the hub: everything comes, some of it twice."""
    with Hub() as hub, OverKafka(hub, indexers=3) as c:
        c.layout.links += [(0, 1), (1, 0)]
        for i in range(2):
            process = c.indexer(i).process
            process.config.write_text(c.layout.config_text(process) + c.sections(hub.url))
            c.webserver(i).set(f"Remote-Indexers=net:127.0.0.1:{process.port}")
        c.start()
        ids = [id for i in range(3) for _ in range(3) for id in c.ingest("web", 100, indexer=i)]
        c.expect_all_hold("web", ids)


def test_what_is_none_of_ours_is_set_aside_and_a_later_version_waits():
    with Hub() as hub, OverKafka(hub) as c:
        hub.tell("junk 0 this is no record")
        c.start()
        ids = c.ingest("web", 100, indexer=0)
        c.expect_all_hold("web", ids)
        wait_until(lambda: c.kafka(1, "sources")["quarantined"] == 1, 20, "the quarantine")
        wait_until(lambda: c.metric(1, "aquifer_kafka_faults_total", "poison") == 1, 10, "a count")
        aside, = (path for path in c.indexer(1).files() if path.suffix == ".refused")
        listed = c.aquifer("datalog", "quarantine", "ls", str(aside.parent))
        assert b"no message of a datalog" in listed.stdout, listed
        hub.tell("version 1")
        wait_until(lambda: c.kafka(1, "sources")["kind"] == "version", 20, "the version")
        wait_until(lambda: "later version" in c.kafka(1, "sources")["state"], 20, "its state")
        wait_until(lambda: c.metric(1, "aquifer_kafka_faults_total", "version") >= 1, 10, "a count")
        status = c.aquifer("datalog", "status", "--config", str(c.webserver(1).process.config))
        assert status.returncode == 1 and b"version 99" in status.stdout


def test_a_message_that_is_too_large_becomes_smaller_ones():
    with Hub() as hub, OverKafka(hub) as c:
        c.start()
        c.expect_all_hold("web", c.ingest("web", 1, indexer=0))
        hub.tell("error 10 1")  # MSG_SIZE_TOO_LARGE
        ids = c.ingest("web", 200, indexer=0)
        c.expect_all_hold("web", ids)
        wait_until(lambda: any(c.kafka(i, "forwarders")["faults_by_kind"]["too-large"]
                               for i in range(2)), 10, "a count of it")


def test_tls_and_users_are_librdkafkas_and_their_faults_are_named():
    """The mock speaks neither: what fails says that it was tried."""
    links = {
        "tls": ("broker", "SSL_HANDSHAKE", ["security.protocol=ssl"]),
        "file": ("other", "ssl.ca.location", ["security.protocol=ssl", "ssl.ca.location=/nowhere"]),
        "user": ("auth", "SASL", ["security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN",
                                  "sasl.username=u", "sasl.password=p"]),
    }
    with Hub() as hub, OverKafka(hub) as c:
        config = c.indexer(0).process.config
        text = config.read_text()
        for name, (_, _, properties) in links.items():
            lines = "".join(f"Kafka-Property={line}\n" for line in properties)
            text += re.sub(r'"hub"\]\n', f'"{name}"]\n{lines}', c.sections(hub.url))
        config.write_text(text)
        c.start()
        for name, (kind, said, _) in links.items():
            for where in ("forwarders", "sources"):
                def link():
                    return next(row for row in c.stats(0)[where] if row["name"] == name)
                wait_until(lambda: said in link()["fault"], 20, f"{said} of {where}")
                wait_until(lambda: link()["faults_by_kind"][kind] > 0, 10, f"a count of {kind}")
            wait_until(lambda: said in c.indexer(0).log(), 10, f"{said} in the log")


def test_messages_are_read_however_they_are_packed():
    with Hub() as hub, OverKafka(hub) as c:
        ids, plain = [], c.indexer(0).process.config.read_text()
        for codec in ("gzip", "snappy", "lz4"):
            c.indexer(0).process.config.write_text(plain.replace(
                '[Datalog-Forwarder "hub"]\n',
                f'[Datalog-Forwarder "hub"]\nKafka-Property=compression.codec={codec}\n'))
            if ids:
                c.indexer(0).start()
            else:
                c.start()
            ids += c.ingest("web", 500, indexer=0)
            c.expect_found_at(1, "web", ids)
            assert c.indexer(0).stop() == 0


def test_a_wrong_property_is_named_with_its_line():
    with Hub() as hub, OverKafka(hub) as c:
        config = c.indexer(0).process.config
        for line, said in (("Kafka-Property=acks=1", "acks is not to be set"),
                           ("Kafka-Property=nonsense=1", "nonsense"),
                           ("Kafka-Property=socket.timeout.ms=-5", "socket.timeout.ms"),
                           ('[Datalog-Forwarder "hub"]\nShard=2:1', "Shard is not for"),
                           ('[Datalog-Source "x"]\nSource=kafka://here', "no kafka://host")):
            bad = config.with_name("bad.conf")
            bad.write_text(config.read_text() + f"{line}\n")
            answer = subprocess.run([BUILD / "bin/aquifer-indexer", "--config", bad,
                                     "--check-config"], capture_output=True, text=True, timeout=120,
                                    check=False)
            assert answer.returncode != 0 and said in answer.stderr + answer.stdout, answer
            assert "bad.conf:" in answer.stderr + answer.stdout
