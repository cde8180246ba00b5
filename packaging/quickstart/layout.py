"""What a local cluster consists of: its processes, their ports, directories and configurations.

Nothing here touches the disk or starts anything; the tests' harness builds its clusters with it
too. Ports, from the base on: load balancer, webservers, datastore, two per indexer (ingest, HTTP),
and the load balancer's own status port.
"""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SOCKET_PATH_MAX = 100  # what a unix socket's path may have, with something to spare


@dataclass
class Process:
    name: str  # "webserver-0"
    program: str  # "aquifer-webserver"
    port: int  # where it answers HTTP
    dir: Path
    build: Path
    ingest_port: int = 0  # indexers
    datalog_port: int = 0

    @property
    def kind(self):
        return self.name.rsplit("-", 1)[0]

    @property
    def config(self):
        return self.dir / "aquifer.conf"

    @property
    def log(self):
        return self.dir / "log"

    @property
    def command(self):
        return [str(self.build / "bin" / self.program), "--config", str(self.config)]

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"


def quoted(value):
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Layout:
    """The processes of a cluster in `dir`. `settings` is an iterable of (process name or kind,
    line) that is appended to [Global] of the configurations it names."""

    def __init__(self, dir, build, root, port_base, webservers, indexers, secrets, settings=(),
                 datastores=1, links=()):
        self.dir, self.build, self.root = Path(dir), Path(build), Path(root)
        self.port_base, self.secrets, self.settings = port_base, secrets, list(settings)
        ports = iter(range(port_base, port_base + self.port_count(webservers, indexers, datastores)))
        balancer_port = next(ports)
        self.webservers = [self._process("webserver", i, next(ports)) for i in range(webservers)]
        self.datastores = [self._process("datastore", i, next(ports)) for i in range(datastores)]
        self.indexers = []
        for i in range(indexers):
            ingest_port, port = next(ports), next(ports)
            self.indexers.append(self._process("indexer", i, port, ingest_port))
        self.balancer = self._process("loadbalancer", 0, next(ports))
        self.balancer_url = f"http://{HOST}:{balancer_port}"
        self.balancer_port = balancer_port
        for process in self.indexers:
            process.datalog_port = next(ports)
        self.links = list(links)

    @staticmethod
    def ring(indexers):
        """Who forwards to whom: each to the next one; with two, to each other."""
        return [(i, (i + 1) % indexers) for i in range(indexers)] if indexers > 1 else []

    @staticmethod
    def port_count(webservers, indexers, datastores=1):
        return 1 + webservers + datastores + 3 * indexers + 1

    def _process(self, kind, index, port, ingest_port=0):
        name = f"{kind}-{index}"
        return Process(name, f"aquifer-{kind}", port, self.dir / name, self.build, ingest_port)

    @property
    def processes(self):
        """In the order they are started."""
        return [*self.datastores, *self.webservers, *self.indexers, self.balancer]

    @property
    def ports(self):
        last = max([self.balancer.port, *(p.datalog_port for p in self.indexers)])
        return range(self.port_base, last + 1)

    def cluster_json(self, pids):
        return {
            "loadbalancer": self.balancer_url,
            "webservers": [p.url for p in self.webservers],
            "datastores": [f"{HOST}:{p.port}" for p in self.datastores],
            "indexers": [
                {"ingest": f"{HOST}:{p.ingest_port}", "http": p.url,
                 "id": self.secrets["ids"][p.name]}
                for p in self.indexers
            ],
            "ingest_secret": self.secrets["ingest"],
            "control_secret": self.secrets["control"],
            "warp10": self.secrets["warp10"],
            "pids": pids,
        }

    def config_text(self, process):
        lines = getattr(self, f"_{process.kind}")(process)
        own = [line for name, line in self.settings if name in (process.name, process.kind)]
        at = next((i for i, line in enumerate(lines[1:], 1) if line.startswith("[")), len(lines))
        lines[at:at] = own
        return "\n".join(["# " + shlex.join(process.command),
                          "# Written by quickstart. It keeps what you change here, unless ports or",
                          "# the number of processes change; then your text moves to aquifer.conf.old.",
                          *lines, ""])

    def _common(self, process):
        return ["[Global]",
                f"Data-Directory={quoted(process.dir)}",
                f"Ingest-Auth={quoted(self.secrets['ingest'])}",
                f"Control-Auth={quoted(self.secrets['control'])}",
                "Log-Level=INFO"]

    def _self_log(self):
        return [f"Self-Log-Target={HOST}:{p.ingest_port}" for p in self.indexers]

    def _datastore(self, process):
        return [*self._common(process),
                f"Datastore-Listen-Address={HOST}",
                f"Datastore-Port={process.port}",
                "Datastore-Insecure-Disable-TLS=true",
                f"Datastore-User-DB-Path={quoted(process.dir / 'datastore-users.db')}",
                f"Datastore-Web-Store-Path={quoted(process.dir / 'datastore-webstore.db')}",
                f"Datastore-Resource-Store={quoted(process.dir / 'resources/datastore')}",
                *self._self_log()]

    def _webserver(self, process):
        return [*self._common(process),
                f"Webserver-UUID={self.secrets['ids'][process.name]}",
                f"Web-Listen-Address={HOST}",
                f"Web-Port={process.port}",
                "Insecure-Disable-HTTPS=true",
                "Insecure-Keep-First-Password=true",
                f"External-Addr={HOST}:{process.port}",
                *[f"Datastore={HOST}:{p.port}" for p in self.datastores],
                "Datastore-Insecure-Disable-TLS=true",
                "Control-Insecure-Disable-TLS=true",
                *[f"Remote-Indexers=net:{HOST}:{p.port}" for p in self.indexers],
                f"User-DB-Path={quoted(process.dir / 'users.db')}",
                f"Web-Store-Path={quoted(process.dir / 'webstore.db')}",
                f"Webserver-Resource-Store={quoted(process.dir / 'resources/webserver')}",
                f"Render-Store={quoted(process.dir / 'render')}",
                f"Saved-Store={quoted(process.dir / 'saved')}",
                f"Web-Files-Path={quoted(self.root / 'ui/dist')}",
                *self._self_log()]

    def _indexer(self, process):
        pipe = process.dir / "ingest.sock"
        return [*self._common(process),
                f"Indexer-UUID={self.secrets['ids'][process.name]}",
                f"Ingest-Listen-Address={HOST}",
                f"Ingest-Port={process.ingest_port}",
                "TLS-Ingest-Port=0",
                *([f"Pipe-Ingest-Path={quoted(pipe)}"] if len(str(pipe)) < SOCKET_PATH_MAX else []),
                f"Control-Listen-Address={HOST}",
                f"Control-Port={process.port}",
                "Control-Insecure-Disable-TLS=true",
                f"Tag-DB-Path={quoted(process.dir / 'tags.dat')}",
                "[Datalog]",
                f"Directory={quoted(process.dir / 'datalog')}",
                *self._replication(process),
                "[Warp10]",
                f"Read-Token={self.secrets['warp10']['read']}",
                f"Write-Token={self.secrets['warp10']['write']}",
                f"Token-File={quoted(process.dir / 'warp10.tokens')}",
                "[Default-Well]",
                f"Location={quoted(process.dir / 'wells/default')}",
                '[Storage-Well "gravwell"]',
                f"Location={quoted(process.dir / 'wells/gravwell')}",
                "Tags=gravwell"]

    def _replication(self, process):
        """Its door for the forwarders of others, and its own forwarders."""
        if not self.links:
            return []
        own = self.indexers.index(process)
        return [f"Listen={HOST}:{process.datalog_port}",
                "Disable-TLS=true",
                *[line for source, target in self.links if source == own for line in (
                    f'[Datalog-Forwarder "{self.indexers[target].name}"]',
                    f"Target={HOST}:{self.indexers[target].datalog_port}",
                    "Disable-TLS=true")]]

    def _loadbalancer(self, process):
        run = process.dir / "run"  # holds sockets; elsewhere when their paths would be too long
        if len(str(run)) > SOCKET_PATH_MAX - 30:
            run = f"/tmp/aquifer-{hashlib.sha256(str(run).encode()).hexdigest()[:16]}"
        return ["[Global]",
                f"Data-Directory={quoted(process.dir)}",
                f"Run-Directory={quoted(run)}",
                f"Admin-Listen-Address={HOST}",
                f"Admin-Port={process.port}",
                "Log-Level=INFO",
                "Update-Interval=5",
                "Drain-Timeout=5",
                f"Ingest-Auth={quoted(self.secrets['ingest'])}",
                *self._self_log(),
                f"Control-Secret={quoted(self.secrets['control'])}",
                f"Bind-Addr={HOST}",
                f"Web-Port={self.balancer_port}",
                "Insecure-Disable-HTTPS=true",
                "Insecure-Disable-Client-HTTPS=true",
                "Disable-HTTP-Redirector=true",
                *[f"Datastore={HOST}:{p.port}" for p in self.datastores],
                "Datastore-Insecure-Disable-TLS=true"]
