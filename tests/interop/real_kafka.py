"""A real Kafka broker for the tests beside it, alone and on loopback.

Its jars come from a directory that AQUIFER_KAFKA_JARS names, or, with AQUIFER_INTEROP=all, from
Maven Central through mvn (100 MB, minutes).
What is missing is the reason of the skip.
"""

import base64
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

VERSION = "3.7.2"
FETCH_WITHIN_S, READY_WITHIN_S, STOP_WITHIN_S = 180, 60, 30
POM = ('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
       "<groupId>test</groupId><artifactId>test</artifactId><version>1</version><dependencies>"
       "<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>"
       f"<version>{VERSION}</version></dependency></dependencies></project>")


def jars(place):
    """The class path, or a skip that says why there is none."""
    given = os.environ.get("AQUIFER_KAFKA_JARS")
    if given:
        return given + "/*"
    if shutil.which("java") is None:
        pytest.skip("no JVM for Kafka")
    if os.environ.get("AQUIFER_INTEROP") != "all":
        pytest.skip("no Kafka: AQUIFER_KAFKA_JARS names no jars; AQUIFER_INTEROP=all fetches them")
    if shutil.which("mvn") is None:
        pytest.skip("no Kafka: mvn is not there, AQUIFER_KAFKA_JARS names no jars")
    (place / "pom.xml").write_text(POM)
    try:
        done = subprocess.run(
            ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Dmaven.repo.local={place}/repository",
             "dependency:copy-dependencies", f"-DoutputDirectory={place}/jars"], cwd=place,
            capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"no Kafka: the registry did not answer within {FETCH_WITHIN_S} s")
    if done.returncode != 0:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        pytest.skip(f"no Kafka: {reason[:300]}")
    return f"{place}/jars/*"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class RealKafka:
    """One broker that makes topics of `partitions` when they are asked for. It can be killed and
    started again; its data stays until the end of the block."""

    def __init__(self, class_path, topic, partitions=4, more=()):
        self.dir, self.child = Path(tempfile.mkdtemp(prefix="aquifer-kafka-")), None
        self.port, control, sasl = free_ports(3)
        self.brokers = f"127.0.0.1:{self.port}"
        self.url = f"kafka://{self.brokers}/{topic}"
        self.sasl_url = f"kafka://127.0.0.1:{sasl}/{topic}"  # user aquifer, password right
        self.run = [shutil.which("java"), "-Xmx512m", "-cp", class_path]
        self.config = self.dir / "server.properties"
        self.config.write_text("\n".join([
            "process.roles=broker,controller", "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{control}",
            f"listeners=PLAINTEXT://{self.brokers},SASL_PLAINTEXT://127.0.0.1:{sasl},"
            f"CONTROLLER://127.0.0.1:{control}",
            f"advertised.listeners=PLAINTEXT://{self.brokers},SASL_PLAINTEXT://127.0.0.1:{sasl}",
            "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "SASL_PLAINTEXT:SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config="
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            'user_aquifer="right";',
            f"log.dirs={self.dir}/data", "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=2", "auto.create.topics.enable=true",
            f"num.partitions={partitions}", *more]) + "\n")

    def __enter__(self):
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
        subprocess.run([*self.run, "kafka.tools.StorageTool", "format", "-t", name, "-c",
                        self.config], check=True, capture_output=True, timeout=READY_WITHIN_S)
        return self.start()

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.child = subprocess.Popen([*self.run, "kafka.Kafka", self.config],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                text = (self.dir / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"Kafka did not start:\n{text}")
            time.sleep(0.2)
        return self

    def is_ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def kill(self):
        self.child.kill()
        self.child.wait()

    def __exit__(self, *_):
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
