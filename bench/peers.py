"""Peers that run as servers, each a child of the benchmark with its data in a directory of its own.

`start()` gives None where the program is not installed. What a peer used is known once it has
ended: a server's children count with it.
"""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from logs import Used, environment

READY_WITHIN_S = 30
STOP_WITHIN_S = 120


def wait_for(condition, child, what):
    deadline = time.monotonic() + READY_WITHIN_S
    while not condition():
        if child.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start")
        time.sleep(0.05)


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True,
                          check=False).stdout.strip().split("\n")[0]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """`with Server.start(dir) as server:` ends it with SIGTERM; `used` then says what it took
    from its start to its end."""
    stop_signal = signal.SIGTERM
    program = None

    @classmethod
    def find(cls):
        return shutil.which(cls.program)

    @classmethod
    @contextlib.contextmanager
    def start(cls, directory):
        if cls.find() is None:
            yield None
            return
        server = cls(directory / cls.__name__.lower())
        try:
            server.used = Used()
            server.used.__enter__()
            server.launch()
            yield server
        finally:
            server.end()

    def __init__(self, directory):
        from cluster import free_port_base
        self.dir, self.child = directory, None
        self.port = free_port_base(3)
        directory.mkdir()
        self.prepare()

    def prepare(self):
        pass

    def run(self, *command, **more):
        with open(self.dir.parent / f"{self.dir.name}.log", "wb") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          **more)

    def cpu_s(self):
        """So far, its children that have ended included."""
        total, ticks = 0, os.sysconf("SC_CLK_TCK")
        pids = {self.child.pid}
        for stat in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, rest = open(stat).read().rsplit(")", 1)
                fields = rest.split()
                if int(pid.split()[0]) in pids or int(fields[1]) in pids:
                    total += sum(int(field) for field in fields[11:13])
                    if int(pid.split()[0]) in pids:
                        total += sum(int(field) for field in fields[13:15])
        return total / ticks

    def end(self):
        if self.child is None:
            return
        self.child.send_signal(self.stop_signal)
        try:
            self.child.wait(STOP_WITHIN_S)
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
        self.child = None
        self.used.__exit__()


class Rsyslog(Server):
    """Takes lines by TCP and writes them to a file, each batch synced."""
    program = "rsyslogd"

    name = property(lambda self: " ".join(first_line(self.find(), "-v").split()[:2]))

    def launch(self):
        self.output = self.dir / "out"
        (self.dir / "conf").write_text(f"""
global(workDirectory="{self.dir}" maxMessageSize="256k")
module(load="imtcp")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" port="{self.port}" address="127.0.0.1" ruleset="out")
ruleset(name="out") {{
    action(type="omfile" file="{self.output}" template="raw" sync="on" ioBufferSize="256k")
}}
""")
        self.run(self.find(), "-n", "-f", self.dir / "conf", "-i", self.dir / "pid")
        wait_for(lambda: listens(self.port), self.child, "rsyslogd")


class Postgres(Server):
    """A fresh database with the defaults of its package: fsync, synchronous_commit and
    full_page_writes on."""
    stop_signal = signal.SIGINT  # fast shutdown

    @classmethod
    def find(cls):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        return found[-1] if found else None

    name = property(lambda self: first_line(self.find(), "--version").replace(
        "postgres (PostgreSQL)", "PostgreSQL").split(" (")[0])

    def as_user(self):
        """It refuses to run as root."""
        if os.getuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def prepare(self):
        if os.getuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
            self.dir.parent.chmod(0o755)
        subprocess.run([os.path.join(os.path.dirname(self.find()), "initdb"), "-D",
                        self.dir / "data", "-U", "bench", "-A", "trust", "-E", "SQL_ASCII",
                        "--locale=C"],
                       check=True, stdout=subprocess.DEVNULL, cwd=self.dir, **self.as_user())

    def launch(self):
        self.run(self.find(), "-D", self.dir / "data", "-p", str(self.port), "-h", "127.0.0.1",
                 "-k", "", cwd=self.dir, **self.as_user())
        wait_for(lambda: self.sql("SELECT 1", check=False).returncode == 0, self.child, "postgres")

    def psql(self):
        return ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench",
                "-d", "postgres", "-v", "ON_ERROR_STOP=1"]

    def sql(self, text, check=True):
        return subprocess.run([*self.psql(), "-At", "-c", text], check=check, capture_output=True,
                              text=True, env=environment())


class Http(Server):
    """With an HTTP port."""

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError as fault:
            raise RuntimeError(f"{path}: {fault.code} {fault.read()[:300]!r}") from None

    def answers(self, path):
        try:
            self.ask(path)
        except (urllib.error.URLError, OSError, RuntimeError):
            return False
        return True


class VictoriaMetrics(Http):
    program = "victoria-metrics"

    name = property(lambda self: "VictoriaMetrics " + self.version())

    def version(self):
        said = subprocess.run([self.find(), "-version"], capture_output=True, text=True,
                              check=False)
        words = [word for word in (said.stdout + said.stderr).replace("-", " ").split()
                 if word.lstrip("v")[:1].isdigit() and "." in word]
        return words[-1] if words else "1.79"

    def launch(self):
        self.run(self.find(), f"-storageDataPath={self.dir}/data",
                 f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y")
        wait_for(lambda: self.answers("/health"), self.child, "victoria-metrics")

    def bytes(self):
        return sum(os.path.getsize(os.path.join(at, name))
                   for at, _, names in os.walk(self.dir / "data/data") for name in names)


class InfluxDB(Http):
    program = "influxd"

    name = property(lambda self: "InfluxDB " + first_line(self.find(), "version").split()[1])

    def launch(self):
        (self.dir / "conf").write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{self.port + 1}"
[meta]
  dir = "{self.dir}/meta"
[data]
  dir = "{self.dir}/data"
  wal-dir = "{self.dir}/wal"
  max-series-per-database = 0
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
  max-body-size = 0
[monitor]
  store-enabled = false
""")
        self.run(self.find(), "-config", self.dir / "conf")
        wait_for(lambda: self.answers("/ping"), self.child, "influxd")
        self.ask("/query?q=CREATE%20DATABASE%20bench", b"")

    def bytes(self):
        return sum(os.path.getsize(os.path.join(at, name))
                   for top in ("data", "wal") for at, _, names in os.walk(self.dir / top)
                   for name in names)
