"""Two indexers over a real Kafka broker: kills of each of the three, and a small message limit."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from client import wait_until  # noqa: E402
from real_kafka import RealKafka, jars  # noqa: E402
from test_kafka import TOPIC, OverKafka  # noqa: E402
from test_replication import Writer, wait_for_more  # noqa: E402


@pytest.fixture(scope="module")
def class_path():
    place = Path(tempfile.mkdtemp(prefix="aquifer-kafka-jars-"))
    try:
        yield jars(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_everything_arrives_once_whoever_is_killed(class_path):
    with RealKafka(class_path, TOPIC) as kafka, OverKafka(kafka) as c:
        c.start()
        writers = [Writer(c, i) for i in range(2)]
        for writer in writers:
            wait_for_more(writer)
        for i in range(2):
            c.indexer(i).kill()
            c.indexer(i).start()
            wait_for_more(writers[i])
        kafka.kill()
        for writer in writers:
            wait_for_more(writer)
        wait_until(lambda: c.kafka(0, "forwarders")["kind"] == "broker", 30, "the outage's name")
        kafka.start()
        ids = [id for writer in writers for id in writer.stop()]
        c.expect_all_hold("load", ids, 120)
        for i in range(2):
            c.expect_following(i, 60)


def test_a_broker_with_a_small_limit_gets_small_messages(class_path):
    with RealKafka(class_path, TOPIC, more=["message.max.bytes=100000"]) as kafka, \
            OverKafka(kafka) as c:
        for i in range(2):  # random text does not pack
            config = c.indexer(i).process.config
            config.write_text(config.read_text().replace("Target=kafka",
                                                         "Compress=false\nTarget=kafka"))
        c.start()
        ids = c.ingest("web", 20000, indexer=0)
        c.expect_all_hold("web", ids, 60)
        assert c.kafka(0, "forwarders")["faults_by_kind"]["too-large"] > 0
        c.expect_following(0, 30)


def test_a_user_of_the_broker_is_a_matter_of_properties(class_path):
    with RealKafka(class_path, TOPIC) as kafka, OverKafka(kafka) as c:
        user = ("Kafka-Property=security.protocol=SASL_PLAINTEXT\n"
                "Kafka-Property=sasl.mechanism=PLAIN\nKafka-Property=sasl.username=aquifer\n"
                "Kafka-Property=sasl.password=")
        for i in range(2):
            config = c.indexer(i).process.config
            config.write_text(re.sub(rf"(Target|Source)={kafka.url}\n", lambda found:
                                     f"{found[1]}={kafka.sasl_url}\n{user}wrong\n",
                                     config.read_text()))
        c.start()
        ids = c.ingest("web", 100, indexer=0)
        for i in range(2):
            for kind in ("forwarders", "sources"):
                wait_until(lambda: c.kafka(i, kind)["kind"] == "auth", 30, "the user to be refused")
        for i in range(2):
            c.indexer(i).stop()
            config = c.indexer(i).process.config
            config.write_text(config.read_text().replace("password=wrong", "password=right"))
            c.indexer(i).start()
        c.expect_all_hold("web", ids, 60)
        c.expect_following(1, 60)
