"""What the benchmarks share: figures as lines of JSON, a cluster of release daemons, an etcd.

A benchmark is an executable bench/NAME. It installs nothing, starts what it needs on loopback and
stops it, takes --quick, and prints one JSON object per line and figure. A peer that is not
installed is reported as missing.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("AQUIFER_BUILD", "build/release")
sys.path.insert(0, str(ROOT / "tests/cluster"))
ETCD_READY_WITHIN_S = 30


def parser_of(text):
    parser = argparse.ArgumentParser(description=text.strip().split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    return parser


def arguments(text):
    return parser_of(text).parse_args()


def require_build():
    from cluster import BUILD
    if not (BUILD / "bin/aquifer-webserver").exists():
        sys.exit(f"{BUILD}/bin is not built: `make build` builds it "
                 "(AQUIFER_BUILD names another build)")
    return BUILD


def figure(bench, metric, ours, peer, theirs, goal=None, met=None, **more):
    """theirs None: the peer is missing. The ratio is ours to theirs."""
    line = {"bench": bench, "metric": metric, "ours": rounded(ours), "peer": peer,
            "theirs": rounded(theirs) if theirs is not None else "missing",
            "ratio": rounded(ours / theirs) if theirs else None}
    if goal is not None:
        line.update(goal=goal, met=met)
    print(json.dumps({**line, **more}), flush=True)


def rounded(value):
    return float(f"{value:.3g}") if isinstance(value, float) else value


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def busy():
    """How much else this machine does; figures of a busy one say little."""
    return {"load": rounded(os.getloadavg()[0]), "cores": os.cpu_count()}


def cpu_seconds(pids):
    """What these processes have used, their threads included."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Connection:
    """One kept connection for small JSON requests."""

    def __init__(self, address, headers=None):
        self.wire = http.client.HTTPConnection(address, timeout=60)
        self.wire.connect()
        self.wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"Content-Type": "application/json", **(headers or {})}

    def call(self, method, path, value=None):
        body = json.dumps(value).encode() if value is not None else None
        self.wire.request(method, path, body, self.headers)
        answer = self.wire.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data) if data else None


class Etcd:
    """One member on loopback, with its data in a directory of its own. `with Etcd() as etcd:` gives
    None where it is not installed."""

    def __init__(self):
        self.program = shutil.which("etcd")
        self.child = None

    def __enter__(self):
        if self.program is None:
            return None
        from cluster import free_port_base
        self.port = free_port_base(2)
        self.dir = Path(tempfile.mkdtemp(prefix="aquifer-bench-etcd-"))
        client, peer = (f"http://127.0.0.1:{self.port + i}" for i in range(2))
        with open(self.dir / "log", "wb") as log:
            self.child = subprocess.Popen(
                [self.program, "--data-dir", self.dir / "data", "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + ETCD_READY_WITHIN_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
                Connection(self.address).call("POST", "/v3/kv/range", {"key": "AA=="})
                return self
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError("etcd did not start")
            time.sleep(0.05)

    def __exit__(self, *_):
        if self.child is not None:
            self.child.terminate()
            self.child.wait()
            shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def name(self):
        first = subprocess.run([self.program, "--version"], capture_output=True, text=True,
                               check=False).stdout.split("\n")[0]
        return "etcd " + first.rsplit(" ", 1)[-1]


def b64(text):
    return base64.b64encode(text.encode()).decode()
