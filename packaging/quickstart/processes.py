"""Starting, watching and stopping the processes of a layout, and what DIR remembers of them.

DIR/quickstart.json (private) holds the secrets, the ids, the pids with the tick each process was
started at (a pid alone may belong to somebody else by now) and a digest of each configuration as
it was written.
"""

import contextlib
import fcntl
import hashlib
import http.client
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

READY_WITHIN_S = 60
STOP_WITHIN_S = 60
LOG_LINES = 20
UNANSWERED = (OSError, http.client.HTTPException)  # the latter: it ended in the middle of its answer


class Failure(Exception):
    """Something the user is told in one message, without a traceback."""


def start_tick(pid):
    """When the process was started, in clock ticks; None when there is none, or only its corpse."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(fields[18])


def pid_of_config(config):
    """The process that runs with this configuration, whoever started it; None without one."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(config) in words and b"aquifer-" in b" ".join(words[:2]) \
                and start_tick(entry.name):
            return int(entry.name)
    return None


def last_lines(path, count=LOG_LINES):
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join("    " + line for line in lines[-count:]) or "    (nothing)"


class State:
    """DIR/quickstart.json."""

    def __init__(self, dir):
        self.path = Path(dir) / "quickstart.json"
        self.data = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.data.setdefault("secrets", {})
        self.data.setdefault("started", {})
        self.data.setdefault("configs", {})

    def save(self):
        write_private(self.path, json.dumps(self.data, indent=2) + "\n")

    def mint(self, names):
        """Secrets and ids: made once, kept for ever."""
        kept = self.data["secrets"]
        kept.setdefault("ingest", secrets.token_hex(16))
        kept.setdefault("control", secrets.token_hex(16))
        kept.setdefault("warp10", {kind: secrets.token_hex(16) for kind in ("read", "write")})
        ids = kept.setdefault("ids", {})
        for name in names:
            ids.setdefault(name, str(uuid.uuid4()))
        self.save()
        return kept

    def started(self, name):
        """Pid and tick of a process that we started and that still runs, else None."""
        entry = self.data["started"].get(name)
        alive = entry is not None and start_tick(entry["pid"]) == entry["tick"]
        return (entry["pid"], entry["tick"]) if alive else None

    def remember(self, name, pid):
        self.data["started"][name] = {"pid": pid, "tick": start_tick(pid)}
        self.save()

    def forget(self, *names):
        self.data["started"] = {k: v for k, v in self.data["started"].items() if k not in names}
        self.save()


def write_private(path, text):
    temporary = Path(f"{path}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


@contextlib.contextmanager
def locked(dir):
    """One quickstart at a time may start or stop things in DIR."""
    Path(dir).mkdir(parents=True, exist_ok=True)
    with open(Path(dir) / "quickstart.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another quickstart is just starting or stopping in {dir}") from None
        yield


def write_config(state, layout, process):
    """Writes the configuration, unless it was changed by hand and is still of this cluster."""
    process.dir.mkdir(parents=True, exist_ok=True)
    text = layout.config_text(process)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if process.config.exists():
        if state.data["configs"].get(process.name) == digest:
            return
        process.config.replace(f"{process.config}.old")
    write_private(process.config, text)
    state.data["configs"][process.name] = digest
    state.save()


def check_ports(layout, processes):
    wanted = {}
    for process in processes:
        wanted[process.port] = process
        if process.ingest_port:
            wanted[process.ingest_port] = process
        if process.datalog_port and layout.links:
            wanted[process.datalog_port] = process
        if process is layout.balancer:
            wanted[layout.balancer_port] = process
    for port, process in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failure(f"port {port}, meant for {process.name}, cannot be had: "
                              f"{error.strerror}. Try another --port-base.") from None


def start(process):
    """Starts it in a session of its own, so that a Ctrl-C in the terminal does not reach it, and
    without the variables that would overrule its configuration."""
    process.dir.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAVWELL_")}
    with open(process.log, "ab") as log:
        try:
            return subprocess.Popen(process.command, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, cwd=process.dir, env=environment,
                                    start_new_session=True)
        except OSError as error:
            raise Failure(f"{process.command[0]} cannot be started: {error.strerror}") from None


def answers_ready(url):
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
            return answer.status == 200, ""
    except urllib.error.HTTPError as error:
        return False, f"{error.code} {said_by(error)}"
    except UNANSWERED as error:
        return False, str(getattr(error, "reason", error))


def said_by(error):
    try:
        return error.read(200).decode(errors="replace").strip()
    except UNANSWERED:
        return ""


def wait_ready(process, url, within_s=READY_WITHIN_S, alive=lambda: True):
    deadline = time.monotonic() + within_s
    while True:
        running = alive()
        ready, answer = answers_ready(url) if running else (False, "")
        if ready:
            return
        if not running or time.monotonic() > deadline:
            what = (f"is not ready after {within_s} s ({url}/readyz says: {answer})" if running
                    else "ended while it was starting")
            raise Failure(f"{process.name} {what}. Its last log lines, of {process.log}:\n"
                          f"{last_lines(process.log)}")
        time.sleep(0.05)


def webservers_up(balancer):
    """How many webservers the load balancer gives users to."""
    try:
        with urllib.request.urlopen(balancer.url + "/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("aquifer_loadbalancer_webservers_up "):
                    return int(float(line.split()[1]))
    except UNANSWERED:
        pass
    return 0


def wait_spread(balancer, count, within_s=READY_WITHIN_S, alive=lambda: True):
    """Until users are spread over all `count` webservers."""
    deadline = time.monotonic() + within_s
    while webservers_up(balancer) < count:
        if not alive() or time.monotonic() > deadline:
            raise Failure(f"{balancer.name} has {webservers_up(balancer)} of {count} webservers in "
                          f"service. Its last log lines, of {balancer.log}:\n"
                          f"{last_lines(balancer.log)}")
        time.sleep(0.05)


def end_all(pids, within_s=STOP_WITHIN_S):
    """SIGTERM to each of {name: (pid, tick)}, SIGKILL to those it does not help with; returns the
    names of these."""
    left = dict(pids)
    for number, wait_s in ((signal.SIGTERM, within_s), (signal.SIGKILL, 10)):
        stubborn = list(left) if number == signal.SIGKILL else []
        for pid, tick in left.values():
            if start_tick(pid) == tick:
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while left and time.monotonic() < deadline:
            for name, (pid, tick) in list(left.items()):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                if start_tick(pid) != tick:
                    del left[name]
            time.sleep(0.02)
    return stubborn


def end_in_order(pids):
    """Ends {process name: (pid, tick)} in reverse: one kind after the other, each all at once."""
    backwards = reversed(list(pids.items()))
    for _, group in itertools.groupby(backwards, key=lambda item: item[0].rsplit("-", 1)[0]):
        for name in end_all(dict(group)):
            print(f"{name} did not end by itself and was killed", flush=True)
