"""A webserver that says its name: what a load balancer can be tested with, alone.

    tiny_webserver.py PORT NAME [CERTIFICATE KEY | --any]

--any: it listens on all addresses.

GET /readyz 200; GET /slow answers after a second, POST and PUT with "?hang-NAME" not within a
minute, and GET /slow-begun once one of them has been asked; GET /bytes/N that many bytes; GET
/events a line, and another one when the first has been answered with POST /seen; any other GET,
POST and PUT the name, what it was asked and how many bytes of body came; GET with "Upgrade:
websocket" 101 and then an echo of bytes.
"""

import base64
import hashlib
import http.server
import ssl
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body_bytes=0):
        text = "\n".join([self.server.name, self.command, self.path, str(body_bytes),
                          ", ".join(self.headers.get_all("X-Forwarded-For", ["-"])),
                          self.headers.get("X-Forwarded-Proto", "-"),
                          self.headers.get("Forwarded", "-")]).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
        self.wfile.write(head + text)  # at once: half an answer could not be asked for again

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.echo()
            return
        if self.path.startswith("/bytes/"):
            self.send_bytes(int(self.path[7:]))
            return
        if self.path == "/events":
            self.send_events()
            return
        if self.path == "/slow":
            self.server.slow.set()
            time.sleep(1)
        if self.path == "/slow-begun" and not self.server.slow.wait(60):
            return
        self.answer()

    def send_bytes(self, count):
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        piece = bytes(1 << 20)
        while count > 0:
            self.wfile.write(piece[:count])
            count -= len(piece)

    def send_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"d\r\ndata: first\n\n\r\n")
        self.server.seen.wait(20)
        self.wfile.write(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")

    def do_POST(self):
        if self.path == "/seen":
            self.server.seen.set()
        count = sum(len(piece) for piece in self.pieces())
        if self.path.endswith(f"?hang-{self.server.name}"):
            self.server.slow.set()
            time.sleep(60)
        self.answer(count)

    do_PUT = do_POST

    def pieces(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Sec-WebSocket-Accept", accept)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        while piece := self.connection.recv(65536):
            self.connection.sendall(piece)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # the balancer's health checks hang up as they like


def main():
    everywhere = "--any" in sys.argv
    server = Server(("" if everywhere else "127.0.0.1", int(sys.argv[1])), Handler)
    server.name = sys.argv[2]
    server.seen, server.slow = threading.Event(), threading.Event()
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
