"""Runs a cluster on loopback: see ./quickstart, which installs and builds before it comes here."""

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import processes
import sample
from layout import Layout
from processes import Failure

ROOT = Path(__file__).resolve().parents[2]


def positive(most):
    def number(text):
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {most}")
        return int(text)
    return number


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="quickstart", description="See ./quickstart --help.")
    parser.add_argument("--dir", default=str(ROOT / "run"))
    parser.add_argument("--port-base", type=positive(65000), default=8080)
    parser.add_argument("--webservers", type=positive(50), default=2)
    parser.add_argument("--indexers", type=positive(50), default=2)
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--no-install", action="store_true")
    parser.add_argument("--no-sample", action="store_true")
    parser.add_argument("--no-replicate", action="store_true")
    parser.add_argument("--build", default=str(ROOT / "build/release"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.dir, options.build = Path(options.dir).resolve(), Path(options.build).resolve()
    return options


class Cluster:
    def __init__(self, options):
        self.options = options
        self.state = processes.State(options.dir)
        names = [f"{kind}-{i}" for kind, count in
                 (("webserver", options.webservers), ("indexer", options.indexers))
                 for i in range(count)]
        self.layout = Layout(options.dir, options.build, ROOT, options.port_base,
                             options.webservers, options.indexers, self.state.mint(names),
                             links=() if options.no_replicate else Layout.ring(options.indexers))
        self.children = {}  # process name -> Popen, those of this run
        self.pids = {}

    def find_running(self):
        """What runs already, from an earlier start or started by hand."""
        for process in self.layout.processes:
            started = self.state.started(process.name)
            pid = started[0] if started else processes.pid_of_config(process.config)
            if pid is not None:
                self.pids[process.name] = pid
                if not started:
                    print(f"{process.name} was started by hand (pid {pid}) and stays as it is")

    def start(self):
        self.find_running()
        if self.pids and not self.options.detach:
            raise Failure(f"a cluster runs already in {self.options.dir}; stop it first: "
                          f"./quickstart --dir {self.options.dir} --stop")
        shape = [self.options.port_base, self.options.webservers, self.options.indexers,
                 not self.options.no_replicate]
        if self.pids and self.state.data.get("shape", shape) != shape:
            raise Failure(f"a cluster with other ports or processes runs already in "
                          f"{self.options.dir}; stop it first: "
                          f"./quickstart --dir {self.options.dir} --stop")
        missing = [p for p in self.layout.processes if p.name not in self.pids]
        processes.check_ports(self.layout, missing)
        self.state.data["shape"] = shape
        for process in missing:
            processes.write_config(self.state, self.layout, process)
        for process in missing:
            child = processes.start(process)
            self.children[process.name] = child
            self.pids[process.name] = child.pid
            self.state.remember(process.name, child.pid)
        self.write_cluster_json()
        for process in missing:
            alive = lambda child=self.children[process.name]: child.poll() is None  # noqa: E731
            processes.wait_ready(process, process.url, alive=alive)
            if process is self.layout.balancer:
                processes.wait_ready(process, self.layout.balancer_url, alive=alive)
                processes.wait_spread(process, len(self.layout.webservers), alive=alive)

    def write_cluster_json(self):
        text = json.dumps(self.layout.cluster_json(self.pids), indent=2) + "\n"
        processes.write_private(self.options.dir / "cluster.json", text)

    def stop(self):
        """Ends what this run started, in reverse order; a second Ctrl-C does not interrupt it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        started = {name: self.state.started(name) for name in self.children}
        processes.end_in_order({name: entry for name, entry in started.items() if entry})
        self.state.forget(*self.children)
        self.children = {}

    def ingest_sample(self):
        if self.options.no_sample or self.state.data.get("sample"):
            return
        print("ingesting this machine's logs ...", flush=True)
        sent, faults = sample.ingest(
            str(Path(self.options.build) / "bin/aquifer"),
            [f"127.0.0.1:{p.ingest_port}" for p in self.layout.indexers],
            self.state.data["secrets"]["ingest"])
        for fault in faults:
            print(f"not ingested: {fault}", file=sys.stderr)
        self.state.data["sample"] = sent
        self.state.save()

    def introduce(self):
        print(f"""
Aquifer runs.

    in the browser   {self.layout.balancer_url}   (through the load balancer)
    login            admin / changeme
    webservers       {"  ".join(p.url for p in self.layout.webservers)}
    ingest           {"  ".join(f"127.0.0.1:{p.ingest_port}" for p in self.layout.indexers)}
    everything else  {self.options.dir}/cluster.json""")
        tags = self.state.data.get("sample") or {}
        if tags:
            print(f"""
This machine's logs are in the tags {", ".join(sorted(tags))};
the cluster's own is in gravwell. A first query, over all time:

    {self.layout.balancer_url}/#/search?q=tag%3D{max(tags, key=tags.get)}&t=all""")

    def watch(self):
        """Until Ctrl-C; says which process ended, and how to start it again."""
        print("\nCtrl-C stops the cluster.", flush=True)
        reported = set()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.5)
                for process in self.layout.processes:
                    status = self.children[process.name].poll()
                    if status is not None and process.name not in reported:
                        reported.add(process.name)
                        self.report(process, status)
        print("stopping ...", flush=True)

    @staticmethod
    def report(process, status):
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        print(f"{process.name} {how}. Its last log lines:\n{processes.last_lines(process.log)}\n"
              f"Start it again with: {shlex.join(process.command)}", file=sys.stderr, flush=True)


def leave(number, frame):
    """SIGTERM and a closed terminal end a run as Ctrl-C does."""
    raise KeyboardInterrupt


def run(options):
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    with processes.locked(options.dir):
        cluster = Cluster(options)
        try:
            cluster.start()
            if not options.detach:
                cluster.state.remember("quickstart", os.getpid())
            cluster.ingest_sample()
        except BaseException:
            cluster.stop()
            raise
        cluster.introduce()
        if options.detach:
            print(f"\nStop it with: ./quickstart --dir {shlex.quote(str(options.dir))} --stop")
            return
    try:
        cluster.watch()
    finally:
        cluster.stop()
        cluster.state.forget("quickstart")


def stop(options):
    """Ends what quickstart started in DIR and still runs, in reverse order; nothing else."""
    state = processes.State(options.dir)
    if not state.path.exists():
        raise Failure(f"no cluster was ever started in {options.dir}")
    watcher = state.started("quickstart")
    if watcher is not None:  # it stops the others, in its order
        processes.end_all({"quickstart": state.started("quickstart")}, within_s=300)
        state = processes.State(options.dir)
    pids = {name: state.started(name) for name in state.data["started"] if state.started(name)}
    processes.end_in_order(pids)
    state.forget(*state.data["started"])
    ended = list(pids)
    for config in sorted(options.dir.glob("*/aquifer.conf")):
        pid = processes.pid_of_config(config)
        if pid is not None:
            print(f"{config.parent.name} runs as pid {pid}, started by hand: left alone")
    if watcher is not None:
        ended.append("the cluster")
    print("stopped " + ", ".join(ended) if ended else "nothing was running")


def main():
    options = options_of(sys.argv[1:])
    os.umask(0o027)  # configurations and cluster.json hold secrets
    try:
        stop(options) if options.stop else run(options)
    except Failure as failure:
        sys.exit(f"quickstart: {failure}")
    except OSError as error:  # DIR cannot be made or written, or its disk is full
        sys.exit(f"quickstart: {error.filename or options.dir}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
