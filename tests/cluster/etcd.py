"""An etcd of one or three members on loopback, for one test.

    with Etcd(members=3) as etcd:
        with Cluster(datastores=2, settings=etcd.settings()) as c:
            etcd.leader().kill()

Elections are as fast as docs/configuration.md advises for one room of machines.
"""

import base64
import json
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from child import Child
from client import wait_until

HEARTBEAT_MS, ELECTION_MS = 100, 500


def make_certificates(dir):
    """An authority of our own, one certificate for etcd and one for datastores."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=dir)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key",
            "-out", "ca.crt")
    (dir / "names").write_text("subjectAltName=IP:127.0.0.1\n"
                               "extendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("etcd", "datastore"):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.crt")


class Member(Child):
    def __init__(self, etcd, index, client_port, peer_port):
        self.etcd, self.name = etcd, f"m{index}"
        self.client = f"{'https' if etcd.tls else 'http'}://127.0.0.1:{client_port}"
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.dir = etcd.dir / self.name

    def start(self):
        with open(self.etcd.dir / f"{self.name}.log", "ab") as log:
            self.child = subprocess.Popen(
                ["etcd", "--name", self.name, "--data-dir", self.dir,
                 "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
                 "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                 "--initial-cluster", ",".join(f"{m.name}={m.peer}" for m in self.etcd.members),
                 "--heartbeat-interval", str(HEARTBEAT_MS),
                 "--election-timeout", str(ELECTION_MS), "--log-level", "warn",
                 *self.etcd.tls_options()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def post(self, path, body, timeout=2):
        request = urllib.request.Request(self.client + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=timeout,
                                    context=self.etcd.ssl_context()) as answer:
            return json.loads(answer.read())

    def is_leader(self):
        try:
            status = self.post("/v3/maintenance/status", {})
        except (OSError, ValueError):
            return False
        return status["header"]["member_id"] == status.get("leader")


class Etcd:
    def __init__(self, members=1, tls=False):
        if shutil.which("etcd") is None:
            import pytest  # which bench/failover does without
            pytest.skip("etcd is not installed (Debian package etcd-server)")
        from cluster import free_port_base
        self.dir = Path(tempfile.mkdtemp(prefix="aquifer-etcd-"))
        self.tls = tls
        if tls:
            make_certificates(self.dir)
        base = free_port_base(2 * members)
        self.members = [Member(self, i, base + 2 * i, base + 2 * i + 1) for i in range(members)]

    url = property(lambda self: ("etcds://" if self.tls else "etcd://") + ",".join(
        m.client.split("//")[1] for m in self.members))

    def settings(self):
        tls = [("datastore", f"Datastore-Backend-CA-File={self.dir}/ca.crt"),
               ("datastore", f"Datastore-Backend-Certificate-File={self.dir}/datastore.crt"),
               ("datastore", f"Datastore-Backend-Key-File={self.dir}/datastore.key")]
        return [("datastore", f"Datastore-Backend={self.url}")] + (tls if self.tls else [])

    def tls_options(self):
        """Nobody is let in without a certificate of our authority."""
        names = {"--cert-file": "etcd.crt", "--key-file": "etcd.key", "--trusted-ca-file": "ca.crt"}
        files = [word for name, file in names.items() for word in (name, str(self.dir / file))]
        return ["--client-cert-auth", *files] if self.tls else []

    def ssl_context(self):
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=str(self.dir / "ca.crt"))
        context.load_cert_chain(self.dir / "datastore.crt", self.dir / "datastore.key")
        return context

    def __enter__(self):
        for member in self.members:
            member.start()
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, traceback):
        for member in self.members:
            if member.running():
                member.kill()
        if kind is not None:
            for member in self.members:
                log = (self.dir / f"{member.name}.log").read_text(errors="replace")
                print(f"---- etcd {member.name}\n" + "\n".join(log.splitlines()[-15:]))
        shutil.rmtree(self.dir, ignore_errors=True)

    def wait_ready(self, within_s=30):
        wait_until(lambda: self.leader(), within_s, "a leader of etcd")

    def leader(self):
        return next((m for m in self.members if m.running() and m.is_leader()), None)

    def is_whole(self):
        """All members are there and have applied the same: any one of them may die."""
        try:
            states = [m.post("/v3/maintenance/status", {}) for m in self.members]
        except (OSError, ValueError):
            return False
        applied = [int(s.get("raftAppliedIndex", 0)) for s in states]
        return (len({s.get("leader") for s in states}) == 1 and states[0].get("leader")
                and max(applied) - min(applied) < 50)

    def get(self, key, prefix=False):
        """{key: value} of one key or of all that begin with it."""
        def code(text):
            return base64.b64encode(text.encode()).decode()
        body = {"key": code(key)}
        if prefix:
            body["range_end"] = code(key[:-1] + chr(ord(key[-1]) + 1))
        for member in self.members:
            try:
                kvs = member.post("/v3/kv/range", body, timeout=60).get("kvs", [])
            except (OSError, ValueError):
                continue
            return {base64.b64decode(kv["key"]).decode(): base64.b64decode(kv.get("value", ""))
                    for kv in kvs}
        raise AssertionError("no member of etcd answers")
