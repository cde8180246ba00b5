"""Tiny webservers and people who click: what the tests of load balancers share."""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from child import Child
from client import Session, wait_until

TINY = Path(__file__).with_name("tiny_webserver.py")
HOST = "127.0.0.1"


class Tiny(Child):
    def __init__(self, port, name, *tls):
        self.port, self.name, self.tls = port, name, [str(path) for path in tls]
        self.start()

    def start(self):
        self.child = subprocess.Popen([sys.executable, TINY, str(self.port), self.name, *self.tls])
        wait_until(lambda: accepts(self.port), 10, f"{self.name} listens")


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def request(connection, path, headers=None, method="GET", body=None):
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        answer.cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
        return answer


def echoes(wire):
    """An upgraded connection carries bytes both ways."""
    with wire:
        wire.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += some(wire)
        assert b" 101 " in head
        for piece in (b"hello", b"x" * 5000):
            wire.sendall(piece)
            got = b""
            while len(got) < len(piece):
                got += some(wire)
            assert got == piece


def some(wire):
    piece = wire.recv(65536)
    assert piece, "it was closed"
    return piece


def takes_chunks(connection):
    """A chunked body of 20 MB arrives whole."""
    body = (b"y" * 65536 for _ in range(320))
    answer = request(connection, "/up", method="POST", body=body)
    assert answer.text.split("\n")[3] == str(320 * 65536)


class Users:
    """People who click ten times, over a kept connection and with their cookie, and then make
    room for the next one, until the block ends."""

    def __init__(self, balancer, count=4, path="/click", think_s=0):
        self.balancer, self.path, self.think_s, self.stopping = balancer, path, think_s, False
        self.answers, self.faults, self.slowest = [], [], 0
        self.threads = [threading.Thread(target=self.click) for _ in range(count)]

    def click(self):
        while not self.stopping:
            cookie, connection = "", self.balancer.connect()
            try:
                for _ in range(10):
                    time.sleep(self.think_s)
                    begun = time.monotonic()
                    connection.request("GET", self.path, headers={"Cookie": cookie})
                    answer = connection.getresponse()
                    name = answer.read().split(b"\n")[0].decode()
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    self.answers.append(name)
                    if answer.status != 200:
                        self.faults.append(f"{answer.status} {name}")
                    new = answer.getheader("Set-Cookie")
                    cookie = new.split(";")[0] if new else cookie
            except OSError as error:
                self.faults.append(repr(error))
            except http.client.HTTPException as error:
                self.faults.append(repr(error))
            finally:
                connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(120)

    def see(self, *names):
        """Waits until each of them has answered again."""
        seen = len(self.answers)
        wait_until(lambda: set(names) <= set(self.answers[seen:]), 20, f"answers of {names}")

    def see_some(self):
        """Waits for another hundred answers."""
        seen = len(self.answers)
        wait_until(lambda: len(self.answers) > seen + 100, 30, "answers")


def up(cluster, count):
    """Waits until the load balancer has so many webservers."""
    balancer = Session(f"http://{HOST}:{cluster.balancer.process.port}")
    wait_until(lambda: f"webservers_up {count}\n".encode() in balancer.get("/metrics").body, 40,
               f"{count} webservers are up")


def make_certificate(dir, name):
    key, certificate = dir / f"{name}.key", dir / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return certificate, key
