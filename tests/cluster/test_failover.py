"""Nobody notices that a webserver died: people read without pause through the load balancer while
webservers are killed, stopped, frozen, added and removed, and the datastore is restarted.

None of them waits for long. How long is said of a machine that is not busy with other things: a
tiny server beside the cluster is asked in the same way, and what an answer of its takes meanwhile
is allowed once for each of the processes that an answer of the cluster passes.

AQUIFER_FAILOVER_S is how long at least (60 in `make soak`), AQUIFER_FAILOVER_RATE requests a
second."""

import http.client
import os
import threading
import time

from balancing import HOST, Tiny, up
from client import Session
from cluster import Cluster, free_port_base

READERS = 20
RATE = int(os.environ.get("AQUIFER_FAILOVER_RATE", "200"))
LASTS_S = int(os.environ.get("AQUIFER_FAILOVER_S", "10"))
SLOW_S = 2.0
HOPS = 3  # load balancer, webserver, datastore
FROZEN_SLOW_S = 10.0  # a frozen webserver is found by two checks of 1 s and left after 3 s more
READS = ["/api/info/whoami", "/api/dashboards", "/api/resources", "/api/tags", "/", "/healthz",
         "/api/info/whoami", "/api/macros"]


class Reader(threading.Thread):
    """Logged in once; then so many requests a second, each expected to be answered with 200."""

    def __init__(self, port, token, number):
        super().__init__(daemon=True)
        self.port, self.token, self.number = port, token, number
        self.answered, self.faults, self.stopping = 0, [], False
        self.took = []  # (when, how long, what)

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
            self.took.append((begun, time.monotonic() - begun, path))


def slow_ones(readers, control, frozen):
    """Those that took longer than is promised, and than the machine explains."""
    slow = []
    for at, took, path in (one for reader in readers for one in reader.took):
        met_frozen = any(first - SLOW_S < at < last for first, last in frozen)
        if took > SLOW_S:
            busy = max((t for begun, t, _ in control.took if begun < at + took and begun + t > at),
                       default=0)
            if took > (FROZEN_SLOW_S if met_frozen else SLOW_S) + HOPS * busy:
                slow.append(f"{path} took {took:.1f} s, the control {busy:.1f} s")
    return slow


def test_nobody_notices_what_happens_to_webservers():
    """No read fails, none is slow but those that met a frozen webserver, all stay logged in."""
    tiny = Tiny(free_port_base(1), "control")
    try:
        readers_notice_nothing(Reader(tiny.port, "", 0))
    finally:
        tiny.kill()


def readers_notice_nothing(control):
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
        for reader in [*readers, control]:
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
            c.webserver(2).pause()
            up(c, 3)
            time.sleep(6)  # it stays frozen until all who waited for it are elsewhere
            c.webserver(2).resume()
            up(c, 4)
            frozen.append(time.monotonic())
            c.webserver(3).stop()  # one is removed
            up(c, 3)
        for reader in [*readers, control]:
            reader.stopping = True
        for reader in [*readers, control]:
            reader.join(90)
            assert not reader.is_alive()
        lasted = time.monotonic() - begun
        answered = sum(reader.answered for reader in readers)
        faults = [fault for reader in readers for fault in reader.faults]
        print(f"{answered} reads in {lasted:.0f} s, {rounds} rounds, {len(faults)} failed; the "
              f"slowest took {max(took for reader in readers for _, took, _ in reader.took):.1f} s,"
              f" of the control {max(took for _, took, _ in control.took):.1f} s")
        assert not faults, faults[:20]
        slow = slow_ones(readers, control, list(zip(frozen[::2], frozen[1::2])))
        assert not slow, slow
        assert answered > 10 * READERS, "the readers hardly read"
        for reader in readers:
            user = Session(c.balancer_url)
            user.token = reader.token
            user.get("/api/info/whoami").ok()
