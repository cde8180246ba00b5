"""Starting, stopping, starting again."""

import json
import re
import resource
import shlex
import shutil
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path

import processes
import pytest
from client import Session, wait_until
from cluster import BUILD, ROOT, Cluster, free_port_base
from layout import Layout


def test_sigterm_drains_and_exits_0_and_a_second_start_keeps_all():
    """Users, dashboards, history and entries are there after a clean stop and start."""
    with Cluster(webservers=2, indexers=2) as c:
        ids = c.ingest("life", lines=500)
        session = c.webserver(0).login()
        id = session.post("/api/dashboards", {"Name": "stays", "Data": {"v": 1}}).ok().json()
        session.search("tag=life limit 1")
        wait_until(lambda: session.history(), 5, "history")
        assert set(c.stop().values()) == {0}
        c.start()
        c.expect_found("life", ids)
        for i in range(2):
            again = c.webserver(i).login()
            wait_until(lambda: again.get(f"/api/dashboards/{id}").status == 200, 10, "the board")
            assert again.get(f"/api/dashboards/{id}").json()["Data"] == {"v": 1}
            wait_until(lambda: any(h["UserQuery"] == "tag=life limit 1" for h in again.history()),
                       10, "the history")


class CutShort:
    """Answers every request with the beginning of an answer, as a process that just ends does."""

    def __init__(self, answer):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.serve, args=(answer,), daemon=True).start()

    def serve(self, answer):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)


@pytest.mark.parametrize("answer", [b"", b"HTTP", b"nonsense\r\n\r\n",
                                    b"HTTP/1.1 503 no\r\nContent-Length: 9\r\n\r\nx",
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx 1\n"])
def test_a_process_that_ends_in_the_middle_of_its_answer_is_one_that_is_not_ready(answer):
    cut = CutShort(answer)
    ready, said = processes.answers_ready(cut.url)
    assert ready == answer.startswith(b"HTTP/1.1 200") and isinstance(said, str)
    assert processes.webservers_up(cut) == 0
    cut.listening.close()


@pytest.fixture(scope="module")
def small():
    with Cluster(webservers=1, indexers=1, balancer=False) as c:
        yield c


def test_a_session_outlives_the_restart_of_its_webserver(small):
    """The signing key is an object: a token from before is valid after."""
    session = small.webserver(0).login()
    small.webserver(0).stop()
    small.webserver(0).start()
    session.get("/api/info/whoami").ok()


def test_an_administrator_who_is_locked_out_gets_in_again_beside_the_stopped_datastore(small):
    """`aquifer datastore password`: the new one is right, the old one and old sessions are not."""
    def give(password, name="admin", node=small.datastore):
        return small.aquifer("datastore", "password", name, "--config", str(node.process.config),
                             input=password + b"\n")
    before = small.webserver(0).login()
    for password in (b"found", b"changeme"):
        refused = give(password)
        assert refused.returncode == 1 and b"in use by another process" in refused.stderr
    small.datastore.stop()
    assert b"there is no user root" in give(b"found", name="root").stderr
    assert b"machine of the datastore" in give(b"found", node=small.webserver(0)).stderr
    assert b"everybody knows" in give(b"changeme").stderr
    given = give(b"found")
    assert given.returncode == 0, given.stderr
    small.datastore.start()
    session = small.webserver(0).login_soon("admin", "found")
    assert small.webserver(0).session().try_login().status == 422
    assert before.get("/api/info/whoami").status == 401
    wait_until(lambda: any((line["Verb"], line["Name"], line["User"]) ==
                           ("update", "admin", "aquifer datastore password")
                           for line in session.get("/api/audit").json()), 10, "its audit line")


def test_daemons_may_open_as_many_files_as_the_system_lets_them():
    """A login shell's soft limit of 1024 is a few hundred clients with TLS."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with Cluster(webservers=1, indexers=1) as c:
            for node in c.nodes.values():
                limits = Path(f"/proc/{node.pid}/limits").read_text()
                found = re.search(r"Max open files +(\d+) +(\d+)", limits)
                assert found.groups() == (str(hard), str(hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_daemons_may_start_in_any_order():
    """Webserver and load balancer first, datastore last: everything becomes ready by itself."""
    with Cluster(webservers=1, indexers=1, start=False) as c:
        for node in reversed(c.nodes.values()):
            node.start(ready=False)
        for node in c.nodes.values():
            node.wait_ready()
        wait_until(lambda: Session(c.balancer_url).try_login().status == 200, 20,
                   "a login through the load balancer")


QUICKSTART = ROOT / "packaging/quickstart/main.py"


class Quickstart:
    """quickstart after its build step, on a directory of the test's."""

    def __init__(self, dir, base):
        self.dir, self.base = dir, base

    def __call__(self, *options):
        # Pipes are not handed to what it starts: its end is seen although the cluster goes on.
        with open(self.dir.parent / f"{self.dir.name}.out", "w+") as out:
            status = subprocess.run(
                ["python3", QUICKSTART, "--build", BUILD, "--dir", self.dir, "--port-base",
                 str(self.base), "--webservers", "1", "--indexers", "1", *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=180,
                check=False).returncode
            out.seek(0)
            return status, out.read()

    def start(self):
        status, said = self("--detach", "--no-sample")
        assert status == 0, said
        return said

    def cluster(self):
        return json.loads((self.dir / "cluster.json").read_text())


@pytest.fixture
def quickstarts(tmp_path):
    """Two of them, side by side."""
    count = Layout.port_count(1, 1)
    base = free_port_base(2 * count)
    names = ["one", "and another"]
    both = [Quickstart(tmp_path / name, base + i * count) for i, name in enumerate(names)]
    yield both
    for quickstart in both:
        quickstart("--stop")
        for config in quickstart.dir.glob("loadbalancer-0/aquifer.conf"):
            run = re.search(r'^Run-Directory="(.*)"', config.read_text(), re.M).group(1)
            shutil.rmtree(run, ignore_errors=True)  # in /tmp when DIR's path is long


def test_quickstart_says_where_everything_is_and_stops_only_its_own(quickstarts):
    """cluster.json as documented; two clusters side by side; --stop of one leaves the other."""
    one, two = quickstarts
    for quickstart in quickstarts:
        assert "admin / changeme" in quickstart.start()
    cluster = one.cluster()
    assert set(cluster) == {"loadbalancer", "webservers", "datastores", "indexers",
                            "ingest_secret", "control_secret", "warp10", "pids"}
    assert set(cluster["warp10"]) == {"read", "write"}
    assert cluster["loadbalancer"] == f"http://127.0.0.1:{one.base}"
    assert set(cluster["indexers"][0]) == {"ingest", "http", "id"}
    Session(cluster["loadbalancer"]).login()
    for name, pid in cluster["pids"].items():
        first = (one.dir / name / "aquifer.conf").read_text().splitlines()[0]
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        assert shlex.split(first.removeprefix("# ")) == command
    status, said = one("--stop")
    assert status == 0, said
    assert not any(processes.start_tick(pid) for pid in cluster["pids"].values())
    Session(two.cluster()["loadbalancer"]).login()


def test_a_second_quickstart_keeps_data_secrets_and_changes_made_by_hand(quickstarts):
    """The same secrets and ids, the same dashboards; a line added to a configuration stays."""
    one, _ = quickstarts
    one.start()
    before = one.cluster()
    session = Session(before["webservers"][0]).login()
    id = session.post("/api/dashboards", {"Name": "kept", "Data": {}}).ok().json()
    one("--stop")
    config = one.dir / "webserver-0/aquifer.conf"
    config.write_text(config.read_text() + "# by hand\n")
    one.start()
    after = one.cluster()
    assert {**after, "pids": 0} == {**before, "pids": 0}
    assert "# by hand" in config.read_text()
    session = Session(after["webservers"][0]).login()
    assert session.get(f"/api/dashboards/{id}").ok().json()["Name"] == "kept"


def test_quickstart_reports_a_process_that_cannot_start(quickstarts):
    """Its last log lines are shown, what was started is stopped again, the status is not 0."""
    one, _ = quickstarts
    one.start()
    one("--stop")
    config = one.dir / "indexer-0/aquifer.conf"
    config.write_text(config.read_text().replace("[Global]\n", "[Global]\nIngest-Prot=1\n"))
    status, said = one("--detach", "--no-sample")
    assert status != 0
    assert "indexer-0" in said and "Ingest-Prot" in said
    with pytest.raises(OSError):
        urllib.request.urlopen(one.cluster()["webservers"][0] + "/readyz", timeout=2)


def test_quickstart_starts_again_only_what_is_missing(quickstarts):
    """After kill -9 of one process a second --detach starts it and leaves the others running."""
    one, _ = quickstarts
    one.start()
    before = one.cluster()["pids"]
    subprocess.run(["kill", "-9", str(before["indexer-0"])], check=True)
    wait_until(lambda: processes.start_tick(before["indexer-0"]) is None, 10, "its end")
    one.start()
    after = one.cluster()["pids"]
    assert {name for name in after if after[name] != before[name]} == {"indexer-0"}
    base = ("--port-base", str(one.base + 1))  # the last one given counts
    status, said = one("--detach", "--no-sample", *base)
    assert status != 0 and "other ports" in said and "--stop" in said
    assert one.cluster()["loadbalancer"] == f"http://127.0.0.1:{one.base}", "what does not run"


def test_quickstart_says_in_one_line_what_it_cannot_have(quickstarts):
    """A directory that cannot be made, the port of a link: no process is started, no traceback."""
    one, _ = quickstarts
    one.dir.write_text("a file")
    status, said = one("--detach", "--no-sample")
    assert status != 0 and said.count("\n") == 1 and str(one.dir) in said, said
    one.dir.unlink()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = one.base + Layout.port_count(1, 2) - 1
        taken.bind(("127.0.0.1", port))
        taken.listen()
        status, said = one("--detach", "--no-sample", "--indexers", "2")
    assert status != 0 and said.count("\n") == 1 and f"port {port}, meant for indexer-1" in said


def test_quickstart_ingests_the_machines_logs_once(quickstarts):
    """What is said to be in a tag is found there; a second start does not double it."""
    one, _ = quickstarts
    status, said = one("--detach")
    assert status == 0, said
    tags = json.loads((one.dir / "quickstart.json").read_text())["sample"]
    if not tags:
        pytest.skip("this machine has no readable logs")
    tag = max(tags, key=tags.get)

    def count():
        session = Session(one.cluster()["webservers"][0]).login()
        from datetime import datetime, timedelta, timezone
        start = datetime.now(timezone.utc) - timedelta(days=3650)
        return len(session.search(f"tag={tag} limit 1000", start=start)[0])
    first = count()
    assert 0 < first <= 1000
    one("--stop")
    assert one("--detach")[0] == 0
    assert count() == first
