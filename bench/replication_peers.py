"""What stands beside a native link in bench/replication: the same bytes at the same pace, from the
request until two have them. Redis: a primary and a replica, both with an append-only file that is
synced for every command, XADD and WAIT 1; WAIT says that the replica has it in memory, not on its
disk. etcd: two members, of which both must have a put on disk. One request after the other. A peer
that is not installed gives None."""

import contextlib
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from common import Connection, b64, percentile

READY_WITHIN_S = 30


def free_ports(count):
    from cluster import free_port_base
    base = free_port_base(count)
    return [base + i for i in range(count)]


def paced(call, per_s, seconds):
    """Milliseconds that each call took, p50 and p99, and how many a second there were: one after
    the other, at most at that pace."""
    times = []
    due = begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        time.sleep(max(0, due - time.monotonic()))
        asked = time.monotonic()
        call()
        times.append((time.monotonic() - asked) * 1000)
        due = max(due + 1 / per_s, asked)
    return percentile(times, 0.5), percentile(times, 0.99), len(times) / seconds


class Redis:
    """One connection, in its protocol."""

    def __init__(self, port):
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.wire.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.wire.sendall(b"*%d\r\n" % len(words) +
                          b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def answer(self):
        line = self.answers.readline()
        if line[:1] == b"$":
            return self.answers.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"-":
            raise RuntimeError(line.decode())
        return line[1:].strip()


@contextlib.contextmanager
def children(commands):
    with tempfile.TemporaryDirectory(prefix="aquifer-bench-") as room:
        started = []
        try:
            for i, command in enumerate(commands):
                home = Path(room) / str(i)
                home.mkdir()
                with open(home / "log", "wb") as log:
                    started.append(subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log))
            yield
        finally:
            for child in started:
                child.terminate()
                child.wait()


def until(ready):
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
            if ready():
                return
        if time.monotonic() > deadline:
            raise RuntimeError("the peer did not start")
        time.sleep(0.05)


def redis(payload, per_s, seconds):
    program = shutil.which("redis-server")
    if program is None:
        return None
    ports = free_ports(2)
    common = [program, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--bind",
              "127.0.0.1"]
    commands = [[*common, "--port", str(ports[0]), "--repl-diskless-sync-delay", "0"],
                [*common, "--port", str(ports[1]), "--replicaof", "127.0.0.1", str(ports[0])]]
    with children(commands):
        wire = None

        def ready():
            nonlocal wire
            wire = Redis(ports[0])
            wire.send("WAIT", 1, 500)
            return wire.answer() == b"1"
        until(ready)

        def call():
            wire.send("XADD", "log", "*", "d", payload)
            wire.send("WAIT", 1, 10000)
            wire.answer()
            if wire.answer() != b"1":
                raise RuntimeError("the replica did not follow")
        return paced(call, per_s, seconds)


def etcd(payload, per_s, seconds):
    program = shutil.which("etcd")
    if program is None:
        return None
    ports = free_ports(4)
    cluster = ",".join(f"m{i}=http://127.0.0.1:{ports[2 + i]}" for i in range(2))
    commands = [[program, "--name", f"m{i}", "--data-dir", "data",
                 "--listen-client-urls", f"http://127.0.0.1:{ports[i]}",
                 "--advertise-client-urls", f"http://127.0.0.1:{ports[i]}",
                 "--listen-peer-urls", f"http://127.0.0.1:{ports[2 + i]}",
                 "--initial-advertise-peer-urls", f"http://127.0.0.1:{ports[2 + i]}",
                 "--initial-cluster", cluster] for i in range(2)]
    with children(commands):
        def ready():
            Connection(f"127.0.0.1:{ports[0]}").call("POST", "/v3/kv/range", {"key": "AA=="})
            return True
        until(ready)
        wire = Connection(f"127.0.0.1:{ports[0]}")
        value, count = b64(payload.decode()), 0

        def call():
            nonlocal count
            count += 1
            wire.call("POST", "/v3/kv/put", {"key": b64(f"{count % 1000}"), "value": value})
        return paced(call, per_s, seconds)
