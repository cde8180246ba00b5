"""People who make dashboards while something dies: what tests and bench/failover share."""

import threading

from client import wait_until

CONFIRMED_WITHIN_S = 30


def make(session, name, **data):
    """Creates a dashboard; returns its id."""
    return session.post("/api/dashboards", {"Name": name, "Data": data}).ok().json()


def is_synced(session, id):
    answer = session.get(f"/api/dashboards/{id}")
    return answer.status == 200 and answer.json()["Synced"]


def wait_written(session, what):
    """A dashboard made now is confirmed by a datastore, at last."""
    id = make(session, what)
    wait_until(lambda: is_synced(session, id), CONFIRMED_WITHIN_S,
               f"a datastore to confirm \"{what}\"")


def boards(session):
    """{id: dashboard} of all there are."""
    return {b["ID"]: b for b in session.get("/api/dashboards").ok().json() or []}


class Load:
    """Two threads per webserver: one makes dashboards, one reads, until the block ends. Nothing may
    fail."""

    def __init__(self, cluster):
        self.made, self.faults, self.reads = {}, [], 0
        self.stopping = threading.Event()
        self.threads = []
        for i in range(len(cluster.layout.webservers)):
            session = cluster.webserver(i).login()
            for work in (self._write, self._read):
                self.threads.append(threading.Thread(target=work, args=(session, i), daemon=True))

    def _write(self, session, i):
        count = 0
        while not self.stopping.wait(0.02):
            name = f"w{i}-{count}"
            count += 1
            answer = session.post("/api/dashboards", {"Name": name, "Data": {"n": count}})
            if answer.status == 200:
                self.made[answer.json()] = name
            else:
                self.faults.append(("write", name, answer.status, answer.body[:200]))

    def _read(self, session, i):
        while not self.stopping.wait(0.01):
            for path in ["/api/dashboards", "/api/info/whoami"]:
                answer = session.get(path)
                self.reads += 1
                if answer.status != 200:
                    self.faults.append(("read", path, answer.status, answer.body[:200]))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
        if kind is None:
            assert not self.faults, self.faults[:5]
