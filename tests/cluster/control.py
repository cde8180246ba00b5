"""The control protocol from outside (docs/protocols/control-auth.md), on the standard library."""

import hashlib
import hmac
import http.client
import json
import os
import uuid

EMPTY = uuid.UUID(int=0)


def mac(key, *lines):
    text = "".join(line + "\n" for line in ("aquifer-control-v1", *lines))
    return hmac.new(key, text.encode(), hashlib.sha256)


class Control:
    """One session on one kept connection."""

    def __init__(self, address, secret):
        self.wire = http.client.HTTPConnection(address, timeout=120)
        self.sequence = 0
        mine = os.urandom(32).hex()
        hello = self.send("POST", "/control/v1/hello", json.dumps({"Nonce": mine}).encode(), {})
        answer = json.loads(hello[1])
        self.session = answer["Session"]
        self.key = mac(secret.encode(), "session", mine, answer["Nonce"], self.session).digest()

    def send(self, method, target, body, headers):
        self.wire.request(method, target, body, headers)
        answer = self.wire.getresponse()
        return answer.status, answer.read()

    def header(self, method, target, body, sequence):
        digest = hashlib.sha256(body).hexdigest()
        proof = mac(self.key, "request", method, target, self.session, str(sequence), digest)
        return (f"v1 session={self.session} sequence={sequence} body={digest} "
                f"mac={proof.hexdigest()}")

    def call(self, method, target, value=None, sent=None, sequence=None, headers=()):
        """Signs `value` and sends it; `sent` in its place is an alteration on the way, a given
        sequence number that was used a replay. Returns status and body."""
        body = value if isinstance(value, bytes) else \
            json.dumps(value).encode() if value is not None else b""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return self.send(method, target, body if sent is None else sent,
                         {"Control-Auth": self.header(method, target, body, sequence),
                          **dict(headers)})

    def ok(self, method, target, value=None):
        status, body = self.call(method, target, value)
        assert status == 200, (status, body[:500])
        return json.loads(body)

    def open(self, target):
        """A GET whose answer is a stream; returns the response to be read from."""
        self.sequence += 1
        self.wire.request("GET", target, headers={
            "Control-Auth": self.header("GET", target, b"", self.sequence)})
        answer = self.wire.getresponse()
        assert answer.status == 200, answer.read()
        return answer


class Peer(Control):
    """A webserver as the datastore sees it, of any protocol version."""

    def __init__(self, address, secret, protocol=1):
        super().__init__(address, secret)
        self.id, self.protocol = str(uuid.uuid4()), protocol
        self.run = str(EMPTY)

    def check_in(self, **more):
        answer = self.ok("POST", "/sync/v1/checkin", {
            "protocol": self.protocol, "webserver": self.id, "run": self.run,
            "external_addr": "", "version": "test", "revision": 0, "interval_ms": 600000, **more})
        self.run = answer["run"]
        return answer

    def push(self, objects, **more):
        return self.ok("POST", "/sync/v1/push", {
            "protocol": self.protocol, "webserver": self.id, "run": self.run, "objects": objects,
            **more})["answers"]


def new_object(kind, **members):
    """As a webserver pushes it the first time."""
    return {"kind": kind, "id": str(uuid.uuid4()), "owner": 1, "name": "", "body": {},
            "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
            "change": str(uuid.uuid4()), **members}
