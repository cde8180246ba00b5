#!/usr/bin/env python3
"""Records what a webserver and a datastore of this version say to each other.

    tests/golden/record_datastore.py > tests/golden/datastore-protocol-1.jsonl

Done once for each protocol version, at its release; the file stays for ever and is replayed by
tests/cluster/test_golden.py. One line for each exchange: path, body, status and answer of what was
posted, and the lines that the feed brought. A proxy between the two writes down what passes.
"""

import http.client
import http.server
import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
from client import wait_until  # noqa: E402
from cluster import Cluster, free_port_base  # noqa: E402

records, lock = [], threading.Lock()


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wire = http.client.HTTPConnection(self.server.target, timeout=60)
        wire.request(self.command, self.path, body, dict(self.headers))
        answer = wire.getresponse()
        if self.path.startswith("/sync/v1/feed"):
            self.stream(answer)
            return
        data = answer.read()
        if self.path.startswith("/sync/v1/"):
            with lock:
                records.append({"path": self.path, "body": json.loads(body),
                                "status": answer.status, "answer": json.loads(data)})
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET = pass_on

    def stream(self, answer):
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in answer:
            with lock:
                records.append({"feed": json.loads(line)})
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.close_connection = True

    def log_message(self, *_):
        pass


def people_work(session):
    session.post("/api/users", {"User": "ann", "Pass": "pass word", "Name": "Ann"}).ok()
    session.post("/api/groups", {"Name": "soc"}).ok()
    id = session.post("/api/dashboards", {"Name": "edge", "Data": {"tiles": [1]}}).ok().json()
    board = session.get(f"/api/dashboards/{id}").ok().json()
    session.put(f"/api/dashboards/{id}", {**board, "Name": "edges", "Labels": ["net"]}).ok()
    gone = session.post("/api/macros", {"Name": "GONE", "Expansion": "x"}).ok().json()
    session.delete(f"/api/macros/{gone}").ok()
    session.post("/api/macros", {"Name": "ERR", "Expansion": "grep error"}).ok()
    session.put("/api/users/0/preferences", {"theme": "dark"}).ok()
    session.post("/api/library", {"Name": "q", "Query": "tag=x"}).ok()
    session.post("/api/tokens", {"name": "nightly", "capabilities": ["DashboardRead"]}).ok()
    session.put("/api/logout").ok()


def main():
    with Cluster(webservers=1, indexers=0, balancer=False, start=False) as c:
        port = free_port_base(1)
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", port), Proxy)
        proxy.target = f"127.0.0.1:{c.datastore.process.port}"
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        c.webserver(0).set(f"Datastore=127.0.0.1:{port}")
        c.start()
        people_work(c.webserver(0).login())
        session = c.webserver(0).login()
        wait_until(lambda: session.get("/api/settings").json()["Datastore"]["Unsynced"] == 0, 20)
        c.stop()
    for record in records:
        print(json.dumps(record, sort_keys=True))


if __name__ == "__main__":
    main()
