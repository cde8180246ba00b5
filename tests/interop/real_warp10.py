"""A real Warp 10 standalone for the tests beside it.

Its jars come from Maven Central through mvn, or from a directory that AQUIFER_WARP10_JARS names;
AQUIFER_WARP10_VERSION says which they are. 2.x runs on Java 8 alone (AQUIFER_JAVA8 names its
`java`), 3.x on any. What is missing is the reason of the skip.
"""

import http.client
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

FETCH_WITHIN_S, READY_WITHIN_S, STOP_WITHIN_S = 180, 60, 30
UUID = "11111111-1111-1111-1111-111111111111"
EXCLUDED = ["javax.servlet:servlet-api", "org.mortbay.jetty:servlet-api",
            "org.mortbay.jetty:servlet-api-2.5", "org.iq80.leveldb:leveldb-api"]


def pom(version):
    """What the published one leaves to the reader."""
    exclusions = "".join(f"<exclusion><groupId>{group}</groupId><artifactId>{name}</artifactId>"
                         "</exclusion>" for group, name in (e.split(":") for e in EXCLUDED))
    guava = ("<dependencyManagement><dependencies><dependency><groupId>com.google.guava</groupId>"
             "<artifactId>guava</artifactId><version>15.0</version></dependency></dependencies>"
             "</dependencyManagement>") if version.startswith("2.") else ""
    return ('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>test</groupId><artifactId>test</artifactId><version>1</version>" + guava +
            "<dependencies><dependency><groupId>io.warp10</groupId><artifactId>warp10</artifactId>"
            f"<version>{version}</version><exclusions>{exclusions}</exclusions></dependency>"
            "</dependencies></project>")


def jars(version, place):
    """The class path, or a skip that says why there is none."""
    given = os.environ.get("AQUIFER_WARP10_JARS")
    if given and os.environ.get("AQUIFER_WARP10_VERSION", "").split(".")[0] == version[0]:
        return given + "/*"
    if shutil.which("mvn") is None:
        pytest.skip(f"no Warp 10 {version}: mvn is not there, AQUIFER_WARP10_JARS names no jars")
    (place / "pom.xml").write_text(pom(version))
    try:
        done = subprocess.run(
            ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Dmaven.repo.local={place}/repository",
             "dependency:copy-dependencies", f"-DoutputDirectory={place}/jars"], cwd=place,
            capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"no Warp 10 {version}: the registry did not answer within {FETCH_WITHIN_S} s")
    if done.returncode != 0:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        plain = re.sub(r"\x1b\[[0-9;]*m", "", reason)
        pytest.skip(f"no Warp 10 {version}: {plain[:300]}")
    return f"{place}/jars/*"


def java(version):
    """A JVM that this version starts on."""
    named = os.environ.get("AQUIFER_JAVA8") if version.startswith("2.") else None
    program = named or shutil.which("java")
    if program is None:
        pytest.skip(f"no JVM for Warp 10 {version}")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    is_8 = re.search(r'version "1\.8', said.stderr + said.stdout) is not None
    if version.startswith("2.") and not is_8:
        pytest.skip(f"Warp 10 {version} needs Java 8; AQUIFER_JAVA8 may name one")
    return program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RealWarp10:
    """One instance with the tokens of an indexer. `more` are lines of its configuration."""

    def __init__(self, version, program, class_path, write, read, more=()):
        self.dir, self.port = Path(tempfile.mkdtemp(prefix="aquifer-warp10-")), free_port()
        self.version, self.child = version, None
        (self.dir / "tokens").write_text("".join(
            f"token.{kind}.0.name={name}\ntoken.{kind}.0.owner={UUID}\ntoken.{kind}.0.app=demo\n"
            + (f"token.write.0.producer={UUID}\n" if kind == "write" else "")
            for kind, name in (("write", write), ("read", read))))
        (self.dir / "leveldb").mkdir()
        (self.dir / "conf").write_text("\n".join([*self.settings(), *more]) + "\n")
        flags = [] if version.startswith("2.") else ["--add-exports",
                                                     "java.base/sun.nio.ch=ALL-UNNAMED"]
        self.command = [program, *flags, "-Dfile.encoding=UTF-8", "-Dsensision.server.port=0",
                        "-Dleveldb.mmap=false", "-cp", class_path, "io.warp10.standalone.Warp",
                        self.dir / "conf"]

    def settings(self):
        yield from ("backend = leveldb", f"leveldb.home = {self.dir}/leveldb",
                    "leveldb.create.if.missing = true", "leveldb.native.disable = true",
                    "directory.stats.class.maxcardinality = 100",
                    "directory.stats.labels.maxcardinality = 100", "labelsid.slowimpl = true",
                    "warp.timeunits = us", "standalone.host = 127.0.0.1",
                    f"standalone.port = {self.port}", f"warp.token.file = {self.dir}/tokens",
                    "warp10.absent.label.support = true", "ingress.parse.attributes = true",
                    "ingress.attributes.allowdelta = true",
                    "ingress.websocket.maxmessagesize = 1048576",
                    "plasma.frontend.websocket.maxmessagesize = 1048576")
        for i, name in enumerate(("class", "labels", "token", "app")):
            yield f"warp.hash.{name} = hex:{i:02x}" + "11" * 15
        for i, name in enumerate(("token", "scripts", "metasets")):
            yield f"warp.aes.{name} = hex:{i:02x}" + "22" * 31
        for name in ("update", "meta"):
            yield f"warpscript.{name}.endpoint = http://127.0.0.1:{self.port}/api/v0/{name}"

    def __enter__(self):
        with open(self.dir / "log", "wb") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                text = (self.dir / "log").read_text(errors="replace")[-2000:]
                self.__exit__()
                raise AssertionError(f"Warp 10 {self.version} did not start:\n{text}")
            time.sleep(0.2)
        return self

    def is_ready(self):
        try:
            wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            wire.request("GET", "/api/v0/check")
            return wire.getresponse().status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
