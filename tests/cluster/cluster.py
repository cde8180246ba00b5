"""A real cluster on loopback for one test, built from the same configurations as ./quickstart.

    with Cluster(webservers=2, indexers=2) as c:
        ids = c.ingest("web", lines=1000)
        c.indexer(0).kill()
        c.indexer(0).start()
        c.expect_found("web", ids, within_s=10)

Leaving the block ends every process with SIGTERM and fails when one of them does not exit 0 or
when a sanitizer or a CHECK had something to say. AQUIFER_BUILD names the build to be tested
(default build/debug: the sanitizers are part of the test).
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

from child import Child
from client import Session, wait_until

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging/quickstart"))
import processes  # noqa: E402
from layout import Layout  # noqa: E402

BUILD = (ROOT / os.environ.get("AQUIFER_BUILD", "build/debug")).resolve()
READY_WITHIN_S = 180  # bounds only end what hangs
STOP_WITHIN_S = 180
# The 64 MB of a login are a quarter of what tests would take of the processors.
CHEAP_PASSWORDS = ("webserver", "Password-Hash-MB=1")
BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|CHECK failed")
PORTS = range(20000, 32000)  # below the kernel's own choice of ports
SLICES = 12
own = {}  # this process's slice: its claim, its ports, the next one to be given


def claim_ports():
    """A slice of PORTS that no other process of tests on this machine has as long as we live."""
    for at in random.sample(range(SLICES), SLICES):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0aquifer-tests-ports-{at}")
        except OSError:
            claim.close()
            continue
        size = len(PORTS) // SLICES
        return {"claim": claim, "ports": PORTS[at * size:(at + 1) * size], "next": 0}
    raise RuntimeError("all ports are claimed by other tests")


def are_free(ports):
    with contextlib.ExitStack() as probes:
        for port in ports:
            try:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port_base(count):
    """That many ports. They come round last of all: what is given now and bound later, or by a
    daemon that starts again, is given to nobody else meanwhile."""
    if not own:
        own.update(claim_ports())
    ports = own["ports"]
    for _ in range(2 * len(ports)):
        first = own["next"] if own["next"] + count <= len(ports) else 0
        found = are_free(ports[first:first + count])
        own["next"] = first + (count if found else 1)
        if found:
            return ports[first]
    raise RuntimeError("no free ports")


class Node(Child):
    """One process of the cluster."""

    def __init__(self, cluster, process):
        self.cluster, self.process = cluster, process

    name = property(lambda self: self.process.name)
    url = property(lambda self: self.process.url)
    pid = property(lambda self: self.child.pid)

    def start(self, ready=True):
        self.child = processes.start(self.process)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        processes.wait_ready(self.process, self.url, READY_WITHIN_S,
                             alive=lambda: self.child.poll() is None)

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def wait_exit(self, within_s=STOP_WITHIN_S):
        try:
            return self.child.wait(within_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.name} did not end within {within_s} s:\n"
                                 f"{processes.last_lines(self.process.log)}") from None

    def log(self):
        return self.process.log.read_text(errors="replace") if self.process.log.exists() else ""

    def files(self):
        """All below its folder. What goes while they are listed is none."""
        return [Path(at) / name for at, _, names in os.walk(self.process.dir) for name in names]

    def set(self, *lines):
        """Changes [Global]: each line replaces the lines of its key. Effective with a start."""
        text = self.process.config.read_text()
        for line in lines:
            key = line.split("=")[0]
            text = re.sub(rf"^{re.escape(key)}=.*\n", "", text, flags=re.M)
            text = text.replace("[Global]\n", f"[Global]\n{line}\n", 1)
        self.process.config.write_text(text)

    def session(self):
        return Session(self.url)

    def login(self, user="admin", password="changeme"):
        return self.session().login(user, password)

    def login_soon(self, user, password):
        """Of an account that was made on another webserver: here it is a moment later."""
        session = self.session()
        wait_until(lambda: session.try_login(user, password).status == 200, 10, f"{user}'s account")
        return session.login(user, password)


class Cluster:
    def __init__(self, webservers=2, indexers=2, balancer=True, settings=(), start=True, dir=None,
                 datastores=1, links=()):
        self.dir = Path(dir or tempfile.mkdtemp(prefix="aquifer-cluster-"))
        self.keep_dir = dir is not None
        secrets = {"ingest": uuid.uuid4().hex, "control": uuid.uuid4().hex,
                   "warp10": {kind: uuid.uuid4().hex for kind in ("read", "write")}, "ids": {
            f"{kind}-{i}": str(uuid.uuid4())
            for kind in ("webserver", "indexer") for i in range(max(webservers, indexers))}}
        base = free_port_base(Layout.port_count(webservers, indexers, datastores))
        settings = [CHEAP_PASSWORDS, *settings]
        self.layout = Layout(self.dir, BUILD, ROOT, base, webservers, indexers, secrets, settings,
                             datastores, links)
        self.nodes = {p.name: Node(self, p) for p in self.layout.processes
                      if balancer or p is not self.layout.balancer}
        self.started_by_itself = start

    def __enter__(self):
        for node in self.nodes.values():
            node.process.dir.mkdir(parents=True, exist_ok=True)
            node.process.config.write_text(self.layout.config_text(node.process))
        try:
            if self.started_by_itself:
                self.start()
        except BaseException:
            self._kill_all()
            raise
        return self

    def start(self):
        for node in self.nodes.values():
            node.start(ready=False)
        for node in self.nodes.values():
            node.wait_ready()
        if "loadbalancer-0" in self.nodes:
            processes.wait_ready(self.layout.balancer, self.layout.balancer_url, READY_WITHIN_S)
            processes.wait_spread(self.layout.balancer, len(self.layout.webservers),
                                  READY_WITHIN_S)

    def stop(self):
        """One kind after the other, in reverse order; returns what each exited with."""
        statuses = {}
        for kind in ("loadbalancer", "indexer", "webserver", "datastore"):
            nodes = [n for n in self.nodes.values() if n.process.kind == kind and n.running()]
            for node in nodes:
                node.child.send_signal(signal.SIGTERM)
            statuses.update({node.name: node.wait_exit() for node in nodes})
        return statuses

    def __exit__(self, kind, value, traceback):
        faults = []
        try:
            if kind is None:
                faults += [f"{name} exited with {status}"
                           for name, status in self.stop().items() if status != 0]
        finally:
            self._kill_all()
            faults += [f"{name}: {line}" for name, node in self.nodes.items()
                       for line in node.log().splitlines() if BROKEN.search(line)]
            if kind is not None or faults:
                self._show_logs()
            if not self.keep_dir:
                shutil.rmtree(self.dir, ignore_errors=True)
        assert not faults, "\n".join(faults)

    def _kill_all(self):
        for node in self.nodes.values():
            if node.running():
                node.kill()

    def _show_logs(self):
        for name, node in self.nodes.items():
            print(f"---- {name}\n{processes.last_lines(node.process.log, 40)}")

    # The parts.

    def webserver(self, i):
        return self.nodes[f"webserver-{i}"]

    def indexer(self, i):
        return self.nodes[f"indexer-{i}"]

    @property
    def datastore(self):
        return self.nodes["datastore-0"]

    @property
    def balancer(self):
        return self.nodes["loadbalancer-0"]

    @property
    def balancer_url(self):
        return self.layout.balancer_url

    # What tests do with it.

    def aquifer(self, *arguments, input=None, timeout=180):
        """The command line program; returns the finished process."""
        return subprocess.run([BUILD / "bin/aquifer", *arguments], input=input,
                              stdin=None if input is not None else subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, check=False)

    def ingest_command(self, tag, indexer=0, secret=None):
        process = self.layout.indexers[indexer]
        return ["ingest", "--tag", tag, "--indexer", f"127.0.0.1:{process.ingest_port}",
                "--secret", secret or self.layout.secrets["ingest"], "-"]

    def ingest(self, tag, lines=100, indexer=0):
        """Sends lines that each carry an id; returns the ids once all are acknowledged."""
        ids = [uuid.uuid4().hex for _ in range(lines)]
        text = "".join(f"line with id={id} in it\n" for id in ids).encode()
        answer = self.aquifer(*self.ingest_command(tag, indexer), input=text)
        assert answer.returncode == 0, answer.stderr.decode()
        return ids

    def ids_found(self, tag, session=None, query=""):
        session = session or self.webserver(0).login()
        entries, _ = session.search(f"tag={tag} {query}")
        return [found.group(1).decode() for entry in entries
                if (found := re.search(rb"id=([0-9a-f]{32})", entry.data))]

    def expect_found(self, tag, ids, within_s=10):
        """Each id is found, exactly once."""
        session = self.webserver(0).login()

        def missing():
            try:
                found = self.ids_found(tag, session)
            except AssertionError as error:
                if "does not exist" in str(error):  # the tag: nothing has come yet
                    return None
                raise
            assert len(found) == len(set(found)), "an entry was found twice"
            return None if set(ids) - set(found) else "none"
        wait_until(missing, within_s, f"all of {len(ids)} entries in {tag}")


def fill_disk(path):
    """Writes to it until there is no room."""
    with open(path, "wb", buffering=0) as file:  # a buffer that is left fails once more in close()
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)


class Background:
    """Runs a function in a thread; join() gives its result or raises what it raised."""

    def __init__(self, function):
        self.result = self.error = None

        def run():
            try:
                self.result = function()
            except BaseException as error:  # handed to join()
                self.error = error
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def join(self, within_s=180):
        self.thread.join(within_s)
        assert not self.thread.is_alive(), f"still running after {within_s} s"
        if self.error:
            raise self.error
        return self.result
