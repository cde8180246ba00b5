"""Nobody notices that a webserver died: people read without pause through the load balancer while
webservers are killed, stopped, frozen, added and removed, and the datastore is restarted.

AQUIFER_FAILOVER_S is how long at least (60 in `make soak`), AQUIFER_FAILOVER_RATE requests a
second."""

import http.client
import os
import signal
import threading
import time

from balancing import HOST
from client import Session, wait_until
from cluster import Cluster

READERS = 20
RATE = int(os.environ.get("AQUIFER_FAILOVER_RATE", "200"))
LASTS_S = int(os.environ.get("AQUIFER_FAILOVER_S", "10"))
SLOW_S = 2.0
FROZEN_SLOW_S = 10.0  # a frozen webserver is found by two checks of 1 s and left after 3 s more
READS = ["/api/info/whoami", "/api/dashboards", "/api/resources", "/api/tags", "/", "/healthz",
         "/api/info/whoami", "/api/macros"]


class Reader(threading.Thread):
    """Logged in once; then so many requests a second, each expected to be answered with 200."""

    def __init__(self, port, token, number):
        super().__init__(daemon=True)
        self.port, self.token, self.number = port, token, number
        self.answered, self.faults, self.slow, self.stopping = 0, [], [], False

    def run(self):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        cookie, at = "", self.number
        due = time.monotonic() + self.number / RATE
        while not self.stopping:
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + READERS / RATE, time.monotonic() - 1)
            path = READS[at % len(READS)]
            at += 1
            begun = time.monotonic()
            try:
                connection.request("GET", path, headers={
                    "Cookie": cookie, "Authorization": "Bearer " + self.token})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.faults.append(f"{time.strftime('%X')} {path}: {answer.status} "
                                       f"{body[:200]!r}")
                new = answer.getheader("Set-Cookie")
                cookie = new.split(";")[0] if new else cookie
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(f"{path}: {error!r}")
                connection.close()
            took = time.monotonic() - begun
            if took > SLOW_S:
                self.slow.append((begun, took, path))


def up(cluster, count):
    balancer = Session(f"http://{HOST}:{cluster.balancer.process.port}")
    wait_until(lambda: f"webservers_up {count}\n".encode() in balancer.get("/metrics").body, 40,
               f"{count} webservers are up")


def test_nobody_notices_what_happens_to_webservers():
    """No read fails, none is slow but those that met a frozen webserver, all stay logged in."""
    with Cluster(webservers=4, indexers=1, start=False) as c:
        for name, node in c.nodes.items():
            if name != "webserver-3":
                node.start(ready=False)
        for name, node in c.nodes.items():
            if name != "webserver-3":
                node.wait_ready()
        up(c, 3)
        readers = [Reader(c.layout.balancer_port,
                          Session(c.balancer_url).login("admin", "changeme").token, i)
                   for i in range(READERS)]
        begun = time.monotonic()
        for reader in readers:
            reader.start()
        frozen = []
        rounds = 0
        while rounds == 0 or time.monotonic() - begun < LASTS_S:
            rounds += 1
            c.webserver(0).kill()
            up(c, 2)
            c.webserver(0).start()
            up(c, 3)
            c.webserver(3).start()  # one is added
            up(c, 4)
            c.webserver(1).stop()  # one leaves in peace
            up(c, 3)
            c.datastore.stop()
            c.datastore.start()
            c.webserver(1).start()
            up(c, 4)
            frozen.append(time.monotonic())
            c.webserver(2).child.send_signal(signal.SIGSTOP)
            up(c, 3)
            time.sleep(6)  # it stays frozen until all who waited for it are elsewhere
            c.webserver(2).child.send_signal(signal.SIGCONT)
            up(c, 4)
            frozen.append(time.monotonic())
            c.webserver(3).stop()  # one is removed
            up(c, 3)
        for reader in readers:
            reader.stopping = True
        for reader in readers:
            reader.join(90)
            assert not reader.is_alive()
        lasted = time.monotonic() - begun
        answered = sum(reader.answered for reader in readers)
        faults = [fault for reader in readers for fault in reader.faults]
        slow = [one for reader in readers for one in reader.slow]
        spans = list(zip(frozen[::2], frozen[1::2]))
        unexplained = [(took, path) for at, took, path in slow
                       if not any(first - SLOW_S < at < last for first, last in spans)
                       or took > FROZEN_SLOW_S]
        print(f"{answered} reads in {lasted:.0f} s, {rounds} rounds, {len(faults)} failed, "
              f"{len(slow)} above {SLOW_S} s, slowest {max([0, *[s[1] for s in slow]]):.1f} s")
        assert not faults, faults[:20]
        assert not unexplained, unexplained
        assert answered > RATE * lasted / 4, "the readers hardly read"
        for reader in readers:
            user = Session(c.balancer_url)
            user.token = reader.token
            user.get("/api/info/whoami").ok()
