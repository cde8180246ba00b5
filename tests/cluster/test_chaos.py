"""Edits on every webserver while processes are killed and the datastore's files vanish: what was
acknowledged is on every webserver in the end."""

import http.client
import os
import random
import threading
import time

from client import wait_until
from cluster import Cluster

SECONDS = float(os.environ.get("AQUIFER_CHAOS_SECONDS", "12"))
SEED = int(os.environ.get("AQUIFER_CHAOS_SEED", "1"))


class Editor(threading.Thread):
    """Makes dashboards on one webserver and edits its own; remembers what was acknowledged. An
    answer that did not come leaves either outcome open: then both names are fine."""

    def __init__(self, cluster, index, token, until):
        super().__init__(daemon=True)
        self.node, self.token, self.until = cluster.webserver(index), token, until
        self.random = random.Random(SEED * 100 + index)
        self.boards = {}  # id -> names of which one must be there
        self.acknowledged = self.unanswered = 0
        self.error = None

    def run(self):
        try:
            while time.monotonic() < self.until or self.acknowledged < 20:
                self.step()
        except BaseException as error:  # shown by the test
            self.error = error

    def step(self):
        session = self.node.session()
        session.token = self.token
        name = f"{self.node.name} {self.random.random()}"
        id = self.random.choice(list(self.boards)) if self.boards and self.random.random() < 0.6 \
            else None
        try:
            answer = (session.put(f"/api/dashboards/{id}", {"Name": name, "Data": {}}) if id
                      else session.post("/api/dashboards", {"Name": name, "Data": {}}))
        except (OSError, http.client.HTTPException):  # killed meanwhile
            self.unanswered += 1
            if id:
                self.boards[id].add(name)
            time.sleep(0.05)
            return
        if answer.status != 200:
            time.sleep(0.05)
            return
        self.acknowledged += 1
        self.boards[id or answer.json()] = {name}


def kill_and_start(cluster, chance):
    """One blow: a webserver or the datastore dies; now and then the datastore loses its files."""
    node = chance.choice([cluster.webserver(i) for i in range(3)] + [cluster.datastore] * 2)
    node.kill()
    if node is cluster.datastore and chance.random() < 0.5:
        for path in node.process.dir.glob("datastore-*.db*"):
            path.unlink()
    time.sleep(chance.random() / 2)
    node.start(ready=False)


def names_on(session):
    return {board["ID"]: board["Name"] for board in session.get("/api/dashboards").ok().json()}


def test_acknowledged_edits_survive_killed_webservers_and_an_emptied_datastore():
    """Three webservers, one editor each. Every blow is followed by the next within a second."""
    with Cluster(webservers=3, indexers=1, balancer=False) as c:
        chance = random.Random(SEED)
        token = c.webserver(0).login().token
        until = time.monotonic() + SECONDS
        editors = [Editor(c, i, token, until) for i in range(3)]
        for editor in editors:
            editor.start()
        while time.monotonic() < until:
            time.sleep(0.3 + chance.random() / 2)
            kill_and_start(c, chance)
        for editor in editors:
            editor.join(180)
            assert not editor.is_alive(), "hardly anything is acknowledged"
            if editor.error:
                raise editor.error
        for node in c.nodes.values():
            node.wait_ready()
        sessions = [c.webserver(i).session() for i in range(3)]
        for session in sessions:
            session.token = token
        expected = {id: names for editor in editors for id, names in editor.boards.items()}

        def all_there():
            shown = [names_on(session) for session in sessions]
            wrong = [(id, names, [names_here.get(id) for names_here in shown])
                     for id, names in expected.items()
                     if any(names_here.get(id) not in names for names_here in shown)]
            return None if wrong else True
        wait_until(all_there, 60, f"{len(expected)} dashboards, seed {SEED}")
