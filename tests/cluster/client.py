"""A small HTTP and websocket client of the web API, on the standard library alone.

The websocket part does what the reference client does: token in Authorization and in
Sec-WebSocket-Protocol, messages cut into masked frames of 1024 bytes, no close frame.
"""

import base64
import http.cookiejar
import json
import os
import socket
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

FRAME_BYTES = 1024


def rfc3339(moment):
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


SLOWER = 4  # than a machine that has nothing else to do, before we give up


def wait_until(condition, within_s=10, what="it"):
    """Returns the first true value of condition(); fails at the deadline, which only ends what
    hangs: on a machine with nothing else to do, it is there long before `within_s`."""
    within_s *= SLOWER
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s (last: {value!r})"
        time.sleep(0.05)


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    def ok(self):
        assert self.status == 200, f"{self.status}: {self.body[:500]!r}"
        return self

    @property
    def error(self):
        return self.json()["Error"]


@dataclass
class Entry:
    time: str
    tag: str
    source: str
    data: bytes


class Session:
    """A cookie jar and a login at one URL."""

    def __init__(self, url):
        self.url = url
        self.token = None
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar))

    def call(self, method, path, body=None, content_type=None, headers=None, timeout=120):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if content_type:
            request.add_header("Content-Type", content_type)
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def get(self, path, **query):
        return self.call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def delete(self, path):
        return self.call("DELETE", path, content_type="application/json")

    def post(self, path, value):
        return self.call("POST", path, json.dumps(value).encode(), "application/json")

    def put(self, path, value=None):
        body = json.dumps(value).encode() if value is not None else None
        return self.call("PUT", path, body, "application/json")

    def put_file(self, path, data):
        """Multipart with one part `file`."""
        edge = uuid.uuid4().hex
        head = (f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n")
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        return self.call("PUT", path, body, f"multipart/form-data; boundary={edge}")

    def try_login(self, user="admin", password="changeme"):
        form = urllib.parse.urlencode({"User": user, "Pass": password}).encode()
        return self.call("POST", "/api/login", form, "application/x-www-form-urlencoded")

    def login(self, user="admin", password="changeme"):
        answer = self.try_login(user, password).ok().json()
        assert answer["LoginStatus"], answer
        self.token = answer["JWT"]
        return self

    # Searches, the way of the page (REST).

    def launch(self, query, start=None, end=None, **more):
        now = datetime.now(timezone.utc)
        return self.post("/api/searchctrl/launch", {
            "SearchString": query,
            "SearchStart": rfc3339(start or now - timedelta(hours=1)),
            "SearchEnd": rfc3339(end or now + timedelta(minutes=1)),
            "Background": False, **more})

    def search(self, query, start=None, end=None, within_s=20, limit=100000):
        """Runs the query to its end. Returns its entries and the messages that came with them."""
        launched = self.launch(query, start, end).ok().json()
        session = launched["SearchSessionID"]
        path = f"/api/searchctrl/{launched['SearchID']}"
        window = {"sid": session, "start": launched["Info"]["StartRange"],
                  "end": launched["Info"]["EndRange"]}

        def finished():
            stats = self.get(path + "/stats", count=1, **window).ok().json()
            return stats if stats["Finished"] else None
        stats = wait_until(finished, within_s, f"the end of {query!r}")
        entries, first = [], 0
        while first < limit:
            page = self.get(f"{path}/renderer/{launched['RenderModule']}", first=first,
                            last=first + 1000, **window).ok().json()
            names = {number: name for name, number in (page.get("Tags") or {}).items()}
            entries += [Entry(e["TS"], names.get(e["Tag"], e["Tag"]), e["SRC"],
                              base64.b64decode(e["Data"])) for e in page["Entries"]]
            first += 1000
            if len(page["Entries"]) < 1000:
                break
        self.put(f"{path}/detach?sid={session}").ok()
        return entries, stats.get("Messages") or []

    def history(self):
        return self.get("/api/searchhistory/user/0").ok().json() or []


class Websocket:
    """One connection to /api/ws/search after its negotiation."""

    def __init__(self, session, labels=("PONG", "parse", "search", "attach")):
        address = urllib.parse.urlparse(session.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            "GET /api/ws/search HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Origin: ws://{address.netloc}\r\nSec-WebSocket-Protocol: {session.token}\r\n"
            f"Authorization: Bearer {session.token}\r\nUser-Agent: GravwellCLI\r\n\r\n").encode())
        self.unread = b""
        while b"\r\n\r\n" not in self.unread:
            self._more()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        self.status = int(head.split(b" ")[1])
        if self.status == 101:
            self.send_raw({"Subs": list(labels)})
            self.answer = self.receive_raw()

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the server closed the websocket")
        self.unread += piece

    def _take(self, count):
        while len(self.unread) < count:
            self._more()
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def _frame(self, opcode, final, payload):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        head += bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        return head + mask + masked

    def send_raw(self, value):
        text = (json.dumps(value) + "\n").encode()
        pieces = [text[i:i + FRAME_BYTES] for i in range(0, len(text), FRAME_BYTES)]
        for i, piece in enumerate(pieces):
            self.socket.sendall(self._frame(1 if i == 0 else 0, i == len(pieces) - 1, piece))

    def receive_raw(self):
        message = b""
        while True:
            first, second = self._take(2)
            size = second & 0x7F
            if size == 126:
                size = struct.unpack(">H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._take(8))[0]
            payload = self._take(size)
            opcode = first & 0x0F
            if opcode == 8:
                raise EOFError(f"the server closed the websocket: {payload!r}")
            if opcode == 9:
                self.socket.sendall(self._frame(10, True, payload))
            elif opcode in (0, 1, 2):
                message += payload
                if first & 0x80:
                    return json.loads(message)

    def send(self, label, data):
        self.send_raw({"type": label, "data": data})

    def receive(self, label):
        message = self.receive_raw()
        assert message["type"] == label, message
        return message["data"]

    def ask(self, label, data):
        self.send(label, data)
        return self.receive(label)

    def start_search(self, query, start=None, end=None, **more):
        """Start and ack. Returns the start response."""
        now = datetime.now(timezone.utc)
        response = self.ask("search", {
            "SearchString": query,
            "SearchStart": rfc3339(start or now - timedelta(hours=1)),
            "SearchEnd": rfc3339(end or now + timedelta(minutes=1)),
            "Background": False, "Filters": None, "GIDs": None, "Global": False,
            "LaunchInfo": {"started": "0001-01-01T00:00:00Z", "expires": "0001-01-01T00:00:00Z"},
            **more})
        if not response.get("Error"):
            self.send("search", {"Ok": True,
                                 "OutputSearchSubproto": response["OutputSearchSubproto"]})
        return response

    def close(self):
        """As the reference client: without a close frame."""
        self.socket.close()
