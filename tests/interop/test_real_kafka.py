"""Two indexers over a real Kafka broker: kills of each of the three, and a small message limit."""

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
